"""What a run has begun with is what its steps and jobs find, or they stop."""

import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from snakemake.exceptions import WorkflowError
from snakemake.settings.enums import RerunTrigger

from pipeline.__main__ import main
from pipeline.common.errors import UserError
from pipeline.common.registry import look_again
from pipeline.common.untouched import BEGAN_WITH, are_untouched
from pipeline.workflow import beginning
from pipeline.workflow.beginning import begin_with, check_beginning, check_job, note_beginning
from pipeline.workflow.config import read_config
from pipeline.workflow.layout import Layout
from pipeline.workflow.rules import start
from tests.support.latencies import made_up, table_file
from tests.support.workflow import ROOT, TINY, command, run

PLUGINS = ROOT / "tests" / "plugins" / "own_parts"
STEP = ["cost", "--network", "vgg_small", "--genome", "1,1,1,1,1,1"]


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    """An empty working folder, in which own parts of an experiment may lie."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == PLUGINS.name]:
        monkeypatch.delitem(sys.modules, name)  # which another test has imported from its own folder
    look_again()
    yield
    look_again()


@pytest.fixture
def begin(monkeypatch):
    """Begins a run of the tiny experiment, some of whose sections are changed, in the eyes of steps."""

    def made(**changes: dict) -> None:
        for name, value in begin_with(configured(**changes)).items():
            monkeypatch.setenv(name, value)

    return made


def configured(**changes: dict) -> dict:
    return read_config([ROOT / "config.yaml", TINY], changes)


def test_a_step_notices_an_edited_plug_in(begin, capsys):
    shutil.copytree(PLUGINS, "own_parts", ignore=shutil.ignore_patterns("__pycache__"))
    helper = Path("own_parts/goal.py")
    begin(searches={"A": {"objective": "own_parts.goal:thrift", "least": 0.5, "lambda": None}})
    assert are_untouched() and main(STEP) == 0
    before = helper.read_text()
    helper.write_text(f"# a comment\n{before}")
    assert not are_untouched() and main(STEP) == 0
    capsys.readouterr()
    helper.write_text(f"{before}\n\nMORE = 1\n")
    assert main(STEP) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "the objective own_parts.goal:thrift was changed while the run goes on: end the run and start it" in said
    helper.write_text(before)
    assert main(STEP) == 0


def test_a_step_notices_another_table_of_latencies_of_the_same_time(begin):
    table = table_file(Path("latency.json").absolute())
    times = table.stat().st_atime_ns, table.stat().st_mtime_ns
    begin(search={"cost": "latency", "latency_table": str(table)})
    assert are_untouched()
    other = table_file(Path("other.json"), made_up(start=1.0))
    os.utime(other, ns=times)
    other.replace(table)
    assert not are_untouched()
    with pytest.raises(UserError, match=r"the table of latencies .*latency.json was changed while the run goes on"):
        check_beginning()


def test_a_step_notices_another_version_of_the_method(begin, monkeypatch):
    begin()
    check_beginning()
    monkeypatch.setattr(beginning, "METHOD_VERSION", 0)
    with pytest.raises(UserError, match="the project's method was changed while the run goes on"):
        check_beginning()


def test_a_step_of_no_run_may_use_anything(monkeypatch):
    monkeypatch.delenv(BEGAN_WITH, raising=False)
    assert are_untouched()


def test_a_job_that_reads_the_configuration_anew_notices_that_it_was_edited(tmp_path):
    """As jobs of SLURM's do."""
    note_beginning(configured())
    check_job(configured())
    check_job(configured(execution={"save_minutes": 7}))  # of no influence
    check_job(configured(models={"further": {"genome": 2}}))
    for added in ({"models": {"uniform-1x": {"retrain": {"optimizer": "adam"}}}}, {"searches": {"A": {"parents": 2}}}):
        with pytest.raises(UserError, match=r"the settings were changed .* \(was not there\)"):
            check_job(configured(**added))
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump({**yaml.safe_load(TINY.read_text()), "candidate": {"epochs": 2}}))
    job = ("--mode", "remote", "--no-hooks", "--nolock", "--cores", 1, "--allowed-rules", "sample_subset")
    done = run(command(*job, "--target-jobs", "sample_subset:", config=other), tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "candidate.epochs (was 1), candidate.batch_size" in said, said
    assert "the settings were changed while the run goes on" in said and not Path("results").exists()


def test_a_job_notices_that_its_parts_were_changed(monkeypatch):
    note_beginning(configured())
    monkeypatch.setattr(beginning, "METHOD_VERSION", 0)
    with pytest.raises(UserError, match="the project's method was changed"):
        check_job(configured())


def test_every_run_says_what_it_begins_with(monkeypatch):
    monkeypatch.setattr(os, "environ", {**os.environ})
    config = start.begin(SimpleNamespace(basedir=str(ROOT), configfiles=[], is_main_process=False), configured())
    assert BEGAN_WITH in os.environ and are_untouched()
    for other in (
        "_check_flags",
        "check_writable",
        "hold",
        "keep_records",
        "_is_apart",
        "say_when_interrupted",
        "_save_config",
    ):
        monkeypatch.setattr(start, other, lambda *given, **named: None)
    start.note_run(None, config, SimpleNamespace(folder=None, experiment="tiny"))
    monkeypatch.setattr(beginning, "METHOD_VERSION", 0)
    with pytest.raises(UserError, match="was changed"):
        check_job(config)


@pytest.mark.parametrize(
    ("flag", "change"),
    [
        ("--rerun-triggers without params", {"rerun_triggers": {RerunTrigger.MTIME, RerunTrigger.INPUT}}),
        ("--rerun-triggers without params and input", {"rerun_triggers": {RerunTrigger.MTIME, RerunTrigger.CODE}}),
        ("--touch", {"touch": True}),
        ("--ignore-incomplete", {"execution_settings": SimpleNamespace(ignore_incomplete=True, keep_metadata=True)}),
        ("--drop-metadata", {"execution_settings": SimpleNamespace(ignore_incomplete=False, keep_metadata=False)}),
    ],
)
def test_flags_by_which_results_of_other_settings_would_be_up_to_date_are_refused(monkeypatch, flag, change):
    """Snakemake itself advises some of them where settings have changed."""
    for other in ("check_writable", "hold", "keep_records", "_is_apart", "say_when_interrupted", "_save_config"):
        monkeypatch.setattr(start, other, lambda *given, **named: None)
    layout = Layout.of("tiny")
    layout.made_with.parent.mkdir(parents=True)
    layout.made_with.touch()
    usual = SimpleNamespace(
        rerun_triggers={RerunTrigger.MTIME, RerunTrigger.PARAMS, RerunTrigger.INPUT},
        touch=False,
        execution_settings=SimpleNamespace(ignore_incomplete=False, keep_metadata=True),
        default_target="all",
        dag=SimpleNamespace(jobs=[SimpleNamespace(rule=SimpleNamespace(name="all"))]),
    )
    start.note_run(usual, configured(), layout)
    asked = SimpleNamespace(**{**vars(usual), **change})
    with pytest.raises(WorkflowError, match=f"with {flag}, results of other settings would be called up to date"):
        start.note_run(asked, configured(), layout)
    # Some files, of which each is named, are another matter, and so is an experiment that nobody has run.
    asked.dag = SimpleNamespace(jobs=[])
    layout.made_with.unlink()
    if flag.startswith(("--rerun-triggers", "--touch")):
        start.note_run(asked, configured(), layout)


def test_a_part_that_is_made_with_other_settings(monkeypatch, tmp_path):
    """Single targets, of which the experiment's saved configuration says nothing."""
    monkeypatch.chdir(tmp_path)
    layout, asked, kept = Layout.of("tiny"), configured(), []
    for other in ("_check_flags", "hold", "note_beginning", "say_when_interrupted"):
        monkeypatch.setattr(start, other, lambda *given: None)
    monkeypatch.setattr(start, "keep_records", lambda *given, apart: kept.append(apart))

    def run(rule: str, **changes: object) -> bool:
        dag = SimpleNamespace(jobs=[SimpleNamespace(rule=SimpleNamespace(name=rule))])
        start.note_run(SimpleNamespace(default_target="all", dag=dag), {**asked, **changes}, layout)
        return kept.pop()

    assert not run("retrain", seed=7), "of an experiment of which there is nothing yet, they are its settings"
    assert run("retrain") and not run("retrain", seed=7)
    assert not run("retrain", seed=7, inference={**asked["inference"], "measure": False}), "which changes no file"
    assert not run("all") and not run("retrain")
    layout.config.write_text("[")
    assert run("retrain"), "nobody knows"
