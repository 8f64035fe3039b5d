"""The search as pure functions: what every proposal must be, whatever came before it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.networks.genome import RATIOS
from pipeline.search.algorithms import propose
from pipeline.search.fitness import Individual, fitness, rank
from pipeline.search.settings import EvolutionSettings
from pipeline.search.space import SearchSpace

algorithms = st.sampled_from(["evolution", "random"])


def play(space, evolution, seed, generations, penalty=4.0, accuracy=lambda genome: 10 * sum(genome)):
    """A whole search with a made-up accuracy."""
    history = []
    for generation in range(generations):
        children = propose(space, evolution, history, seed, generation, penalty)
        history.append([Individual(c.genome, accuracy(c.genome), sum(c.genome) / space.genes) for c in children])
    return history


@given(algorithms, st.integers(0, 99), st.integers(1, 6), st.integers(1, 12), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_no_genome_twice_while_unseen_ones_are_left(algorithm, seed, genes, population, generations):
    space = SearchSpace(genes, (0.5, 1.0, 2.0))
    history = play(space, EvolutionSettings(algorithm=algorithm, population=population), seed, generations)
    genomes = [individual.genome for individuals in history for individual in individuals]
    assert len(set(genomes)) == len(genomes) == min(population * generations, 3**genes)
    assert all(len(genome) == genes and set(genome) <= set(space.ratios) for genome in genomes)
    # Full populations as long as there are enough, then what is left, then nothing.
    sizes = [len(individuals) for individuals in history]
    assert sizes == [max(0, min(population, 3**genes - population * g)) for g in range(generations)]


@given(algorithms, st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_a_longer_search_extends_a_shorter_one(algorithm, seed):
    space, evolution = SearchSpace(6), EvolutionSettings(algorithm=algorithm, population=8)
    assert play(space, evolution, seed, 5)[:3] == play(space, evolution, seed, 3)


def test_random_search_does_not_look_at_scores():
    space, random = SearchSpace(6), EvolutionSettings(algorithm="random", population=8)
    blind = play(space, random, 0, 4, accuracy=lambda genome: None)
    seen = play(space, random, 0, 4)
    assert [[i.genome for i in g] for g in blind] == [[i.genome for i in g] for g in seen]


def test_different_seeds_and_slots_differ():
    space, evolution = SearchSpace(6), EvolutionSettings(population=12)
    populations = [tuple(c.genome for c in propose(space, evolution, [], seed, 0)) for seed in range(5)]
    assert len(set(populations)) == 5


@given(st.integers(0, 20), st.floats(1.1, 11.9))
@settings(max_examples=30, deadline=None)
def test_budget_is_kept(seed, budget):
    space = SearchSpace(4, (0.25, 0.5, 1.0, 3.0), lambda genome: sum(genome) <= budget)
    allowed = set(space.enumerate())
    history = play(space, EvolutionSettings(population=10), seed, 4)
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
        evolution = EvolutionSettings(algorithm=algorithm, population=12)
        history = play(SearchSpace(6), evolution, seed, 8, penalty=0, accuracy=accuracy)
        return max(i.top1 for individuals in history for i in individuals)

    wins = sum(best("evolution", seed) > best("random", seed) for seed in range(10))
    assert wins >= 8


def test_parents_are_chosen_by_fitness():
    """With mutation off, a child of the two best genomes takes every gene from one of them."""
    space = SearchSpace(6)
    good = [Individual((4.0,) * 6, 90.0, 1.0), Individual((3.0,) * 6, 89.0, 1.0)]
    bad = [Individual((r,) * 6, 20.0, 1.0) for r in (0.25, 0.5, 1.0)]
    evolution = EvolutionSettings(population=10, parents=2, crossover_rate=1.0, mutation_rate=0.0)
    children = propose(space, evolution, [good + bad], seed=1, generation=1)
    assert {ratio for child in children for ratio in child.genome} == {3.0, 4.0}
    assert {child.origin for child in children} == {"crossover"}


def test_fitness_is_equation_4():
    assert fitness(92.0, 1.5, 4.0) == 86.0
    assert fitness(3.0, 1.0, 4.0) == 0.0
    assert fitness(None, 1.0, 4.0) == 0.0


def test_rank_prefers_the_cheaper_of_equals():
    same = [Individual((2.0,), 50.0, 2.0), Individual((1.0,), 50.0, 1.0), Individual((4.0,), 51.0, 4.0)]
    assert [i.genome for i in rank(same, penalty=0.0)] == [(4.0,), (1.0,), (2.0,)]
    assert [i.genome for i in rank(same, penalty=0.0, count=1)] == [(4.0,)]


@given(st.integers(0, 9), st.integers(1, 4))
@settings(max_examples=10, deadline=None)
def test_proposals_depend_on_nothing_but_their_arguments(seed, generation):
    space, evolution = SearchSpace(6), EvolutionSettings(population=6)
    history = play(space, evolution, seed, generation)
    first = propose(space, evolution, history, seed, generation, 4.0)
    assert first == propose(space, evolution, list(history), seed, generation, 4.0)
