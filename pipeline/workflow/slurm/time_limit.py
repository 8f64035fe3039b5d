"""Going on in another job: what takes longer than its job's time limit asks SLURM to queue the job again.

SLURM is told (``--signal=URG@120``, in profiles/slurm) to warn a job before its time is up. The warning is SIGURG
because whoever does not handle it never notices: the shell and Snakemake on the node get it too. A job that is queued
again keeps its number, and for the Snakemake that waits for it nothing has failed.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

from pipeline.common.log import log

#: Sent to a job some time before SLURM ends it.
WARNING = signal.SIGURG
#: Seconds for SLURM's controller to answer.
PATIENCE = 60.0


def warnings() -> tuple[signal.Signals, ...]:
    """The signals that mean 'the time is nearly up' here: none outside a SLURM job."""
    return (WARNING,) if "SLURM_JOB_ID" in os.environ else ()


def queue_again() -> bool:
    """Asks SLURM to end this job and queue it again. Returns whether it will; the log says so, or why not."""
    job = os.environ.get("SLURM_JOB_ID", "")
    try:
        done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = str(error)
    else:
        if done.returncode == 0:
            log(f"the time of job {job} is nearly up: it is queued again and goes on from here")
            return True
        reason = " ".join(done.stderr.split())
    log(f"warning: the time of job {job} is nearly up, and SLURM does not queue it again ({reason}); a retry goes on")
    return False


@contextmanager
def on_warning(action: Callable[[], object]) -> Iterator[None]:
    """Calls ``action`` when the time is nearly up, in a thread of its own: what this one is doing goes on."""
    inbox: SimpleQueue[bool] = SimpleQueue()  # made for being called by a signal handler, at any moment

    def wait() -> None:
        while inbox.get():
            action()

    thread = threading.Thread(target=wait, daemon=True, name="time limit")
    before = {number: signal.signal(number, lambda *_: inbox.put(True)) for number in warnings()}
    thread.start()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        inbox.put(False)
        thread.join()
