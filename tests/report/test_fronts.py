"""Pareto fronts over all candidates, by each measure of cost."""

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pipeline.networks.cost import network_cost
from pipeline.networks.genome import RATIOS, parse_genome
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.report.fronts import CANDIDATES, COSTS, candidate_columns, candidate_table, front
from pipeline.search.costs import Counting
from tests.support.latencies import DIGITS, made_up

SPEC = NetworkSpec("vgg_small", uniform_genome("vgg_small", 1))


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12))
def test_front_is_what_nothing_dominates(points):
    def dominated(point):
        return any(o[0] <= point[0] and o[1] >= point[1] and o != point for o in points)

    found = front(points, lambda p: p[0], lambda p: p[1])
    assert found == sorted(point for point in points if not dominated(point))


def test_every_candidate_once_with_its_costs_and_fronts():
    draw = random.Random(0)
    scores = [(tuple(draw.choice(RATIOS) for _ in range(6)), draw.uniform(50, 90)) for _ in range(60)]
    lines = candidate_table(SPEC, [*scores, (scores[0][0], 99.0)])
    assert len(lines) == len({genome for genome, _ in scores})
    assert all(tuple(line) == CANDIDATES for line in lines)
    for name, read in COSTS.items():
        on = {line["genome"] for line in lines if line[f"on_front_{name}"]}
        best = front(scores, lambda s: read(network_cost(SPEC.with_genome(s[0]))), lambda s: s[1])  # noqa: B023
        assert {parse_genome(genome) for genome in on} == {genome for genome, _ in best}
    assert [line["flops"] for line in lines] == sorted(line["flops"] for line in lines)


def test_latency_where_it_is_measured():
    scores = [(SPEC.genome, 80.0), (uniform_genome("vgg_small", 2), 90.0)]
    spec = replace(DIGITS, genome=SPEC.genome)
    table = made_up(seconds=lambda layer: 1e-3 / layer.out_channels)  # the wider the faster
    lines = candidate_table(spec, scores, Counting("flops", table))
    assert all(sorted(line) == sorted(candidate_columns(timed=True)) for line in lines)
    assert [line["on_front_latency_ms"] for line in lines] == [0, 1] and lines[0]["latency_ms"] > lines[1]["latency_ms"]
    assert all(line["on_front_flops"] for line in lines)
