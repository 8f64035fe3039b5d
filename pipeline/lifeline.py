"""Processes that end when the one that they work for is gone.

A Snakemake that is killed leaves the shells of its jobs running, and a killed pool leaves its workers. They would go
on, and write results that the next run is making as well.
"""

import os
import signal
import threading
import time
from pathlib import Path

#: Set by the workflow to its process id. A step that is run by hand has none and answers to nobody.
WORKFLOW_PID = "BINARY_NAS_WORKFLOW_PID"
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


def alive(pid: int) -> bool:
    """Whether the process ``pid`` of this machine runs."""
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
