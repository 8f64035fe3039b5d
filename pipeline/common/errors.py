"""What the command line prints as one sentence, without a stack trace."""

import signal

from pipeline.common.text import printable


class UserError(Exception):
    """A mistake that the user can mend: what is wrong and where, and, where it is not plain from that, what to do.

    Names in the sentence may hold anything; see :func:`pipeline.common.text.printable`.

    >>> str(UserError("no file 'images.h5'", "run prepare-dataset first"))
    "no file 'images.h5': run prepare-dataset first"
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(printable(f"{problem}: {remedy}" if remedy else problem))


class StoppedError(Exception):
    """A long training was asked to end by a signal, and its state is on disk."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; the same command goes on from here")
        self.exit_code = 128 + number
