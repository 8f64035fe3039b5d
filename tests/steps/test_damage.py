"""Damage that keeps a file's form: every step that reads it notices it by its digest, and says which file it is."""

import csv
import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.support.steps import CPU, call, evaluate, retrain, supernet
from tests.support.tables import forget_seals


@pytest.fixture(scope="module")
def finished(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one file of each kind, from images to a test score."""
    at = tmp_path_factory.mktemp("finished")
    shutil.copytree(prepared, at, dirs_exist_ok=True)
    assert call("propose-generation", "--generation", 0, "--population", 3, "--output", at / "p.csv", at=at) == 0
    assert supernet(at) == 0
    assert evaluate(at) == 0
    assert score(at) == 0
    assert select(at) == 0
    assert retrain(at, "--best", at / "b.json") == 0
    assert test(at) == 0
    return at


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path


def score(at: Path) -> int:
    files = ["--population", at / "p.csv", "--evaluations", at / "e.csv", "--timings", at / "et.csv"]
    return call("score-generation", *files, "--output", at / "s.csv", "--timing", at / "st.csv", at=at)


def select(at: Path) -> int:
    files = ["--scores", at / "s.csv", "--timings", at / "st.csv"]
    outputs = ["--output", at / "b.json", "--history", at / "sh.csv", "--timing", at / "sht.csv"]
    return call("select-best", "--search", "A", *files, *outputs, at=at)


def propose(at: Path) -> int:
    return call("propose-generation", "--generation", 1, "--earlier", at / "s.csv", "--output", at / "p1.csv", at=at)


def train(at: Path) -> int:
    return retrain(at, "--best", at / "b.json")


def test(at: Path) -> int:
    words = ["--weights", at / "w.h5", "--images", at / "test.h5", *CPU, "--output", at / "r.json"]
    return call("evaluate", *words, at=at)


test.__test__ = False


def sample(at: Path) -> int:
    words = ["--images", at / "train.h5", "--validation-per-class", 1]
    return call("sample-subset", *words, "--subset", at / "s1.csv", "--validation", at / "v1.csv", at=at)


def hold_out(at: Path) -> int:
    words = ["--images", at / "train.h5", "--validation-per-class", 1, "--held-out-per-class", 1]
    return call("hold-out", *words, "--held-out", at / "h1.csv", "--not-held-out", at / "n1.csv", at=at)


def tables(at: Path) -> int:
    from tests.support.measured import flags, write_experiment

    write_experiment(at / "experiment")
    shutil.copy(at / "r.json", at / "experiment" / "evaluation" / "uniform-1x" / "seed_0.json")
    return call("tables", *flags(at / "experiment")["tables"], "--output-folder", at / "tables", at=at)


def last_row_lost(path: Path) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def no_rows(path: Path) -> None:
    path.write_text(path.read_text().splitlines(keepends=True)[0])


def better(path: Path) -> None:
    """Every score becomes 100 %."""
    if path.suffix == ".json":
        record = json.loads(path.read_text())
        path.write_text(json.dumps({**record, "top1": 100.0}))
        return
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "top1": "100.0"} for row in rows)


def one_value(name: str, value: float):
    def change(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            values = np.asarray(file[name][()])
            values.flat[0] = value if values.flat[0] != value else value + 1
            attributes = dict(file.attrs)
            del file[name]
            file.create_dataset(name, data=values, fletcher32=True)
            file.attrs.update(attributes)

    return change


CHANGED = "was changed after it was written"
IMAGES = "its images are not those that were written"
TENSORS = "its tensors are not those that were written"


@pytest.mark.parametrize(
    ("name", "damage", "step", "words"),
    [
        ("p.csv", last_row_lost, evaluate, CHANGED),
        ("p.csv", last_row_lost, score, CHANGED),
        ("p.csv", no_rows, evaluate, CHANGED),
        ("p.csv", no_rows, score, CHANGED),
        ("e.csv", last_row_lost, score, CHANGED),
        ("e.csv", better, score, CHANGED),
        ("et.csv", last_row_lost, score, CHANGED),
        ("s.csv", last_row_lost, select, CHANGED),
        ("s.csv", better, select, CHANGED),
        ("s.csv", better, propose, CHANGED),
        ("st.csv", last_row_lost, select, CHANGED),
        ("b.json", better, train, CHANGED),
        ("subset.csv", last_row_lost, evaluate, CHANGED),
        ("subset.csv", last_row_lost, supernet, CHANGED),
        ("validation.csv", last_row_lost, evaluate, CHANGED),
        ("train.h5", one_value("pixels", 3), supernet, IMAGES),
        ("train.h5", one_value("pixels", 3), evaluate, IMAGES),
        ("train.h5", one_value("pixels", 3), train, IMAGES),
        ("train.h5", one_value("labels", 3), sample, IMAGES),
        ("train.h5", one_value("labels", 3), hold_out, IMAGES),
        ("train.h5", one_value("labels", 3), train, IMAGES),
        ("train.h5", one_value("labels", 10), train, "a label is outside of its 10 classes"),
        ("test.h5", one_value("pixels", 3), test, IMAGES),
        ("test.h5", one_value("labels", -1), test, "a label is outside of its 10 classes"),
        ("supernet.h5", one_value("conv1.weight", 0.5), evaluate, TENSORS),
        ("supernet.h5", one_value("conv3.weight", float("nan")), evaluate, "numbers that no training leaves"),
        ("w.h5", one_value("conv1.weight", 0.5), test, TENSORS),
        ("w.h5", one_value("norm1.running_var", float("inf")), test, "numbers that no training leaves"),
        ("r.json", better, tables, CHANGED),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_it_is_noticed(folder, capsys, name, damage, step, words):
    damage(folder / name)
    shutil.rmtree(folder / "archive")
    capsys.readouterr()
    assert step(folder) == 1
    error = capsys.readouterr().err
    [line] = [line for line in error.splitlines() if line.startswith("error: ")]
    assert words in line
    assert ("seed_0.json" if name == "r.json" else name) in line
    assert "delete it, and it is made again" in line


@pytest.mark.parametrize("step", [evaluate, score, select, propose, train, test, sample, supernet])
def test_undamaged_files_of_an_older_version_are_read(folder, step):
    """They have no digests where there was no place for one."""
    forget_seals(folder)
    for record in (folder / "b.json", folder / "r.json"):
        values = json.loads(record.read_text())
        del values["digest"]
        record.write_text(json.dumps(values))
    assert step(folder) == 0
