"""Evaluating candidates: the archive saves work, failures stay with their candidate, workers change nothing."""

import os
import signal
from dataclasses import dataclass, fields, replace
from pathlib import Path

import psutil
import pytest
import torch

from pipeline.__main__ import main
from pipeline.common.errors import UserError
from pipeline.common.files import write_csv
from pipeline.data.prepared import read_info
from pipeline.data.splits import read_split
from pipeline.networks.genome import format_genome
from pipeline.networks.spec import NetworkSpec
from pipeline.search.archive import Archive, Evaluation, Timing
from pipeline.search.candidate import Evaluator
from pipeline.search.evaluate import Task, evaluate_all
from pipeline.search.tables import EVALUATIONS, evaluation_row, read_evaluations
from pipeline.training.execution import Execution
from pipeline.training.loop import DivergedError
from pipeline.training.memory import FEWEST_IMAGES
from pipeline.training.settings import TrainingSettings
from pipeline.training.turns import in_turns
from tests.support.execution import CPU
from tests.support.little_memory import STATUS, limit_memory

SETTINGS = TrainingSettings(epochs=1, batch_size=25, learning_rate=0.1)
SPEC = NetworkSpec("vgg_small", (1,) * 6, base_width=1 / 16, channels=1, size=8)
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
    monkeypatch.setattr(Evaluator, "steps", lambda self, genome, size: pytest.fail("trained again"))
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


class OnGpu(Task):
    """A task that says that it is for a GPU; what it prepares is the CPU's."""

    def prepare(self):
        return replace(super().prepare(), execution=CPU)


@pytest.fixture
def gpu_task(task, monkeypatch) -> Task:
    monkeypatch.setattr("pipeline.training.turns._stream", lambda execution, turn: None)
    monkeypatch.setattr(Execution, "device", torch.device("cpu"))
    monkeypatch.setattr(Execution, "wait", lambda self: None)
    values = {field.name: getattr(task, field.name) for field in fields(Task)}
    return OnGpu(**(values | {"execution": Execution("cuda", "float32", 1)}))


@pytest.mark.parametrize("together", [2, 3])
def test_on_a_gpu_candidates_take_turns_in_one_process(task, gpu_task, archive, monkeypatch, tmp_path, together):
    alone = evaluate_all(task, GENOMES, archive, 1, "A")
    monkeypatch.setattr("pipeline.search.evaluate.in_workers", lambda *_: pytest.fail("a process was started"))
    turns = Archive(tmp_path / "turns", {"seed": 0})
    beside = evaluate_all(gpu_task, GENOMES, turns, together, "A")
    assert [r.evaluation for r in beside] == [r.evaluation for r in alone]
    assert all(turns.get(genome) is not None for genome in GENOMES)


def test_on_a_gpu_as_many_take_turns_as_asked(gpu_task, archive, monkeypatch):
    asked = []

    def noted(works, execution, together):
        asked.append(together)
        return in_turns(works, execution, together)

    monkeypatch.setattr("pipeline.search.evaluate.in_turns", noted)
    evaluate_all(gpu_task, GENOMES, archive, 2, "A")
    assert asked == [2]


def test_on_a_gpu_what_candidates_share_has_arrived_before_one_of_them_uses_it(gpu_task, archive, monkeypatch):
    done, prepare, steps = [], OnGpu.prepare, Evaluator.steps
    monkeypatch.setattr(OnGpu, "prepare", lambda self: done.append("prepared") or prepare(self))
    monkeypatch.setattr(Execution, "wait", lambda self: done.append("arrived"))
    monkeypatch.setattr(Evaluator, "steps", lambda *words: done.append("begun") or steps(*words))
    evaluate_all(gpu_task, GENOMES[:2], archive, 2, "A")
    assert done == ["prepared", "arrived", "begun", "begun"]


def test_on_a_gpu_one_that_fails_does_not_stop_the_others(gpu_task, archive, monkeypatch):
    fail(monkeypatch, RuntimeError("something broke"))
    results = evaluate_all(gpu_task, GENOMES, archive, 3, "A")
    assert [r.evaluation.status for r in results] == ["ok", "failed", "ok"]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_cannot_be_loaded_is_named(task, archive, tmp_path, workers):
    """Not taken for a worker that was killed."""
    broken = tmp_path / "broken.h5"
    broken.write_bytes(task.images.read_bytes()[:2000])
    with pytest.raises(UserError, match=r"broken\.h5"):
        evaluate_all(replace(task, images=broken), GENOMES, archive, workers, "A")


def fail(monkeypatch, error, genome=GENOMES[1], times=99):
    """Makes the training of one genome fail for so many times."""
    original = Evaluator.steps
    calls = []

    def steps(self, candidate, micro_batch):
        if candidate == genome and len(calls) < times:
            calls.append(candidate)
            raise error
        return original(self, candidate, micro_batch)

    monkeypatch.setattr(Evaluator, "steps", steps)
    return calls


def test_a_diverged_candidate_is_a_fact(task, archive, monkeypatch):
    def diverge(self):
        raise DivergedError("loss nan in epoch 1 of 1")
        yield

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.training.loop.Training.steps", diverge)
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
def test_out_of_memory_is_tried_once_more(task, archive, monkeypatch, error, tmp_path):
    """In a process of its own, which this test does not reach."""
    calls = fail(monkeypatch, error)
    results = evaluate_all(task, GENOMES, archive, 1, "A")
    assert len(calls) == 1
    monkeypatch.undo()
    others = evaluate_all(task, GENOMES, Archive(tmp_path / "other", {"seed": 0}), 1, "A")
    assert [r.evaluation for r in results] == [r.evaluation for r in others]


def test_what_another_job_had_memory_for_is_taken(task, archive, monkeypatch):
    def steps(self, genome, micro_batch):
        archive.put(known, Timing(1.0, "another machine"))
        raise torch.OutOfMemoryError("no memory")

    known = Evaluation(GENOMES[0], "ok", 50.0, 1.0)
    monkeypatch.setattr(Evaluator, "steps", steps)
    (result,) = evaluate_all(task, GENOMES[:1], archive, 1, "A")
    assert (result.evaluation, result.reused) == (known, True)


@dataclass(frozen=True)
class Cramped(Task):
    """A task whose processes get some megabytes beside what they have once they have trained with few images."""

    megabytes: int = 0

    def prepare(self):
        evaluator = super().prepare()
        small = replace(evaluator, settings=replace(self.settings, batch_size=FEWEST_IMAGES))
        small.evaluate((0.25,) * 6)
        limit_memory(self.megabytes)
        return evaluator


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.exists(), reason="knows a process's memory by Linux's /proc")
def test_where_memory_is_short_micro_batches_are_tried(tmp_path, archive, capsys):
    """A network whose batch of 128 images does not fit, and one whose weights alone do not."""
    images, split = tmp_path / "train.h5", ["--validation-per-class", "5", "--subset-per-class", "13", "--seed", "0"]
    prepare = ["prepare-dataset", "--dataset", "digits", "--image-size", "32", "--seed", "0", "--train", images]
    assert main([*map(str, prepare), "--test", f"{tmp_path}/test.h5"]) == 0
    files = ["--subset", f"{tmp_path}/subset.csv", "--validation", f"{tmp_path}/validation.csv"]
    assert main(["sample-subset", *split, "--images", str(images), *files]) == 0
    subset, validation = (read_split(tmp_path / f"{name}.csv", read_info(images)) for name in ("subset", "validation"))
    spec = NetworkSpec("vgg_small", (1,) * 6, base_width=1 / 2, channels=1, size=32)
    settings = TrainingSettings(epochs=1, batch_size=128, learning_rate=0.1)
    task = Cramped(spec, settings, CPU, images, subset, validation, None, True, 0, megabytes=30)
    capsys.readouterr()
    narrow, wide = (0.25,) * 6, (4.0,) * 6
    fits, too_large = (results := evaluate_all(task, [narrow, wide], archive, 2, "A"))
    said = capsys.readouterr().err
    size = fits.evaluation.micro_batch
    assert (fits.evaluation.status, too_large.evaluation.status) == ("ok", "failed")
    assert (
        size in (64, 32, 16)
        and f"{format_genome(narrow)} was trained in micro-batches of {size} images instead of 128" in said
    )
    assert too_large.evaluation.reason.startswith("MemoryError: even with micro-batches of 8 images: ")
    assert said.count("it is tried again alone") == 2 and said.count("warning") == 2
    # The same as where micro-batches are asked for and nothing is short; and it is a fact that is kept.
    evaluator = Task.prepare(task)
    expected, _ = evaluator.evaluate(narrow, size)
    assert fits.evaluation == expected == archive.get(narrow)[0]
    assert archive.get(wide) is None
    assert evaluator.evaluate(narrow)[0].loss != expected.loss
    rows = [evaluation_row(slot, result.evaluation) for slot, result in enumerate(results)]
    write_csv(tmp_path / "evaluations.csv", EVALUATIONS, rows)
    assert [row["micro_batch"] for row in read_evaluations([tmp_path / "evaluations.csv"]).values()] == [str(size), ""]


def test_a_full_disk_stops_the_step_and_loses_nothing(task, archive, monkeypatch):
    with monkeypatch.context() as patch:
        fail(patch, OSError(28, "No space left on device"), genome=GENOMES[2])
        with pytest.raises(OSError, match="No space"):
            evaluate_all(task, GENOMES, archive, 1, "A")
    assert sum(archive.get(genome) is not None for genome in GENOMES) >= 1
    assert all(r.evaluation.status == "ok" for r in evaluate_all(task, GENOMES, archive, 1, "A"))


def test_when_all_fail_the_search_does_not_go_on_with_nothing(task, archive, monkeypatch):
    monkeypatch.setattr(Evaluator, "steps", lambda self, genome, size: 1 / 0)
    with pytest.raises(UserError, match="every candidate of A failed: .*ZeroDivisionError"):
        evaluate_all(task, GENOMES, archive, 1, "A")


class Killed(Task):
    def prepare(self):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_is_a_clear_error(task, archive):
    killed = Killed(**{field.name: getattr(task, field.name) for field in fields(Task)})
    with pytest.raises(UserError, match="a worker was killed, perhaps for want of memory: .*candidates_per_gpu"):
        evaluate_all(killed, GENOMES, archive, 2, "A")


def test_workers_end_when_a_result_cannot_be_kept(task, archive, monkeypatch):
    """The error is held by whoever looks at it, and with it all that was going on."""

    def put(self, evaluation, timing):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Archive, "put", put)
    with pytest.raises(OSError, match="No space") as held:
        evaluate_all(task, GENOMES, archive, 2, "A")
    assert held.tb is not None
    assert psutil.Process().children() == []
