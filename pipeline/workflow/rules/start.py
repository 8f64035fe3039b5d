"""What happens once when Snakemake reads the rules, and once when it starts to run them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.common.errors import UserError
from pipeline.common.files import check_writable
from pipeline.workflow.config import check_config
from pipeline.workflow.launch import step_environment
from pipeline.workflow.layout import Layout
from pipeline.workflow.lock import record_run
from pipeline.workflow.saved_config import save_config


def begin(workflow: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """Sets the environment of the steps and returns the checked configuration.

    Raises:
        WorkflowError: the working folder cannot be written, or something is wrong with the configuration. It is one
            sentence, where Snakemake would end with a trace.
    """
    from snakemake.exceptions import WorkflowError

    os.environ.update(step_environment(workflow.basedir))
    _check_folder(Path())
    try:
        return check_config(config)
    except UserError as error:
        raise WorkflowError(f"configuration: {error}") from None


def note_run(workflow: Any, config: Mapping[str, Any], layout: Layout) -> None:
    """Notes which process runs the workflow and with what configuration, for whoever looks on.

    Raises:
        WorkflowError: the results folder cannot be written.
    """
    _check_folder(layout.folder)
    record_run(workflow)
    save_config(config, layout)


def _check_folder(folder: Path) -> None:
    from snakemake.exceptions import WorkflowError

    try:
        check_writable(folder)
    except UserError as error:
        raise WorkflowError(str(error)) from None
