"""One line for a whole run: counted right, quiet on success, and plain about what failed."""

import json
import os
import pty
import subprocess
import sys
from types import SimpleNamespace

import pytest

from pipeline.common import log
from pipeline.workflow import launch
from pipeline.workflow.console import Overview
from pipeline.workflow.forecast.remaining import Plan
from pipeline.workflow.forecast.schedule import Job
from pipeline.workflow.plugins import snakemake_logger_plugin_binary_nas as plugin
from pipeline.workflow.status.failures import last_words
from tests.support.events import START
from tests.support.workflow import ROOT, resume, run


@pytest.fixture
def said(monkeypatch, capsys):
    monkeypatch.setattr(log, "FIRST_LINE", 0.0)

    def read(events: list[dict], code: int, text: str = "", plan: Plan | None = None) -> str:
        overview = Overview("mine", find_plan=lambda: plan)
        overview.listen(text.splitlines(keepends=True))
        overview.follow([json.dumps(event) + "\n" for event in events])
        overview.close(code)
        return capsys.readouterr().err

    return read


def failure(message: str | None = None, *logs: object) -> dict:
    return {
        "event": "job_error",
        "jobid": 3,
        "rule_name": "retrain",
        "rule_msg": message,
        "log": [str(path) for path in logs],
    }


def test_progress_is_one_line(said):
    first, last = said(START, 0).splitlines()
    assert "mine: 2 of 5 steps" in first and first.endswith("retrain model=uniform-1x, seed=0")
    assert "left" not in first, "nothing is known of how long the others take"
    assert "mine: 2 of 5 steps, took" in last
    plan = Plan([Job("retrain", 60.0, rule="retrain", of=f"row {number}") for number in range(4)], cores=1)
    first, _ = said(START, 0, plan=plan).splitlines()
    assert "mine: 2 of 5 steps, 0 s so far, about 0 s left (until" in first, "this machine is much faster"


def test_a_failed_steps_log_is_shown_and_nothing_else(said, tmp_path):
    path = tmp_path / "uniform-1x_0.log"
    path.write_text("2026-11-23 14:28:31  retraining: binary VGG-small\nerror: it diverged: lower its learning rate\n")
    lines = said([*START, failure(None, path)], 1, "Exiting because a job execution failed.\n")
    assert f"failed: {path}:" in lines
    assert "    error: it diverged: lower its learning rate" in lines
    assert "Exiting" not in lines and "killed" not in lines
    path.write_text("\n".join(f"line {number}" for number in range(9999)))
    lines = said([*START, failure(None, path)], 1)
    assert "line 9998" in lines and len(lines.splitlines()) < 50


REFUSED = (
    "SLURM sbatch failed. The error message was 'sbatch: error: invalid partition specified: nonsense\n"
    "sbatch: error: Batch job submission failed: Invalid partition name specified'.\n    sbatch call:\n        sbatch"
)


@pytest.mark.parametrize("text", [None, ""])
def test_why_slurm_refused_a_job_is_shown_and_nothing_else(said, tmp_path, text):
    if text is not None:
        (tmp_path / "data.log").write_text(text)
    refused = failure(REFUSED, tmp_path / "data.log")
    lines = said([refused, refused], 1, "Trying to restart job 1.\n").splitlines()
    assert len(lines) == 2
    assert all("failed: SLURM sbatch failed." in line and line.endswith("specified: nonsense") for line in lines)


def test_a_step_that_left_no_word_is_named(said, tmp_path):
    (line,) = said([failure(None, tmp_path / "none.log")], 1).splitlines()
    assert line.endswith(f"failed: retrain, without a word in {tmp_path / 'none.log'}")


def test_a_full_disk_that_took_no_words_is_named(said, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=100 if path == tmp_path else 10**9))
    (line,) = said([failure(None, tmp_path / "logs" / "none.log")], 1).splitlines()
    assert line.endswith(f"none.log: the disk of {tmp_path} is full; free some space and run the same command again")


@pytest.mark.parametrize("text", ["", "2026-11-23 14:28:31  retraining: binary VGG-small\n"])
def test_a_step_that_was_killed_is_said_to_be_there_and_in_its_log(said, tmp_path, text):
    """Where ``status`` finds it."""
    path = tmp_path / "uniform-1x_0.log"
    path.write_text(text)
    lines = said([*START, failure(None, path)], 1)
    assert f"failed: {path}:" in lines and "    error: it ended without a word: perhaps it was killed" in lines
    assert last_words(path).startswith("it ended without a word: perhaps it was killed")
    assert path.read_text().startswith(text)
    again = path.read_text()
    said([*START, failure(None, path)], 1)
    assert path.read_text() == again, "a step that said why is believed"


def test_an_error_is_believed_though_others_have_spoken_after_it(said, tmp_path):
    """As torchrun does, of a training with several processes."""
    path = tmp_path / "uniform-1x_0.log"
    path.write_text("error: images.h5 is damaged: delete it\nfailed (exitcode: 1) local_rank: 0\n")
    before = path.read_text()
    assert "killed" not in said([*START, failure(None, path)], 1) and path.read_text() == before


def test_what_slurm_says_of_a_job_is_found_in_its_log(said, tmp_path):
    path = tmp_path / "uniform-1x_0.log"
    path.write_text("2026-11-23 14:28:31  retraining: binary VGG-small\n")
    said([*START, failure("SLURM-job '12' failed, SLURM status is: 'OUT_OF_MEMORY'.", path)], 1)
    assert last_words(path) == "SLURM-job '12' failed, SLURM status is: 'OUT_OF_MEMORY'."


def test_what_failed_before_any_step_is_shown(said):
    assert "WorkflowError: configuration: seed" in said([], 1, "WorkflowError: configuration: seed is 'x'\n")
    assert said([], 0, "Nothing to be done\n") == "Nothing to do: everything is up to date.\n"


def test_whether_jobs_ask_for_gpus_is_told(said):
    decision = "execution.device is auto: the partition gpu has GPUs, and jobs ask for them\n"
    assert said(START, 0, decision).splitlines()[0].endswith(decision.strip())


def test_warnings_of_the_rules_beginning_are_shown(said):
    text = "2026-11-28 07:11:00  warning: 2 files are not as they were\nBuilding DAG of jobs...\n"
    first, *others = said(START, 0, text).splitlines()
    assert first.endswith("  warning: 2 files are not as they were") and not any("DAG" in line for line in others)


def test_it_reads_on_where_nothing_can_be_shown_any_more(monkeypatch):
    def gone(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("sys.stderr", type("Gone", (), {"write": gone, "flush": gone, "isatty": lambda _: False})())
    events = iter([json.dumps(event) for event in START] + ["no record", "[]", "{}", '{"event": "progress"}'])
    lines = iter(["execution.device is auto: x\n", "text\n"])
    overview = Overview("f")
    overview.follow(events)
    overview.listen(lines)
    assert next(events, None) is None and next(lines, None) is None


def test_warnings_of_finished_steps_are_shown(said, tmp_path):
    log = tmp_path / "step.log"
    at = "2026-11-23 14:28:31  "
    log.write_text(f"{at}warning: 2 images are left out\n{at}all is well, no warning: none\n")
    job = {"event": "job_info", "jobid": 7, "rule_name": "prepare_dataset", "wildcards": None, "log": [str(log)]}
    assert "warning" not in said([*START, job], 0), "it may still find out more"
    done = [*START, job, {"event": "job_finished", "job_id": 7}, {"event": "progress", "done": 3, "total": 5}]
    lines = said(done, 0)
    assert lines.count("warning: 2 images are left out") == 1 and "no warning" not in lines
    log.write_text(f"{at}warning: a candidate failed\n" * 5)
    lines = said(done, 0)
    assert lines.count("a candidate failed") == 3 and f"and 2 more warnings in {log}" in lines
    log.unlink()
    assert "warning" not in said(done, 0)


def test_both_ends_name_the_pipe_alike():
    assert launch.EVENTS == plugin.EVENTS
    assert (launch.PLUGINS / plugin.__name__.rpartition(".")[2] / "__init__.py").exists()
    assert plugin.__name__.endswith(f"snakemake_logger_plugin_{launch._PLUGIN.replace('-', '_')}")


@pytest.mark.slow
def test_snakemake_tells_what_it_does(tmp_path):
    """The real plugin in the real Snakemake, on steps that end well, and on one that fails."""
    done = run(resume("--cores", "1", "results/tiny/splits/subset.csv", "--quiet", "all"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "tiny: 2 of 2 steps, took" in done.stderr
    (tmp_path / "results/tiny/data/train.h5").write_bytes(b"no images")
    done = run(resume("--cores", "1", "results/tiny/splits/subset.csv"), tmp_path)
    assert done.returncode == 1
    assert (
        "failed: results/tiny/logs/sample_subset.log:\n    error: results/tiny/data/train.h5 is damaged" in done.stderr
    )
    assert ": delete it, and it is made again\n" in done.stderr, "the workflow made it"


def on_terminal(columns: int, *lines: str) -> str:
    """Returns what a program writes to a terminal of so many columns."""
    program = (
        "import os, sys\nfrom pipeline.common.log import Progress\n"
        f"import fcntl, struct, termios\nfcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack('HHHH', 24, {columns}, 0, 0))\n"
    ) + "\n".join(lines)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
    environment.pop("COLUMNS", None)
    done = subprocess.run([sys.executable, "-c", program], stderr=theirs, stdout=theirs, stdin=theirs, env=environment)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode == 0, shown
    return shown


@pytest.mark.parametrize("columns", [80, 60])
def test_a_bar_can_be_read_on_a_narrow_terminal(columns):
    shown = on_terminal(
        columns,
        "bar = Progress('cifar10-mini', 1706, 'steps')",
        "bar.advance(853, 'evaluate_generation search=evolution-A, generation=017, shard=3')",
        "bar._bar.refresh()",
        "bar.close()",
    )
    last = max((line for line in shown.replace("\n", "\r").split("\r") if "853/1706" in line), key=len)
    bar = last.split("|")[1]
    assert len(last) <= columns and len(bar) >= 18 and 0.4 < bar.count("█") / len(bar) < 0.6


def test_the_bar_says_what_is_left_once_that_is_known():
    left = ["known = []", "bar = Progress('mine', 9, 'steps', left=lambda: known[0] if known else None)"]
    shown = on_terminal(110, *left, "bar.advance(3, 'retrain')", "bar._bar.refresh()", "bar.close()")
    assert "3/9, retrain" in shown and "left" not in shown
    shown = on_terminal(110, *left, "known += [83.4]", "bar.tell([], [])", "bar.close()")
    assert "0/9, 01:23 left" in shown


def test_what_is_mostly_done_at_once_says_nothing_unless_it_takes_long(monkeypatch, capsys):
    def work(**how: bool) -> str:
        bar = log.Progress("listing", 3, "classes", **how)
        bar.advance(3)
        bar.close()
        return capsys.readouterr().err

    assert work().endswith("listing: 3 of 3 classes, took 0 s\n")
    assert work(patient=True) == ""
    program = ["bar = Progress('listing', 3, 'classes', patient=True)", "bar.advance(3)", "bar.close()"]
    assert "listing" not in on_terminal(80, *program, "print('end')")
    monkeypatch.setattr(log, "FIRST_LINE", 0.0)
    assert "3 of 3 classes, took" in work(patient=True)


def test_how_far_a_long_step_is_stands_behind_the_bar():
    told = "bar.tell(['retrain: 7 of 90 steps, and so on'], ['retrain: 7 %, 14 min left'])"
    shown = on_terminal(110, "bar = Progress('cifar10-mini', 1706, 'steps')", told, "bar.close()")
    assert "retrain: 7 %, 14 min left" in shown and "7 of 90" not in shown
