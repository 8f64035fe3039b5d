"""How far the steps of a run are that take long, as their logs say."""

import os
import sys
import threading
import time

import pytest

from pipeline.common import log
from pipeline.common.log import Progress
from pipeline.workflow import console, launch
from pipeline.workflow.console import Overview
from pipeline.workflow.running import RunningSteps
from tests.support.events import START

AT = "2026-11-23 14:28:31  "
LINE = (
    "retraining: 1669 of 23400 steps, 1 min 5 s so far, about 14 min 7 s left (until 16:47:28), epoch 4: top-1 52.2 %"
)


@pytest.fixture
def step(tmp_path):
    """A function that writes a step's log and returns its path."""

    def write(*lines: str, name: str = "step", end: str = "\n") -> str:
        path = tmp_path / f"{name}.log"
        path.write_text("\n".join(AT + line for line in lines) + end)
        return str(path)

    return write


def test_its_last_line_of_progress_is_what_a_step_says(step):
    steps = RunningSteps()
    steps.begin(1, "retrain seed=1", [step("going on from epoch 3", LINE.replace("1669", "17"), LINE)])
    (said,) = steps.said()
    assert said.full == "retrain seed=1: " + LINE.removeprefix("retraining: ")
    assert said.brief == "retrain seed=1: 7 %, 14 min 7 s left"
    steps.end(1)
    assert steps.said() == []


@pytest.mark.parametrize(
    "lines", [[], ["no progress"], [LINE, "writing weights"], ["supernet: 1200 of 1200 steps, took 23 min 12 s"]]
)
def test_a_step_that_is_past_its_progress_says_nothing(step, lines):
    steps = RunningSteps()
    steps.begin(1, "retrain", [step(*lines), "no/such.log"])
    assert steps.said() == []


def test_an_earlier_runs_log_says_nothing(step):
    path, steps = step(LINE), RunningSteps()
    os.utime(path, (time.time() - 60,) * 2)
    steps.begin(1, "retrain", [path])
    assert steps.said() == []


def test_the_latest_comes_first_and_only_the_end_of_a_log_is_read(step):
    steps = RunningSteps()
    for number, age in enumerate((2, 0, 1)):
        path = step(*["supernet: words"] * 10_000, LINE, name=str(number))
        steps.begin(number, f"step {number}", [path])
        os.utime(path, (time.time() - age,) * 2)
    assert [said.full[:7] for said in steps.said()] == ["step 1:", "step 2:", "step 0:"]


def test_a_log_has_such_words_only_where_nothing_else_was_said_for_long(monkeypatch, capsys):
    monkeypatch.setattr(log, "QUIET", 0.0)
    bar = Progress("mine", 5, "steps")
    bar.tell([], [])
    bar.tell([f"step {number}" for number in range(6)], ["brief"])
    bar.tell(["again"], ["brief"])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("  mine: 0 of 5 steps; step 0; step 1; step 2; step 3; and 2 more")
    monkeypatch.setattr(log, "QUIET_LATER", 0.0)
    monkeypatch.setattr(log, "FIRST_LINE", 0.0)
    bar = Progress("mine", 5, "steps")
    bar.advance()
    bar.tell(["later"], ["brief"])
    assert capsys.readouterr().err.splitlines()[1].endswith("  mine: 1 of 5 steps; later")


def test_a_run_passes_on_how_far_a_long_step_is(step, monkeypatch, capsys):
    monkeypatch.setattr(log, "QUIET", 0.0)
    monkeypatch.setattr(console, "LOOK_EVERY", 0.01)
    overview, over = Overview("mine"), threading.Event()
    overview._take(START[0])
    overview._take({**START[1], "log": [step(LINE)]})
    watcher = threading.Thread(target=overview.watch, args=(over,))
    watcher.start()
    said = ""
    until = time.monotonic() + 10
    while "1669" not in said and time.monotonic() < until:
        time.sleep(0.01)
        said += capsys.readouterr().err
    overview._take({"event": "job_finished", "job_id": 4})
    assert overview._running.said() == []
    over.set()
    watcher.join()
    assert "  mine: 0 of 5 steps; retrain model=uniform-1x, seed=0: 1669 of 23400 steps, 1 min 5 s so far, " in said


def test_lines_are_those_that_a_step_writes(step, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(log, "FIRST_LINE", 0.0)
    Progress("A generation 5", 13, "candidates", 2).advance(1, "last 1,2: 38.60 %")
    path = tmp_path / "real.log"
    path.write_text(capsys.readouterr().err)
    steps = RunningSteps()
    steps.begin(1, "evaluate", [str(path)])
    (said,) = steps.said()
    assert said.full.startswith("evaluate: 3 of 13 candidates, 0 s so far, about 0 s left (until ")
    assert said.full.endswith("last 1,2: 38.60 %") and said.brief == "evaluate: 23 %, 0 s left"


def test_it_does_so_while_snakemake_runs(step, tmp_path, monkeypatch, capsys):
    """A program in Snakemake's place, which tells of a step and takes its time."""
    monkeypatch.setattr(log, "QUIET", 0.0)
    monkeypatch.setattr(console, "LOOK_EVERY", 0.05)
    events = [START[0], {**START[1], "log": [step(LINE)]}]
    program = (
        "import json, os, time\nwith open(int(os.environ['BINARY_NAS_EVENTS_FD']), 'w') as pipe:\n"
        f"    for event in {events!r}:\n        pipe.write(json.dumps(event) + chr(10))\n"
        "time.sleep(1)"
    )
    assert launch.follow([sys.executable, "-c", program], "mine", tmp_path, cold=True) == 0
    assert "  mine: 0 of 5 steps; retrain model=uniform-1x, seed=0: 1669 of 23400 steps, " in capsys.readouterr().err
