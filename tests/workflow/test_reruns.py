"""What runs again after a change: what depends on it, and nothing else."""

import json
import re
import shutil

import pytest

from pipeline.workflow.config import read_config
from pipeline.workflow.layout import Layout
from pipeline.workflow.made_with import about_config, outdated_files
from pipeline.workflow.saved_config import save_config
from tests.support.workflow import (
    ROOT,
    TINY,
    command,
    complete,
    outcome,
    overlay,
    planned,
    resume,
    run,
)

pytestmark = pytest.mark.slow


#: What shows results: no table is made anew that the report does not follow.
SHOWN = {"tables", "figures", "write_report"}
RERUNS = [
    ({"retrain": {"epochs": 3, "seeds": 2}}, {"retrain", "evaluate", *SHOWN, "train_sample"}),
    ({"retrain": {"epochs": 2, "seeds": 3}}, {"retrain", "evaluate", *SHOWN}),
    ({"published": "table1"}, SHOWN),
    ({"execution": {"save_minutes": 9}, "search": {"workers": 3}}, set()),
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
    complete(resume("--cores", 2, "results/tiny/search/A/best.json", config=config), copied)
    after = {path.name: path.read_bytes() for path in copied.glob("results/tiny/archive/*/*.timing")}
    assert {name: after[name] for name in before} == before


def test_a_search_that_finds_the_same_again_has_no_network_trained_again(copied):
    def trained() -> dict[str, bytes]:
        files = sorted(copied.glob("results/tiny/retrain/*/*/timing.json"))
        return {str(path): path.read_bytes() for path in files}

    before = trained()
    # found-A and its control, whose width the found network's cost decides; two seeds of each.
    rows = [
        f"results/tiny/retrain/{row}/seed_{seed}/weights.h5" for row in ("found-A", "uniform-iso-A") for seed in (0, 1)
    ]
    assert planned(copied, *rows, "--forcerun", "select_best")["retrain"] == 4
    complete(resume("--cores", 2, *rows, "--forcerun", "select_best"), copied)
    assert len(before) == 6 and trained() == before
    assert planned(copied, *rows) == {}


def test_more_generations_extend_a_search(copied, tmp_path):
    config = overlay(tmp_path, {"search": {"generations": 3, "population": 4}})
    jobs = planned(copied, config=config)
    assert jobs["evaluate_generation"] + jobs["evaluate_free_generation"] == jobs["propose_generation"] == 3
    before = outcome(copied)
    complete(resume("--cores", 2, "results/tiny/search/A/best.json", config=config), copied)
    after = outcome(copied)
    old = [name for name in before if "generation_00" in name]
    assert {name: after[name] for name in old} == {name: before[name] for name in old}
    assert "search/A/generation_002/scores.csv" in after


def test_fewer_generations_select_again(copied, tmp_path):
    jobs = planned(copied, config=overlay(tmp_path, {"search": {"generations": 1, "population": 4}}))
    assert "evaluate_generation" not in jobs and "propose_generation" not in jobs
    assert jobs["select_best"] == 3


def test_what_reruns_of_results_that_are_taken_elsewhere(copied, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(copied / "results", elsewhere / "results")
    assert planned(elsewhere) == {}
    change, rules = RERUNS[1]
    assert set(planned(elsewhere, config=overlay(tmp_path, change))) == rules


def test_settings_that_are_taken_back_before_anything_was_made(copied, tmp_path):
    """The saved configuration is that of the files, and none of them is called outdated."""
    layout = Layout(copied / "results" / "tiny")
    config = layout.config.read_text()
    save_config(read_config([ROOT / "config.yaml", TINY], {"candidate": {"epochs": 7}}), layout)
    with layout.made_with.open("a") as lines:
        lines.write(f"\n{json.dumps({'outdated': ['search/A/best.json']})}")
    assert layout.config.read_text() != config and outdated_files(layout) == [layout.search("A").best]
    complete(command("-n", "--cores", 2), copied)  # which writes nothing
    assert layout.config.read_text() != config and outdated_files(layout)
    complete(command("--cores", 2, layout.train.relative_to(copied)), copied)  # of a part, which says nothing of others
    assert layout.config.read_text() != config and outdated_files(layout)
    complete(command("--cores", 2), copied)
    assert layout.config.read_text() == config and not outdated_files(layout)
    # What is saved is noted with the files.
    assert '"config"' in layout.made_with.read_text() and about_config(layout) == ""
    save_config(read_config([ROOT / "config.yaml", TINY], {"candidate": {"epochs": 7}}), layout)
    assert about_config(layout) != ""


def test_a_training_is_there_again_after_other_settings_were_interrupted_and_taken_back(copied):
    """Snakemake deletes what a job is going to write, and calls files made of what is deleted up to date."""
    training = Layout(copied / "results" / "tiny").training("uniform-1x", 0)
    before = outcome(copied)
    files = [training.weights, training.history, training.timing]
    kept = [path.read_bytes() for path in files]
    for path in files:
        path.unlink()
    assert set(planned(copied)) == {"retrain", "evaluate", *SHOWN}
    complete(command("--cores", 2), copied)  # the training itself is known
    assert [path.read_bytes() for path in files] == kept and outcome(copied) == before
    (copied / "results/tiny/evaluation/uniform-1x/seed_1.json").unlink()
    (copied / "results/tiny/search/B/history.csv").unlink()
    assert set(planned(copied)) == {"evaluate", "select_best", *SHOWN}
    complete(command("--cores", 2), copied)
    assert outcome(copied) == before
    training.weights.unlink()  # by somebody who wants the space, and has what was measured
    assert planned(copied) == {}


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


def test_what_an_earlier_version_answered_in_bfloat16_is_answered_again_and_not_trained(tmp_path):
    """Its record lacks the precision of the answers, which was the training's then."""
    rows = dict.fromkeys(("full-precision", "found-A", "found-B", "random-A", "random-B", "uniform-2x"))
    small = {"searches": dict.fromkeys(("A", "B", "random")), "models": rows, "controls": []}
    config = overlay(tmp_path, small | {"execution": {"precision": "bfloat16"}, "retrain": {"seeds": 1}})
    folder = tmp_path / "work"
    folder.mkdir()
    scores = "results/tiny/evaluation/uniform-1x/seed_0.json"
    complete(resume("--cores", 2, scores, config=config), folder)
    assert not {"retrain", "evaluate"} & set(planned(folder, scores, config=config))
    shutil.rmtree(folder / ".snakemake")
    records = folder / "results" / "tiny" / "made_with.jsonl"
    *earlier, last = map(json.loads, records.read_text().splitlines())
    assert last["record"]["rule"] == "evaluate" and last["record"]["params"].count("'float32'") == 1
    last["record"]["params"].remove("'float32'")
    records.write_text("".join(json.dumps(line) + "\n" for line in (*earlier, last)))
    jobs = planned(folder, scores, config=config)
    assert "evaluate" in jobs and "retrain" not in jobs
