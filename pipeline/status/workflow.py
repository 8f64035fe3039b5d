"""Whether a workflow runs, by the record that it left where it was started."""

import json
import os
from contextlib import suppress
from pathlib import Path

from pipeline.common.processes import alive
from pipeline.status.files import MALFORMED
from pipeline.status.reading import Run


def last_run(folder: Path) -> Run | None:
    """The workflow that was started last where this folder is results/EXPERIMENT; None where there is no record."""
    from pipeline.steps.run import LOCKS, RUN_RECORD

    workplace = folder.resolve().parent.parent
    try:
        record = json.loads((workplace / RUN_RECORD).read_bytes())
        host, pid = str(record["host"]), int(record["pid"])
    except MALFORMED:
        return None
    if host != os.uname().nodename:
        return Run(host, pid, None)
    return Run(host, pid, pid > 0 and _is_locked(workplace / LOCKS, folder.resolve().name) and alive(pid))


def _is_locked(locks: Path, experiment: str) -> bool:
    """Whether a workflow has locked files of this experiment. Locks of a dead one stay, so they prove nothing alone."""
    wanted = f"results/{experiment}/"
    for lock in locks.glob("*.lock"):
        with suppress(OSError), open(lock, errors="replace") as lines:
            if any(line.startswith(wanted) for line in lines):
                return True
    return False
