"""Errors that the command line prints as one sentence, without a stack trace."""

import errno
import os
import signal

from pipeline.common.text import printable

#: Set by the workflow to its process id. A step that is run by hand has none and answers to nobody.
WORKFLOW_PID = "BINARY_NAS_WORKFLOW_PID"


class UserError(Exception):
    """A mistake that the user can mend: what is wrong and where, and, where it is not plain from that, what to do.

    Names in the sentence may hold anything; see :func:`pipeline.common.text.printable`.

    >>> str(UserError("no file 'images.h5'", "run prepare-dataset first"))
    "no file 'images.h5': run prepare-dataset first"
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(printable(f"{problem}: {remedy}" if remedy else problem))


class UnreadableError(UserError):
    """A file that the system does not let us read. It may be as good as ever: nobody should delete it."""

    def __init__(self, path: object, error: OSError) -> None:
        locked = error.errno in (errno.EAGAIN, errno.EDEADLK)
        reason = "another program has locked it" if locked else error.strerror or str(error)
        remedy = {errno.EACCES: "; have yourself given permission to read it", errno.EISDIR: "; name a file in it"}
        super().__init__(f"{path} cannot be read", reason + remedy.get(error.errno or 0, ""))


def made_again(how: str = "it is made again") -> str:
    """Returns what to do about a file that is not what its writer left.

    The inputs of a step that the workflow has started are all made by the workflow. A file that somebody has named by
    hand may be anybody's, and named by mistake.

    Args:
        how: what happens when it is gone.
    """
    start = "" if WORKFLOW_PID in os.environ else "if the workflow made it, "
    return f"{start}delete it, and {how}"


class StoppedError(Exception):
    """A long training was asked to end by a signal, and its state is on disk."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; the same command goes on from here")
        self.exit_code = 128 + number
