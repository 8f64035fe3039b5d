"""The real workflow: interruptions and the way it is run change nothing."""

import os
import shutil
import signal
from collections import Counter

import pytest

from pipeline.common.hdf5 import read_attributes
from pipeline.workflow.interrupt import pass_on
from tests.support.workflow import (
    PATIENCE,
    agrees,
    catch_in_training,
    command,
    complete,
    kill_everything,
    outcome,
    overlay,
    planned,
    resume,
    run,
    saved_at_the_end,
    start,
    steps_in,
    wait_for,
)

pytestmark = pytest.mark.slow


def test_everything_is_there(finished):
    results = finished / "results" / "tiny"
    table = (results / "tables" / "results.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in table] == ["model", "uniform-1x", "found-A", "uniform-iso-A"]
    timed = (results / "tables" / "timing.csv").read_text()
    assert "\nfinalists,finalists," in timed and "\nproxy,proxy," in timed
    for name in ("results.md", "results.tex", "timing.csv", "timing.md", "proxy.csv", "proxy.md"):
        assert (results / "tables" / name).stat().st_size > 0
    for name in ("fitness", "accuracy", "channels", "curves", "proxy", "methods"):
        for form in ("png", "svg"):
            assert (results / "figures" / f"{name}.{form}").stat().st_size > 1000
    assert not list(results.rglob("*.partial")) and not list(results.rglob("*.state.h5"))
    # Searches with the same seed propose the same first generation and share its trainings.
    a, b = (results / "search" / name / "generation_000" / "population.csv" for name in "AB")
    assert a.read_bytes() == b.read_bytes()


def test_finished_means_nothing_to_do(finished):
    done = run(command("--cores", 1), finished)
    assert "Nothing to be done" in done.stdout + done.stderr


def test_measured_inference_comes_last_and_changes_nothing(copied, tmp_path):
    before = outcome(copied)
    config = overlay(tmp_path, {"inference": {"measure": True}})
    assert planned(copied, config=config) == {"measure_inference": 1, "write_report": 1}
    complete(resume("--cores", 2, config=config), copied)
    assert outcome(copied) == before
    table = (copied / "results" / "tiny" / "tables" / "inference.csv").read_text()
    assert 'found-A,"runtime, ' in table or "found-A,," in table
    results = copied / "results" / "tiny"
    rows = {folder.name for folder in (results / "retrain").iterdir()}
    assert {"found-A", "uniform-1x"} < rows
    assert {file.name for file in (results / "packed").iterdir()} == {f"{row}.bnn" for row in rows}


def test_cores_shards_and_workers_change_nothing(finished, tmp_path):
    config = overlay(tmp_path, {"search": {"generations": 2, "population": 4, "shards": 2, "workers": 2}})
    proposed, weights = "search/A/generation_001/population.csv", "retrain/uniform-1x/seed_0/weights.h5"
    complete(resume("--cores", 1, f"results/tiny/{proposed}", f"results/tiny/{weights}", config=config), tmp_path)
    names = ("search/A/generation_000/scores.csv", proposed, "retrain/uniform-1x/seed_0/history.csv")
    assert agrees(tmp_path, outcome(finished), *names)
    shards = tmp_path.glob("results/tiny/search/A/generation_000/evaluations_?-of-2.csv")
    assert all(len(shard.read_text().splitlines()) == 1 + 2 for shard in shards)


def test_ctrl_c_and_again(finished, tmp_path):
    found = "search/A/best.json"
    process = start(command("--cores", "2", f"results/tiny/{found}"), tmp_path)
    wait_for("results/tiny/archive/*/*.json", tmp_path, process)
    kill_everything(process, signal.SIGINT)
    assert process.returncode != 0
    complete(resume("--cores", "2", f"results/tiny/{found}"), tmp_path)
    assert agrees(tmp_path, outcome(finished), found)


def test_ctrl_c_is_no_failure(tmp_path):
    process = start(resume("--cores", "2", "results/tiny/search/A/best.json"), tmp_path)
    wait_for("results/tiny/archive/*/*.json", tmp_path, process)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(PATIENCE) == 128 + signal.SIGINT
    said = (tmp_path / "output.txt").read_text()
    assert said.count("Interrupted. The same command goes on from here.") == 1
    assert "failed" not in said and "Traceback" not in said


def test_a_signal_to_run_ends_it_as_ctrl_c_does(tmp_path):
    """Though it reaches nothing but ``run``."""
    weights = "results/tiny/retrain/uniform-1x/seed_0/weights.h5"
    config = overlay(tmp_path, {"retrain": {"epochs": 240, "seeds": 1}, "execution": {"save_minutes": 0.005}})
    here, undisturbed = tmp_path / "here", tmp_path / "undisturbed"
    words = resume("--cores", "1", weights, config=config)
    log = here / "results/tiny/logs/retrain/uniform-1x_0.log"
    state = (here / weights).with_name("weights.state.h5")
    here.mkdir()
    # In the second round as a shell runs what it puts in the background: deaf to Ctrl-C.
    background = ["bash", "-c", "trap '' INT; exec \"$@\"", "-"]
    for number, shell in (signal.SIGINT, []), (signal.SIGTERM, background), (signal.SIGINT, background):
        log.unlink(missing_ok=True)
        process = start([*shell, *words], here)
        catch_in_training(process, state)
        process.send_signal(number)
        assert process.wait(PATIENCE) == 128 + number
        assert not steps_in(here)
        assert saved_at_the_end(state, log, epochs=240) and not (here / weights).exists()
        assert not list(here.glob(".snakemake/locks/*"))
        said = (here / "output.txt").read_text()
        assert "Interrupted. The same command goes on from here." in said and "Traceback" not in said
    complete(words, here)
    assert "going on from epoch" in log.read_text()
    undisturbed.mkdir()
    complete(command("--cores", 1, weights, config=config), undisturbed)
    assert read_attributes(here / weights)["digest"] == read_attributes(undisturbed / weights)["digest"]


def test_a_signal_to_a_run_that_is_over_means_nothing():
    read, write = os.pipe()
    os.close(read)
    os.close(write)
    pass_on(os.getpid(), read)


def test_a_copy_of_one_folder_goes_on_elsewhere(finished, tmp_path):
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    found = "finalists/found-A/found.json"
    words = resume("--cores", "2", f"results/tiny/{found}")
    process = start(words, here)
    wait_for("results/tiny/search/A/generation_001/population.csv", here, process)
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE)
    shutil.copytree(here / "results" / "tiny", elsewhere / "results" / "tiny")  # as rsync -a, with the times of files
    there = planned(elsewhere)
    assert "pretrain_supernet" not in there and "retrain" in there
    # Here, a step that was interrupted may have been done just then.
    assert Counter(there) <= Counter(planned(here))
    trained = {path.name: path.read_bytes() for path in elsewhere.glob("results/tiny/archive/*/*.timing")}
    complete(words, elsewhere)
    assert agrees(elsewhere, outcome(finished), found)
    now = {path.name: path.read_bytes() for path in elsewhere.glob("results/tiny/archive/*/*.timing")}
    assert trained and {name: now[name] for name in trained} == trained


def test_a_damaged_artifact_is_named_in_the_output(copied):
    (copied / "results/tiny/search/A/generation_001/scores.csv").unlink()
    (copied / "results/tiny/search/A/best.json").unlink()
    (copied / "results/tiny/search/A/generation_001/population.csv").write_text("slot,genome\n0,nonsense\n")
    done = run(command("--cores", 2), copied)
    assert done.returncode == 1
    assert "population.csv has no column" in done.stdout + done.stderr


def test_what_snakemake_offers_works(finished, tmp_path):
    graph = run(command("--rulegraph", "--forceall"), finished).stdout
    assert graph.startswith("digraph") and "evaluate_generation" in graph
    assert "results/tiny/supernet/supernet.h5" in run(command("--summary"), finished).stdout
    complete(command("--report", tmp_path / "report.html"), finished)
    report = (tmp_path / "report.html").read_text()
    assert len(report) > 100_000
    assert "results.md" in report and "fitness" in report


def test_resume_prints_the_table_and_makes_the_report(copied):
    done = run(resume("--cores", "2"), copied)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "found-A" in done.stdout and "uniform-1x" in done.stdout
    assert "Report: results/tiny/report.html" in done.stdout
    page = (copied / "results/tiny/report.html").read_text()
    assert "found-A" in page and "Worth it?" in page and page.rstrip().endswith("</html>")
