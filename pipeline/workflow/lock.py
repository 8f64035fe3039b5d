"""Who runs the workflow in a folder: the record that a run leaves, and the lock that a dead one leaves behind."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.common.errors import UserError
from pipeline.common.processes import alive
from pipeline.workflow.layout import Layout
from pipeline.workflow.slurm import queue as slurm

#: Written when a workflow starts, so that a lock can be told from a lock that somebody left.
RUN_RECORD = Path(".snakemake/binary-nas-run.json")
LOCKS = Path(".snakemake/locks")


@dataclass(frozen=True)
class Run:
    """The newest workflow of the folder. ``alive`` is None where it cannot be asked: it runs on another machine."""

    host: str
    pid: int
    alive: bool | None


def record_run(workflow: Any) -> None:
    """Notes which process of which machine runs the workflow in this folder, and how its SLURM jobs are called."""
    record = {"host": os.uname().nodename, "pid": os.getpid(), "slurm": slurm.run_name(workflow)}
    RUN_RECORD.parent.mkdir(exist_ok=True)
    RUN_RECORD.write_text(json.dumps(record))


def settle_earlier_run(command: list[str], looking: bool) -> None:
    """Clears away what a dead run left: its jobs in SLURM's queue, unless we only look, and its lock.

    Raises:
        UserError: the workflow is running here, or was started on another machine, where we cannot see.
    """
    locked = LOCKS.is_dir() and any(LOCKS.iterdir())
    record = _read_record()
    if locked:
        _check_dead(record)
    # Where nothing is locked, nothing runs: whatever is still queued has nobody who waits for it.
    if record.get("slurm") and not looking:
        slurm.cancel(record["slurm"])
    if locked:
        print("An earlier run was interrupted; going on from what it had finished.", file=sys.stderr)
        done = subprocess.run([*command, "--unlock", "--quiet", "all"])
        if done.returncode != 0:
            raise UserError("the dead run's lock was not cleared", "call again, or call: snakemake --unlock")


def _read_record() -> dict[str, Any]:
    """Who ran the workflow last in this folder; empty where that is not known."""
    try:
        record = json.loads(RUN_RECORD.read_text())
        return {"host": str(record["host"]), "pid": int(record["pid"]), "slurm": record.get("slurm")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _check_dead(record: Mapping[str, Any]) -> None:
    """Raises UserError where whoever holds the lock is not surely dead."""
    if not record:
        raise UserError(
            "this folder is locked by a run that left no record of itself",
            "make sure that none is running, then call: snakemake --unlock",
        )
    if record["host"] != os.uname().nodename:
        raise UserError(
            f"this folder is locked by a run on the machine {record['host']}",
            "go on there, or, if it is surely dead, call: snakemake --unlock",
        )
    if alive(record["pid"]):
        raise UserError(
            f"the workflow is already running in this folder (process {record['pid']})", "wait for it, or end it"
        )


def last_run(layout: Layout) -> Run | None:
    """Returns the workflow that was started last for an experiment; None if there is no record."""
    workplace = layout.workplace
    try:
        record = json.loads((workplace / RUN_RECORD).read_bytes())
        host, pid = str(record["host"]), int(record["pid"])
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None
    if host != os.uname().nodename:
        return Run(host, pid, None)
    return Run(host, pid, pid > 0 and _is_locked(workplace / LOCKS, layout.experiment) and alive(pid))


def _is_locked(locks: Path, experiment: str) -> bool:
    """Whether a workflow has locked files of this experiment. Locks of a dead one stay, so they prove nothing alone."""
    wanted = f"{Layout.of(experiment).folder.as_posix()}/"
    for lock in locks.glob("*.lock"):
        with suppress(OSError), open(lock, errors="replace") as lines:
            if any(line.startswith(wanted) for line in lines):
                return True
    return False
