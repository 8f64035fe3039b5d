"""Eq. 4: what a candidate is worth, accuracy against cost, and the order that follows."""

import heapq
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.networks.genome import Genome


class Individual(NamedTuple):
    """An evaluated genome. ``top1`` in percent, None where there is no score; ``relative_flops`` as in Eq. 4."""

    genome: Genome
    top1: float | None
    relative_flops: float


def fitness(top1: float | None, relative_flops: float, penalty: float) -> float:
    """max(Acc − λ · FLOPs / FLOPs(uniform 1x), 0), Eq. 4, with Acc in percent; 0 for a candidate without a score."""
    return 0.0 if top1 is None else max(top1 - penalty * relative_flops, 0.0)


def rank(individuals: Sequence[Individual], penalty: float, count: int | None = None) -> list[Individual]:
    """The best ``count`` by fitness; the cheaper of two equals first, then in the order of their genomes."""

    def key(individual: Individual) -> tuple[float, float, Genome]:
        genome, top1, relative_flops = individual
        return (-fitness(top1, relative_flops, penalty), relative_flops, genome)

    return heapq.nsmallest(len(individuals) if count is None else count, individuals, key)
