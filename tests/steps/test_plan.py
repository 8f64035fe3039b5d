"""The step ``plan``: a real timing of this machine, at the size of the tiny experiment."""

import re

import pytest

from pipeline.__main__ import main
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
