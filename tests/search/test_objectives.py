"""Objectives beside the paper's: what is better than what."""

import pytest

from pipeline.common.errors import UserError
from pipeline.search.algorithms import ALGORITHMS, propose
from pipeline.search.individual import Individual
from pipeline.search.objectives import OBJECTIVES, configured, objective_flags
from pipeline.search.space import SearchSpace

CHEAP, GOOD, BEST = (
    Individual((float(n),), *what) for n, what in enumerate(((80.0, 0.5), (85.0, 0.9), (91.0, 2.0)), 1)
)
FAILED = Individual((4.0,), None, 0.4)


def ranked(objective) -> list[Individual]:
    return objective.rank([FAILED, GOOD, BEST, CHEAP])


def test_the_most_accurate_within_a_budget():
    objective = configured({"objective": "most_accurate", "max_cost": 1})
    assert ranked(objective)[:2] == [GOOD, CHEAP]
    assert ranked(configured({"objective": "most_accurate", "max_cost": 2}))[0] == BEST
    assert objective.value(FAILED) == objective.value(BEST) == 0
    assert objective.title == "the most accurate within 1 times uniform-1x's cost"


def test_the_cheapest_above_an_accuracy():
    assert ranked(configured({"objective": "cheapest", "min_top1": 84})) == [GOOD, BEST, CHEAP, FAILED]
    assert ranked(configured({"objective": "cheapest", "min_top1": 79}))[0] == CHEAP
    # While none reaches it, the nearest comes first.
    assert ranked(configured({"objective": "cheapest", "min_top1": 95})) == [BEST, GOOD, CHEAP, FAILED]


@pytest.mark.parametrize(
    "section", [{"objective": "most_accurate", "max_cost": 1.5}, {"objective": "cheapest", "min_top1": 70}]
)
@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name != "exhaustive"])
def test_every_algorithm_searches_for_each(algorithm, section):
    """Accuracy rises with the sum of ratios, and so does cost; what a search finds suits its objective."""
    space = SearchSpace(genes=3, ratios=(0.25, 0.5, 1.0, 2.0), relative_cost=lambda genome: sum(genome) / 3)
    objective, settings = configured(section), ALGORITHMS[algorithm].Settings(population=8)
    history: list[list[Individual]] = []
    for generation in range(5):
        children = propose(algorithm, space, settings, history, 1, generation, objective)
        history.append([Individual(c.genome, 50 + 15 * sum(c.genome) ** 0.5, sum(c.genome) / 3) for c in children])
    found = objective.rank([individual for individuals in history for individual in individuals], 1)[0]
    if section["objective"] == "cheapest":
        assert found.top1 >= 70 and found.relative_cost < 1.5
    else:
        assert found.relative_cost <= 1.5 and found.top1 > 75


def test_an_objective_that_gives_no_number_ranks_nothing(monkeypatch):
    """Whatever is compared with it is neither better nor worse: the order would be any."""
    monkeypatch.setattr(OBJECTIVES["fitness"], "value", lambda one, settings: float("nan") if one is GOOD else 1.0)
    objective = configured({"lambda": 4})
    for ask in (lambda: ranked(objective), lambda: objective.value(GOOD)):
        with pytest.raises(UserError, match="objective 'fitness' gives no number for genome 2: mend it"):
            ask()
    assert objective.rank([BEST, CHEAP], 1) == [CHEAP]


def test_all_values_can_stand_in_a_table():
    for name in OBJECTIVES:
        objective = configured({"objective": name, "lambda": 4, "max_cost": 1, "min_top1": 80})
        assert all(objective.value(one) >= 0 for one in (CHEAP, GOOD, BEST, FAILED))


@pytest.mark.parametrize(
    ("section", "one", "worth"),
    [
        ({"objective": "cheapest", "min_top1": 85}, GOOD, 85 + 100 / 1.9),
        ({"objective": "cheapest", "min_top1": 85}, CHEAP, 80),
        ({"objective": "cheapest", "min_top1": 85}, FAILED, 0),
        ({"objective": "most_accurate", "max_cost": 0.9}, GOOD, 85),
        ({"objective": "most_accurate", "max_cost": 0.8}, GOOD, 0),
        ({"objective": "most_accurate", "max_cost": 0.9}, FAILED, 0),
        ({"lambda": 4}, GOOD, 85 - 4 * 0.9),
        ({"lambda": 100}, GOOD, 0),
        ({"lambda": 4}, FAILED, 0),
    ],
)
def test_what_a_candidate_is_worth(section, one, worth):
    assert configured(section).value(one) == pytest.approx(worth)


def test_titles():
    assert configured({"lambda": 0.5}).title == "λ = 0.5"
    assert configured({"objective": "cheapest", "min_top1": 84}).title == "the cheapest of at least 84 %"


@pytest.mark.parametrize(
    ("section", "flags"),
    [
        ({"lambda": 4.0}, "--lambda 4"),
        ({"lambda": 0.25, "objective": "fitness"}, "--lambda 0.25"),
        ({"objective": "cheapest", "min_top1": 84}, "--objective cheapest --min-top1 84"),
        ({"objective": "most_accurate", "algorithm": "random"}, "--objective most_accurate"),
    ],
)
def test_the_flags_that_give_a_step_its_objective(section, flags):
    assert objective_flags(section) == flags
