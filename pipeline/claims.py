"""What a step was called to write, so that a second writer reruns nothing.

Snakemake compares times of files. A job that outlived a killed Snakemake writes what the next one's job is writing as
well: whichever is complete first stays, since a newer time on the same content would rerun all that follows.
"""

from collections.abc import Iterable
from pathlib import Path

_Stamp = tuple[int, int] | None
_outputs: dict[Path, _Stamp] = {}


def claim(outputs: Iterable[Path]) -> None:
    """Notes the state of a step's outputs before it begins."""
    _outputs.clear()
    _outputs.update({path: _stamp(path) for path in outputs})


def taken(path: Path) -> bool:
    """Whether another process has completed this output since the step began."""
    return path in _outputs and _stamp(path) not in (None, _outputs[path])


def written(path: Path) -> None:
    """Notes that this process has written ``path``, and may write it again."""
    if path in _outputs:
        _outputs[path] = _stamp(path)


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
