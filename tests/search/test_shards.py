"""Shards: every candidate once, and none much longer than the others."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.search.shards import balance, predicted_cost


@given(st.lists(st.floats(0.1, 100), max_size=40), st.integers(1, 9))
def test_every_candidate_is_in_one_shard(costs, shards):
    assigned = balance(costs, shards)
    assert sorted(i for shard in assigned for i in shard) == list(range(len(costs)))
    loads = [sum(costs[i] for i in shard) for shard in assigned]
    # Greedy, longest first: no shard is longer than the mean by more than one candidate.
    assert max(loads) <= sum(costs) / shards + max(costs, default=0) + 1e-9


def test_wider_networks_are_expected_to_take_longer():
    costs = [predicted_cost(NetworkSpec("vgg_small", uniform_genome("vgg_small", r))) for r in (0.25, 1, 4)]
    assert costs == sorted(costs)
    assert costs[2] / costs[0] > 100
