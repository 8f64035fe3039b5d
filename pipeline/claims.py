"""What a step was called to read and to write, so that neither a second writer nor a clock that jumps reruns anything.

Snakemake compares times of files. A job that outlived a killed Snakemake writes what the next one's job is writing as
well: whichever is complete first stays, since a newer time on the same content would rerun all that follows. And a
file never gets a time before that of what it was made from, whatever the clock says.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_Stamp = tuple[int, int] | None
_outputs: dict[Path, _Stamp] = {}
_newest_input = 0


def claim(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Notes the state of a step's files before it begins."""
    global _newest_input
    _outputs.clear()
    _outputs.update({path: _stamp(path) for path in outputs})
    _newest_input = max((stamp[1] for stamp in map(_stamp, inputs) if stamp), default=0)


def taken(path: Path) -> bool:
    """Whether another process has completed this output since the step began."""
    return path in _outputs and _stamp(path) not in (None, _outputs[path])


def written(path: Path) -> None:
    """Notes that this process has written ``path``, and sees to it that it is newer than what the step has read."""
    with suppress(OSError):  # a file system without such times: nothing to mend
        if path.stat().st_mtime_ns <= _newest_input:
            os.utime(path, ns=(_newest_input + 1_000_000, _newest_input + 1_000_000))
    if path in _outputs:
        _outputs[path] = _stamp(path)


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
