"""Finalists: who they are, who wins, and that the reported fitness is free of the luck of having been selected."""

import random
from statistics import fmean

import pytest

from pipeline.common.errors import UserError
from pipeline.search.finalists import choose_finalists, select_found
from pipeline.search.individual import Individual
from pipeline.search.objectives import configured
from pipeline.search.tables import Scored


def run_of(*scores, cost=1.0, start=0):
    """A run whose candidates are genomes (start + 1,), (start + 2,) …"""
    return [Scored(Individual((float(start + i + 1),), top1, cost), i // 2, i % 2) for i, top1 in enumerate(scores)]


EQ4, PLAIN = configured({"lambda": 4}), configured({"lambda": 0})
RUNS = {"A-0": run_of(80.0, 85.0, 70.0), "A-1": run_of(60.0, 62.0, start=10)}


def test_the_best_of_all_runs_and_each_runs_best():
    assert choose_finalists(RUNS, EQ4, 2) == [(2.0,), (1.0,), (12.0,)]
    assert choose_finalists(RUNS, EQ4, 4) == [(2.0,), (1.0,), (3.0,), (12.0,)]


def test_a_genome_of_several_runs_is_one_finalist():
    assert choose_finalists({"A-0": run_of(80.0, 85.0), "A-1": run_of(80.0, 85.0)}, EQ4, 5) == [(2.0,), (1.0,)]


def test_the_winner_is_that_of_the_new_scores():
    anew = [{(2.0,): 80.0, (1.0,): 83.0, (12.0,): 61.0}, {(2.0,): 82.0, (1.0,): 84.0, (12.0,): 63.0}]
    best = select_found("A", RUNS, EQ4, 5, anew)
    assert (best.genome, best.top1, best.fitness, best.selected) == ((1.0,), 83.5, 79.5, 76.0)
    assert (best.generation, best.slot, best.evaluations, best.rescorings, best.finalists) == (0, 0, 5, 2, 3)
    assert [(run.run, run.genome, run.selected, run.rescored) for run in best.runs] == [
        ("A-0", (2.0,), 81.0, 77.0),
        ("A-1", (12.0,), 58.0, 58.0),
    ]


def test_without_new_scores_the_best_of_the_search():
    best = select_found("A", RUNS, EQ4, 5)
    assert (best.genome, best.top1, best.fitness, best.selected, best.rescorings) == ((2.0,), 85.0, 81.0, None, 0)
    assert [run.rescored for run in best.runs] == [None, None]


def test_a_finalist_that_diverged_once_cannot_win():
    best = select_found("A", RUNS, EQ4, 5, [{(2.0,): None, (1.0,): 83.0, (12.0,): 61.0}])
    assert best.genome == (1.0,)
    assert best.runs[0].rescored == 0
    with pytest.raises(UserError, match="every finalist of search A diverged"):
        select_found("A", RUNS, EQ4, 5, [dict.fromkeys([(2.0,), (1.0,), (12.0,)])])


@pytest.mark.parametrize("section", [{"objective": "most_accurate", "max_cost": 9}, {"lambda": 0}])
def test_the_cheaper_of_finalists_with_as_many_right_answers_wins(section):
    """Of 18 images 5 and 7, or 6 and 6: written with four digits, the means are 33.33335 and 33.3333."""
    runs = {"A-0": [*run_of(80.0, cost=2.0), *run_of(79.0, cost=1.0, start=1)]}
    anew = [{(1.0,): 27.7778, (2.0,): 33.3333}, {(1.0,): 38.8889, (2.0,): 33.3333}]
    assert select_found("A", runs, configured(section), 2, anew).genome == (2.0,)


def test_an_accuracy_that_is_reached_in_the_mean_is_reached():
    """Of 300 images 271, 268 and 271: 90 %, though the mean of what is written lies below."""
    runs = {"A-0": [*run_of(80.0, cost=2.0), *run_of(79.0, cost=1.0, start=1)]}
    anew = [{(1.0,): dear, (2.0,): cheap} for dear, cheap in ((92.0, 90.3333), (92.0, 89.3333), (92.0, 90.3333))]
    found = select_found("A", runs, configured({"objective": "cheapest", "min_top1": 90}), 2, anew)
    assert (found.genome, found.top1) == ((2.0,), 90.0)


def test_a_run_without_scores_is_said():
    with pytest.raises(UserError, match="no candidate of search A-1 has a score"):
        choose_finalists({**RUNS, "A-1": []}, EQ4, 2)


def test_a_diverged_finalist_does_not_win_as_the_cheapest_of_those_worth_nothing():
    """Fitness is 0 below the cost's weight, and of equals the cheaper one wins."""
    runs = {"A": [Scored(Individual((1.0,), 20.0, 9.0), 0, 0), Scored(Individual((2.0,), 20.0, 8.0), 0, 1)]}
    assert select_found("A", runs, EQ4, 2, [{(1.0,): 21.0, (2.0,): None}]).genome == (1.0,)


def test_what_is_written_is_rounded_to_four_and_six_places():
    runs = {"A": [Scored(Individual((1.0,), 80.0, 1.0), 0, 0)]}
    best = select_found("A", runs, EQ4, 1, [{(1.0,): 81.12345678}])
    assert (best.top1, best.fitness, best.runs[0].rescored) == (81.1235, 77.123457, 77.123457)


def test_of_equals_the_cheaper_one():
    runs = {"A": [Scored(Individual((1.0,), 80.0, 2.0), 0, 0), Scored(Individual((2.0,), 80.0, 1.0), 0, 1)]}
    assert select_found("A", runs, PLAIN, 2).genome == (2.0,)


def test_reported_fitness_is_not_raised_by_selection():
    """Of equal candidates the best score is too high by more than a deviation; the new score is right in the mean."""
    draw = random.Random(0)
    selected, reported = [], []
    for _ in range(200):
        runs = {"A": run_of(*(draw.gauss(80, 2) for _ in range(30)))}
        finalists = choose_finalists(runs, PLAIN, 4)
        best = select_found(
            "A", runs, PLAIN, 30, [{genome: draw.gauss(80, 2) for genome in finalists} for _ in range(3)]
        )
        selected.append(best.runs[0].selected - 80)
        reported.append(best.runs[0].rescored - 80)
    assert fmean(selected) > 3
    assert abs(fmean(reported)) < 0.3


def test_what_no_candidate_is_cannot_be_found():
    within = configured({"objective": "most_accurate", "max_cost": 0.5})
    runs = {"F": [*run_of(90.0, cost=0.6), *run_of(70.0, 75.0, cost=0.5, start=10)]}
    assert select_found("F", runs, within, 3).genome == (12.0,)
    with pytest.raises(UserError, match=r"search F has no candidate that is the most accurate within 0\.5 times"):
        select_found("F", {"F": run_of(90.0, 80.0, cost=0.6)}, within, 2)
