"""The step ``plan``: a real timing of this machine, at the size of the tiny experiment."""

import re

import pytest

from pipeline.__main__ import main
from pipeline.steps.plan import advice
from pipeline.workflow.forecast.jobs import Forecast, Stage
from tests.support.workflow import ROOT, TINY


def test_plan_of_the_tiny_experiment(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "--configfile", str(TINY), "--cores", "1"]) == 0
    text = capsys.readouterr().out
    for stage in ("prepare", "supernet", "search A", "retrain", "evaluate", "tables"):
        assert re.search(rf"^{stage} +\d+ +[\d.e-]+ ", text, re.MULTILINE), text
    hours = float(re.search(r"^hours +([\d.]+)", text, re.MULTILINE)[1])
    # Some two dozen starts of processes, none of them shorter than a blink or longer than a minute.
    assert 20 * 0.05 / 3600 < hours < 60 * 60 / 3600
    assert re.search(r"^memory +up to [\d.]+ (MB|GB) a process, 1 side by side", text, re.MULTILINE)
    assert "upper estimate" in " ".join(text.split()) and max(map(len, text.splitlines())) <= 80
    assert list(tmp_path.iterdir()) == []


def test_images_that_are_not_here_are_counted_by_the_user(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = [str(ROOT / "configs" / "imagenet.yaml"), "--cores", "1"]
    assert main(["plan", *config]) == 1
    assert "there is no folder" in capsys.readouterr().err
    assert main(["plan", *config, "--train-images", "1000"]) == 1
    assert "--classes" in capsys.readouterr().err


@pytest.mark.parametrize("cores", ["0", "-1"])
def test_a_number_of_cores_that_makes_no_sense(cores, capsys):
    assert main(["plan", "--cores", cores]) == 1
    assert "it must be at least 1" in capsys.readouterr().err


def test_weeks_come_with_what_to_do_about_them():
    stages = [Stage("search A", 50, 9e6, 0, 9e5), Stage("retrain", 9, 1e6, 9e5, 1e6)]
    text = " ".join(advice(Forecast(stages, 5e6, 1, 1, 1), 2, "cpu").split())
    assert text.startswith("58 days are long for 2 cores: 'search A' is 90% of the work. Lower search.generations, ")
    assert "take a machine with a GPU, or several machines (docs/cluster.md; --gpu h200 plans for one)" in text
    text = advice(Forecast(stages[1:], 5e6, 1, 1, 1), 1, "cuda")
    assert "1 core:" in text and "retrain.seeds" in text and "more GPUs" in text


@pytest.mark.parametrize("together", [1, 4])
def test_gpus_that_are_not_here(tmp_path, monkeypatch, capsys, together):
    """Candidates that take turns on one are planned as if they gained nothing by it."""
    monkeypatch.chdir(tmp_path)
    config = ["--configfile", str(ROOT / "configs" / "cifar10.yaml"), "--set", "search.generations=2"]
    config += ["--set", f"search.candidates_per_gpu={together}"]
    images = ["--train-images", "50000", "--test-images", "10000", "--classes", "10"]
    assert main(["plan", *config, *images, "--cores", "4", "--gpu", "H200", "--gpus", "2"]) == 0
    text = capsys.readouterr().out
    assert "with 2 × NVIDIA H200, measured elsewhere, 4 cores, bfloat16" in " ".join(text.split())
    hours = float(re.search(r"^hours +([\d.]+)", text, re.MULTILINE)[1])
    work = float(re.search(r"^in all +\d+ +([\d.]+)", text, re.MULTILINE)[1])
    # Some four dozen trainings for 200 epochs of 50,000 images, and 576 candidates for ten: 700 million images, at
    # 9,000 (the widest) to 64,000 a second. Two GPUs share them.
    assert 700e6 / 64_000 / 3600 < work < 700e6 / 9_000 / 3600
    assert 0.495 * work <= hours < 0.8 * work  # both are rounded


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gpu", "abacus"], "no GPU 'abacus' was measured: name one of these: H200"),
        (["--gpu", "h200", "--gpus", "0"], "--gpus is 0: it must be at least 1"),
        (["--gpus", "4"], "--gpus is 4, but of no GPU: say which with --gpu, such as --gpu h200"),
        (["--test-images", "9"], "--test-images and --classes are of a data set that is not here: give --train-images"),
        (["--classes", "9"], "--test-images and --classes are of a data set that is not here: give --train-images"),
    ],
)
def test_gpus_that_make_no_sense(words, message, capsys):
    assert main(["plan", *words]) == 1
    assert message in capsys.readouterr().err
