"""An experiment in mid-search, made by the real steps."""

import shutil
from pathlib import Path

import pytest
import yaml

from pipeline.workflow.config import read_config
from pipeline.workflow.layout import Layout
from pipeline.workflow.saved_config import save_config
from tests.support.steps import call, evaluate, retrain, supernet
from tests.support.workflow import ROOT

CHANGES = {
    "experiment": "exp",
    "split": {"subset_per_class": 5, "validation_per_class": 5},
    "network": {"base_width": 0.0625},
    "supernet": {"epochs": 1, "batch_size": 25, "augmentation": "none", "schedule": "cosine", "weight_decay": 0.0},
    "candidate": {"epochs": 1, "batch_size": 25, "learning_rate": 0.1, "augmentation": "none", "weight_decay": 0.0},
    "search": {"generations": 2, "population": 3, "finalists": 0},
    "proxy": {"sample": 0},
    "retrain": {"seeds": 2, "epochs": 1, "batch_size": 25, "augmentation": "none", "weight_decay": 0.0},
    "searches": {"A": {"seeds": 1}, "B": None, "random": None},
    "models": dict.fromkeys(["full-precision", "random-A", "found-B", "random-B"]),
    "controls": [],
    "execution": {"device": "cpu"},
}


def configuration(folder: Path) -> dict:
    (folder / "overlay.yaml").write_text(yaml.safe_dump(CHANGES))
    return read_config([ROOT / "config.yaml", folder / "overlay.yaml"])


@pytest.fixture(scope="session")
def made(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment in mid-search, made by the real steps: one generation scored, the next one's first candidate done.

    The supernet and one training of a row are done; another one was stopped.
    """
    work = tmp_path_factory.mktemp("status")
    folder = work / "results" / "exp"
    shutil.copytree(prepared, work, dirs_exist_ok=True)
    (folder / "data").mkdir(parents=True)
    (folder / "splits").mkdir()
    for name in ("train.h5", "test.h5"):
        shutil.copy(work / name, folder / "data" / name)
    for name in ("subset.csv", "validation.csv"):
        shutil.copy(work / name, folder / "splits" / name)
    save_config(configuration(work), Layout(folder))
    (folder / "supernet").mkdir()
    assert supernet(work) == 0
    for source, target in (("supernet.h5", "supernet.h5"), ("t.json", "timing.json"), ("h.csv", "history.csv")):
        shutil.copy(work / source, folder / "supernet" / target)
    first, second = (folder / "search" / "A" / f"generation_{number:03d}" for number in range(2))
    propose(work, first, 0)
    shutil.copy(first / "population.csv", work / "p.csv")
    evaluations = ["--output", first / "evaluations_0-of-1.csv", "--timing", first / "timing_0-of-1.csv"]
    archive = ["--archive", folder / "archive"]
    assert evaluate(work, *evaluations, *archive) == 0
    score = ["--population", first / "population.csv", "--evaluations", first / "evaluations_0-of-1.csv"]
    score += ["--timings", first / "timing_0-of-1.csv", "--output", first / "scores.csv", "--timing"]
    assert call("score-generation", *score, first / "timing.csv", at=work) == 0
    propose(work, second, 1, first / "scores.csv")
    header, candidate, *_ = (second / "population.csv").read_text().splitlines()
    (work / "p.csv").write_text(f"{header}\n{candidate}\n")
    assert evaluate(work, *archive) == 0
    row = folder / "retrain" / "uniform-1x" / "seed_0"
    row.mkdir(parents=True)
    outputs = ["--weights", row / "weights.h5", "--history", row / "history.csv", "--timing", row / "timing.json"]
    assert retrain(work, "--genome", "1,1,1,1,1,1", *outputs) == 0
    return work


def propose(work: Path, folder: Path, number: int, *earlier: Path) -> None:
    words = ["--generation", number, "--population", 3, "--output", folder / "population.csv"]
    assert call("propose-generation", *words, *(["--earlier", *earlier] if earlier else []), at=work) == 0


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch) -> Path:
    """A copy of that experiment, the working directory beside results/."""
    shutil.copytree(made / "results", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results" / "exp"
