"""Pareto fronts: what nothing else is both cheaper and better than, over rows of the table or over all candidates."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pipeline.networks.cost import Cost, network_cost
from pipeline.networks.genome import Genome, format_genome
from pipeline.networks.spec import NetworkSpec
from pipeline.search.costs import FLOPS, Counting
from pipeline.search.individual import Individual

T = TypeVar("T")

#: The costs over which fronts are drawn: column of the table of candidates → what it reads of an account.
COSTS: Mapping[str, Callable[[Cost], float]] = {
    "flops": lambda cost: cost.flops,
    "binary_macs": lambda cost: cost.binary_macs,
    "memory_bytes": lambda cost: cost.bytes,
}

#: Of the table of candidates; :func:`candidate_columns` adds those of latency.
CANDIDATES = ("genome", "top1", *COSTS, *(f"on_front_{name}" for name in COSTS))


def front(points: Sequence[T], cost: Callable[[T], float], worth: Callable[[T], float]) -> list[T]:
    """Returns the points that no other one dominates (no dearer, no worse, and better in one), cheapest first.

    >>> front([(1, 5), (2, 4), (3, 9), (3, 8)], lambda p: p[0], lambda p: p[1])
    [(1, 5), (3, 9)]
    """
    kept: list[T] = []
    for point in sorted(points, key=lambda point: (cost(point), -worth(point))):
        same = bool(kept) and (cost(kept[-1]), worth(kept[-1])) == (cost(point), worth(point))
        if not kept or same or worth(point) > worth(kept[-1]):
            kept.append(point)
    return kept


def hypervolumes(searches: Mapping[str, Sequence[Individual]]) -> dict[str, float]:
    """Returns how much of the plane of cost and accuracy each search's candidates dominate, in percent.

    The plane ends at the dearest candidate of all searches and at no accuracy (E. Zitzler, L. Thiele, *Multiobjective
    Evolutionary Algorithms: A Comparative Case Study and the Strength Pareto Approach*, 1999).

    Args:
        searches: the candidates of each, by name; those without a score count for nothing.

    >>> small, middle, large = (Individual((cost,), 100 - 10 / cost, cost) for cost in (0.5, 1.0, 2.0))
    >>> hypervolumes({"A": [middle, small], "B": [small, large], "C": []})
    {'A': 65.0, 'B': 60.0, 'C': 0.0}
    """
    dearest = max((one.relative_cost for found in searches.values() for one in found), default=0.0)
    return {name: _dominated(found, dearest) for name, found in searches.items()}


def _dominated(found: Sequence[Individual], dearest: float) -> float:
    if not dearest:
        return 0.0
    best = front(found, lambda one: one.relative_cost, lambda one: one.top1 or 0.0)
    ends = [one.relative_cost for one in best[1:]] + [dearest]
    steps = ((end - one.relative_cost) * (one.top1 or 0.0) for one, end in zip(best, ends, strict=False))
    return sum(steps) / dearest


def candidate_columns(*, timed: bool) -> tuple[str, ...]:
    """Returns the columns of the table of candidates; ``timed`` if there is a table of latencies."""
    return (*CANDIDATES, "latency_ms", "on_front_latency_ms") if timed else CANDIDATES


def candidate_table(
    spec: NetworkSpec, scores: Iterable[tuple[Genome, float]], counting: Counting = FLOPS
) -> list[dict[str, Any]]:
    """Returns every evaluated candidate once, cheapest first, and which fronts it is on; see ``candidate_columns``.

    Args:
        spec: the network at the width at which costs are counted.
        scores: genomes and their top-1 on validation images in percent; of several scores of a genome, the first.
        counting: has the table of latencies, if there is one.
    """
    known: dict[Genome, float] = {}
    for genome, top1 in scores:
        known.setdefault(genome, top1)
    lines: list[dict[str, Any]] = []
    for genome, top1 in known.items():
        network = spec.with_genome(genome)
        cost = network_cost(network)
        values = {name: round(read(cost), 6) for name, read in COSTS.items()}
        milliseconds = counting.milliseconds(network)
        measured = {} if milliseconds is None else {"latency_ms": milliseconds}
        lines.append({"genome": format_genome(genome), "top1": top1, **values, **measured})
    for name in [*COSTS, *([] if counting.table is None else ["latency_ms"])]:
        best = {line["genome"] for line in front(lines, lambda line: line[name], lambda line: line["top1"])}  # noqa: B023
        for line in lines:
            line[f"on_front_{name}"] = int(line["genome"] in best)
    return sorted(lines, key=lambda line: (line["flops"], -line["top1"], line["genome"]))
