"""The files of a data set, as their folders list them."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

_INT64 = 2**63 - 1


@dataclass(frozen=True)
class Files:
    """Files of a data set as its folders list them.

    Attributes:
        root: the data set's folder.
        names: (N,) paths below ``root``, ascending.
        sizes: (N,) bytes.
        changed: (N,) times of the last change, in nanoseconds.
        inodes: (N,) int64, the numbers that the file system knows the files by, whatever they are called; None where
            an earlier version listed them.
        folders: (F,) paths below ``root`` of all folders that were listed.
        folders_changed: (F,) times of their last change.
    """

    root: Path
    names: np.ndarray
    sizes: np.ndarray
    changed: np.ndarray
    folders: np.ndarray
    folders_changed: np.ndarray
    inodes: np.ndarray | None = None

    def key(self) -> str:
        """Returns what tells this listing from others."""
        total = hashlib.sha256(joined(self.names))
        for numbers in (self.sizes, self.changed):
            total.update(numbers.tobytes())
        return total.hexdigest()[:16]


class Facts(NamedTuple):
    """Size in bytes, time of the last change in nanoseconds, the number that the file system knows a file by, and when
    the system last noted a change of it, of its name or its rights included, which no program sets at will.
    """

    size: int = 0
    changed: int = 0
    inode: int = 0
    noted: int = 0


def facts(path: Path | os.DirEntry[str]) -> Facts:
    """Returns what is known of a file or folder without reading it; zeros if it cannot be seen."""
    try:
        found = path.stat()
    except OSError:
        return Facts()
    return Facts(found.st_size, found.st_mtime_ns, found.st_ino & _INT64, found.st_ctime_ns)


def joined(names: Sequence[str] | np.ndarray) -> bytes:
    """Returns names in one piece; a zero byte, which no name has, lies between them."""
    return "\0".join(names).encode(errors="surrogateescape")
