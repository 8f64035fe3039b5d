"""The last words of steps that are running, out of their logs, for whoever follows the whole run."""

import os
import re
import threading
import time
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import NamedTuple

#: A line of progress in a step's log, behind day and time and what the step calls itself (see ``Progress``).
_LINE = re.compile(
    r"\S+ \S+ +.*?: (?P<done>\d+) of (?P<total>\d+) (?P<rest>\w+, .+ so far, about (?P<left>.+?) left .+)"
)
#: Bytes at the end of a log that are read.
_TAIL = 4096
#: Seconds by which the clock of a file may differ from ours: a step may have its log on another machine's disk.
_SKEW = 5.0


class Said(NamedTuple):
    """A step's last words: of how far it is in full, and as briefly as fits into a bar."""

    full: str
    brief: str


class RunningSteps:
    """The steps that have begun and not ended, and where each writes its log. Several threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: dict[Hashable, tuple[str, tuple[Path, ...], float]] = {}

    def begin(self, job: Hashable, name: str, logs: Iterable[str]) -> None:
        """Takes a step in: what it is called, and the files it writes to, whose earlier lines are another run's."""
        with self._lock:
            self._steps[job] = name, tuple(map(Path, logs)), time.time()

    def end(self, job: Hashable) -> None:
        """Leaves a step out from now on."""
        with self._lock:
            self._steps.pop(job, None)

    def said(self) -> list[Said]:
        """Returns the last line of progress of each step that has written one, the latest written first."""
        with self._lock:
            steps = list(self._steps.values())
        found = []
        for name, logs, since in steps:
            for path in logs:
                written, line = _end_of(path)
                progress = _last_progress(line)
                if progress is not None and written >= since - _SKEW:
                    found.append((written, _words(name, progress)))
        return [words for _, words in sorted(found, key=lambda pair: pair[0], reverse=True)]


def _end_of(path: Path) -> tuple[float, str]:
    """Returns when a log was last written (seconds of the epoch) and its last lines; nothing if it cannot be read."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            file.seek(max(0, status.st_size - _TAIL))
            return status.st_mtime, file.read().decode(errors="replace")
    except OSError:
        return 0.0, ""


def _last_progress(text: str) -> re.Match[str] | None:
    lines = text.rstrip("\n").splitlines()
    # What has been said since then is not about progress, or it is over.
    return _LINE.fullmatch(lines[-1]) if lines else None


def _words(name: str, progress: re.Match[str]) -> Said:
    done, total, rest, left = (progress[group] for group in ("done", "total", "rest", "left"))
    share = f"{100 * int(done) // max(1, int(total))} %"
    return Said(f"{name}: {done} of {total} {rest}", f"{name}: {share}, {left} left")
