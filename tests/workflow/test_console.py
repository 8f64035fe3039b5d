"""One line for a whole run: counted right, quiet on success, and plain about what failed."""

import pytest

from pipeline.common import log
from pipeline.workflow.console import Overview

START = """Building DAG of jobs...
Job stats:
job                    count
-------------------  -------
retrain                    4
total                      5

[Mon Nov 23 14:28:29 2026]
rule retrain:
    input: results/f/data/train.h5
    wildcards: model=uniform-1x, seed=0
    threads: 1
[Mon Nov 23 14:28:32 2026]
Finished jobid: 4 (Rule: retrain)
2 of 5 steps (40%) done
"""
FAILURE = """Error in rule retrain:
    jobid: 3
Logfile results/f/logs/retrain/uniform-1x_0.log:
================================================================================
2026-11-23 14:28:31  retraining: binary VGG-small
error: it diverged: lower its learning rate
================================================================================
[Mon Nov 23 14:28:38 2026]
Exiting because a job execution failed.
"""


@pytest.fixture
def said(monkeypatch, capsys):
    monkeypatch.setattr(log, "FIRST_LINE", 0.0)

    def read(text: str, code: int) -> str:
        overview = Overview("mine")
        overview.follow(text.splitlines(keepends=True))
        overview.close(code)
        return capsys.readouterr().err

    return read


def test_progress_is_one_line(said):
    first, last = said(START, 0).splitlines()
    assert "mine: 2 of 5 steps" in first and "last started: retrain model=uniform-1x, seed=0" in first
    assert "left (until" in first
    assert "mine: 2 of 5 steps, took" in last


def test_a_failed_steps_log_is_shown_and_nothing_else(said):
    lines = said(START + FAILURE, 1)
    assert "failed: results/f/logs/retrain/uniform-1x_0.log:" in lines
    assert "    error: it diverged: lower its learning rate" in lines
    assert "====" not in lines and "Exiting" not in lines and "jobid" not in lines


REFUSED = """Error in rule prepare_dataset:
    message: SLURM sbatch failed. The error message was 'sbatch: error: invalid partition specified: nonsense
sbatch: error: Batch job submission failed: Invalid partition name specified'.
    sbatch call:
        sbatch --parsable --job-name 4acb
    jobid: 1
"""


@pytest.mark.parametrize(
    "logfile", ["Logfile results/f/logs/data.log not found.\n", "Logfile results/f/logs/data.log: empty file\n"]
)
def test_why_slurm_refused_a_job_is_shown_and_nothing_else(said, logfile):
    lines = said(REFUSED + logfile + "Trying to restart job 1.\n" + REFUSED, 1).splitlines()
    assert len(lines) == 2
    assert all("failed: SLURM sbatch failed." in line and line.endswith("specified: nonsense") for line in lines)


def test_what_failed_before_any_step_is_shown(said):
    assert "WorkflowError: configuration: seed" in said("WorkflowError: configuration: seed is 'x'\n", 1)
    assert said("Building DAG of jobs...\nNothing to be done\n", 0) == "Nothing to do: everything is up to date.\n"


def test_whether_jobs_ask_for_gpus_is_told(said):
    decision = "execution.device is auto: the partition gpu has GPUs, and jobs ask for them\n"
    assert said(decision + START, 0).splitlines()[0].endswith(decision.strip())


def test_it_reads_on_where_nothing_can_be_shown_any_more(monkeypatch):
    def gone(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("sys.stderr", type("Gone", (), {"write": gone, "flush": gone, "isatty": lambda _: False})())
    lines = iter(START.splitlines() + FAILURE.splitlines())
    Overview("f").follow(lines)
    assert next(lines, None) is None


def test_warnings_of_finished_steps_are_shown(said, tmp_path):
    log = tmp_path / "step.log"
    at = "2026-11-23 14:28:31  "
    log.write_text(f"{at}warning: 2 images are left out\n{at}all is well, no warning: none\n")
    job = f"rule prepare_dataset:\n    log: {log}\n    jobid: 7\n"
    assert "warning" not in said(START + job, 0), "it may still find out more"
    done = "Finished jobid: 7 (Rule: prepare_dataset)\n3 of 5 steps (60%) done\n"
    lines = said(START + job + done, 0)
    assert lines.count("warning: 2 images are left out") == 1 and "no warning" not in lines
    log.write_text(f"{at}warning: a candidate failed\n" * 5)
    lines = said(START + job + done, 0)
    assert lines.count("a candidate failed") == 3 and f"and 2 more warnings in {log}" in lines
    log.unlink()
    assert "warning" not in said(START + job + done, 0)
