"""Errors that a user can mend. The command line prints them as one sentence, without a stack trace."""


class UserError(Exception):
    """What is wrong and where, and, where it is not plain from that, what to do.

    >>> str(UserError("no file 'images.h5'", "run prepare-dataset first"))
    "no file 'images.h5': run prepare-dataset first"
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}: {remedy}" if remedy else problem)
