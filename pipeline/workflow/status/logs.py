"""The progress that a step has written to its log."""

import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

#: Bytes at the end of a log in which the newest progress stands.
_TAIL = 8192
_PROGRESS = re.compile(
    r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)  [^:]+: (\d+) of (\d+) (steps|images|candidates)\b", re.MULTILINE
)


@dataclass(frozen=True)
class LoggedProgress:
    """The newest progress line of a log, and the pace between the oldest and newest in its tail."""

    done: int
    total: int
    per_second: float | None


def log_progress(path: Path) -> LoggedProgress | None:
    """Returns None where the log is not there, or says nothing of its progress yet."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            text = file.read(_TAIL).decode(errors="replace")
        lines = [(datetime.fromisoformat(m[1]), int(m[2]), int(m[3])) for m in _PROGRESS.finditer(text)]
    except (OSError, ValueError):
        return None
    if not lines:
        return None
    (first, before, _), (last, done, total) = lines[0], lines[-1]
    passed = (last - first).total_seconds()
    return LoggedProgress(done, total, (done - before) / passed if passed > 0 and done > before else None)
