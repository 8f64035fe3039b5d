"""Reading the files of an experiment as they come: what is missing is not there yet, what is damaged is noted."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.common.errors import UserError
from pipeline.common.files import read_csv, read_record

#: What files of another shape than expected raise.
MALFORMED = (UserError, OSError, KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError)


class TolerantReader:
    """Reads records, tables and attributes, each None (or empty) where it is not there or cannot be read."""

    def __init__(self) -> None:
        self._problems: dict[str, None] = {}  # in order, each once

    @property
    def problems(self) -> tuple[str, ...]:
        """Returns what could not be read, in sentences."""
        return tuple(self._problems)

    def complain(self, problem: object) -> None:
        """Notes what could not be read, as a sentence."""
        self._problems[str(problem)] = None

    def record(self, path: Path) -> dict[str, Any] | None:
        """Returns a record; None where it is not there (yet), was changed or exchanged, or cannot be read."""
        try:
            return read_record(path) if path.exists() else None
        except MALFORMED as error:
            if path.exists():  # else it is being made again
                self.complain(error)
            return None

    def table(self, path: Path, columns: tuple[str, ...]) -> list[dict[str, str]] | None:
        """Returns a table; None where it is not there (yet) or cannot be read."""
        try:
            return read_csv(path, columns) if path.exists() else None
        except MALFORMED as error:
            if path.exists():  # else it is being made again
                self.complain(error)
            return None

    def attributes(self, path: Path) -> dict[str, Any]:
        """Returns the attributes of a file of tensors; none if it is not there or cannot be read."""
        from pipeline.common.hdf5 import read_attributes

        try:
            return read_attributes(path) if path.exists() else {}
        except (RuntimeError, *MALFORMED) as error:
            if path.exists():  # else it has just been replaced by what it was for
                self.complain(error if isinstance(error, UserError) else f"{path} is damaged: {error}")
            return {}


def folders_in(folder: Path) -> list[str]:
    """Returns the names of the folders in a folder, in order; none where there is no such folder."""
    try:
        return sorted(path.name for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []


def size(path: Path) -> int:
    """Returns the size in bytes; 0 if there is no such file."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def modified(path: Path) -> float | None:
    """Returns when a file was last written, in seconds of the files' clock; None where there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def newest(folder: Path) -> float | None:
    """Returns time of the newest file anywhere in the folder."""
    return max(_times(folder), default=None)


def _times(folder: str | Path) -> Iterator[float]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    yield from _times(entry.path)
                else:
                    yield entry.stat(follow_symlinks=False).st_mtime


def number(text: Any, most: float = math.inf) -> float:
    """Raises ValueError for what is none, or out of bounds."""
    value = float(text)
    if not 0 <= value <= most or value == math.inf:
        raise ValueError(f"'{text}' is no number that could stand there")
    return value
