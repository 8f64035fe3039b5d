"""Dividing candidates among shards so that all end together, though a 4x candidate costs hundreds of 0.25x ones.

>>> balance([8.0, 1.0, 4.0, 3.0], shards=2)
[[0], [2, 3, 1]]
"""

from collections.abc import Sequence
from statistics import fmean

from pipeline.networks.spec import NetworkSpec

#: MACs that take as long as what a training step costs however small the network is, for one image.
OVERHEAD_MACS = 1e6


def predicted_cost(spec: NetworkSpec) -> float:
    """Returns a candidate's relative training time: all its MACs, since a training computes binary ones in floats."""
    return OVERHEAD_MACS + sum(layer.macs for layer in spec.layers)


def longest_over_mean(seconds: Sequence[float]) -> float:
    """Returns how well shards were balanced: 1 where all took equally long, their number where one did all the work.

    >>> longest_over_mean([30.0, 10.0, 20.0]), longest_over_mean([])
    (1.5, 1.0)
    """
    mean = fmean(seconds) if seconds else 0.0
    return max(seconds) / mean if mean else 1.0


def balance(costs: Sequence[float], shards: int) -> list[list[int]]:
    """Returns positions of the candidates of each shard, the longest first: each goes to the least loaded shard."""
    assigned: list[list[int]] = [[] for _ in range(shards)]
    loads = [0.0] * shards
    for position in sorted(range(len(costs)), key=lambda i: (-costs[i], i)):
        shard = min(range(shards), key=lambda s: (loads[s], s))
        assigned[shard].append(position)
        loads[shard] += costs[position]
    return assigned
