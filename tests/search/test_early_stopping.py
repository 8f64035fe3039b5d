"""Early stopping: what a candidate must reach, by hand; what is trained and kept of one that does not; whose it is."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline.data.loading import load_images
from pipeline.data.prepared import read_info
from pipeline.data.splits import read_split
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec
from pipeline.search.algorithms import stops_early
from pipeline.search.archive import Archive, Evaluation, Timing, read_entry
from pipeline.search.candidate import Evaluator
from pipeline.search.early_stopping import OUT_OF_REACH, Bar, Early, EarlyStopping
from pipeline.search.evaluate import Task, evaluate_all
from pipeline.search.individual import Individual
from pipeline.search.objectives import configured
from pipeline.training.loop import DivergedError, Training
from pipeline.training.scoring import recalibrate, score
from pipeline.training.settings import TrainingSettings
from tests.support.execution import CPU

SETTINGS = TrainingSettings(epochs=3, batch_size=10, learning_rate=0.1, augmentation="crop")
SPEC = NetworkSpec("vgg_small", (1,) * 6, base_width=1 / 16, channels=1, size=8)
GENOME, OTHER = (1.0,) * 6, (1.0, 1.0, 1.0, 1.0, 1.0, 0.5)
FITNESS = configured({"lambda": 10})


def earlier(*partial: float, stopped: int = 0, line=lambda early: 2 * early + 10, cost: float = 1.0) -> list[Early]:
    """Candidates that went on to what the line says of their early accuracy; the last ones were stopped."""
    went_on = len(partial) - stopped
    return [
        Early(Individual((float(number),), line(early) if number < went_on else None, cost), early)
        for number, early in enumerate(partial)
    ]


@pytest.mark.parametrize(
    ("keep", "needed"), [(0.2, 40.0), (0.21, 35.0), (0.4, 35.0), (0.6, 30.0), (1.0, 20.0), (0.01, 40.0)]
)
def test_it_has_to_be_among_the_best_of_all_before(keep, needed):
    """Those that were stopped count among them, by what was to be expected."""
    bar = Bar.of(earlier(20, 40, 30, 25, 35, stopped=2), FITNESS, keep)
    assert (bar.slope, bar.intercept) == pytest.approx((2, 10))
    assert bar.needed_top1(Individual(GENOME, None, 1.0)) == pytest.approx(needed, abs=2e-4)


def test_costs_are_weighed_against_what_is_to_be_expected_at_the_end():
    """Ten points dearer: five more early points where each is worth two at the end."""
    bar = Bar.of(earlier(20, 40, 30), FITNESS, 0.5)
    one, dearer, cheaper = (bar.needed_top1(Individual(GENOME, None, cost)) for cost in (1.0, 2.0, 0.5))
    assert (one, dearer, cheaper) == pytest.approx((30, 35, 27.5), abs=2e-4)
    assert bar.needed_top1(Individual(GENOME, None, 9.9)) == OUT_OF_REACH
    assert Bar.of(earlier(20, 40, 30, cost=9.0), FITNESS, 0.9).needed_top1(Individual(GENOME, None, 99.0)) == 0


def test_a_gentle_line_is_one_too():
    bar = Bar.of(earlier(20, 40, 30, line=lambda early: early / 2 + 60), FITNESS, 0.5)
    assert bar.needed_top1(Individual(GENOME, None, 1.0)) == pytest.approx(30, abs=2e-4)
    assert bar.needed_top1(Individual(GENOME, None, 2.0)) == pytest.approx(50, abs=2e-4)


def test_nothing_below_zero_or_above_all_images_is_expected():
    """Where the line leaves the range of accuracies, the cheaper one is the better."""
    bar = Bar.of(earlier(50, 30, 60, line=lambda early: 4 * early - 140), FITNESS, 0.3)
    assert (bar.slope, bar.worth) == (pytest.approx(4), pytest.approx(90))
    assert bar.needed_top1(Individual(GENOME, None, 0.9)) == pytest.approx(59.75, abs=2e-4)
    assert bar.needed_top1(Individual(GENOME, None, 1.1)) == OUT_OF_REACH
    none = Bar.of(earlier(50, 30, 60, line=lambda early: 4 * early - 140), configured({"lambda": 0}), 1.0)
    assert none.worth == 0


@pytest.mark.parametrize(
    "early",
    [
        [],
        earlier(20, 40, 30, stopped=1),
        earlier(20, 20, 40, 40),
        earlier(20, 40, 30, line=lambda early: 90 - early),
        earlier(20, 40, 30, line=lambda early: 50.0),
    ],
)
def test_where_early_accuracies_tell_nothing_all_go_on(early):
    assert Bar.of(early, FITNESS, 0.1).needed_top1(Individual(GENOME, None, 50.0)) == 0


@pytest.mark.parametrize(
    ("objective", "cost", "worth", "needed"),
    [
        ({"objective": "most_accurate", "max_cost": 1}, 1.0, 61.2345, 61.2345),
        ({"objective": "most_accurate", "max_cost": 1}, 1.1, 61.2345, OUT_OF_REACH),
        ({"objective": "cheapest", "min_top1": 70}, 1.0, 60.0, 60.0),
        ({"objective": "cheapest", "min_top1": 70}, 1.0, 120.0, 70.0),
        ({"objective": "cheapest", "min_top1": 70}, 1.5, 120.0, OUT_OF_REACH),
    ],
)
def test_the_accuracy_that_reaches_it_depends_on_the_objective(objective, cost, worth, needed):
    bar = Bar(configured(objective), worth)
    assert bar.needed_top1(Individual(GENOME, None, cost)) == pytest.approx(needed, abs=1e-4)


def test_it_concerns_searches_that_go_by_scores_and_one_number():
    algorithms = ("evolution", "local_search", "regularised_evolution", "predictor", "random", "exhaustive", "nsga2")
    assert [name for name in algorithms if not stops_early(name)] == ["random", "exhaustive", "nsga2"]


def test_the_paper_stops_none():
    assert EarlyStopping() == EarlyStopping(early_stop_epochs=None, early_stop_keep=0.5)


@pytest.fixture
def task(prepared: Path) -> Task:
    info = read_info(prepared / "train.h5")
    subset, validation = (read_split(prepared / f"{name}.csv", info) for name in ("subset", "validation"))
    return Task(SPEC, SETTINGS, CPU, prepared / "train.h5", subset, validation, None, False, 0)


def partial_by_hand(task: Task, epochs: int, seed: int, moments_of: list[int]) -> float:
    network = Network(task.spec.with_genome(GENOME))
    initialise(network, torch.Generator().manual_seed(seed))
    training = Training(network, load_images(task.images, "cpu", task.subset), task.settings, seed, CPU)
    if epochs:
        for _ in training.steps():
            if training.epoch == epochs:
                break
    recalibrate(network, load_images(task.images, "cpu", moments_of), CPU, task.settings.batch_size)
    return round(score(network, load_images(task.images, "cpu", task.validation), CPU).top1, 4)


@pytest.mark.parametrize("recalibrated", [False, True])
@pytest.mark.parametrize("epochs", [0, 1, 2])
def test_what_it_had_early_is_noted_and_changes_nothing(task, epochs, recalibrated):
    task = replace(task, recalibrate=recalibrated)
    whole = task.prepare().evaluate(GENOME)[0]
    evaluator, seeds = replace(task, partial_epochs=epochs).prepare(), []
    start = evaluator.start
    evaluator = replace(evaluator, start=lambda network, seed: (seeds.append(seed), start(network, seed))[1])
    seen = evaluator.evaluate(GENOME)[0]
    assert replace(seen, partial_top1=None) == whole
    assert seen.partial_top1 == partial_by_hand(task, epochs, seeds[0], task.subset)


def test_a_worse_one_is_trained_no_further(task, monkeypatch):
    evaluator = replace(task, partial_epochs=1).prepare()
    partial = evaluator.evaluate(GENOME)[0].partial_top1
    assert partial
    steps = []
    take = Training._take_step
    monkeypatch.setattr(Training, "_take_step", lambda self, *what: (steps.append(self.epoch), take(self, *what))[1])
    stopped = replace(evaluator, needed_top1={GENOME: partial + 0.0001}).evaluate(GENOME)[0]
    assert stopped == Evaluation(GENOME, "stopped", partial_top1=partial)
    assert set(steps) == {0}
    goes_on = replace(evaluator, needed_top1={GENOME: partial, OTHER: OUT_OF_REACH}).evaluate(GENOME)[0]
    assert goes_on.status == "ok" and goes_on.partial_top1 == partial and max(steps) == SETTINGS.epochs - 1


def test_what_a_search_sees_does_not_depend_on_what_another_had_trained(task, tmp_path):
    """Of a candidate that another search took to its end, and of one that it stopped."""
    asks_little, asks_much = (
        replace(task, partial_epochs=1, needed_top1={GENOME: needed}) for needed in (0.0, OUT_OF_REACH)
    )

    def ask(asked: Task, archive: Archive) -> tuple[Evaluation, bool]:
        ((evaluation, _, reused),) = evaluate_all(asked, [GENOME], archive, 1, "A")
        return evaluation, reused

    first, second = (Archive(tmp_path / name, {"seed": 0}) for name in ("first", "second"))
    whole, stopped = ask(asks_little, first)[0], ask(asks_much, second)[0]
    assert (whole.status, stopped.status) == ("ok", "stopped") and whole.partial_top1 == stopped.partial_top1
    assert ask(asks_much, first) == (stopped, True)
    assert ask(asks_little, second) == (whole, False)
    # It is kept whole then, for both.
    assert ask(asks_little, second) == (whole, True) and ask(asks_much, second) == (stopped, True)
    second.put(stopped, Timing(1.0, "machine"))
    assert ask(asks_little, second) == (whole, True)


def test_one_that_diverged_before_is_not_stopped(task, monkeypatch):
    def diverge(self: Training) -> None:
        raise DivergedError("loss nan in epoch 1 of 3")

    monkeypatch.setattr(Training, "_finish_epoch", diverge)
    evaluator = replace(task, partial_epochs=1, needed_top1={GENOME: OUT_OF_REACH}).prepare()
    found = evaluator.evaluate(GENOME)[0]
    assert found.status == "diverged" and found.partial_top1 is None and found.judged(OUT_OF_REACH) == found


@pytest.mark.parametrize(
    "wrong",
    [
        Evaluation(GENOME, "stopped"),
        Evaluation(GENOME, "stopped", 50.0, 1.0, partial_top1=40.0),
        Evaluation(GENOME, "ok", 50.0, 1.0, partial_top1=140.0),
    ],
)
def test_what_cannot_have_been_archived(tmp_path, wrong):
    archive = Archive(tmp_path, {"seed": 0})
    archive.put(wrong, Timing(1.0, "machine"))
    assert archive.get(GENOME) is None


def test_a_stopped_one_comes_back(tmp_path):
    stopped = Evaluation(GENOME, "stopped", partial_top1=40.0)
    Archive(tmp_path, {"seed": 0}).put(stopped, Timing(1.0, "machine"))
    assert read_entry(next(tmp_path.glob("*/*.json"))).evaluation == stopped


def test_a_worker_is_told(task):
    """What the task says reaches the evaluator, in this process and in others."""
    evaluator = replace(task, partial_epochs=2, needed_top1={GENOME: 3.0}).prepare()
    assert isinstance(evaluator, Evaluator)
    assert evaluator.partial_epochs == 2 and evaluator.needed_top1 == {GENOME: 3.0}
