"""The real workflow: what it plans, that interruptions and the way it is run change nothing, what reruns when."""

import os
import re
import shutil
import signal
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from pipeline.common.hdf5 import read_attributes
from pipeline.workflow.lock import RECORDS
from tests.support.workflow import (
    PATIENCE,
    ROOT,
    command,
    complete,
    kill_everything,
    outcome,
    overlay,
    planned,
    resume,
    run,
    start,
    steps_in,
    under_way,
    wait_for,
    wait_until,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny experiment, run once and left alone."""
    folder = tmp_path_factory.mktemp("finished")
    complete(command("--cores", 2), folder)
    return folder


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished experiment, times of files included."""
    shutil.copytree(finished, tmp_path / "copy")
    return tmp_path / "copy"


def test_everything_is_there(finished):
    results = finished / "results" / "tiny"
    table = (results / "tables" / "results.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in table] == ["model", "uniform-1x", "found-A", "uniform-iso-A"]
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
    assert planned(finished, "--cores", 1) == {}
    done = run(command("--cores", 2), finished)
    assert "Nothing to be done" in done.stdout + done.stderr


def test_measured_inference_comes_last_and_changes_nothing(copied, tmp_path):
    before = outcome(copied)
    config = overlay(tmp_path, {"inference": {"measure": True}})
    assert planned(copied, config=config) == {"measure_inference": 1}
    complete(command("--cores", 2, config=config), copied)
    assert outcome(copied) == before
    table = (copied / "results" / "tiny" / "tables" / "inference.csv").read_text()
    assert 'found-A,"runtime, ' in table or "found-A,," in table
    results = copied / "results" / "tiny"
    rows = {folder.name for folder in (results / "retrain").iterdir()}
    assert {"found-A", "uniform-1x"} < rows
    assert {file.name for file in (results / "packed").iterdir()} == {f"{row}.bnn" for row in rows}


def test_cores_shards_and_workers_change_nothing(finished, tmp_path):
    config = overlay(tmp_path, {"search": {"generations": 2, "population": 4, "shards": 2, "workers": 2}})
    complete(command("--cores", 1, config=config), tmp_path)
    assert outcome(tmp_path) == outcome(finished)


def test_ctrl_c_and_again(finished, tmp_path):
    process = start(command("--cores", "2"), tmp_path)
    wait_for("results/tiny/archive/*/*.json", tmp_path, process)
    kill_everything(process, signal.SIGINT)
    assert process.returncode != 0
    complete(command("--cores", "2"), tmp_path)
    assert outcome(tmp_path) == outcome(finished)


def test_ctrl_c_is_no_failure(tmp_path):
    process = start(resume("--cores", "2"), tmp_path)
    wait_for("results/tiny/archive/*/*.json", tmp_path, process)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(PATIENCE) == 128 + signal.SIGINT
    said = (tmp_path / "output.txt").read_text()
    assert said.count("Interrupted. The same command goes on from here.") == 1
    assert "failed" not in said and "Traceback" not in said


def test_slurm_where_there_is_none(tmp_path, monkeypatch):
    """Told before anything is noted down that would stand in the way of the next run."""
    for program in ("which", "bash", "sh"):  # that Snakemake wants
        (tmp_path / program).symlink_to(shutil.which(program))
    monkeypatch.setenv("PATH", str(tmp_path))
    looking = run(resume("--workflow-profile", str(ROOT / "profiles" / "slurm"), "-n", "--quiet", "all"), tmp_path)
    assert looking.returncode == 0, looking.stderr
    for words in (["--workflow-profile", str(ROOT / "profiles" / "slurm")], ["--executor=slurm", "--jobs", "2"]):
        done = run(resume(*words), tmp_path)
        assert done.returncode == 1
        assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1
        assert "SLURM" in done.stderr
    assert not (tmp_path / RECORDS).exists()


def test_a_signal_to_run_ends_it_as_ctrl_c_does(tmp_path):
    """Though it reaches nothing but ``run``."""
    weights = "results/tiny/retrain/uniform-1x/seed_0/weights.h5"
    config = overlay(tmp_path, {"retrain": {"epochs": 300, "seeds": 1}, "execution": {"save_minutes": 5}})
    here, undisturbed = tmp_path / "here", tmp_path / "undisturbed"
    words = resume("--cores", "1", weights, config=config)
    log = here / "results/tiny/logs/retrain/uniform-1x_0.log"
    here.mkdir()
    # In the second round as a shell runs what it puts in the background: deaf to Ctrl-C.
    background = ["bash", "-c", "trap '' INT; exec \"$@\"", "-"]
    for number, shell in (signal.SIGINT, []), (signal.SIGTERM, background), (signal.SIGINT, background):
        log.unlink(missing_ok=True)
        process = start([*shell, *words], here)
        wait_until(partial(under_way, process, log))
        process.send_signal(number)
        assert process.wait(PATIENCE) == 128 + number
        assert not steps_in(here)
        assert (here / weights).with_name("weights.state.h5").exists() and not (here / weights).exists()
        assert not list(here.glob(".snakemake/locks/*"))
        said = (here / "output.txt").read_text()
        assert "Interrupted. The same command goes on from here." in said and "Traceback" not in said
    complete(words, here)
    assert "going on from epoch" in log.read_text()
    undisturbed.mkdir()
    complete(command("--cores", 1, weights, config=config), undisturbed)
    assert read_attributes(here / weights)["digest"] == read_attributes(undisturbed / weights)["digest"]


def test_a_copy_of_one_folder_goes_on_elsewhere(finished, tmp_path):
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    process = start(resume("--cores", "2"), here)
    wait_for("results/tiny/search/*/generation_001/scores.csv", here, process)
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE)
    shutil.copytree(here / "results" / "tiny", elsewhere / "results" / "tiny")  # as rsync -a, with the times of files
    assert "pretrain_supernet" not in planned(elsewhere) and "retrain" in planned(elsewhere)
    # Here, a step that was interrupted may have been done just then.
    assert Counter(planned(elsewhere)) <= Counter(planned(here))
    trained = {path.name: path.read_bytes() for path in elsewhere.glob("results/tiny/archive/*/*.timing")}
    complete(resume("--cores", "2"), elsewhere)
    assert outcome(elsewhere) == outcome(finished)
    now = {path.name: path.read_bytes() for path in elsewhere.glob("results/tiny/archive/*/*.timing")}
    assert {name: now[name] for name in trained} == trained


#: What shows results: no table is made anew that the report does not follow.
SHOWN = {"tables", "figures", "write_report"}
RERUNS = [
    ({"experiment": "tiny"}, set()),
    ({"retrain": {"epochs": 3, "seeds": 2}}, {"retrain", "evaluate", *SHOWN, "train_sample"}),
    ({"retrain": {"epochs": 2, "seeds": 3}}, {"retrain", "evaluate", *SHOWN}),
    ({"published": "table1"}, SHOWN),
    ({"execution": {"device": "cpu", "precision": "float32", "save_minutes": 9}}, set()),
    ({"search": {"generations": 2, "population": 4, "workers": 1}}, set()),
    ({"models": {"uniform-2x": {"genome": 2}}}, {"retrain", "evaluate", *SHOWN}),
]


@pytest.mark.parametrize(("change", "rules"), RERUNS, ids=[str(change) for change, _ in RERUNS])
def test_what_reruns(copied, tmp_path, change, rules):
    assert set(planned(copied, config=overlay(tmp_path, change))) == rules


def test_a_new_lambda_reruns_its_own_search_and_trains_no_known_candidate(copied, tmp_path):
    config = overlay(tmp_path, {"searches": {"A": {"algorithm": "evolution", "lambda": 3, "seeds": 1}}})
    jobs = planned(copied, config=config)
    assert "prepare_dataset" not in jobs and "pretrain_supernet" not in jobs
    # The first generation does not depend on λ: it is proposed anew and found in the archive.
    assert jobs["score_generation"] == 2 and jobs["select_best"] == 1
    before = {path.name: path.read_bytes() for path in copied.glob("results/tiny/archive/*/*.timing")}
    complete(command("--cores", 2, config=config), copied)
    after = {path.name: path.read_bytes() for path in copied.glob("results/tiny/archive/*/*.timing")}
    assert {name: after[name] for name in before} == before


def test_a_search_that_finds_the_same_again_has_no_network_trained_again(copied):
    def trained() -> dict[str, bytes]:
        files = sorted(copied.glob("results/tiny/retrain/*/*/timing.json"))
        return {str(path): path.read_bytes() for path in files}

    before = trained()
    again = command("--cores", 2, "--forcerun", "select_best")
    # found-A and its control, whose width the found network's cost decides; two seeds of each.
    assert planned(copied, "--forcerun", "select_best")["retrain"] == 4
    complete(again, copied)
    assert len(before) == 6 and trained() == before
    assert planned(copied) == {}


def test_more_generations_extend_a_search(copied, tmp_path):
    config = overlay(tmp_path, {"search": {"generations": 3, "population": 4}})
    jobs = planned(copied, config=config)
    assert jobs["evaluate_generation"] + jobs["evaluate_free_generation"] == jobs["propose_generation"] == 3
    before = outcome(copied)
    complete(command("--cores", 2, config=config), copied)
    after = outcome(copied)
    old = [name for name in before if "generation_00" in name]
    assert {name: after[name] for name in old} == {name: before[name] for name in old}
    assert "search/A/generation_002/scores.csv" in after


def test_fewer_generations_select_again(copied, tmp_path):
    jobs = planned(copied, config=overlay(tmp_path, {"search": {"generations": 1, "population": 4}}))
    assert "evaluate_generation" not in jobs and "propose_generation" not in jobs
    assert jobs["select_best"] == 3


def test_a_comment_in_the_code_reruns_nothing(finished, tmp_path):
    """The whole checkout is copied, since the code that is changed must be the code that runs."""
    checkout = tmp_path / "checkout"
    for name in ("Snakefile", "config.yaml", "rules", "pipeline", "schemas", "envs", "profiles", "tests"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        checkout.mkdir(exist_ok=True)
        copy(ROOT / name, checkout / name)
    shutil.copytree(finished / "results", checkout / "results")
    shutil.copytree(finished / ".snakemake", checkout / ".snakemake")
    for path in [*checkout.glob("pipeline/**/*.py"), *checkout.glob("rules/*.smk")]:
        path.write_text(path.read_text() + "\n# a comment\n")
    python, *others = command("-n", "--cores", 2)  # Python itself may lie below this checkout, and stays
    words = [python, *(word.replace(str(ROOT), str(checkout)) for word in others)]
    done = run(words, checkout)
    assert "Nothing to be done" in done.stdout + done.stderr, done.stdout + done.stderr
    # A change of the method that nobody announced would be wrong to keep: its version is a parameter.
    version = checkout / "pipeline" / "__init__.py"
    known = version.read_text()
    version.write_text(known.replace("METHOD_VERSION = ", "METHOD_VERSION = 9"))
    done = run(words, checkout)
    assert re.search(r"^pretrain_supernet +1$", done.stdout + done.stderr, re.MULTILINE)
    version.write_text(known)
    # Other layers of the network need no announcement.
    network = checkout / "pipeline" / "networks" / "architectures" / "vgg_small.py"
    network.write_text(network.read_text().replace("kernel=2, stride=2", "kernel=3, stride=2, padding=1"))
    done = run(words, checkout)
    assert re.search(r"^pretrain_supernet +1$", done.stdout + done.stderr, re.MULTILINE)


def test_only_evaluate_sees_the_test_set(tmp_path):
    """The graph itself, job by job: who reads test images, and whose command names them."""
    done = run(command("-n", "-p", "--forceall", "--cores", 2), tmp_path)
    assert done.returncode == 0
    jobs = re.split(r"^(?:local)?rule ", done.stdout + done.stderr, flags=re.MULTILINE)[1:]
    names = {job.split(":")[0] for job in jobs}
    assert len(names) >= 11
    readers = {job.split(":")[0] for job in jobs if re.search(r"^ +input: .*test\.h5", job, re.MULTILINE)}
    assert readers == {"evaluate"}
    mentions = {job.split(":")[0] for job in jobs if "test.h5" in job}
    assert mentions == {"evaluate", "prepare_dataset"}


def test_the_plan_of_the_papers_search(tmp_path):
    """50 generations of 32 are listed as a whole, before any work."""
    config = overlay(
        tmp_path, {"search": {"generations": 50, "population": 32}, "searches": {"B": None, "random": None}}
    )
    jobs = planned(tmp_path, config=config)
    assert jobs["propose_generation"] == jobs["evaluate_generation"] == jobs["score_generation"] == 50
    # Far more than the paper's: Snakemake's recursion must not be the limit.
    longer = {"search": {"generations": 300}, "searches": {"B": None, "random": None}}
    assert planned(tmp_path, config=overlay(tmp_path, longer))["evaluate_generation"] == 300


def test_no_supernet_is_trained_that_nobody_inherits_from(tmp_path):
    """Without a search there is none, unless random genomes are scored as candidates to judge the proxy."""
    alone = {"searches": {"A": None, "B": None, "random": None}, "models": {"found-A": None}}
    judging = {"pretrain_supernet", "sample_subset", "sample_genomes", "score_sample", "hold_out", "train_sample"}
    for sample, rules in (0, set()), (5, judging):
        proxy = {"sample": sample, "scores": 1, "trainings": 1}
        jobs = set(planned(tmp_path, config=overlay(tmp_path, {**alone, "proxy": proxy})))
        assert jobs - judging == {"prepare_dataset", "retrain", "evaluate", "tables", "figures", "write_report"}
        assert jobs & judging == rules
    jobs = planned(tmp_path, config=overlay(tmp_path, {"proxy": {"sample": 0}}))
    assert "score_sample" not in jobs and jobs["pretrain_supernet"] == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"retrain": {"epochs": 0, "seeds": 1}}, "retrain.epochs is 0: it must be at least 1"),
        ({"searches": {"A": {"algorithm": "evolution", "lambda": -1}}}, "searches.A.lambda is -1"),
        ({"dataset": {"name": "mnist"}}, "dataset.name is 'mnist': choose one of"),
        ({"network": {"base_width": 0.001}}, "models.uniform-1x: conv1 of VGG-small would have no channels"),
        ({"colour": 1}, "unknown key 'colour' in the configuration"),
    ],
)
def test_mistakes_are_found_by_the_dry_run(tmp_path, change, sentence):
    done = run(command("-n", config=overlay(tmp_path, change)), tmp_path)
    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert f"configuration: {sentence}" in output
    assert "Traceback" not in output
    assert not (tmp_path / "results").exists()


def test_a_damaged_artifact_is_named_in_the_output(copied):
    (copied / "results/tiny/search/A/generation_001/scores.csv").unlink()
    (copied / "results/tiny/search/A/best.json").unlink()
    (copied / "results/tiny/search/A/generation_001/population.csv").write_text("slot,genome\n0,nonsense\n")
    done = run(command("--cores", 2), copied)
    assert done.returncode == 1
    assert "population.csv has no column" in done.stdout + done.stderr


def test_what_snakemake_offers_works(finished, tmp_path):
    assert run(command("--lint"), ROOT).returncode == 0
    assert run(command("--dag"), finished).stdout.startswith("digraph")
    assert "evaluate_generation" in run(command("--rulegraph", "--forceall"), finished).stdout
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
    assert "Found: found-A" in page and page.rstrip().endswith("</html>")


def test_run_takes_snakemakes_config_flag(tmp_path):
    done = run(resume("--config", "retrain={epoch: 3}"), tmp_path)
    assert done.returncode == 1
    assert done.stderr == "error: unknown key 'epoch' in retrain: did you mean 'epochs'?\n"
    done = run(resume("--cores", "1", "results/elsewhere/data/train.h5", "--config", "experiment=elsewhere"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "elsewhere: 1 of 1 steps" in done.stderr
    assert (tmp_path / "results" / "elsewhere" / "data" / "train.h5").exists()
