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
    assert "upper estimate" in text
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


def test_a_gpu_that_is_not_here(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    images = ["--train-images", "50000", "--test-images", "10000", "--classes", "10"]

    def hours(*more):
        words = [
            "--configfile",
            str(ROOT / "configs" / "cifar10.yaml"),
            "--set",
            "search.generations=2",
            "--cores",
            "4",
        ]
        assert main(["plan", *words, *images, "--gpu", *more]) == 0
        text = capsys.readouterr().out
        name = "2 × NVIDIA H200" if "2" in more else "1 × NVIDIA H200"
        assert f"with {name}, measured elsewhere, 4 cores, bfloat16" in text
        return float(re.search(r"^hours +([\d.]+)", text, re.MULTILINE)[1])

    one = hours("h200")
    # Three dozen trainings for 200 epochs of 50,000 images, and 576 candidates for ten: 600 million images, at
    # some 20,000 to 60,000 a second, of which wider networks take more.
    assert 3 < one < 20
    assert 0.4 * one < hours("H200", "--gpus", "2") < 0.75 * one


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gpu", "abacus"], "no GPU 'abacus' was measured: name one of these: H200"),
        (["--gpu", "h200", "--gpus", "0"], "--gpus is 0: it must be at least 1"),
    ],
)
def test_gpus_that_make_no_sense(words, message, capsys):
    assert main(["plan", *words]) == 1
    assert message in capsys.readouterr().err
