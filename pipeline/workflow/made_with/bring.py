"""Giving Snakemake the records that came with an experiment's files."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pipeline.common.errors import UserError
from pipeline.workflow.layout import Layout
from pipeline.workflow.made_with.differences import changes
from pipeline.workflow.made_with.journal import (
    Journal,
    digest_of,
    last_run_of,
    note_of_run_here,
    note_run_here,
    read_journal,
    renamed,
)
from pipeline.workflow.made_with.snakemake_records import (
    INCOMPLETE,
    METADATA,
    UNKNOWN_JOB,
    put_record,
    record_path,
    records_of,
)
from pipeline.workflow.made_with.strangers import distrust_outlived, distrust_strangers
from pipeline.workflow.saved_config import as_saved, read_saved_values
from pipeline.workflow.sources import Sources

#: What Snakemake compares of a record.
_COMPARED = ("params", "input")
#: Settings that a message names.
_SHOWN = 3


def bring_records(layout: Layout, config: Mapping[str, Any]) -> None:
    """Gives Snakemake the records that came with the experiment, if it was last run elsewhere.

    Args:
        layout: of the experiment.
        config: as checked.

    Raises:
        UserError: no records came with it and it was made with other settings, or a record cannot be written.
    """
    kept = read_journal(layout.made_with)
    if kept is not None:
        elsewhere = kept.run != last_run_of(note_of_run_here(layout))
        try:
            (_replace_records if elsewhere else _correct_records)(layout, kept)
        except OSError as error:
            raise UserError(f"cannot write {error.filename}", error.strerror or str(error)) from None
        if elsewhere:
            note_run_here(layout, kept.run)
    if not layout.train.exists():
        return
    if not record_path(METADATA, layout.train).exists():
        _check_unchanged(layout, config)
    else:
        distrust_strangers(layout, config)
        distrust_outlived(layout)


def _replace_records(layout: Layout, kept: Journal) -> None:
    """Writes Snakemake's records of the experiment's files as they came with it, and removes all others of its."""
    for folder in (METADATA, INCOMPLETE):
        folder.mkdir(parents=True, exist_ok=True)
        for path, _ in records_of(layout, folder):
            path.unlink()
    for file, record in renamed(kept, layout).items():
        folder = METADATA if record is not None else INCOMPLETE
        path = record_path(folder, layout.folder / file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(UNKNOWN_JOB if record is None else record), encoding="utf-8")


def _correct_records(layout: Layout, kept: Journal) -> None:
    """Compares Snakemake's records of settings and inputs with those that came with the experiment.

    If they differ, that which came counts for a file that is still what was noted with it; others are made again. One
    that Snakemake was told to forget (``--cleanup-metadata``) counts: it takes what it does not know for up to date.
    """
    for file, record in renamed(kept, layout).items():
        output = layout.folder / file
        path = record_path(METADATA, output)
        if record is None or not (path.exists() or output.exists()):
            continue
        if not path.exists() and file not in kept.digests:
            put_record(path, record)
            continue
        with suppress(OSError, ValueError, AttributeError):
            here = json.loads(path.read_text(encoding="utf-8"))
            if all(here.get(key) == record.get(key) for key in _COMPARED):
                continue
        if file in kept.digests and digest_of(layout, output) == kept.digests[file]:
            put_record(path, record)
        else:
            put_record(record_path(INCOMPLETE, output), UNKNOWN_JOB)


def _check_unchanged(layout: Layout, config: Mapping[str, Any]) -> None:
    """Compares configuration and images with those of the last run, of an experiment that came without records.

    Raises:
        UserError: they differ, or that of the last run cannot be read: nobody knows which files were made with which.
    """
    try:
        before = read_saved_values(layout)
        if before is None:
            raise UserError("nobody has noted with which settings")
        changed = list(changes(before, as_saved(config)))
    except UserError as error:
        raise UserError(*_unknown(layout, str(error).partition(": ")[0])) from None
    if not changed and Sources(config).changed:
        raise UserError(*_unknown(layout, "its images have changed"))
    if changed:
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        raise UserError(*_unknown(layout, f"its settings have changed: {', '.join(changed[:_SHOWN])}{more}"))


def _unknown(layout: Layout, problem: str) -> tuple[str, str]:
    """Returns what is wrong with results of which nobody knows what they were made with, and what to do."""
    return (
        f"{layout.folder} came without the folder .snakemake, which knows what its files were made with, and {problem}",
        f"bring .snakemake too, set back what has changed, or delete all of {layout.folder} but archive and trainings, "
        "from which everything that is still right is taken again",
    )
