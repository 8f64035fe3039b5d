"""The jobs of a workflow in SLURM's queue, which outlive a Snakemake that was killed.

They would go on beside those that the next run sends for the same files: much would be done twice and, if settings have
changed in between, a file of the settings before could be there first.
"""

import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

from pipeline.common.errors import UserError
from pipeline.common.log import log

#: Seconds for jobs to end: SLURM asks them to, waits (KillWait, 30 s on most clusters) and then kills them.
PATIENCE = 300.0


def asked_for(flags: Sequence[str]) -> bool:
    """Returns whether flags of Snakemake's command line send jobs to SLURM, by themselves or through a profile."""
    words = [part for flag in flags for part in flag.split("=", 1)]
    given = list(pairwise(words))
    if any(name in ("--executor", "-e") and value == "slurm" for name, value in given):
        return True
    profiles = [Path(value) for name, value in given if name in ("--workflow-profile", "--profile")]
    files = [file for profile in profiles for file in profile.glob("config*.y*ml")]
    return any(re.search(r"^executor: *[\"']?slurm\b", file.read_text(), re.MULTILINE) for file in files)


def is_here() -> bool:
    """Returns whether this machine can send jobs to SLURM."""
    return shutil.which("sbatch") is not None


def check_here(looking: bool) -> None:
    """Checks whether jobs can be sent to SLURM from here.

    Args:
        looking: no job will be sent, which takes the plugin, but not SLURM.

    Raises:
        UserError: they cannot.
    """
    if find_spec("snakemake_executor_plugin_slurm") is None:
        raise UserError("Snakemake's plugin for SLURM is not installed", "call: pip install -e '.[slurm]'")
    missing = [program for program in ("sbatch", "squeue", "scancel") if not shutil.which(program)]
    if missing and not looking:
        raise UserError(
            f"there is no {missing[0]} here, and jobs are sent to SLURM from a machine that has its programs",
            "go to the cluster's login node, or leave the profile out",
        )


def run_name(workflow: Any) -> str | None:
    """Returns the name that all SLURM jobs of this run of Snakemake have; None where it sends none."""
    # The plugin tells it to nobody but the user, in its first line of output.
    name = getattr(getattr(workflow.scheduler, "_executor", None), "run_uuid", None)
    return None if name is None else str(name)


def jobs_named(name: str) -> list[str]:
    """Returns the numbers of the jobs that are queued, running or ending.

    Raises:
        UserError: SLURM cannot be asked.
    """
    return _ask("squeue", "--noheader", "--format=%i", "--name", name).split()


def cancel(name: str) -> None:
    """Ends all jobs of a run, and waits until they are gone; a training saves its state first.

    Raises:
        UserError: SLURM cannot be asked, or a job does not end.
    """
    jobs = jobs_named(name)
    if not jobs:
        return
    log(f"ending {len(jobs)} jobs that an earlier run left in SLURM's queue (trainings save themselves)")
    _ask("scancel", "--name", name)
    give_up = time.monotonic() + PATIENCE
    while jobs := jobs_named(name):
        if time.monotonic() > give_up:
            raise UserError(
                f"SLURM has not ended the earlier run's jobs {', '.join(jobs)} in {PATIENCE:.0f} s",
                "call again when squeue does not list them any more",
            )
        time.sleep(1.0)


def _ask(*words: str) -> str:
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    except FileNotFoundError:
        raise UserError(
            f"an earlier run sent jobs to SLURM, and there is no {words[0]} here to look for them",
            "go on where SLURM's programs are, or, if none can be left, call: python -m pipeline run … --unlock",
        ) from None
    except subprocess.TimeoutExpired:
        raise UserError("SLURM does not answer", "try again later") from None
    except subprocess.CalledProcessError as error:
        raise UserError("SLURM's queue cannot be read", " ".join(error.stderr.split())) from None
