"""Files in an experiment's folder that are not what its own runs have left there, which are made again.

A part of another experiment may be copied into this one, such as its search. Of such files no record tells here, or
one that knows another content: they are made again. So are tables and figures that are others than those that were
made, such as an older copy, one of another experiment, one that was edited or cut: no step reads them that could tell.

A file of which the inputs have been made again since, by their contents, is made again too (:mod:`made_from`).
"""

import html
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.common.errors import UserError
from pipeline.common.files import is_whole
from pipeline.common.log import log
from pipeline.common.text import counted
from pipeline.workflow.layout import Layout
from pipeline.workflow.made_with.journal import digest_of, is_shown, read_journal
from pipeline.workflow.made_with.made_from import outlived
from pipeline.workflow.made_with.snakemake_records import (
    INCOMPLETE,
    METADATA,
    UNKNOWN_JOB,
    put_record,
    record_path,
    records_of,
)

#: How a page calls its experiment.
_TITLE = re.compile("<title>(.*): binary networks searched</title>")
#: What the mark of a file says whose inputs are others than those that it was made from.
_OUTLIVED = {**UNKNOWN_JOB, "inputs": "others"}


def distrust_strangers(layout: Layout, config: Mapping[str, Any]) -> None:
    """Marks the files of an experiment that none of its jobs has made as incomplete, so that they are made again.

    Raises:
        UserError: a mark cannot be written.
    """
    kept = read_journal(layout.made_with)
    known, digests = (kept.files, kept.digests) if kept else ({}, {})

    def is_strange(file: Path) -> bool:
        name = file.relative_to(layout.folder).as_posix()
        if name in digests:
            return _is_exchanged(layout, file, digests[name])
        return name not in known and not any(record_path(folder, file).exists() for folder in (METADATA, INCOMPLETE))

    files = layout.results_of(config.get("searches", ()), config.get("models", ()))
    strangers = [file for file in files if is_strange(file)]
    # Of those of an earlier version that nobody has noted, nothing is known.
    shown = (layout.folder / name for name in digests)
    strangers += [file for file in shown if is_shown(layout, file) and is_strange(file)]
    # Whoever calls `report` makes the page anew, by right: its content is not noted.
    if _is_no_page_of(layout):
        strangers.append(layout.report)
    try:
        for file in strangers:
            put_record(record_path(INCOMPLETE, file), UNKNOWN_JOB)
    except OSError as error:
        raise UserError(f"cannot write {error.filename}", error.strerror or str(error)) from None
    if strangers:
        these, them = counted(len(strangers), "file is", "files are"), "it" if len(strangers) == 1 else "them"
        log(f"warning: {these} not as this experiment's runs left {them}, such as {strangers[0]}; made again")


def distrust_outlived(layout: Layout) -> None:
    """Marks the files as incomplete that were made from others than those that are there now, and these alone.

    Raises:
        UserError: a mark cannot be written.
    """
    files = outlived_files(layout)
    try:
        for path, file in records_of(layout, INCOMPLETE):
            with suppress(ValueError):
                if json.loads(path.read_text(encoding="utf-8")) == _OUTLIVED and layout.folder / file not in files:
                    path.unlink()
        for path in (record_path(INCOMPLETE, file) for file in files):
            if not path.exists():
                put_record(path, _OUTLIVED)
    except OSError as error:
        raise UserError(f"cannot write {error.filename}", error.strerror or str(error)) from None


def outlived_files(layout: Layout) -> set[Path]:
    """Returns the files of an experiment that were made from others than those that are there now."""
    kept = read_journal(layout.made_with)
    return set(outlived(layout, kept.made_from)) if kept else set()


def strange_files(layout: Layout) -> set[Path]:
    """Returns the files of an experiment that the next run makes again since they are others than its jobs have left
    here, or were made from others: for whoever looks on before. Nothing of what earlier versions left, which do not say
    what a run makes again.
    """
    kept = read_journal(layout.made_with)
    if kept is None or kept.config is None:
        return set()
    noted = ((layout.folder / name, digest) for name, digest in kept.digests.items())
    exchanged = {file for file, digest in noted if file.is_file() and _is_exchanged(layout, file, digest)}
    return {*exchanged, *outlived(layout, kept.made_from)} - {layout.folder / name for name in kept.beside}


def about_strange(files: Sequence[Path | str]) -> str:
    """Returns a sentence about such files; nothing if there are none."""
    if not files:
        return ""
    these, again = counted(len(files), "file is", "files are"), "it" if len(files) == 1 else "them"
    return (
        f"{these} not as this experiment's runs left {again}, or made from others than lie here now, such as "
        f"{files[0]}; run the experiment to its end to make {again} again."
    )


def _is_exchanged(layout: Layout, file: Path, digest: str) -> bool:
    """Returns whether a file holds something else than what its job wrote, which no step that reads it would tell."""
    # What was changed by hand or cut off is told by the step that reads it, if there is one.
    told = not (file in layout.prepared or is_shown(layout, file) or is_whole(file))
    return digest_of(layout, file) not in (None, digest) and not told


def _is_no_page_of(layout: Layout) -> bool:
    """Returns whether a page is there without its end, or is another experiment's."""
    with suppress(OSError):
        page = layout.report.read_text(encoding="utf-8", errors="replace").rstrip()
        title = _TITLE.search(page)
        named = html.unescape(title[1]) if title else layout.experiment
        return named != layout.experiment or not page.endswith("</html>")
    return False
