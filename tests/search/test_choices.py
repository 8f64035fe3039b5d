"""What each of the algorithms beside the evolution does with what it knows, seen in the children that it proposes."""

from collections import Counter

import numpy as np
import pytest

from pipeline.common.settings import schema_of
from pipeline.search.algorithms import ALGORITHMS, propose
from pipeline.search.algorithms.nsga2 import crowding_distances, elite
from pipeline.search.individual import Individual
from pipeline.search.objectives import configured
from pipeline.search.posterior import Posterior
from pipeline.search.space import SearchSpace

SPACE = SearchSpace(6)
EQUATION_4 = configured({"lambda": 4.0})


def individual(ratio: float, top1: float | None, cost: float = 1.0) -> Individual:
    return Individual((ratio,) * 6, top1, cost)


def children(algorithm, history, seed=0, space=SPACE, objective=EQUATION_4, **settings):
    """What the generation after ``history`` would be."""
    how = ALGORITHMS[algorithm].Settings(**settings)
    return propose(algorithm, space, how, history, seed, len(history), objective)


def distance(genome, other) -> int:
    """How many genes differ."""
    return sum(mine != theirs for mine, theirs in zip(genome, other, strict=True))


@pytest.mark.parametrize("name", ALGORITHMS.own)
def test_an_algorithm_says_whether_it_looks_at_scores(name):
    """The workflow lets generations of those that do not run side by side, and gives them no scores."""
    space = SearchSpace(4)
    genomes = [child.genome for child in children("random", [], space=space, population=24)]
    first = [Individual(genome, 50.0 + place, 1.0) for place, genome in enumerate(genomes)]
    second = [one._replace(top1=74.0 - place) for place, one in enumerate(first)]
    proposed = [children(name, [scored], space=space, population=12) for scored in (first, second)]
    assert (proposed[0] != proposed[1]) is ALGORITHMS[name].LOOKS_AT_SCORES


def test_the_random_search_alone_is_a_baseline():
    assert [name for name in ALGORITHMS.own if ALGORITHMS[name].BASELINE] == ["random"]


# --- local search ---


def test_neighbours_of_the_best_come_first_by_chance_and_the_rest_is_drawn():
    """A corner has one neighbour for each gene."""
    best, other = individual(0.25, 90.0), individual(4.0, 60.0)
    few = [{child.genome for child in children("local_search", [[other, best]], s, population=2)} for s in range(8)]
    assert all(distance(genome, best.genome) == 1 for genomes in few for genome in genomes)
    assert len(set(map(frozenset, few))) > 3
    many = children("local_search", [[best]], population=10)
    assert Counter(child.origin for child in many) == {"neighbour": 6, "random": 4}
    every = children("local_search", [[other, best]], population=12)
    assert [min((best, other), key=lambda one: distance(child.genome, one.genome)) for child in every] == (
        [best] * 6 + [other] * 6
    )


def test_a_neighbour_is_a_step_away_whatever_the_order_of_ratios():
    space = SearchSpace(2, (2.0, 0.5, 1.0))
    made = children("local_search", [[Individual((0.5, 0.5), 90.0, 1.0)]], space=space, population=2)
    assert {child.genome for child in made} == {(1.0, 0.5), (0.5, 1.0)}


# --- regularised evolution ---


def test_the_oldest_die_whatever_they_are_worth():
    dead = [individual(ratio, 99.0) for ratio in (0.25, 0.5, 1.0, 2.0)]
    alive = [individual(3.0, 80.0), individual(4.0, 60.0)]
    made = children("regularised_evolution", [dead, alive], population=8, alive=2, tournament=10)
    assert all(distance(child.genome, alive[0].genome) == 1 for child in made)


def test_a_small_tournament_lets_others_win_too():
    living = [individual(3.0, 80.0), individual(4.0, 60.0)]
    made = children("regularised_evolution", [living], population=20, alive=2, tournament=1)
    won = Counter(min(living, key=lambda one: distance(child.genome, one.genome)).genome[0] for child in made)
    assert min(won[3.0], won[4.0]) > 4


@pytest.mark.parametrize(("evaluated", "origin"), [(3, "random"), (4, "mutation")])
def test_the_first_half_of_the_living_is_drawn(evaluated, origin):
    known = [individual(ratio, 50.0) for ratio in (0.25, 0.5, 1.0, 2.0)[:evaluated]]
    made = children("regularised_evolution", [known], population=6, alive=8, tournament=2)
    assert {child.origin for child in made} == {origin}


def test_defaults_and_limits_of_regularised_evolution():
    settings = ALGORITHMS["regularised_evolution"].Settings()
    assert (settings.alive, settings.tournament) == (40, 10)
    limits = schema_of(type(settings))
    assert (limits["alive"]["minimum"], limits["tournament"]["minimum"]) == (2, 1)


# --- NSGA-II ---

#: On the front: its ends, and between them one in a gap and one in a crowd. Then what others beat.
TOP, BOTTOM = individual(4.0, 90.0, 4.0), individual(0.25, 50.0, 0.1)
LONELY, CROWDED = individual(2.0, 80.0, 1.0), individual(3.0, 89.0, 3.9)
BEATEN, WORST = individual(1.0, 79.0, 1.5), individual(0.5, 0.0, 4.5)


def test_the_elite_goes_by_front_then_by_room_then_by_genome():
    everyone = [WORST, BEATEN, CROWDED, LONELY, TOP, BOTTOM]
    assert elite(everyone, 6) == [BOTTOM, TOP, LONELY, CROWDED, BEATEN, WORST]
    assert elite(everyone, 3) == [BOTTOM, TOP, LONELY] and elite([], 3) == []
    nothing, little = individual(1.0, 0.0, 1.0), individual(2.0, 0.5, 1.0)
    assert elite([nothing, little], 2) == [little, nothing]


def test_room_is_measured_along_the_front_wherever_it_lies_and_whatever_its_units():
    for scale, offset in ((1.0, 0.0), (1.0, 10.0), (1.0, -10.0), (0.125, 0.0)):
        points = scale * np.array([[0.0, 4.0], [1.0, 1.0], [4.0, 0.0]]) + offset
        assert crowding_distances(points).tolist() == [np.inf, 2.0, np.inf]
    with np.errstate(all="raise"):
        assert sorted(crowding_distances(np.full((3, 2), 7.0))) == [0.0, np.inf, np.inf]


def test_parents_are_scored_and_mutated_in_a_gene_or_crossed():
    unscored = individual(0.5, None, 0.01)  # the cheapest
    history = [[unscored, TOP, BOTTOM]]
    mutants = children("nsga2", history, population=20, crossover_rate=0.0, mutation_rate=0.0)
    assert {child.origin for child in mutants} == {"mutation"}
    assert all(1 in (distance(child.genome, one.genome) for one in (TOP, BOTTOM)) for child in mutants)
    crossed = children("nsga2", history, population=20, crossover_rate=1.0, mutation_rate=0.0)
    assert {child.origin for child in crossed} == {"crossover"}
    assert {ratio for child in crossed for ratio in child.genome} == {0.25, 4.0}
    alone = children("nsga2", [[unscored, TOP]], population=6)
    assert {child.origin for child in alone} == {"random"}


def test_the_better_of_two_wins_a_tournament():
    better, worse = individual(2.0, 80.0, 1.0), individual(1.0, 70.0, 2.0)
    made = [
        child
        for seed in range(4)
        for child in children("nsga2", [[worse, better]], seed, population=16, crossover_rate=0.0, mutation_rate=0.0)
    ]
    kin = Counter(min((better, worse), key=lambda one: distance(child.genome, one.genome)).genome[0] for child in made)
    assert 0.6 < kin[2.0] / len(made) < 0.9  # three of four


# --- exhaustive search ---


def test_a_table_that_is_not_finished_is_a_random_sample():
    space = SearchSpace(3, (0.5, 1.0, 2.0))
    listed = list(space.enumerate())
    first, again, other = (
        [child.genome for child in children("exhaustive", [], seed, space=space, population=27)] for seed in (0, 0, 1)
    )
    assert first == again != other
    assert sorted(first) == sorted(other) == sorted(listed) and first != listed


# --- the Gaussian process ---


def landscape(space: SearchSpace, count: int, noise: float) -> list[Individual]:
    """Scores that rise with the logarithm of two genes, with noise; the other genes do not matter."""
    random = np.random.default_rng(0)
    genomes = [child.genome for child in children("random", [], space=space, population=count)]
    return [Individual(genome, expected(genome) + float(random.normal(0, noise)), 1.0) for genome in genomes]


def expected(genome) -> float:
    return float(60 + 5 * np.log2(genome[0]) + 3 * np.log2(genome[1]))


def test_a_model_knows_what_it_does_not_know():
    space = SearchSpace(3)
    model = Posterior.of(landscape(space, 80, noise=2.0), EQUATION_4)
    genomes = list(space.enumerate())
    mean = model.expected(genomes)
    deviation = model.expected(genomes, deviations=1) - mean
    error = mean - np.array([expected(genome) for genome in genomes])
    assert np.sqrt(np.mean(error**2)) < 1.2  # less than the noise of one score
    assert 0.05 < np.mean(deviation) < 1.5  # of the expectation, without that noise
    assert 0.5 < np.mean((error / deviation) ** 2) < 2.5
    drawn = model.draw(genomes[::6], 2000, seed=1)
    assert drawn.shape == (2000, len(genomes[::6]))
    assert np.allclose(drawn.mean(0), mean[::6], atol=0.15)
    assert np.allclose(drawn.std(0), deviation[::6], rtol=0.1, atol=0.02)
    assert (model.draw(genomes[::6], 3, seed=1) != model.draw(genomes[::6], 3, seed=2)).any()


@pytest.mark.parametrize(("scored", "origin"), [(11, "random"), (12, "model")])
def test_it_trusts_the_model_from_two_scores_for_each_gene(scored, origin):
    known = landscape(SPACE, 14, noise=0.5)
    known = [one if place < scored else one._replace(top1=None) for place, one in enumerate(known)]
    assert {child.origin for child in children("predictor", [known], population=4)} == {origin}


@pytest.mark.parametrize("listed", [100_000, 10])
def test_what_it_proposes_is_good_and_cheap_whether_or_not_all_can_be_listed(monkeypatch, listed):
    monkeypatch.setattr("pipeline.search.algorithms.predictor.LISTED", listed)
    space = SearchSpace(4, relative_cost=lambda genome: genome[2])
    known = [one._replace(relative_cost=one.genome[2]) for one in landscape(space, 60, noise=0.5)]
    made = children("predictor", [known], space=space, population=8)
    assert len({child.genome for child in made}) == 8
    assert not {child.genome for child in made} & {one.genome for one in known}
    assert np.mean([expected(child.genome) for child in made]) > 72  # of 76 at most, 59 by chance
    assert np.mean([child.genome[2] for child in made]) < 0.6  # a cost of 4 points of accuracy each
