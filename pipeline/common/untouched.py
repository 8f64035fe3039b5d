"""Stamps of files, by which a step finds out without reading any whether one was touched since its run began."""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

#: Tells a step what its run began with: {"files": {path: stamp}, …}, as JSON.
BEGAN_WITH = "BINARY_NAS_BEGAN_WITH"


def stamps(files: Iterable[Path]) -> dict[str, list[int]]:
    """Returns what changes with a file's content, of each file; nothing of one that is not there."""
    return {str(file.absolute()): _stamp(file) for file in files}


def are_untouched() -> bool:
    """Returns whether the files that this step's run began with are as they were; true if no run has started it."""
    began = os.environ.get(BEGAN_WITH)
    if began is None:
        return True
    return all(_stamp(Path(file)) == stamp for file, stamp in json.loads(began)["files"].items())


def _stamp(file: Path) -> list[int]:
    with suppress(OSError):
        status = file.stat()
        return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    return []
