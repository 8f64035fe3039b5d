"""The files of a data set, as their folders list them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Files:
    """Files of a data set as its folders list them.

    Attributes:
        root: the data set's folder.
        names: (N,) paths below ``root``, ascending.
        sizes: (N,) bytes.
        changed: (N,) times of the last change, in nanoseconds.
        folders: (F,) paths below ``root`` of all folders that were listed.
        folders_changed: (F,) times of their last change.
    """

    root: Path
    names: np.ndarray
    sizes: np.ndarray
    changed: np.ndarray
    folders: np.ndarray
    folders_changed: np.ndarray

    def key(self) -> str:
        """Returns what tells this listing from others."""
        total = hashlib.sha256(joined(self.names))
        for numbers in (self.sizes, self.changed):
            total.update(numbers.tobytes())
        return total.hexdigest()[:16]


def facts(path: Path) -> tuple[int, int]:
    """Returns size and time of the last change of a file or folder; zeros if it cannot be seen."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def joined(names: Sequence[str] | np.ndarray) -> bytes:
    """Returns names in one piece; a zero byte, which no name has, lies between them."""
    return "\0".join(names).encode(errors="surrogateescape")
