"""Shortly before its time limit, a job saves its state and asks SLURM to requeue it.

SLURM is told (``--signal=URG@120``, in profiles/slurm) to warn a job before its time is up. The warning is SIGURG
because whoever does not handle it never notices: the shell and Snakemake on the node get it too. A job that is queued
again keeps its number, and for the Snakemake that waits for it nothing has failed.
"""

import os
import signal
import subprocess

from pipeline.common.log import log
from pipeline.common.stopping import StopRequests

#: Sent to a job some time before SLURM ends it.
WARNING = signal.SIGURG
#: Seconds for SLURM's controller to answer.
PATIENCE = 60.0


def stop_requests() -> StopRequests:
    """Returns what can ask this process to end: in a SLURM job, also the warning before its time is up."""
    return StopRequests((WARNING,), queue_again) if "SLURM_JOB_ID" in os.environ else StopRequests()


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
