"""The content of the files that each file of an experiment was made from, by which it is known whether it is of them.

Snakemake compares times: a file that is older than what it was made from is made again. If the clock was set back
since, or the files come from a machine whose clock was ahead, a run that is interrupted leaves files that look newer
than what they would have to be made from again, and the next run would call them up to date. Contents know no clock.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.common.errors import UserError
from pipeline.common.hdf5 import read_attributes
from pipeline.data.prepared import read_info
from pipeline.workflow.layout import Layout

#: Kinds of files whose bytes count, and that which carries a digest.
_PLAIN, _CARRYING = (".csv", ".json"), ".h5"
#: Characters of a digest, which are enough to tell a few versions of one file from each other.
_DIGITS = 16


def inputs_of(job: Any, layout: Layout) -> dict[str, str]:
    """Returns what a job of Snakemake's has read of its experiment, by path in its folder, with digests.

    Without what may be newer than what is made of it (``ancient``).
    """
    found: dict[str, str] = {}
    for file in job.input:
        with suppress(ValueError):  # of another folder
            name = Path(file).relative_to(layout.folder).as_posix()
            digest = None if "ancient" in getattr(file, "flags", {}) else content(layout, Path(file))
            found |= {} if digest is None else {name: digest}
    return found


def content(layout: Layout, file: Path) -> str | None:
    """Returns a digest of a table, a record, weights or prepared images; None for others, and what cannot be read."""
    with suppress(OSError, UserError, KeyError):
        if file.suffix in _PLAIN:
            return hashlib.sha256(file.read_bytes()).hexdigest()[:_DIGITS]
        if file in layout.prepared:
            return read_info(file).digest[:_DIGITS]
        if file.suffix == _CARRYING:
            return str(read_attributes(file)["digest"])[:_DIGITS]
    return None


def outlived(layout: Layout, made_from: Mapping[str, Mapping[str, str]]) -> Iterator[Path]:
    """Yields the files that are there and were made from others than those that are there now.

    Args:
        layout: of the experiment.
        made_from: what :func:`inputs_of` gave when each of them was made, by path in the experiment's folder.
    """
    now: Callable[[str], str | None] = cache(lambda name: content(layout, layout.folder / name))
    for file, before in made_from.items():
        others = (name for name, digest in before.items() if now(name) not in (None, digest))
        if any(others) and (layout.folder / file).is_file():
            yield layout.folder / file
