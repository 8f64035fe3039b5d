"""How far an experiment is: the arithmetic, and the files it is read from, whole, half-written, missing and wrong."""

import copy
import hashlib
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime
from itertools import chain, pairwise
from pathlib import Path

import h5py
import pytest
import yaml

from pipeline.__main__ import main
from pipeline.common import hdf5
from pipeline.common.digests import digest_of
from pipeline.common.errors import UserError
from pipeline.common.files import write_record
from pipeline.common.hdf5 import read_attributes
from pipeline.common.processes import birth
from pipeline.search.facts import agree, expected_facts
from pipeline.search.objectives import configured
from pipeline.steps.status import _end, _most_accurate, _title
from pipeline.workflow.config import check_config, read_config
from pipeline.workflow.layout import Layout
from pipeline.workflow.lock import RECORDS, Run
from pipeline.workflow.saved_config import read_saved_config, read_saved_values, save_config
from pipeline.workflow.status.experiment import find_experiments, known_facts
from pipeline.workflow.status.pace import pace, working_seconds
from pipeline.workflow.status.reader import read_experiment
from pipeline.workflow.status.reading import (
    Candidate,
    Finished,
    Generation,
    Reading,
    RepeatedState,
    RowState,
    SearchState,
    TrainingState,
)
from pipeline.workflow.status.searches import best, planned_candidates, summarise_searches
from pipeline.workflow.status.summary import begun_stages, finished_stages, summarise
from pipeline.workflow.status.trainings import rows_seconds_left
from tests.support.examples import NIGHTLY
from tests.support.mid_search import CHANGES, configuration, folder, made  # noqa: F401 - fixtures
from tests.support.steps import CPU, NETWORK, call, outdated
from tests.support.workflow import PATIENCE, ROOT, kill_everything, resume, start

GENOMES = [(1.0, 1.0), (0.5, 1.0), (2.0, 1.0), (0.5, 0.5)]


def summary(folder: Path, **changes: object):
    return summarise(replace(read_experiment(Layout(folder)), **changes), time.time())


def status(capsys, *words: str) -> str:
    assert main(["status", *words]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


# --- from real files ---


def test_in_mid_search(folder, capsys):
    found = summary(folder)
    assert found.problems == ()
    assert found.stage == "search" and found.finished_stages == ("data", "supernet")
    (search,) = found.searches
    assert (search.algorithm, search.objective.title) == ("evolution", "λ = 4")
    assert (search.generation, search.generations) == (1, 2)
    assert (search.in_generation, search.of_generation, search.done, search.total) == (1, 3, 4, 6)
    assert (search.reused, search.diverged, search.failed) == (0, 0, 0)
    assert found.archived == 4 and found.damaged == 0
    assert found.pace is not None and found.pace.candidates_per_hour > 0
    assert search.seconds_left == found.searches_seconds_left > 0
    assert search.best is not None and search.best.flops > 1000 and search.best.memory_bytes > 100
    assert found.supernet.done and found.supernet.seconds > 0
    assert [(row.model, row.trained, row.seeds) for row in found.rows] == [("uniform-1x", 1, 2), ("found-A", 0, 2)]
    assert found.rows_seconds_left > 0
    text = status(capsys)
    assert "[x] supernet  [>] search" in text and "4 of 6" in text and "uniform-1x" in text
    assert max(map(len, text.splitlines())) <= 120


def test_the_best_is_the_one_that_select_best_finds(folder):
    """A finished search: what the summary says is what the step wrote."""
    generation = folder / "search" / "A" / "generation_000"
    shutil.rmtree(folder / "search" / "A" / "generation_001")
    words = ["--search", "A", "--scores", generation / "scores.csv", "--timings", generation / "timing.csv"]
    files = ["--output", folder / "search/A/best.json", "--history", folder / "h.csv", "--timing", folder / "t.csv"]
    assert call("select-best", *words, *files, at=folder) == 0
    wanted = json.loads((folder / "search/A/best.json").read_text())
    best_so_far = summary(folder).searches[0].best
    assert best_so_far.top1 == wanted["top1"] and best_so_far.generation == wanted["generation"]
    assert best_so_far.fitness == pytest.approx(wanted["fitness"])
    assert best_so_far.genome == tuple(map(float, wanted["genome"].split(",")))


def test_json_is_for_scripts(folder, capsys):
    (record,) = json.loads(status(capsys, "exp", "--json"))
    assert record["name"] == "exp" and record["searches"][0]["done"] == 4
    assert len(record["searches"][0]["best"]["genome"].split(",")) == 6


def test_an_interrupted_training_is_where_it_was_saved(folder):
    """A retraining stopped by SIGTERM after some steps: its position comes from the saved state."""
    weights = folder / "retrain" / "found-A" / "seed_1" / "weights.h5"
    log = folder / "logs" / "retrain" / "found-A_1.log"
    log.parent.mkdir(parents=True)
    weights.parent.mkdir(parents=True)
    settings = {**CHANGES["retrain"], "epochs": 200}
    flags = ["--epochs", "200", "--batch-size", "25", "--learning-rate", "0.1"]
    change = yaml.safe_load((folder / "config.yaml").read_text())
    change["retrain"] |= settings
    (folder / "config.yaml").write_text(yaml.safe_dump(change, sort_keys=False))
    words = ["--images", folder / "data/train.h5", "--genome", "1,1,1,1,1,1", *NETWORK, *flags, *CPU]
    outputs = ["--weights", weights, "--history", weights.with_name("history.csv"), "--timing"]
    outputs += [weights.with_name("timing.json"), "--save-minutes", "0.001"]
    arguments = [sys.executable, "-m", "pipeline", "retrain", *map(str, [*words, *outputs])]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open(log, "w") as output:
        process = subprocess.Popen(arguments, stderr=output, env=environment)
    state = weights.with_name("weights.state.h5")
    while not state.exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 128 + signal.SIGTERM
    with h5py.File(state) as file:
        epoch, step = file["position"][()]
    found = summary(folder)
    assert found.problems == ()
    training = found.rows[1].trainings[1]
    steps_per_epoch = training.steps // 200
    assert (training.step, training.epoch, training.epochs) == (epoch * steps_per_epoch + step, epoch, 200)
    assert training.seconds_left > 0 and not training.done
    # The log may be ahead of the saved state.
    with open(log, "w") as output:
        output.write(f"2026-01-01 10:00:00  retraining: {training.step} of {training.steps} steps, 5 s so far\n")
        output.write(f"2026-01-01 10:00:10  retraining: {training.step + 10} of {training.steps} steps, 15 s so far\n")
    later = summary(folder).rows[1].trainings[1]
    assert later.step == training.step + 10
    assert later.seconds_left == pytest.approx(training.steps - later.step)
    # So it would with a recipe of the row's own, and it counts the row's epochs.
    own = copy.deepcopy(change)
    own["models"]["found-A"] = {"genome": 1, "retrain": {"optimizer": "adam", "epochs": 300}}
    (folder / "config.yaml").write_text(yaml.safe_dump(own, sort_keys=False))
    otherwise = summary(folder).rows[1].trainings[1]
    assert otherwise.steps == later.steps and otherwise.epochs == 300
    # Saved with other settings, it will not be taken up.
    change["retrain"]["epochs"] = 100
    (folder / "config.yaml").write_text(yaml.safe_dump(change, sort_keys=False))
    log.unlink()
    assert summary(folder).rows[1].trainings[1].step is None


def test_a_saved_state_that_goes_while_it_is_read(folder, monkeypatch):
    """As when the training ends between two looks at it."""

    def read(path):
        path.unlink(missing_ok=True)
        return read_attributes(path)

    state = folder / "retrain" / "uniform-1x" / "seed_1" / "weights.state.h5"
    state.parent.mkdir(parents=True, exist_ok=True)
    state.write_bytes(b"")
    monkeypatch.setattr(hdf5, "read_attributes", read)
    found = summary(folder)
    assert not state.exists() and not [problem for problem in found.problems if "state" in problem]


def test_scores_of_another_penalty_are_not_finished(folder):
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["searches"]["A"]["lambda"] = 0.5
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    (search,) = summary(folder).searches
    assert search.generation == 0 and search.objective.title == "λ = 0.5"


def test_entries_of_other_settings_do_not_count(folder):
    """The newest entries are of five epochs: they are not what the configuration asks for."""
    other = json.loads(next(folder.glob("archive/*/*.json")).read_text())
    from pipeline.search.archive import Archive, Evaluation, Timing

    facts = {**other["facts"], "settings": {**other["facts"]["settings"], "epochs": 5}}
    for row in (folder / "search/A/generation_001/population.csv").read_text().splitlines()[1:]:
        genome = tuple(map(float, row.split('"')[1].split(",")))
        Archive(folder / "archive", facts).put(Evaluation(genome, "ok", 99.0, 0.1), Timing(1.0, "m"))
    found = summary(folder)
    assert found.archived == 7 and found.searches[0].done == 4
    assert found.searches[0].best.top1 < 99


def test_without_a_configuration_it_shows_what_is_there(folder, capsys):
    (folder / "config.yaml").unlink()
    found = summary(folder)
    (search,) = found.searches
    assert not found.planned and found.problems == ()
    assert (search.done, search.total, search.generation, search.generations) == (4, None, 1, None)
    text = status(capsys, str(folder))
    assert re.search(r"^plan +unknown", text, re.MULTILINE)
    assert re.search(r"^expected end  .*search not known yet$", text, re.MULTILINE)
    (folder / "config.yaml").write_text("[1, 2]")
    text = status(capsys, str(folder))
    assert "holds no configuration" in text and not re.search(r"^plan ", text, re.MULTILINE), "it is there"


GARBAGE = [b"", b"\x00\xff\x00", b"{", b"[]", b"a,b\n1\n", b"\x89HDF\r\n\x1a\n" + b"\x00" * 50]


@pytest.mark.parametrize("number", range(len(GARBAGE)), ids=lambda number: repr(GARBAGE[number]))
def test_any_file_can_be_garbage(folder, capsys, number):
    """Files of the experiment in turn, then all at once: never an error, and what matters is named."""
    files = files_of(folder)
    # Every file meets two kinds of garbage, and at night all of them.
    for path in files if NIGHTLY else files[number % 3 :: 3]:
        whole = path.read_bytes()
        path.write_bytes(GARBAGE[number])
        status(capsys, "exp")
        path.write_bytes(whole)
    for path in files:
        path.write_bytes(GARBAGE[number])
    assert summary(folder).problems
    assert "cannot be read: " in status(capsys, "exp")


def test_an_accuracy_that_was_edited_or_is_another_rows_counts_for_nothing(folder, capsys):
    layout = Layout(folder.relative_to(Path.cwd()))  # as steps are called, which note where a record lies
    own, other = (layout.measurement(model, 0) for model in ("uniform-1x", "found-A"))
    for path, top1 in (own, 20.0), (other, 90.0):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_record(path, {"top1": top1})
    assert [row.top1_mean for row in summary(folder).rows] == [20.0, 90.0]
    text = own.read_text()
    own.write_text(text.replace("20.0", "70.0"))
    assert summary(folder).rows[0].scored == 0 and "was changed after it was written" in status(capsys)
    own.write_text(other.read_text())
    assert summary(folder).rows[0].scored == 0 and "is none of its own" in status(capsys)
    own.write_text(text)
    assert summary(folder).problems == ()


def test_what_lies_there_of_another_copy_of_the_experiment_counts_for_nothing(folder, capsys):
    """As after a copy of its folder, from another machine, that was broken off: whole records, at their own places."""
    layout = Layout(folder.relative_to(Path.cwd()))
    accuracy = layout.measurement("uniform-1x", 0)
    accuracy.parent.mkdir(parents=True, exist_ok=True)
    write_record(accuracy, {"top1": 20.0})
    config, name = digest_of(read_saved_values(layout)), accuracy.relative_to(layout.folder).as_posix()
    lines = [{"run": "a", "folder": str(layout.folder)}, {"config": config}]
    lines += [{"file": name, "record": {}, "digest": hashlib.sha256(accuracy.read_bytes()).hexdigest()}]
    layout.made_with.write_text("\n".join(map(json.dumps, lines)))
    whole = summary(folder)
    assert whole.rows[0].top1_mean == 20.0 and whole.strange == () and whole.other_config == ""
    write_record(accuracy, {"top1": 90.0})
    after = summary(layout.folder)
    assert after.rows[0].scored == 0 and after.strange == after.outdated == (str(accuracy),)
    said = status(capsys)
    assert "others        1 file is not as this experiment's runs left it" in said and "outdated " not in said
    write_record(accuracy, {"top1": 20.0})
    save_config({**read_saved_config(layout).config, "seed": 7}, layout)
    assert "is not the configuration that" in summary(folder).other_config
    assert "config        results/" in status(capsys)
    everything = {"data": True, "rows": (RowState("a", (TrainingState(True),), (20.0,), 1),), "tables": True}
    finished = Reading("tiny", True, searches=(SearchState("A", None, None, 1, 1, (), True),), **everything)
    assert "tables" in finished_stages(finished)
    assert "tables" not in finished_stages(replace(finished, other_config=after.name))


def test_any_file_can_be_missing(folder):
    for path in files_of(folder):
        whole = path.read_bytes()
        path.unlink()
        assert summary(folder).problems == ()
        path.write_bytes(whole)


def files_of(folder: Path) -> list[Path]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert len(files) > 20
    return files


@pytest.mark.parametrize("name", ["data/train.h5", "supernet/supernet.h5", "search/A/generation_000/scores.csv"])
def test_files_cut_short(folder, capsys, name):
    data = (folder / name).read_bytes()
    for length in (10, len(data) // 2, len(data) - 1):
        (folder / name).write_bytes(data[:length])
        status(capsys, "exp")


def test_a_damaged_entry_is_named_and_not_counted(folder):
    newest = max(folder.glob("archive/*/*.json"), key=lambda path: path.stat().st_mtime)
    newest.write_text("{")
    found = summary(folder)
    assert found.searches[0].done == 3
    assert newest.name in found.problems[0] and newest.exists(), "it only looks on"


def test_folders_and_names(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # what is left takes more words on a slow machine
    for word in ("exp", "results/exp", str(folder), "results", "."):
        assert find_experiments(word)[0].folder.resolve() == folder
    shutil.copytree(folder, folder.with_name("other"))
    lines = status(capsys).splitlines()
    assert [line.split()[0] for line in lines if not line.startswith("─")] == ["experiment", "exp", "other"]
    assert main(["status", "nothing"]) == 1
    assert "there is no experiment 'nothing': experiments under results/: exp, other" in capsys.readouterr().err


# --- is it alive? ---


def record(folder: Path, **values: object) -> None:
    path = folder.parent.parent / RECORDS / "exp.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


def test_a_run_on_this_machine(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    host, here = socket.gethostname(), birth(os.getpid())
    record(folder, host=host, pid=os.getpid(), birth=here)
    assert summary(folder).alive is True
    text = status(capsys)
    assert f"running (process {os.getpid()} on " in text
    assert re.search(r"^expected end  (moments|about .* \(until .*\))$", text, re.MULTILINE)
    record(folder, host=host, pid=os.getpid(), birth=here, ended=True)
    assert summary(folder).alive is False
    record(folder, host=host, pid=os.getpid(), birth=f"another-{here}")
    assert summary(folder).alive is False
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    record(folder, host=host, pid=process.pid)
    assert summary(folder).alive is False
    text = status(capsys)
    assert re.search(r"^run +not running, .* goes on from here$", text, re.MULTILINE)
    assert re.search(r"^work left +(moments|about [^(]*)$", text, re.MULTILINE) and "until" not in text


SENTENCE = "error: /data/cat/notes.txt cannot be read as an image: remove it"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"2026-01-01 10:00:00  listing: 3 of 3 classes\n{SENTENCE}\n", SENTENCE.removeprefix("error: ")),
        ("Traceback (most recent call last):\n  File x\nKeyError: 'weights'\n", "KeyError: 'weights'"),
        ("stopped by SIGTERM; the same command goes on from here\n", None),
        (f"{SENTENCE}\n2026-01-01 10:00:00  preparing images: 3 of 3 images, took 1 s\n", None),
        ("", None),
    ],
)
def test_what_ended_the_last_run_is_said(folder, capsys, monkeypatch, text, said):
    """Only what it was that ended it, and not while one runs, nor once a later one has begun."""
    monkeypatch.setenv("COLUMNS", "200")
    host, log = socket.gethostname(), folder / "logs" / "retrain" / "uniform-1x_1.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(text)
    began = log.stat().st_mtime - 60
    record(folder, host=host, pid=1, ended=True, began=began)
    found = summary(folder).failed
    assert [(failure.step, failure.sentence) for failure in found] == ([("retrain/uniform-1x_1", said)] if said else [])
    shown, stated = status(capsys), "the command that started it goes on from here"
    if said:
        assert f"failed        retrain/uniform-1x_1: {said} (results/exp/logs/" in shown.replace(
            str(folder), "results/exp"
        )
        assert re.search(rf"^run +FAILED, .*; when that is mended, {stated}$", shown, re.MULTILINE)
        shutil.copytree(folder, folder.with_name("other"))
        assert "FAILED in retrain/uniform-1x_1: status exp says why" in status(capsys)
    else:
        assert "FAILED" not in shown and "failed   " not in shown and "not running, " in shown and stated in shown
    for later in ({"ended": True, "began": log.stat().st_mtime + 1}, {"ended": True}, RUNNING | {"began": began}):
        record(folder, **{"host": host, "pid": 1, **later})
        assert summary(folder).failed == ()


RUNNING = {"pid": os.getpid(), "birth": birth(os.getpid())}


def test_an_own_algorithm_is_called_by_its_title(folder, capsys, monkeypatch):
    (folder.parent / "annealing.py").write_text(
        "from pipeline.search.algorithms.evolution import *\n"
        "from pipeline.search.algorithms import evolution\n"
        "class annealing:\n    NAME = 'annealing'\n    TITLE = 'simulated annealing'\n"
        "    LOOKS_AT_SCORES = True\n    BASELINE = False\n    Settings = evolution.Settings\n"
        "    propose = staticmethod(evolution.propose)\n"
    )
    monkeypatch.syspath_prepend(str(folder.parent))
    (search,) = (one for one in summary(folder).searches if one.name == "A")
    for name, title in (("annealing:annealing", "simulated annealing"), ("gone:gone", "gone:gone"), (None, "")):
        shown = _title(replace(search, algorithm=name, objective=None))
        assert shown == (f"A ({title})" if title else "A")


def test_nothing_is_shown_of_what_has_not_begun(folder, capsys):
    for part in ("search", "retrain", "archive", "evaluation"):
        shutil.rmtree(folder / part, ignore_errors=True)
    shown = status(capsys)
    assert "best so far" not in shown and "full-precision" not in shown and "[x] supernet  [>] search" in shown


def test_every_stage_in_work_is_marked(folder, capsys):
    """Rows without a search are trained beside it."""
    assert summary(folder).begun_stages == ("search", "retraining")
    shown = status(capsys)
    assert "[>] search" in shown and "[>] retraining" in shown and "[ ] evaluation" in shown
    begun = replace(read_experiment(Layout(folder)), tables=True)
    assert "tables" in begun_stages(begun)
    before = {"tables": ("results.md",)}  # of other settings: in these, nothing of it is done
    assert "tables" not in begun_stages(replace(begun, outdated=before))


def test_a_stage_ends_after_those_before_it(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    now = datetime(2026, 1, 1, 12, 0, 0)
    state = RepeatedState("found-A", 1, 4, complete=False, seconds_left=9.0)
    found = replace(summary(folder), alive=True, searches_seconds_left=60.0, finalists=(state,), rows_seconds_left=None)
    assert _end(found, now) == (
        "search about 1 min 0 s (until 12:01:00); finalists about 9 s (until 12:01:09); retraining not known yet"
    )
    assert "finalists about 9 s;" in _end(replace(found, searches_seconds_left=None), now)


def test_the_overview_says_whose_accuracy_it_shows(folder):
    config = configuration(folder.parent)
    config["models"] = {"full-precision": {"genome": [1.0], "binary": False}, **config["models"]}
    save_config(config, Layout(folder))
    found = summary(folder)
    score = max(search.best.top1 for search in found.searches if search.best)
    assert _most_accurate(found) == f"{score:.2f} a candidate's score"
    rows = [replace(row, top1_mean=top1) for row, top1 in zip(found.rows, (99.0, 50.0, 91.79, None), strict=False)]
    assert [row.binary for row in rows][:2] == [False, True]
    assert _most_accurate(replace(found, rows=tuple(rows))) == f"91.79 {rows[2].model}"


@pytest.mark.parametrize("columns", [80, 60])
def test_a_narrow_terminal_shows_what_is_wanted_most(folder, capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = status(capsys)
    assert max(map(len, shown.splitlines())) < columns
    header, _, line = shown.split("\n\n")[2].splitlines()[:3]
    assert header.split()[:3] == ["search", "generation", "candidates"]
    if columns == 80:
        assert "001 of 000–001" in line and "1 of 3" in line and "4 of 6" in line and "failed" in header
        header, _, line = shown.split("\n\n")[3].splitlines()
        assert "genome" in header and summary(folder).searches[0].best.genome == tuple(
            map(float, line.split()[4].split(","))
        )


def test_watching_waits_for_a_run_that_has_not_begun(folder, monkeypatch, capsys):
    looks = []

    def sleep(seconds: float) -> None:
        looks.append(capsys.readouterr().out)
        if len(looks) == 2:
            raise KeyboardInterrupt
        hidden.rename(folder)

    hidden = folder.rename(folder.parent.parent / "elsewhere")
    monkeypatch.setattr(time, "sleep", sleep)
    assert main(["status", "--watch"]) == 0
    assert looks[0].startswith("waiting for a run to begin: there is no experiment under results/")
    assert looks[1].startswith("exp  (results/exp)")


def test_a_run_on_another_machine(folder, capsys):
    record(folder, host="elsewhere", pid=1)
    assert summary(folder).alive is None
    assert "cannot be asked from here (process 1 on elsewhere)" in status(capsys)
    for path in folder.rglob("*"):
        os.utime(path, (0, time.time() - 86400))
    assert summary(folder).alive is False
    assert "newest file 24 h" in status(capsys)


@pytest.mark.parametrize("shift", [-3e9, -3600.0, 3600.0, 3e9])
def test_clocks_that_disagree(folder, capsys, shift):
    """Times of some files jump by an hour, and by a century: no crash, no negative time."""
    for path in sorted(folder.rglob("*"))[::2]:
        moved = path.stat().st_mtime + shift
        os.utime(path, (moved, max(moved, -2e9)))
    found = summary(folder)
    assert found.last_sign >= 0
    assert found.pace.candidates_per_hour > 0
    assert (found.clock_ahead is not None) == (shift > 0)
    text = status(capsys)
    assert not re.search(r"-\d+ (s|min|h|days)|nan|inf", text)


# --- watching ---


def test_watch_in_a_log_prints_anew_and_ends_quietly(folder):
    words = [sys.executable, "-m", "pipeline", "status", "exp", "--watch", "0.2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        words, cwd=folder.parent.parent, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    seen = []
    while sum(line.startswith("exp ") for line in seen) < 2:
        seen.append(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and errors == ""
    assert "\033" not in "".join(seen) + rest


def test_watch_on_a_terminal_redraws(folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "60", "LINES": "12"}
    words = [sys.executable, "-m", "pipeline", "status", "exp", "--watch", "0.2"]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(words, cwd=folder.parent.parent, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    while seen.count(b"\033[J") < 3:
        seen += os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0
    os.close(ours)
    text = seen.decode(errors="replace")
    assert "\033[11F\033[J" in text
    assert all(len(line.split("\033[J")[-1]) < 60 for line in text.split("\r\n"))
    assert "Traceback" not in text and "interrupted" not in text


# --- the plan ---


def test_the_plan_is_the_configuration(tmp_path):
    config = configuration(tmp_path)
    save_config({**config, "pathvars": {"a": "b"}}, Layout(tmp_path / "r"))
    written = tmp_path / "r" / "config.yaml"
    # Laid over the default, it gives the same experiment, dropped entries and all.
    assert read_config([ROOT / "config.yaml", written]) == config
    assert check_config(yaml.safe_load(written.read_text())) == config
    plan = read_saved_config(Layout(tmp_path / "r"))
    assert (plan.generations, plan.population, plan.seeds, plan.models) == (2, 3, 2, ("uniform-1x", "found-A"))
    os.utime(written, (0, 0))
    save_config(config, Layout(tmp_path / "r"))
    assert written.stat().st_mtime == 0, "the same content is not written again"
    save_config({**config, "seed": 1}, Layout(tmp_path / "r"))
    assert written.stat().st_mtime > 0 and yaml.safe_load(written.read_text())["seed"] == 1


def test_a_saved_configuration_that_was_edited_is_not_believed(tmp_path):
    layout = Layout(tmp_path / "r")
    save_config(configuration(tmp_path), layout)
    text = layout.config.read_text()
    layout.config.write_text(text.replace("\nseed: 0", "\nseed: 1"))
    assert layout.config.read_text() != text
    with pytest.raises(UserError, match="config.yaml was changed after it was written: delete it; the workflow writes"):
        read_saved_config(layout)
    earlier = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("# sha256"))
    layout.config.write_text(earlier)  # as earlier versions wrote it
    assert read_saved_config(layout).config["seed"] == 0
    for damage in (b"\xff", b"[1, 2]", b"searches: 3"):
        layout.config.write_bytes(damage)
        with pytest.raises(UserError, match="holds no configuration: the workflow writes it anew"):
            read_saved_config(layout)


def test_expected_facts_are_those_of_the_steps(folder):
    """What the configuration lets expect is what evaluate-generation wrote, image and supernet digests included."""
    facts = json.loads(next(folder.glob("archive/*/*.json")).read_text())["facts"]
    config = read_saved_config(Layout(folder)).config
    expected = expected_facts(config, facts["images"], facts["supernet"])
    assert agree(facts, expected) and set(facts) - set(expected) == {"subset", "validation"}
    for change in (
        {"seed": 1},
        {"candidate": {**config["candidate"], "learning_rate": 0.2}},
        {"execution": {**config["execution"], "threads": 2}},
        {"supernet": {"enabled": False}},
        {"search": {**config["search"], "early_stop_epochs": 1}},
    ):
        assert not agree(facts, expected_facts({**config, **change}, facts["images"], facts["supernet"]))
    assert not agree({**facts, "partial_epochs": 1}, expected)
    # Settings that are off are not written down: entries of a recipe that was tried, and taken back, are not current.
    for key, value in (("optimizer", "adam"), ("binary_weight_decay", 0.0), ("real_weight_epochs", 1)):
        tried = {**facts, "settings": {**facts["settings"], key: value}}
        assert not agree(tried, expected)
        changed = {**config, "candidate": {**config["candidate"], key: value}}
        assert agree(tried, expected_facts(changed, facts["images"], facts["supernet"]))
    assert not agree({**facts, "network": {**facts["network"], "binariser": "another"}}, expected)
    assert not agree({**facts, "binariser": "other source"}, expected)
    # Which images were drawn is known too, as soon as they are: of entries whose times say nothing, such as those of a
    # copied folder, others' scores would be taken for these.
    known = known_facts(Layout(folder))
    assert known == {**expected, "subset": facts["subset"], "validation": facts["validation"]} and agree(facts, known)
    assert not agree({**facts, "subset": "others"}, known) and not agree({**facts, "validation": "others"}, known)
    Layout(folder).subset.unlink()
    assert set(known) - set(known_facts(Layout(folder))) == {"subset"}


# --- the arithmetic ---


def generation(*top1: float | None, scored: bool = False, reused: int = 0) -> Generation:
    statuses = ["diverged" if value is None else "ok" for value in top1]
    return Generation(
        tuple(
            Candidate(genome, sum(genome), 1e6, 100.0, status, value, slot < reused)
            for slot, (genome, status, value) in enumerate(zip(GENOMES, statuses, top1, strict=False))
        ),
        scored,
    )


def search(name: str, *proposed: Generation, generations: int = 3, population: int = 4) -> SearchState:
    return SearchState(name, "evolution", configured({"lambda": 4.0}), generations, population, proposed)


def test_working_time_leaves_interruptions_out():
    assert working_seconds([]) == 0
    assert working_seconds([Finished(110, 10), Finished(115, 10)]) == 15  # overlapping
    assert working_seconds([Finished(110, 10), Finished(150, 10)]) == 50  # a pause of 30 s
    assert working_seconds([Finished(110, 10), Finished(5150, 10)]) == 20  # an interruption
    assert working_seconds([Finished(110, 10), Finished(-5000, 10)]) == 20  # a clock that was set back


def test_pace():
    found = pace([Finished(110 + 5 * i, 10) for i in range(11)])
    assert found.candidates_per_hour == pytest.approx(11 / 60 * 3600)
    assert found.seconds_each == 10 and found.side_by_side == pytest.approx(110 / 60)
    assert pace([]) is None


def test_searches_share_the_pace():
    """Two have 4 and 8 candidates left, 60 an hour: the first ends after 8 minutes, the second after 12."""
    searches = [
        search("A", generation(1, 2, 3, 4, scored=True), generation(1, 2, 3, 4)),
        search("B", generation(1, 2, 3, 4, scored=True)),
    ]
    summaries, left = summarise_searches(searches, [Finished(60.0 * i, 60) for i in range(1, 11)])
    assert [summary.seconds_left for summary in summaries] == pytest.approx([480, 720])
    assert left == pytest.approx(720)


def test_reused_candidates_cost_nothing():
    searches = [search("A", generation(1, 2, 3, 4, scored=True, reused=2))]
    _, left = summarise_searches(searches, [Finished(60.0 * i, 60) for i in range(1, 11)])
    assert left == pytest.approx(8 * 60 / 2)


def test_an_exhausted_space_ends_a_search():
    assert planned_candidates(search("A", generation(1, 2, 3, 4))) == 12
    assert planned_candidates(search("A", generation(1, 2, 3, 4), generation(1, 2))) == 6
    assert planned_candidates(search("A")) == 12


def test_best_is_by_fitness_and_says_where():
    found = best(search("A", generation(50, 51, 52, 40), generation(None, None, None, None)))
    assert (found.genome, found.generation, found.top1) == ((0.5, 1.0), 0, 51)
    assert found.fitness == pytest.approx(51 - 4 * 1.5)
    assert best(search("A", generation(None, None))) is None
    (summary_of,), _ = summarise_searches([search("A", generation(None, 1))], [])
    assert (summary_of.diverged, summary_of.done) == (1, 2)


def test_what_the_rows_still_need():
    done = TrainingState(done=True, seconds=100, ended=1000)
    half = TrainingState(started=True, epochs=4, steps_done=50, steps_total=100)
    assert half.epoch == 2
    rows = [RowState("a", (done, replace(done, ended=1050.0))), RowState("b", (half, TrainingState()))]
    # 150 s of work, of 100 s each when finished; until now 200 s of training took 150 s.
    assert rows_seconds_left(rows) == pytest.approx(150 / (200 / 150))
    assert rows_seconds_left([RowState("a", (TrainingState(),))]) is None
    assert rows_seconds_left([RowState("a", (done,))]) == 0


def test_a_stage_with_files_of_the_settings_before_is_not_finished(folder, capsys):
    layout = Layout(folder)
    log = layout.log("prepare_dataset")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("2026-01-01 10:00:00  images: 7 of 9 images, 9 s so far, about 1 s left\n")
    before = summary(folder)
    assert "data" in before.finished_stages and before.outdated == () and before.images_done == 7
    outdated(layout, [layout.train, layout.generation("A", 0).scores, layout.tables.results])  # there are no tables
    after = summary(folder)
    assert set(before.finished_stages) - set(after.finished_stages) >= {"data"} and after.stage == "data"
    assert after.outdated == (str(layout.train), str(layout.generation("A", 0).scores)) and after.images_done is None
    assert "outdated      2 files are of other settings or images than the" in status(capsys, str(folder))


def test_without_a_search_the_images_are_not_divided(folder):
    """A finished experiment without one was said to be at its data."""
    layout = Layout(folder)
    for file in (layout.subset, layout.validation):
        file.unlink()
    assert summary(folder).stage == "data"
    config = read_saved_config(layout).config
    save_config({**config, "searches": {}, "models": {"uniform-1x": {"genome": 1.0}}}, layout)
    assert summary(folder).stage == "retraining"


def test_what_is_to_be_made_again_is_neither_done_nor_the_best_nor_an_accuracy(folder, capsys):
    """Such as after new images: the trainings, scores and accuracies of the ones before are still there."""
    layout = Layout(folder)
    weights, accuracy = layout.training("uniform-1x", 0).weights, layout.measurement("uniform-1x", 0)
    log, best = layout.training_log("uniform-1x", 0), layout.search("A").best
    for path, text in (accuracy, '{"top1": 90.0}'), (best, "{}"), (log, "retraining: 8 of 8 steps, took 1 s\n"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    before = summary(folder)
    assert (before.rows[0].trained, before.rows[0].top1_mean) == (1, 90.0)
    assert read_experiment(layout).searches[0].selected
    outdated(layout, [weights, accuracy, best, layout.generation("A", 1).population])
    after = summary(folder)
    assert (after.rows[0].trained, after.rows[0].scored, after.rows[0].top1_mean) == (0, 0, None)
    assert not after.rows[0].trainings[0].started and not read_experiment(layout).searches[0].selected
    assert after.searches[0].done == 3 < before.searches[0].done, "the second generation is proposed anew"
    assert "90.00" not in status(capsys)


@pytest.mark.parametrize("made_from", ["train", "subset", "validation", "weights"])
def test_what_the_archive_knows_of_other_images_counts_for_nothing(folder, made_from):
    """Images have changed and are not prepared yet: what stands there is not what candidates will be made with."""
    layout = Layout(folder)
    generations = [layout.generation("A", index) for index in range(2)]
    scores = [file for files in generations for file in (files.scores, *chain(*files.found_shards())) if file.exists()]
    outdated(layout, scores)
    before = summary(folder)
    assert before.searches[0].done and before.pace, "they count as long as they are of these images"
    outdated(layout, [*scores, layout.supernet.weights if made_from == "weights" else getattr(layout, made_from)])
    after = summary(folder)
    assert after.searches[0].done == 0 and after.pace is None
    assert known_facts(layout) is not None


def test_life():
    reading = Reading("x", newest=1000.0)
    assert summarise(reading, 1001.0).alive is None
    assert summarise(reading, 10000.0).alive is False
    assert summarise(replace(reading, recent=(Finished(1000, 4000),)), 10000.0).alive is None, "candidates take an hour"
    assert summarise(replace(reading, run=Run("h", 1, True)), 1e6).alive is True
    behind = summarise(reading, 400.0)
    assert behind.last_sign == 0 and behind.clock_ahead == 600
    assert summarise(Reading("x"), 0.0).stage == "data"


# --- during a run ---


@pytest.mark.slow
def test_while_it_runs(tmp_path, monkeypatch, capsys):
    """Called again and again during a whole experiment: always an answer, and no number goes down."""
    words = ["status", "tiny", "--json"]
    monkeypatch.chdir(tmp_path)
    process = start(resume("--cores", "2"), tmp_path)
    seen: list[dict] = []
    alive = 0
    try:
        while not seen or process.poll() is None:
            code = main(words)
            printed = capsys.readouterr()
            if code != 0:
                assert not seen and "there is no experiment" in printed.err, printed.err
            else:
                (look,) = json.loads(printed.out)
                seen.append(look)
                alive += look["alive"] is True
                assert look["problems"] == []
            assert len(seen) or process.poll() is None, (tmp_path / "output.txt").read_text()
            time.sleep(1)
    finally:
        kill_everything(process)
    assert alive >= 3
    for before, after in pairwise(seen):
        assert all(b <= a for b, a in zip(numbers(before), numbers(after), strict=True)), (before, after)
    (last,) = json.loads(status(capsys, *words[1:]))
    assert last["stage"] == "finished" and last["alive"] is False
    assert [search["done"] for search in last["searches"]] == [8, 8, 8]
    assert all(state["complete"] and state["done"] == state["total"] for state in last["finalists"] + last["sample"])
    assert all(row["trained"] == row["scored"] == 2 for row in last["rows"])


def numbers(look: dict) -> list[float]:
    """Everything that only grows while a workflow runs."""
    grows = [len(look["finished_stages"]), look["archived"], look["supernet"]["epoch"] or 0]
    for one in look["searches"]:
        best_so_far = one["best"]["fitness"] if one["best"] else -1
        grows += [one["generation"], one["done"], one["reused"], one["diverged"], one["failed"], best_so_far]
    for row in look["rows"]:
        grows += [row["trained"], row["scored"], *(training["epoch"] or 0 for training in row["trainings"])]
    grows += [state["done"] for state in (*look["finalists"], *look["sample"])]
    return grows
