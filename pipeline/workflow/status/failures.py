"""Which steps of the last run have failed, and what they said, out of their logs."""

import os
from collections.abc import Iterator
from pathlib import Path

from pipeline.workflow.lock import Run
from pipeline.workflow.status.files import modified
from pipeline.workflow.status.reading import Failure

#: Bytes at the end of a log that are read.
_TAIL = 8192
_SENTENCE, _TRACEBACK = "error: ", "Traceback (most recent call last):"


def failures(logs: Path, run: Run | None) -> tuple[Failure, ...]:
    """Returns the steps that have failed in a run that is over, the first one first; none where that is not known.

    A step that is done again writes its log anew. So what was written since the run began, and ends with an error, is
    what has ended it; an older one is of a run before, after which something else was done.

    Args:
        logs: the experiment's folder of logs.
        run: the newest run.
    """
    if run is None or run.alive is not False or run.began is None:
        return ()
    found = []
    for log in sorted(logs.rglob("*.log")):
        written = modified(log)
        if written is not None and written >= run.began and (sentence := last_words(log)):
            found.append((written, Failure(log.relative_to(logs).with_suffix("").as_posix(), sentence, str(log))))
    return tuple(failure for _, failure in sorted(found, key=lambda pair: pair[0]))


def last_words(log: Path) -> str:
    """Returns the sentence with which a step has failed; '' if it has not, or the log cannot be read."""
    lines = list(_end_of(log))
    if not lines:
        return ""
    if lines[-1].startswith(_SENTENCE):
        return lines[-1].removeprefix(_SENTENCE)
    return lines[-1] if _TRACEBACK in lines else ""


def _end_of(log: Path) -> Iterator[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            text = file.read(_TAIL).decode(errors="replace")
    except OSError:
        return
    yield from (line.strip() for line in text.splitlines() if line.strip())
