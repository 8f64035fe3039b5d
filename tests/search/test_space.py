"""The space of genomes within a budget: what is drawn, how a genome is made to fit, and the budget of a network."""

from collections import Counter
from random import Random

import pytest

from pipeline.networks.cost import network_cost, relative_flops
from pipeline.networks.spec import NetworkSpec
from pipeline.search.space import Budget, SearchSpace, search_space

RATIOS = (2.0, 0.5, 1.0)  # in no order


def test_every_genome_is_drawn_as_often():
    draws = Counter(SearchSpace(2, RATIOS).draw(Random(seed)) for seed in range(1800))
    assert len(draws) == 9 and min(draws.values()) > 140


def test_the_smallest_genome():
    assert SearchSpace(3, RATIOS).smallest == (0.5, 0.5, 0.5)


def test_a_genome_within_budget_stays_and_draws_nothing():
    random = Random(0)
    state = random.getstate()
    assert SearchSpace(2, RATIOS, lambda genome: sum(genome) <= 3).fit((2.0, 1.0), random) == (2.0, 1.0)
    assert random.getstate() == state


def test_genes_are_lowered_one_step_at_a_time_until_the_genome_fits():
    space = SearchSpace(3, RATIOS, lambda genome: sum(genome) <= 5)
    fitted = {space.fit((2.0, 2.0, 2.0), Random(seed)) for seed in range(50)}
    assert fitted == {(1.0, 2.0, 2.0), (2.0, 1.0, 2.0), (2.0, 2.0, 1.0)}
    # A gene at the smallest ratio has no lower step.
    small = SearchSpace(3, RATIOS, lambda genome: sum(genome) <= 4)
    assert {small.fit((0.5, 2.0, 2.0), Random(seed)) for seed in range(20)} == {(0.5, 1.0, 2.0), (0.5, 2.0, 1.0)}
    tight = SearchSpace(3, RATIOS, lambda genome: sum(genome) <= 1.5)
    assert {tight.fit((0.5, 2.0, 0.5), Random(seed)) for seed in range(9)} == {(0.5, 0.5, 0.5)}


def test_where_nothing_fits_the_smallest_is_what_remains():
    space = SearchSpace(2, RATIOS, lambda genome: False)
    assert space.fit((2.0, 2.0), Random(0)) == (0.5, 0.5)
    assert list(space.enumerate()) == []


def test_all_genomes_small_ratios_first_and_branches_over_budget_cut():
    asked = []

    def within(genome):
        asked.append(genome)
        return sum(genome) <= 2

    assert list(SearchSpace(2, RATIOS, within).enumerate()) == [(0.5, 0.5), (0.5, 1.0), (1.0, 0.5), (1.0, 1.0)]
    assert (1.0, 2.0) in asked and (2.0, 1.0) not in asked
    assert len(list(SearchSpace(3, RATIOS).enumerate())) == 27


@pytest.mark.parametrize("limit", ["flops", "memory"])
def test_a_network_that_costs_just_the_budget_is_allowed(limit):
    spec, genome = NetworkSpec("vgg_small", (1.0,) * 6), (1.0, 2.0, 1.0, 1.0, 0.5, 1.0)
    cost = network_cost(spec.with_genome(genome))
    budget = cost.flops if limit == "flops" else cost.bytes
    flops, memory = (budget, None) if limit == "flops" else (None, budget)
    space = search_space(spec, (0.5, 1, 2), Budget(flops, memory))
    assert space.within_budget(genome)
    assert not space.within_budget((1.0, 2.0, 2.0, 1.0, 0.5, 1.0))
    assert (space.genes, space.ratios) == (6, (0.5, 1.0, 2.0))


def test_both_budgets_hold_at_once_and_none_means_none():
    spec = NetworkSpec("vgg_small", (1.0,) * 6)
    cost = network_cost(spec)
    for flops, memory in ((cost.flops, cost.bytes), (cost.flops, None), (None, cost.bytes), (None, None)):
        assert search_space(spec, (1, 2), Budget(flops, memory)).within_budget((1.0,) * 6)
    for flops, memory in ((cost.flops - 1, cost.bytes), (cost.flops, cost.bytes - 1)):
        assert not search_space(spec, (1, 2), Budget(flops, memory)).within_budget((1.0,) * 6)
    assert search_space(spec, (1, 2), Budget(None, None)).within_budget((2.0,) * 6)


def test_costs_are_those_of_equation_4():
    spec = NetworkSpec("vgg_small", (1.0,) * 6)
    genomes = [(1.0,) * 6, (0.5,) * 6, (2.0, 0.5, 1.0, 2.0, 1.0, 0.5)]
    costs = search_space(spec, (0.5, 1, 2), Budget(None, None)).costs(genomes)
    assert costs.tolist() == pytest.approx([relative_flops(spec.with_genome(genome)) for genome in genomes])
    assert costs[0] == 1.0 and costs[1] < 1.0 < costs[2]
    assert SearchSpace(2, RATIOS).costs([(0.5, 0.5)]).tolist() == [1.0]


@pytest.mark.parametrize(
    ("genome", "inside"),
    [
        ((0.5, 1.0), True),
        ((0.5, 0.5), True),
        ((2.0, 2.0), False),  # over budget
        ((0.5,), False),
        ((0.5, 1.0, 0.5), False),
        ((0.5, 0.7), False),
        ([0.5, 1.0], False),
    ],
)
def test_what_is_in_the_space(genome, inside):
    assert (genome in SearchSpace(2, RATIOS, lambda genome: sum(genome) <= 3)) is inside
