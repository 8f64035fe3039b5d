"""The configuration that an experiment's files are of, noted with their records.

``config.yaml`` lies beside the files, and says what all of them were made with. A copy that was broken off, or of a
single file, can leave another one there, such as that of the same experiment on another machine.
"""

from pathlib import Path
from typing import Any

from pipeline.common.digests import digest_of
from pipeline.common.errors import UserError
from pipeline.workflow.layout import Layout
from pipeline.workflow.made_with.journal import add_line, config_line, read_journal
from pipeline.workflow.saved_config import read_saved_values


def note_config(workflow: Any, layout: Layout) -> None:
    """Notes that the saved configuration is the one that the experiment's files are of, or are about to be.

    And which of those that were made before are not: of further seeds, say, that no run makes anew.

    Args:
        workflow: Snakemake's, whose graph of jobs makes all files of this configuration.
        layout: of the experiment.

    Raises:
        UserError: the configuration cannot be read, or the folder cannot be written.
    """
    kept, now = read_journal(layout.made_with), _digest(layout)
    if kept is None or now is None:
        return
    asked = {Path(output) for job in workflow.dag.jobs for output in job.output}
    beside = frozenset(name for name in kept.files if layout.folder / name not in asked)
    if (kept.config, kept.beside) == (now, beside):
        return
    add_line(layout.made_with, config_line(now, beside))


def about_config(layout: Layout) -> str:
    """Returns a sentence about a configuration that is another than the files are of; nothing if it is theirs, or if
    that is not known.
    """
    kept = read_journal(layout.made_with)
    try:
        now = _digest(layout) if kept and kept.config else None
    except UserError:
        return ""  # which whoever reads it is told
    if now is None or kept is None or now == kept.config:
        return ""
    return (
        f"{layout.config} is not the configuration that the other files here were made with; bring theirs, or run the "
        "experiment to its end with this one."
    )


def _digest(layout: Layout) -> str | None:
    values = read_saved_values(layout)
    return None if values is None else digest_of(values)
