"""A candidate's evaluation (section 3 of the paper), step by step: its start, what it learns from and is scored on."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline.data.loading import load_images
from pipeline.data.prepared import read_info
from pipeline.data.splits import read_split
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec
from pipeline.search.evaluate import Task
from pipeline.training.loop import Training
from pipeline.training.scoring import recalibrate, score
from pipeline.training.settings import TrainingSettings
from tests.support.execution import CPU

SETTINGS = TrainingSettings(epochs=1, batch_size=10, learning_rate=0.1, augmentation="crop")
SPEC = NetworkSpec("vgg_small", (1,) * 6, base_width=1 / 16, channels=1, size=8)
GENOME, OTHER = (1.0,) * 6, (1.0, 1.0, 1.0, 1.0, 1.0, 0.5)


@pytest.fixture
def task(prepared: Path) -> Task:
    info = read_info(prepared / "train.h5")
    subset, validation = (read_split(prepared / f"{name}.csv", info) for name in ("subset", "validation"))
    return Task(SPEC, SETTINGS, CPU, prepared / "train.h5", subset, validation, None, False, 0)


def by_hand(task: Task, seed: int, moments_of: list[int] | None, scored_on: list[int]) -> float:
    """The loss of a candidate that is made here, from the parts that an evaluation consists of."""
    network = Network(task.spec.with_genome(GENOME))
    initialise(network, torch.Generator().manual_seed(seed))
    training = Training(network, load_images(task.images, "cpu", task.subset), task.settings, seed, CPU)
    for _ in training.steps():
        pass
    if moments_of is not None:
        recalibrate(network, load_images(task.images, "cpu", moments_of), CPU, task.settings.batch_size)
    return round(score(network, load_images(task.images, "cpu", scored_on), CPU).loss, 6)


@pytest.mark.parametrize("recalibrated", [False, True])
def test_it_learns_from_the_subset_and_is_scored_on_the_validation_images(task, recalibrated):
    evaluator = replace(task, recalibrate=recalibrated).prepare()
    seeds: list[int] = []
    start = evaluator.start
    evaluator = replace(evaluator, start=lambda network, seed: (seeds.append(seed), start(network, seed))[1])
    loss = evaluator.evaluate(GENOME)[0].loss
    (seed,) = seeds
    moments = task.subset if recalibrated else None
    assert loss == by_hand(task, seed, moments, task.validation)
    # None of these would have been noticed otherwise.
    for wrong in (task.subset, None, task.validation):
        if wrong is not moments:
            assert loss != by_hand(task, seed, wrong, task.validation)
    assert loss != by_hand(task, seed, moments, task.subset)


def test_a_candidates_draws_depend_on_its_genome_and_the_experiments_seed(task):
    evaluator = task.prepare()
    seeds: dict[tuple[object, ...], int] = {}
    for number, genome in ((0, GENOME), (0, OTHER), (1, GENOME), (1, OTHER)):
        replace(
            evaluator,
            settings=replace(SETTINGS, batch_size=50),
            seed=number,
            start=lambda network, seed, key=(number, genome): seeds.__setitem__(key, seed),
        ).evaluate(genome)
    assert len(set(seeds.values())) == 4


def test_without_a_supernet_the_first_weights_are_drawn_by_the_seed(task):
    start = task.prepare().start
    networks = [Network(task.spec) for _ in range(3)]
    for network, seed in zip(networks, (1, 1, 2), strict=True):
        start(network, seed)
    first, again, other = (network.get_parameter("conv2.weight") for network in networks)
    assert torch.equal(first, again) and not torch.equal(first, other)
