"""What every search algorithm keeps to: pure, no genome twice, within budget, able to go on; and better than chance."""

from itertools import pairwise
from random import Random
from statistics import fmean

import pytest

from pipeline.networks.genome import Genome
from pipeline.search.algorithms import ALGORITHMS, propose
from pipeline.search.individual import Individual
from pipeline.search.objectives import configured
from pipeline.search.objectives.fitness import fitness
from pipeline.search.space import SearchSpace

RATIOS = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0)
PENALTY = 4.0
EQUATION_4 = configured({"lambda": PENALTY})


def cost(genome: Genome) -> float:
    return sum(a * b for a, b in pairwise(genome)) / (len(genome) - 1)


def smooth(genome: Genome) -> float:
    """A landscape that rises with every width and flattens out: with the cost, its best lies at middle widths."""
    return max(90 - 60 * fmean((ratio + 0.3) ** -1.5 for ratio in genome), 0.0)


def measured(genome: Genome, seed: int = 0) -> Individual:
    """What a candidate of the landscape scores, with the noise of a short training."""
    return Individual(genome, smooth(genome) + Random(f"{seed} {genome}").gauss(0, 1.5), cost(genome))


def search(algorithm: str, space: SearchSpace, generations: int, population: int = 8, seed: int = 0):
    settings = ALGORITHMS[algorithm].Settings(population=population)
    history: list[list[Individual]] = []
    for generation in range(generations):
        children = propose(algorithm, space, settings, history, seed, generation, EQUATION_4)
        history.append([measured(child.genome, seed) for child in children])
    return history


@pytest.fixture(params=ALGORITHMS.own)
def algorithm(request) -> str:
    return request.param


@pytest.fixture
def space() -> SearchSpace:
    return SearchSpace(4, RATIOS, relative_cost=cost)


def test_it_is_a_pure_function_of_the_history_and_the_seed(algorithm, space):
    first, again, other = (search(algorithm, space, 4, seed=seed) for seed in (0, 0, 1))
    assert first == again
    drawn, drawn_otherwise = ({one.genome for one in history[0]} for history in (first, other))
    assert drawn != drawn_otherwise


def test_it_goes_on_from_its_files_as_if_it_had_never_stopped(algorithm, space):
    whole = search(algorithm, space, 4)
    settings = ALGORITHMS[algorithm].Settings(population=8)
    children = propose(algorithm, space, settings, whole[:3], 0, 3, EQUATION_4)
    assert [measured(child.genome) for child in children] == whole[3]


def test_no_genome_is_proposed_twice_and_all_are_in_the_space(algorithm, space):
    genomes = [individual.genome for generation in search(algorithm, space, 6) for individual in generation]
    assert len(genomes) == len(set(genomes)) == 48
    assert all(len(genome) == 4 and set(genome) <= set(RATIOS) for genome in genomes)


def test_no_genome_is_over_budget(algorithm):
    tight = SearchSpace(4, RATIOS, lambda genome: cost(genome) <= 0.5, cost)
    genomes = [individual.genome for generation in search(algorithm, tight, 5) for individual in generation]
    assert len(genomes) > 20 and all(cost(genome) <= 0.5 for genome in genomes)


def test_a_space_that_has_been_seen_ends_the_search(algorithm):
    small = SearchSpace(2, (0.5, 1.0, 2.0), relative_cost=cost)
    history = search(algorithm, small, 4, population=4)
    assert [len(generation) for generation in history] == [4, 4, 1, 0]


def test_candidates_without_a_score_are_no_parents_and_no_obstacle(algorithm, space):
    history = [
        [
            individual if place % 3 == 0 else individual._replace(top1=None)
            for place, individual in enumerate(generation)
        ]
        for generation in search(algorithm, space, 3)
    ]
    settings = ALGORITHMS[algorithm].Settings(population=8)
    assert len(propose(algorithm, space, settings, history, 0, 3, EQUATION_4)) == 8
    nothing = [[individual._replace(top1=None) for individual in generation] for generation in history]
    assert len(propose(algorithm, space, settings, nothing, 0, 3, EQUATION_4)) == 8


@pytest.mark.parametrize(
    "learner", [name for name in ALGORITHMS.own if ALGORITHMS[name].LOOKS_AT_SCORES and name != "nsga2"]
)
def test_what_looks_at_scores_finds_better_genomes_than_chance(learner, space):
    def quality(individual: Individual) -> float:
        return fitness(smooth(individual.genome), individual.relative_cost, PENALTY)

    def reached(algorithm: str) -> float:
        last = [search(algorithm, space, 5, seed=seed)[-1] for seed in range(4)]
        return fmean(max(map(quality, generation)) for generation in last)

    assert reached(learner) > reached("random") + 1
