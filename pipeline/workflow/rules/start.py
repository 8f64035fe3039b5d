"""Work done once when Snakemake reads the rules, and once when it starts to run them."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.common.errors import UserError
from pipeline.common.files import check_writable
from pipeline.common.log import log
from pipeline.common.yaml_text import read_yaml
from pipeline.workflow.beginning import begin_with, check_job, note_beginning
from pipeline.workflow.config import check_config
from pipeline.workflow.config.notes import notes_on
from pipeline.workflow.interrupt import say_when_interrupted
from pipeline.workflow.launch import step_environment
from pipeline.workflow.layout import Layout
from pipeline.workflow.lock import check_apart, hold
from pipeline.workflow.made_with import bring_records, changes, keep_records, note_config, note_up_to_date
from pipeline.workflow.saved_config import as_saved, read_saved_values, save_config
from pipeline.workflow.sources import Sources
from pipeline.workflow.words import check_given_once

#: What Snakemake must look at to notice that results are of other settings.
_LOOKS_AT = ("mtime", "params", "input")


def begin(workflow: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """Sets the environment of the steps and returns the checked configuration.

    Raises:
        WorkflowError: the working folder cannot be written, something is wrong with the configuration, a link leads
            into another experiment, nobody knows whether the experiment's files were made with it, or this is a job
            whose run has begun with another one.
    """
    os.environ.update(step_environment(workflow.basedir))
    with _said():
        check_writable(Path())
    with _said("configuration: "):
        for file in filter(Path.exists, map(Path, workflow.configfiles)):
            read_yaml(file)  # Snakemake has read it, but takes the second of two equal keys
        checked = check_config(config)
    if workflow.is_main_process:
        with _said():
            check_given_once(sys.argv)
        for sentence in notes_on(checked):
            log(f"note: {sentence}")
        with _said():
            check_apart(Layout.of(checked["experiment"]))
            _ = Sources(checked).state
            bring_records(Layout.of(checked["experiment"]), checked)
        _also_if_nothing_is_done(workflow, checked)
    else:
        with _said():
            check_job(checked)
    with _said():
        os.environ.update(begin_with(checked))
    return checked


def _also_if_nothing_is_done(workflow: Any, config: Mapping[str, Any]) -> None:
    """Notes the configuration, when everything turns out to be of it already, too: Snakemake calls nobody then.

    A run with other settings may have been interrupted before it made anything.
    """
    execute, layout = workflow.execute, Layout.of(config["experiment"])

    def executing(*arguments: Any, **more: Any) -> None:
        execute(*arguments, **more)
        if not workflow.dryrun and not len(workflow.dag):
            with _said():
                _check_flags(workflow, layout)
                note_up_to_date(workflow, layout)
                _save_config(workflow, config, layout)

    workflow.execute = executing


def _save_config(workflow: Any, config: Mapping[str, Any], layout: Layout) -> None:
    """Saves the configuration, unless only a part of the files is made of it, and there is one of all of them."""
    if not layout.config.exists() or _is_whole(workflow):
        save_config(config, layout)
    if _is_whole(workflow):
        note_config(workflow, layout)


def _is_whole(workflow: Any) -> bool:
    """Returns whether all files of the experiment are asked for, rather than some of them by name."""
    return any(job.rule.name == workflow.default_target for job in workflow.dag.jobs)


def _is_apart(workflow: Any, config: Mapping[str, Any], layout: Layout) -> bool:
    """Returns whether a part of the files is made with other settings than those that are saved of all of them."""
    if _is_whole(workflow):
        return False
    try:
        before = read_saved_values(layout)
    except UserError:
        return True  # nobody knows which
    return before is not None and any(changes(before, as_saved(config)))


def _check_flags(workflow: Any, layout: Layout) -> None:
    """Refuses Snakemake's flags by which results of other settings would be called up to date.

    Raises:
        UserError: there is such a flag.
    """
    looked_at = {trigger.name.lower() for trigger in workflow.rerun_triggers}
    missing = [what for what in _LOOKS_AT if what not in looked_at]
    flags = {
        f"--rerun-triggers without {' and '.join(missing)}": bool(missing) and _is_whole(workflow),
        "--touch": workflow.touch and layout.made_with.exists(),
        "--ignore-incomplete": workflow.execution_settings.ignore_incomplete,
        "--drop-metadata": not workflow.execution_settings.keep_metadata,
    }
    for flag in (flag for flag, given in flags.items() if given):
        raise UserError(
            f"with {flag}, results of other settings would be called up to date",
            "leave it out, of profiles as well: what was trained before is not trained again",
        )


def note_run(workflow: Any, config: Mapping[str, Any], layout: Layout) -> None:
    """Takes hold of the experiment for this process, and notes its configuration for whoever looks on.

    Raises:
        WorkflowError: somebody else runs the experiment, its folder cannot be written, or a flag of Snakemake's is one
            by which nobody would know of which settings results are.
    """
    with _said():
        _check_flags(workflow, layout)
        check_writable(layout.folder)
        hold(workflow, layout.experiment)
        keep_records(workflow, layout, apart=_is_apart(workflow, config, layout))
        note_beginning(config)
    say_when_interrupted()
    _save_config(workflow, config, layout)


@contextmanager
def _said(start: str = "") -> Iterator[None]:
    """Makes of a UserError what Snakemake says in one sentence."""
    from pipeline.workflow.rules.refusal import Error

    try:
        yield
    except UserError as error:
        raise Error(f"{start}{error}") from None
