"""The sample on which the proxy is judged: random genomes, spread evenly over the logarithm of their cost."""

from random import Random

import pytest

from pipeline.search.sample import spread_over_cost
from pipeline.search.space import SearchSpace

POWERS = tuple(2.0**exponent for exponent in range(8))


def drawn(ratios, count, seed=0, cost=lambda genome: 100 * genome[0]):
    """Samples of a space of a single gene, of which every genome is drawn almost surely."""
    return [genome[0] for genome in spread_over_cost(SearchSpace(1, ratios), count, cost, Random(seed))]


def test_each_part_of_the_range_gives_one_genome_the_cheapest_part_first():
    pairs = [{1, 2}, {4, 8}, {16, 32}, {64, 128}]
    samples = [drawn(POWERS, 4, seed) for seed in range(12)]
    assert all(ratio in pair for sample in samples for ratio, pair in zip(sample, pairs, strict=True))
    assert [{sample[place] for sample in samples} for place in range(4)] == pairs
    assert drawn(POWERS, 4, 3) == samples[3]


@pytest.mark.parametrize(("count", "least"), [(8, 8), (30, 8), (1, 1), (0, 0)])
def test_as_many_as_are_wanted_and_no_more_than_there_are(count, least):
    sample = drawn(POWERS, count)
    assert len(set(sample)) == len(sample) == least and sample == sorted(sample)


def test_an_empty_part_leaves_its_place_to_another_genome():
    samples = [drawn((1.0, 2.0, 4.0, 1000.0), 3, seed) for seed in range(12)]
    assert all(len(set(sample)) == 3 and sample[-1] == 1000 and sample == sorted(sample) for sample in samples)
    assert {tuple(sample[:2]) for sample in samples} == {(1, 2), (1, 4), (2, 4)}


def test_genomes_of_equal_cost_stand_in_their_own_order():
    assert drawn((4.0, 1.0, 2.0), 3, cost=lambda genome: 5.0) == [1, 2, 4]
    assert drawn((4.0, 1.0, 2.0), 3, cost=lambda genome: 1 / genome[0]) == [4, 2, 1]


def test_a_genome_is_drawn_from_the_whole_space():
    space = SearchSpace(3, (0.5, 1.0, 2.0))
    sample = spread_over_cost(space, 20, sum, Random(1))
    assert len(set(sample)) == 20 and set(sample) <= set(space.enumerate())
    assert [sum(genome) for genome in sample] == sorted(sum(genome) for genome in sample)


def test_equal_seeds_give_the_genomes_that_they_always_gave():
    """Scores and trainings of a sample are kept under its genomes: another draw would mix old ones with new ones."""
    space = SearchSpace(3, (0.5, 1.0, 2.0))
    sample = [(0.5, 1.0, 0.5), (1.0, 1.0, 0.5), (0.5, 2.0, 0.5), (2.0, 0.5, 2.0)]
    assert spread_over_cost(space, 4, sum, Random(7)) == sample
    assert drawn(tuple(float(ratio) for ratio in range(1, 300)), 5, seed=2) == [1.0, 5.0, 13.0, 44.0, 192.0]
