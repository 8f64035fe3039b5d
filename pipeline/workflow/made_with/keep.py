"""Keeping Snakemake's records with an experiment's files, while its jobs start and end."""

import json
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.common.errors import UserError
from pipeline.common.files import make_own, write_text
from pipeline.workflow.layout import Layout
from pipeline.workflow.made_with.journal import (
    APART,
    OUTDATED,
    config_line,
    digest_of,
    journal_line,
    note_run_here,
    read_journal,
    renamed,
)
from pipeline.workflow.made_with.made_from import inputs_of
from pipeline.workflow.made_with.outdated import outdated_now
from pipeline.workflow.made_with.snakemake_records import INCOMPLETE, METADATA, plain, records_here, records_of


def keep_records(workflow: Any, layout: Layout, *, apart: bool = False) -> None:
    """Lets this run's Snakemake, whose graph of jobs is made, keep its records with the experiment as well.

    Args:
        workflow: Snakemake's.
        layout: of the experiment.
        apart: a part of its files is made, with other settings than the others.

    Raises:
        UserError: the folder cannot be written.
    """
    kept = read_journal(layout.made_with)
    files = dict(records_here(layout)) if kept is None else renamed(kept, layout)
    try:
        for path in _written_in_place(layout):
            make_own(path)
    except OSError as error:
        raise UserError(f"cannot write {error.filename}", error.strerror or str(error)) from None
    run = secrets.token_hex(8)
    lines: list[dict[str, Any]] = [{"run": run, "folder": layout.folder.as_posix()}]
    digests, made_from = ({}, {}) if kept is None else (kept.digests, kept.made_from)
    lines += [journal_line(file, record, digests.get(file), made_from.get(file)) for file, record in files.items()]
    outdated = outdated_now(workflow, layout, kept.outdated if kept else set(), apart=apart)
    lines += [{OUTDATED: sorted(outdated)}] if outdated else []
    lines += [config_line(kept.config, kept.beside)] if kept and kept.config else []
    write_text(layout.made_with, "\n".join(map(json.dumps, lines)))
    note_run_here(layout, run)
    persistence = workflow.persistence
    started, finished = persistence.started, persistence.finished

    def note(job: Any, *, under_way: bool) -> None:
        noted: list[dict[str, Any]] = []
        persistence.deactivate_cache()  # which holds what was known of the outputs before
        inputs = None if under_way else inputs_of(job, layout)
        for output in job.output:
            with suppress(ValueError):  # of another folder
                file = Path(output).relative_to(layout.folder).as_posix()
                record = None if under_way else plain(persistence.metadata(output))
                line = journal_line(file, record, None if under_way else digest_of(layout, Path(output)), inputs)
                noted.append({**line, APART: True} if apart and not under_way else line)
        with open(layout.made_with, "a", encoding="utf-8") as lines:
            lines.writelines(f"\n{json.dumps(one)}" for one in noted)  # after one that may have been cut off

    def start(job: Any, *others: Any, **more: Any) -> None:
        note(job, under_way=True)
        started(job, *others, **more)

    async def finish(job: Any) -> None:
        await finished(job)
        note(job, under_way=False)

    persistence.started, persistence.finished = start, finish


def _written_in_place(layout: Layout) -> Iterator[Path]:
    """Yields the files of an experiment that Snakemake does not write anew when it writes them again."""
    for folder in (METADATA, INCOMPLETE):
        yield from (path for path, _ in records_of(layout, folder))
    yield from layout.benchmarks.rglob("*.tsv")
