"""Finished trainings that are kept: the same one is not done twice, another one never stands in for it."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.common.errors import UserError
from pipeline.common.files import read_record, write_record
from pipeline.report.timing import TrainingTime, timing_table
from pipeline.training import kept as finished
from pipeline.training.kept import FinishedTraining

IDENTITY = {"settings": {"epochs": 2}, "seed": 0}


@pytest.fixture
def outputs(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "output" / name for name in ("weights.h5", "history.csv", "timing.json")]
    paths[0].parent.mkdir()
    for path in paths[:2]:
        path.write_text(f"what {path.name} holds")
    write_record(paths[2], {"seconds": 1.5})
    return paths


@pytest.fixture
def kept(outputs: list[Path], tmp_path: Path) -> FinishedTraining:
    training = FinishedTraining(tmp_path / "trainings", IDENTITY)
    training.keep(outputs)
    return training


def remove(outputs: list[Path]) -> None:
    for path in outputs:
        path.unlink()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_what_is_kept_comes_back_as_if_it_were_new(kept, outputs):
    for path in outputs:
        os.utime(path, (1, 1))
    remove(outputs)
    assert kept.take(outputs)
    assert [path.read_text() for path in outputs[:2]] == [f"what {path.name} holds" for path in outputs[:2]]
    assert read_record(outputs[2]) == {"seconds": 1.5}
    assert all(path.stat().st_mtime > 1 for path in outputs), "or Snakemake would take them for older than their inputs"


def test_it_takes_no_room_of_its_own_and_ties_no_two_rows_together(kept, outputs, tmp_path):
    assert all(path.stat().st_nlink == 2 for path in outputs)
    other = [path.parent.parent / "other" / path.name for path in outputs]
    assert kept.take(other)
    assert not any(a.samefile(b) for a, b in zip(outputs, other, strict=True)), "a new time of one would be the other's"
    assert [path.stat().st_nlink for path in other] == [2, 2, 1], "a record says where it lies, so it is written anew"


def test_a_row_that_has_another_rows_training_has_records_of_its_own(tmp_path, monkeypatch):
    """Two rows of one genome are one training, and each row's record says that it is that row's."""
    monkeypatch.chdir(tmp_path)
    first, second = (Path("results/e/retrain") / row / "seed_0" / "timing.json" for row in ("found-A", "found-B"))
    write_record(first, {"seconds": 1.5})
    training = FinishedTraining(Path("results/e/trainings"), IDENTITY)
    training.keep([first])
    assert training.take([second])
    assert read_record(second) == read_record(first) == {"seconds": 1.5}
    shutil.copyfile(first, second)
    with pytest.raises(UserError, match="was written as retrain/found-A/seed_0/timing.json"):
        read_record(second)


def test_another_training_is_another(kept, outputs, tmp_path):
    remove(outputs)
    assert not FinishedTraining(tmp_path / "trainings", {**IDENTITY, "seed": 1}).take(outputs)
    assert not any(path.exists() for path in outputs)


def test_what_was_kept_of_another_training_is_not_taken_for_it(kept, outputs, tmp_path, capsys):
    """Though its files are as they were written: two folders of the same files, exchanged."""
    [folder] = (tmp_path / "trainings").iterdir()
    other = FinishedTraining(tmp_path / "trainings", {**IDENTITY, "seed": 1})
    other.keep(outputs)
    [second] = {*(tmp_path / "trainings").iterdir()} - {folder}
    shutil.rmtree(folder)
    second.rename(folder)
    remove(outputs)
    assert not kept.take(outputs) and not any(path.exists() for path in outputs)
    assert "is damaged (it is another training's); deleted, and trained again" in capsys.readouterr().err


def flip(folder: Path) -> None:
    path = folder / "weights.h5"
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def lose(folder: Path) -> None:
    (folder / "history.csv").unlink()


def nonsense(folder: Path) -> None:
    (folder / "record.json").write_text("[3]")


def forget(folder: Path) -> None:
    record = json.loads((folder / "record.json").read_text())
    del record["files"]["timing.json"]
    (folder / "record.json").write_text(json.dumps(record))


@pytest.mark.parametrize("damage", [flip, lose, nonsense, forget])
def test_what_is_damaged_is_trained_again(kept, outputs, tmp_path, damage: Callable[[Path], None], capsys):
    (place,) = (tmp_path / "trainings").iterdir()
    damage(place)
    remove(outputs)
    assert not kept.take(outputs)
    assert "is damaged" in capsys.readouterr().err
    assert not place.exists() and not any(path.exists() for path in outputs)


def test_a_file_in_its_place_is_put_away(outputs, tmp_path, capsys):
    training = FinishedTraining(tmp_path / "trainings", IDENTITY)
    training.keep(outputs)
    (place,) = (tmp_path / "trainings").iterdir()
    shutil.rmtree(place)
    place.write_text("no folder")
    assert not training.take(outputs)
    training.keep(outputs)
    assert training.take(outputs)


def test_what_cannot_be_linked_again_is_taken_all_the_same(kept, outputs, monkeypatch):
    def full(*_: object) -> None:
        raise UserError("cannot write", "read-only file system")

    remove(outputs)
    monkeypatch.setattr(finished, "_link", full)
    assert kept.take(outputs)
    assert all(path.exists() for path in outputs)


def test_what_a_killed_process_left_is_cleared_away(outputs, tmp_path):
    training = FinishedTraining(tmp_path / "trainings", IDENTITY)
    training.keep(outputs)
    (place,) = (tmp_path / "trainings").iterdir()
    dead = subprocess.Popen(["true"])
    dead.wait()
    mine, others = (place.with_name(f".{place.name}.{os.uname().nodename}.{pid}.partial") for pid in (dead.pid, 1))
    for left in (mine, others):
        shutil.copytree(place, left)
    training.keep(outputs)
    assert not mine.exists() and others.exists(), "the process 1 is alive"


def test_where_there_are_no_links_it_is_a_copy(outputs, tmp_path, monkeypatch):
    def no_links(*_: object) -> None:
        raise OSError("not supported")

    monkeypatch.setattr(os, "link", no_links)
    training = FinishedTraining(tmp_path / "trainings", IDENTITY)
    training.keep(outputs)
    remove(outputs)
    assert training.take(outputs)


def test_the_first_one_stays(kept, outputs, tmp_path, capsys):
    outputs[2].unlink()
    outputs[2].write_text("another time")
    kept.keep(outputs)
    assert capsys.readouterr().err == ""
    assert names(tmp_path / "trainings") == {"record.json", *(path.name for path in outputs)}
    assert kept.take(outputs)
    assert read_record(outputs[2]) == {"seconds": 1.5}


def test_a_training_that_cannot_be_kept_is_finished_all_the_same(outputs, tmp_path, capsys):
    (tmp_path / "trainings").write_text("no folder")
    FinishedTraining(tmp_path / "trainings", IDENTITY).keep(outputs)
    assert "warning: this training is not kept" in capsys.readouterr().err
    assert all(path.exists() for path in outputs)


def test_a_training_that_rows_share_is_counted_once():
    def row(origin: str) -> list[TrainingTime]:
        return [TrainingTime(3600, "cpu", 1, "a machine", 1, origin)]

    def hours(*origins: str) -> float:
        return timing_table({str(i): row(origin) for i, origin in enumerate(origins)}, [])[-1]["device_hours"]

    assert hours("first", "first") == 1
    assert hours("first", "second") == 2
    assert hours("", "") == 2
