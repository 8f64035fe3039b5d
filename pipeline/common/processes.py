"""Processes that start and leave quickly, and end when the one that they work for is gone.

An experiment of small networks spends a good part of its time on starting processes: importing torch takes more than a
second, taking it down again a third of one. And a Snakemake that is killed leaves the shells of its jobs running, a
killed pool its workers: they would go on, and write results that the next run is making as well.
"""

import atexit
import gc
import os
import signal
import sys
import threading
import time
from pathlib import Path

from pipeline.common.errors import WORKFLOW_PID

#: Seconds for a training to save its state before the process is ended without asking.
GRACE = 60.0


def end_with_workflow() -> bool:
    """Ends this process when the workflow that started it has died. Returns whether there is one."""
    pid = os.environ.get(WORKFLOW_PID, "")
    if not pid.isdigit():
        return False
    end_with(int(pid))
    return True


def end_with(pid: int) -> None:
    """Ends this process, as SIGTERM does, soon after the process ``pid`` of this machine has died."""

    def watch() -> None:
        while alive(pid):
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="lifeline").start()


def birth(pid: int) -> str | None:
    """Returns what tells a process from a later one that is given its number: when the machine and it were started.

    None if there is no such process, or the system does not say.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]  # in ticks since then
    except OSError:
        return None
    return f"{boot}/{started}"


def alive(pid: int, born: str | None = None) -> bool:
    """Returns whether the process ``pid`` of this machine runs, and is the one with this :func:`birth` if that is
    given.
    """
    if born is not None and birth(pid) not in (born, None):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:  # a process that nobody has waited for yet still answers, but is dead
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True


def collect_rarely() -> None:
    """Lets Python look for garbage once in 50,000 new objects, not in 700.

    An import of torch makes hundreds of thousands, of which nothing is garbage: a tenth of its time.
    """
    gc.set_threshold(50_000, 20, 100)


def forget_output() -> None:
    """Leads what is still to be printed nowhere, so that Python does not complain at its end that it cannot be."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
