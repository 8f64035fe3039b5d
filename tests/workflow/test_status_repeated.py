"""How far finalists and the proxy's sample are, which are trained several times over."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pipeline.__main__ import main
from pipeline.workflow.layout import Layout
from pipeline.workflow.status.pace import Pace
from pipeline.workflow.status.reader import read_experiment
from pipeline.workflow.status.reading import RepeatedState
from pipeline.workflow.status.summary import _at_pace, summarise
from tests.support.steps import outdated

pytestmark = pytest.mark.slow

#: A minute for two genomes, so half a minute for each.
LOG = """2026-01-01 10:00:00  {title}: 0 of 3 candidates are in the archive, 3 to train
2026-01-01 10:00:30  {title}: 1 of 3 candidates, 30 s so far, about 1 min left, last 1,1,1,1,1,1: 50.00 %
2026-01-01 10:01:00  {title}: 2 of 3 candidates, 1 min so far, about 30 s left, last 2,1,1,1,1,1: 51.00 %
"""


@pytest.fixture
def layout(copied: Path) -> Layout:
    return Layout(copied / "results" / "tiny")


def status(layout: Layout, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["status", str(layout.folder)]) == 0
    return capsys.readouterr().out


def test_of_a_finished_experiment_all_are_done(layout, capsys):
    reading = read_experiment(layout)
    (found,), sample = reading.finalists, reading.sample
    finalists = pd.read_csv(layout.finalists("found-A").population)
    assert found == RepeatedState("found-A", len(finalists), len(finalists), complete=True, seconds_left=0.0)
    assert [(one.name, one.done, one.total, one.complete) for one in sample] == [
        ("as candidates", 3, 3, True),
        ("in full", 3, 3, True),
    ]
    text = status(layout, capsys)
    assert "[x] finalists" in text and "[x] proxy" in text and "trainings" not in text


def test_what_no_run_makes_again_is_not_waited_for(layout):
    """As after other settings, interrupted and taken back: Snakemake calls what was made from it up to date."""
    for file in (layout.supernet.weights, layout.train, layout.sample.scores(0)):
        file.unlink()
    assert summarise(read_experiment(layout), 0.0).stage == "finished"
    outdated(layout, [layout.tables.results])
    assert summarise(read_experiment(layout), 0.0).stage == "data"


def test_what_is_in_work_is_read_from_its_log(layout, capsys):
    sample = layout.sample
    for file in (sample.trained(0), sample.trained_timing(0), layout.tables.results, layout.report):
        file.unlink()
    layout.log("proxy", "train_0").write_text(LOG.format(title="sample, in full"))
    reading = read_experiment(layout)
    assert reading.sample[1] == RepeatedState("in full", 2, 3, complete=False, seconds_left=30.0, briefly=False)
    found = summarise(reading, 0.0)
    assert found.stage == "proxy" and "finalists" in found.finished_stages
    text = status(layout, capsys)
    assert "[>] proxy" in text and "as candidates 3 of 3 trainings; in full 2 of 3 trainings, about 30 s" in text
    assert "work left     about 30 s" in text
    assert main(["status", str(layout.folder), "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["sample"][1]["name"] == "in full" and record["sample"][1]["done"] == 2


def test_what_is_chosen_of_finalists_is_the_stages_end(layout, capsys):
    layout.finalists("found-A").found.unlink()
    found = summarise(read_experiment(layout), 0.0)
    assert found.stage == "finalists" and found.finalists[0].done == found.finalists[0].total
    assert "[>] finalists" in status(layout, capsys)
    for files in (layout.finalists("found-A"), layout.sample):
        shutil.rmtree(files.folder)
        shutil.rmtree(layout.folder / "logs" / files.folder.relative_to(layout.folder).parts[0])
    found = summarise(read_experiment(layout), 0.0)
    assert found.pace is not None
    each = 3600 / found.pace.candidates_per_hour
    assert found.finalists[0].seconds_left == pytest.approx(2 * each) and found.finalists[0].done == 0
    assert [one.seconds_left for one in found.sample] == [pytest.approx(3 * each), None]


def test_those_that_are_not_begun_take_as_long_as_candidates():
    waiting = RepeatedState("found-A", 0, 10, complete=False, seconds_left=None)
    known, full = replace(waiting, seconds_left=7.0), replace(waiting, briefly=False)
    assert [one.seconds_left for one in _at_pace([waiting, known, full], Pace(360.0, 20.0, 2.0))] == [100.0, 7.0, None]
    assert _at_pace([waiting], None) == (waiting,)


def test_an_experiment_that_asks_for_neither_has_no_such_stages(layout, capsys):
    shutil.rmtree(layout.sample.folder)
    shutil.rmtree(layout.finalists("found-A").folder.parent)
    config = layout.config.read_text()
    lines = [line for line in config.splitlines() if not line.startswith("# sha256")]
    text = "\n".join(lines).replace("finalists: 2", "finalists: 0").replace("sample: 3", "sample: 0")
    assert text.count("finalists: 0") == 1 and text.count("sample: 0") == 1
    layout.config.write_text(text)
    reading = read_experiment(layout)
    assert (reading.finalists, reading.sample, reading.problems) == ((), (), ())
    text = status(layout, capsys)
    assert "finalists" not in text and "proxy" not in text and "[x] retraining" in text


def test_damaged_and_outdated_tables(layout, capsys):
    sample = layout.sample
    sample.scores_timing(0).write_text("slot,genome\n")
    found = summarise(read_experiment(layout), 0.0)
    assert any("scores_timing_0.csv" in problem for problem in found.problems) and found.sample[0].complete
    outdated(layout, [sample.scores(0), layout.finalists("found-A").found])  # their logs are of what is done again
    after = summarise(read_experiment(layout), 0.0)
    assert after.sample[0].done == 0 and not after.sample[0].complete and after.sample[1].complete
    assert after.stage == "finalists" and not {"finalists", "proxy"} & set(after.finished_stages)
