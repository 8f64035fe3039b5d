"""What a search means by cost: each choice is counted, named in the files, and leads the search elsewhere."""

import math
from pathlib import Path

import pytest

from pipeline.common.errors import UserError
from pipeline.common.files import write_csv
from pipeline.networks.cost import network_cost, relative_flops
from pipeline.networks.equal_cost import first_layer_control, uniform_control
from pipeline.networks.genome import RATIOS, Genome
from pipeline.networks.spec import uniform_genome
from pipeline.search.algorithms import ALGORITHMS, propose
from pipeline.search.costs import COSTS, FLOPS, CostName, Counting, cost_of_column
from pipeline.search.individual import Individual
from pipeline.search.objectives import configured
from pipeline.search.space import Budget, search_space
from pipeline.search.tables import (
    POPULATION,
    Best,
    columns_for,
    population_row,
    read_best,
    read_individuals,
    read_population,
    write_best,
)
from tests.support.latencies import DIGITS, made_up

GENOME = (0.5, 2.0, 1.0, 4.0, 0.25, 3.0)
ALL = [Counting(cost, made_up()) for cost in COSTS]


def test_each_cost_is_what_it_says():
    spec = DIGITS.with_genome(GENOME)
    account = network_cost(spec)
    assert [counting.value(spec) for counting in ALL] == [account.flops, account.bytes, pytest.approx(64e-3)]
    assert Counting("flops").relative(spec) == relative_flops(spec)
    assert Counting("memory").relative(spec) == account.bytes / network_cost(DIGITS).bytes
    assert Counting("latency", made_up()).relative(spec) == pytest.approx(0.5)
    assert all(counting.relative(DIGITS) == 1 for counting in ALL)
    shown = [counting.shown(counting.value(DIGITS)) for counting in ALL]
    assert [text.split()[-1] for text in shown] == ["FLOPs", "KiB", "ms"] and shown[2] == "128 ms"


def test_the_reference_is_the_binary_network_also_for_full_precision():
    from dataclasses import replace

    real = replace(DIGITS, binary=False)
    assert Counting("memory").relative(real) == pytest.approx(network_cost(real).bytes / network_cost(DIGITS).bytes)


def true_accuracy(genome: Genome) -> float:
    """Every layer is worth the same: so it depends on the cost alone which are widened."""
    return 60 + sum(5 * math.log2(4 * ratio) for ratio in genome) / 6


def search(counting: Counting) -> Genome:
    space = search_space(DIGITS, (0.25, 1.0, 4.0), Budget(), counting)
    settings = ALGORITHMS["evolution"].Settings(population=16)
    objective = configured({"lambda": 4})
    history: list[list[Individual]] = []
    for generation in range(6):
        children = propose("evolution", space, settings, history, 0, generation, objective)
        history.append(
            [
                Individual(c.genome, true_accuracy(c.genome), counting.relative(DIGITS.with_genome(c.genome)))
                for c in children
            ]
        )
    return objective.rank([one for generation in history for one in generation], 1)[0].genome


def test_a_search_finds_what_is_cheap_by_the_cost_that_is_meant():
    by_flops, by_latency = search(FLOPS), search(Counting("latency", made_up()))
    # On this machine only the first layer takes time: it stays narrow, and nothing keeps the others from being wide.
    assert by_latency[0] == 0.25 and set(by_latency[1:]) == {4.0}
    assert (by_flops != by_latency and max(by_flops) < 4) or min(by_flops[1:]) < 4


@pytest.mark.parametrize("counting", ALL, ids=COSTS)
def test_tables_name_the_cost_and_are_read_back(tmp_path: Path, counting: Counting):
    spec, relative = DIGITS.with_genome(GENOME), counting.relative(DIGITS.with_genome(GENOME))
    columns = columns_for(POPULATION, counting.cost)
    assert f"relative_{counting.cost}" in columns and cost_of_column(columns) == counting.cost
    write_csv(tmp_path / "p.csv", columns, [population_row(0, spec, "random", counting)])
    (row,) = read_population(tmp_path / "p.csv", 6, RATIOS)
    assert row[f"relative_{counting.cost}"] == pytest.approx(relative)
    assert read_individuals(tmp_path / "p.csv") == [Individual(GENOME, None, pytest.approx(relative))]
    best = Best("A", GENOME, 90.0, relative, 88.0, 0, 0, 4, cost=counting.cost)
    write_best(tmp_path / "best.json", best)
    assert f'"relative_{counting.cost}"' in (tmp_path / "best.json").read_text()
    assert read_best(tmp_path / "best.json") == best


def test_a_table_without_any_relative_cost_is_refused(tmp_path: Path):
    write_csv(tmp_path / "p.csv", ("genome",), [{"genome": "1,1"}])
    with pytest.raises(UserError, match="has no column 'relative_flops or relative_memory or relative_latency'"):
        read_individuals(tmp_path / "p.csv")


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("choose", [uniform_control, first_layer_control])
def test_controls_are_of_equal_cost_by_the_cost_that_is_meant(cost: CostName, choose):
    # Time grows with the channels of every layer, so that a control of equal time is none of equal FLOPs.
    table = made_up(seconds=lambda layer: layer.out_channels * 1e-6)
    counting, found = Counting(cost, table), DIGITS.with_genome(GENOME)
    control = choose(found, counting.value)
    assert 0.98 < counting.value(control) / counting.value(found) <= 1
    if cost != "flops":
        assert not 0.98 < network_cost(control).flops / network_cost(found).flops <= 1


def test_between_measured_widths_time_is_interpolated_and_outside_it_is_not_known():
    table = made_up(seconds=lambda layer: layer.in_channels * layer.out_channels * 1e-6, start=1.0)
    between = DIGITS.with_genome((1.25, 1.5, 2.5, 0.75, 1.0, 3.5))
    assert table.seconds(between, between=True) == pytest.approx(
        1 + 1e-6 * sum(layer.in_channels * layer.out_channels for layer in between.layers if layer.weights)
    )
    with pytest.raises(UserError, match="no time of layer 'conv1' with 1 and 160 channels"):
        table.seconds(between)
    with pytest.raises(UserError, match="no time of layer"):
        table.seconds(DIGITS.with_genome(uniform_genome("vgg_small", 4.5)), between=True)


def test_a_budget_of_time():
    counting = Counting("flops", made_up())
    space = search_space(DIGITS, RATIOS, Budget(max_latency=128.0), counting)
    assert space.within_budget((1.0, *(4.0,) * 5)) and not space.within_budget((2.0, *(0.25,) * 5))
    assert Budget(max_latency=127.0).over(DIGITS, counting) == ("max_latency", 127.0, "ms", 128.0)
    assert Budget().over(DIGITS, counting) is None
