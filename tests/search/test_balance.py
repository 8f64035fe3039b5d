"""How shards are balanced, in numbers."""

import pytest

from pipeline.networks.spec import NetworkSpec
from pipeline.search.shards import balance, longest_over_mean, predicted_cost


@pytest.mark.parametrize(
    ("seconds", "ratio"), [([], 1.0), ([0.0, 0.0], 1.0), ([5.0], 1.0), ([3.0, 1.0], 1.5), ([4.0, 0.0, 0.0, 0.0], 4.0)]
)
def test_the_longest_shard_over_the_mean(seconds, ratio):
    assert longest_over_mean(seconds) == ratio


def test_candidates_of_equal_cost_are_dealt_out_in_turn():
    assert balance([1.0] * 5, 2) == [[0, 2, 4], [1, 3]]


def test_a_candidate_costs_its_multiplications_and_something_for_every_step():
    spec = NetworkSpec("vgg_small", (1.0,) * 6)
    assert predicted_cost(spec) == 1e6 + 3_538_944 + 603_979_776 + 81_920
