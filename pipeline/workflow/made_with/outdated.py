"""Files of an experiment that are of other settings or images than it is by now, until they are made again.

When a run begins that makes files again, since a setting has changed, those that are there are noted as outdated until
it has. So whoever looks on meanwhile, or after the run was interrupted, knows that they are of the settings before. So
are files that a run of single targets has made with other settings than those of the whole experiment.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.common.text import counted
from pipeline.workflow.layout import Layout
from pipeline.workflow.made_with.journal import OUTDATED, add_line, read_journal


def note_up_to_date(workflow: Any, layout: Layout) -> None:
    """Notes that nothing of Snakemake's graph has to be made again.

    Raises:
        UserError: the folder cannot be written.
    """
    kept = read_journal(layout.made_with)
    if kept is None or not kept.outdated:
        return
    add_line(layout.made_with, {OUTDATED: sorted(outdated_now(workflow, layout, kept.outdated))})


def outdated_now(workflow: Any, layout: Layout, before: set[str], *, apart: bool = False) -> set[str]:
    """Returns the files that are there and that Snakemake makes again; of those outside of its graph, as ``before``.

    Of a part that is made with other settings, what is up to date for them may have been made with these ones.
    """
    found = set(before)
    for job in workflow.dag.jobs:
        for output in map(Path, job.output):
            with suppress(ValueError):  # of another folder
                file = output.relative_to(layout.folder).as_posix()
                if not apart:
                    found.discard(file)
                if workflow.dag.needrun(job) and output.exists():
                    found.add(file)
    return found


def outdated_files(layout: Layout) -> list[Path]:
    """Returns the files of an experiment that are to be made again, since they are of other settings or images."""
    try:
        known = OUTDATED in layout.made_with.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    kept = read_journal(layout.made_with) if known else None
    files = (layout.folder / file for file in sorted(kept.outdated if kept else ()))
    return [file for file in files if file.exists()]


def about_outdated(files: Sequence[Path | str]) -> str:
    """Returns a sentence about outdated files; nothing if there are none."""
    if not files:
        return ""
    these, again = counted(len(files), "file is", "files are"), "it" if len(files) == 1 else "them"
    return (
        f"{these} of other settings or images than the experiment's, such as {files[0]}; run the experiment to its end "
        f"to make {again} again."
    )
