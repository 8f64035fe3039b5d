"""Work done once when Snakemake reads the rules, and once when it starts to run them."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.common.errors import UserError
from pipeline.common.files import check_writable
from pipeline.workflow.config import check_config
from pipeline.workflow.interrupt import say_when_interrupted
from pipeline.workflow.launch import step_environment
from pipeline.workflow.layout import Layout
from pipeline.workflow.lock import hold
from pipeline.workflow.made_with import bring_records, keep_records
from pipeline.workflow.saved_config import save_config
from pipeline.workflow.sources import Sources


def begin(workflow: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """Sets the environment of the steps and returns the checked configuration.

    Raises:
        WorkflowError: the working folder cannot be written, something is wrong with the configuration, or nobody knows
            whether the experiment's files were made with it.
    """
    os.environ.update(step_environment(workflow.basedir))
    with _said():
        check_writable(Path())
    with _said("configuration: "):
        checked = check_config(config)
    if workflow.is_main_process:
        with _said():
            _ = Sources(checked).state
            bring_records(Layout.of(checked["experiment"]), checked)
    return checked


def note_run(workflow: Any, config: Mapping[str, Any], layout: Layout) -> None:
    """Takes hold of the experiment for this process, and notes its configuration for whoever looks on.

    Raises:
        WorkflowError: somebody else runs the experiment, or its folder cannot be written.
    """
    with _said():
        check_writable(layout.folder)
        hold(workflow, layout.experiment)
        keep_records(workflow, layout)
    say_when_interrupted()
    save_config(config, layout)


@contextmanager
def _said(start: str = "") -> Iterator[None]:
    """Makes a WorkflowError of a UserError: Snakemake says that in one sentence, and ends any other with a trace."""
    from snakemake.exceptions import WorkflowError

    try:
        yield
    except UserError as error:
        raise WorkflowError(f"{start}{error}") from None
