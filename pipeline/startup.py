"""Starting and leaving a process quickly: an experiment of small networks spends a good part of its time on that.

Importing torch takes more than a second, taking it down again a third of one.
"""

import atexit
import gc
import os
import sys


def collect_rarely() -> None:
    """Lets Python look for garbage once in 50,000 new objects, not in 700.

    An import of torch makes hundreds of thousands, of which nothing is garbage: a tenth of its time.
    """
    gc.set_threshold(50_000, 20, 100)


def leave(code: int) -> None:
    """Ends this process with everything written and closed, but without taking its libraries down one by one."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # closed by whoever started this process
                stream.flush()
        except OSError:
            code = code or 120  # as Python itself ends then
    os._exit(code)
