"""Evaluating candidates: the archive saves work, failures stay with their candidate, workers change nothing."""

from pathlib import Path

import pytest
import torch
from conftest import CPU

from pipeline import evaluation
from pipeline.archive import Archive
from pipeline.candidates import Evaluator
from pipeline.errors import UserError
from pipeline.evaluation import Task, evaluate_all
from pipeline.networks import NetworkSpec
from pipeline.prepared import read_info
from pipeline.settings import TrainingSettings
from pipeline.splits import read_split
from pipeline.training import DivergedError

SETTINGS = TrainingSettings(epochs=1, batch_size=25, learning_rate=0.1)
SPEC = NetworkSpec("vgg_small", (1,) * 6, 1 / 16, 1, 8)
GENOMES = [(1.0,) * 6, (2.0,) * 6, (0.25, 0.5, 1.0, 2.0, 3.0, 4.0)]


@pytest.fixture
def task(prepared: Path) -> Task:
    info = read_info(prepared / "train.h5")
    subset, validation = (read_split(prepared / f"{name}.csv", info) for name in ("subset", "validation"))
    return Task(SPEC, SETTINGS, CPU, prepared / "train.h5", subset, validation, None, False, 0)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive", {"seed": 0})


def test_the_archive_is_asked_first(task, archive, monkeypatch):
    first = evaluate_all(task, GENOMES, archive, 1, "A")
    monkeypatch.setattr(Evaluator, "evaluate", lambda self, genome: pytest.fail("trained again"))
    second = evaluate_all(task, GENOMES[::-1], archive, 1, "B")
    assert [r.evaluation for r in second] == [r.evaluation for r in first[::-1]]
    assert all(r.reused for r in second) and not any(r.reused for r in first)
    assert all(r.timing.seconds > 0 for r in second)


def test_workers_change_nothing(task, archive, tmp_path):
    alone = evaluate_all(task, GENOMES, archive, 1, "A")
    beside = evaluate_all(task, GENOMES, Archive(tmp_path / "other", {"seed": 0}), 2, "A")
    assert [r.evaluation for r in alone] == [r.evaluation for r in beside]
    first, second = (sorted(p.read_bytes() for p in (tmp_path / f).glob("*/*.json")) for f in ("archive", "other"))
    assert first == second and len(first) == len(GENOMES)


def fail(monkeypatch, error, genome=GENOMES[1], times=99):
    """Makes the training of one genome fail for so many times."""
    original = Evaluator.evaluate
    calls = []

    def evaluate(self, candidate):
        if candidate == genome and len(calls) < times:
            calls.append(candidate)
            raise error
        return original(self, candidate)

    monkeypatch.setattr(Evaluator, "evaluate", evaluate)
    return calls


def test_a_diverged_candidate_is_a_fact(task, archive, monkeypatch):
    def diverge(self):
        raise DivergedError("loss nan in epoch 1 of 1")
        yield

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.training.Training.steps", diverge)
        (result,) = evaluate_all(task, GENOMES[:1], archive, 1, "A")
    assert (result.evaluation.status, result.evaluation.top1) == ("diverged", None)
    assert result.evaluation.reason == "loss nan in epoch 1 of 1"
    assert evaluate_all(task, GENOMES[:1], archive, 1, "A")[0].reused


def test_a_failed_candidate_scores_nothing_and_is_tried_again_later(task, archive, monkeypatch):
    with monkeypatch.context() as patch:
        fail(patch, RuntimeError("something\nbroke"))
        results = evaluate_all(task, GENOMES, archive, 1, "A")
    assert [r.evaluation.status for r in results] == ["ok", "failed", "ok"]
    assert results[1].evaluation.reason == "RuntimeError: something broke"
    again = evaluate_all(task, GENOMES, archive, 1, "A")
    assert [r.reused for r in again] == [True, False, True]
    assert again[1].evaluation.status == "ok"


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("no memory"), RuntimeError("... can't allocate memory ...")])
def test_out_of_memory_is_tried_once_more(task, archive, monkeypatch, error):
    calls = fail(monkeypatch, error, times=1)
    results = evaluate_all(task, GENOMES, archive, 1, "A")
    assert [r.evaluation.status for r in results] == ["ok", "ok", "ok"]
    assert len(calls) == 1


def test_out_of_memory_twice_is_a_failure(task, archive, monkeypatch):
    calls = fail(monkeypatch, torch.OutOfMemoryError("no memory"))
    results = evaluate_all(task, GENOMES, archive, 1, "A")
    assert [r.evaluation.status for r in results] == ["ok", "failed", "ok"]
    assert len(calls) == 2


def test_a_full_disk_stops_the_step_and_loses_nothing(task, archive, monkeypatch):
    with monkeypatch.context() as patch:
        fail(patch, OSError(28, "No space left on device"), genome=GENOMES[2])
        with pytest.raises(OSError, match="No space"):
            evaluate_all(task, GENOMES, archive, 1, "A")
    assert sum(archive.get(genome) is not None for genome in GENOMES) >= 1
    assert all(r.evaluation.status == "ok" for r in evaluate_all(task, GENOMES, archive, 1, "A"))


def test_when_all_fail_the_search_does_not_go_on_with_nothing(task, archive, monkeypatch):
    monkeypatch.setattr(Evaluator, "evaluate", lambda self, genome: 1 / 0)
    with pytest.raises(UserError, match="every candidate of A failed: .*ZeroDivisionError"):
        evaluate_all(task, GENOMES, archive, 1, "A")


def test_a_killed_worker_is_a_clear_error(task, archive, monkeypatch):
    monkeypatch.setattr(evaluation, "_start_worker", _die)
    with pytest.raises(UserError, match="a worker was killed"):
        evaluate_all(task, GENOMES, archive, 2, "A")


def _die(task, parent):
    import os

    os._exit(9)
