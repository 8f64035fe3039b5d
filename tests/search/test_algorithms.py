"""The search as pure functions: what every proposal must be, whatever came before it."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from pipeline.networks.genome import RATIOS
from pipeline.search.algorithms import ALGORITHMS, propose, random_search
from pipeline.search.individual import Individual
from pipeline.search.objectives import configured
from pipeline.search.objectives.fitness import fitness
from pipeline.search.space import SearchSpace
from tests.support.examples import tried

algorithms = st.sampled_from(["evolution", "random"])
EQUATION_4 = configured({"lambda": 4.0})


def play(
    algorithm, space, seed, generations, objective=EQUATION_4, accuracy=lambda genome: 10 * sum(genome), **settings
):
    """A whole search with a made-up accuracy."""
    history, how = [], ALGORITHMS[algorithm].Settings(**settings)
    for generation in range(generations):
        children = propose(algorithm, space, how, history, seed, generation, objective)
        history.append([Individual(c.genome, accuracy(c.genome), sum(c.genome) / space.genes) for c in children])
    return history


@given(algorithms, st.integers(0, 99), st.integers(1, 6), st.integers(1, 12), st.integers(1, 5))
@tried(40)
def test_no_genome_twice_while_unseen_ones_are_left(algorithm, seed, genes, population, generations):
    space = SearchSpace(genes, (0.5, 1.0, 2.0))
    history = play(algorithm, space, seed, generations, population=population)
    genomes = [individual.genome for individuals in history for individual in individuals]
    assert len(set(genomes)) == len(genomes) == min(population * generations, 3**genes)
    assert all(len(genome) == genes and set(genome) <= set(space.ratios) for genome in genomes)
    # Full populations as long as there are enough, then what is left, then nothing.
    sizes = [len(individuals) for individuals in history]
    assert sizes == [max(0, min(population, 3**genes - population * g)) for g in range(generations)]


@given(algorithms, st.integers(0, 99))
@tried(20)
def test_a_longer_search_extends_a_shorter_one(algorithm, seed):
    space = SearchSpace(6)
    assert play(algorithm, space, seed, 5, population=8)[:3] == play(algorithm, space, seed, 3, population=8)


def test_random_search_does_not_look_at_scores():
    space = SearchSpace(6)
    blind = play("random", space, 0, 4, accuracy=lambda genome: None, population=8)
    seen = play("random", space, 0, 4, population=8)
    assert [[i.genome for i in g] for g in blind] == [[i.genome for i in g] for g in seen]


def test_different_seeds_and_slots_differ():
    space, how = SearchSpace(6), ALGORITHMS["evolution"].Settings(population=12)
    populations = [tuple(c.genome for c in propose("evolution", space, how, [], seed, 0)) for seed in range(5)]
    assert len(set(populations)) == 5


@given(algorithms, st.integers(0, 20), st.floats(1.1, 11.9))
@tried(30)
def test_budget_is_kept(algorithm, seed, budget):
    space = SearchSpace(4, (0.25, 0.5, 1.0, 3.0), lambda genome: sum(genome) <= budget)
    allowed = set(space.enumerate())
    history = play(algorithm, space, seed, 4, population=10)
    proposed = {individual.genome for individuals in history for individual in individuals}
    assert proposed <= allowed
    assert len(proposed) == min(40, len(allowed))


def test_enumerate_lists_just_what_is_within_budget():
    space = SearchSpace(3, (1.0, 2.0), lambda genome: sum(genome) <= 4)
    assert list(space.enumerate()) == [(1, 1, 1), (1, 1, 2), (1, 2, 1), (2, 1, 1)]
    assert list(SearchSpace(2, (1.0, 2.0), lambda genome: False).enumerate()) == []


def test_evolution_beats_random_search_on_an_easy_landscape():
    """A target genome, accuracy falling with the distance from it: what an evolutionary algorithm is for."""
    target = (4, 0.25, 2, 1, 3, 0.5)

    def accuracy(genome):
        return 100 - 10 * sum(abs(RATIOS.index(a) - RATIOS.index(b)) for a, b in zip(genome, target, strict=True))

    def best(algorithm, seed):
        history = play(
            algorithm, SearchSpace(6), seed, 8, configured({"lambda": 0.0}), accuracy=accuracy, population=12
        )
        return max(i.top1 for individuals in history for i in individuals)

    wins = sum(best("evolution", seed) > best("random", seed) for seed in range(10))
    assert wins >= 8


def test_parents_are_chosen_by_fitness():
    """With mutation off, a child of the two best genomes takes every gene from one of them."""
    space = SearchSpace(6)
    good = [Individual((4.0,) * 6, 90.0, 1.0), Individual((3.0,) * 6, 89.0, 1.0)]
    bad = [Individual((r,) * 6, 20.0, 1.0) for r in (0.25, 0.5, 1.0)]
    how = ALGORITHMS["evolution"].Settings(population=10, parents=2, crossover_rate=1.0, mutation_rate=0.0)
    children = propose("evolution", space, how, [good + bad], seed=1, generation=1)
    assert {ratio for child in children for ratio in child.genome} == {3.0, 4.0}
    assert {child.origin for child in children} == {"crossover"}


def test_fitness_is_equation_4():
    assert fitness(92.0, 1.5, 4.0) == 86.0
    assert fitness(3.0, 1.0, 4.0) == 0.0
    assert fitness(None, 1.0, 4.0) == 0.0


def test_rank_prefers_the_cheaper_of_equals():
    same = [Individual((2.0,), 50.0, 2.0), Individual((1.0,), 50.0, 1.0), Individual((4.0,), 51.0, 4.0)]
    assert [i.genome for i in configured({"lambda": 0.0}).rank(same)] == [(4.0,), (1.0,), (2.0,)]
    assert [i.genome for i in configured({"lambda": 0.0}).rank(same, count=1)] == [(4.0,)]


@given(algorithms, st.integers(0, 9), st.integers(1, 4))
@tried(10)
def test_proposals_depend_on_nothing_but_their_arguments(algorithm, seed, generation):
    space, how = SearchSpace(6), ALGORITHMS[algorithm].Settings(population=6)
    history = play(algorithm, space, seed, generation, population=6)
    first = propose(algorithm, space, how, history, seed, generation, EQUATION_4)
    assert first == propose(algorithm, space, how, list(history), seed, generation, EQUATION_4)


# --- random search within a budget ---


def drawn(space, seeds, population=1):
    """Genomes that random searches draw first, one from each seed."""
    how = ALGORITHMS["random"].Settings(population=population)
    return [child.genome for seed in range(seeds) for child in propose("random", space, how, [], seed, 0)]


@pytest.mark.parametrize("budget", [6.0, 3.2])
def test_random_search_is_uniform_within_its_budget(budget):
    """A chi-squared test over all affordable genomes; lowering genes until they fit would fail it by far."""
    space = SearchSpace(4, (0.5, 1.0, 2.0), lambda genome: sum(genome) <= budget)
    genomes = list(space.enumerate())
    counts = Counter(drawn(space, 40 * len(genomes)))
    assert set(counts) == set(genomes)
    assert chisquare([counts[genome] for genome in genomes]).pvalue > 1e-4


#: What the random search of seed 7 drew first before it kept to a budget by rejection.
UNLIMITED = [(4.0, 0.25, 1.0, 0.5, 2.0, 4.0), (4.0, 4.0, 4.0, 0.5, 0.25, 3.0)]


def test_without_a_budget_random_draws_are_what_they_were():
    first = propose("random", SearchSpace(6), ALGORITHMS["random"].Settings(population=2), [], seed=7, generation=0)
    assert [child.genome for child in first] == UNLIMITED


def test_a_tiny_budget_has_a_way_out(monkeypatch):
    """One genome in 6^6 is affordable, then three: they are listed, each as likely; else genes are lowered."""
    monkeypatch.setattr(random_search, "REJECTIONS", 3)
    smallest = (0.25,) * 6
    assert drawn(SearchSpace(6, within_budget=lambda genome: sum(genome) <= 1.5), 3) == [smallest] * 3
    few = SearchSpace(6, within_budget=lambda genome: sum(genome) <= 1.75)
    counts = Counter(drawn(few, 210))
    assert len(counts) == 7 and chisquare(list(counts.values())).pvalue > 1e-4
    monkeypatch.setattr(random_search, "LISTED", 2)
    assert set(drawn(few, 20)) <= set(few.enumerate())
