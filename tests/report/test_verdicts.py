"""What is said of searched rows: first against equal cost, then against baselines, in words that the numbers bear."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.report.results import ControlOf, Interval, Row, Search
from pipeline.report.statistics import Sample
from pipeline.report.verdicts import comparisons, verdicts
from pipeline.search.costs import Counting
from pipeline.search.objectives import configured
from pipeline.search.tables import Best, RunBest
from tests.support.latencies import made_up

VGG_A, VGG_B = (0.5, 2.0, 1.0, 1.0, 1.0, 0.5), (2.0, 2.0, 4.0, 2.0, 4.0, 0.5)
#: 26.2M FLOPs, between uniform-1x (13.2M) and uniform-2x (45.3M).
BETWEEN = (1.0, 1.0, 1.0, 2.0, 2.0, 2.0)
EVOLUTION = Search("A", "evolution", configured({"lambda": 4}))


def row(model, genome, *top1, search=None, control_of=None, images=100_000):
    genome = genome if isinstance(genome, tuple) else uniform_genome("vgg_small", genome)
    spec = NetworkSpec("vgg_small", genome)
    sample = Sample(top1, (), images)
    return Row(model, spec, Interval.of(top1), search=search, control_of=control_of, sample=sample)


ONE, TWO = row("uniform-1x", 1, 89.9, 90.0, 90.1), row("uniform-2x", 2, 91.9, 92.0, 92.1)
ISO = row("uniform-iso", 1.4, 90.4, 90.5, 90.6, control_of=ControlOf("found", "uniform"))
FIRST = row("first-iso", (1.0, *(1.5,) * 5), 91.5, 91.6, 91.7, control_of=ControlOf("found", "first-layer"))


def sentences_on(model, *rows):
    return next(verdict.sentences for verdict in verdicts(rows) if verdict.model == model)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ((93.9, 94.0, 94.1), "better by 3.5 points ("),
        ((87.9, 88.0, 88.1), "worse by 2.5 points ("),
        ((89.5, 90.5, 91.5), "no difference seen (−"),
    ],
)
def test_the_first_sentence_is_about_equal_cost(found, words):
    first, second, *_ = sentences_on("found", ONE, FIRST, TWO, row("found", BETWEEN, *found, search=EVOLUTION), ISO)
    assert first.startswith("Against uniform-iso, the uniform network of equal cost (0.9")
    assert words in first
    assert second.startswith("Against first-iso, which has the same first layer, uniform others and equal cost (0.8")


def test_a_control_of_another_row_is_none_of_this_one():
    other = row("other-iso", 1.2, 90, 90.1, 90.2, control_of=ControlOf("other", "uniform"))
    first = sentences_on("found", other, ONE, row("found", BETWEEN, 91, 91.1, 91.2, search=EVOLUTION))[0]
    assert "other-iso" not in first
    assert first.startswith(
        "Against uniform-1x, the largest uniform network here within its cost (0.50 times its FLOPs"
    )
    assert first.endswith("There is no uniform network of equal cost to compare with.")


def test_how_many_seeds_would_tell():
    first = sentences_on("found", ISO, row("found", BETWEEN, 88.5, 90.5, 92.5, search=EVOLUTION))[0]
    assert "no difference seen" in first
    assert "To tell 1 point (four times in five) would take about " in first
    few = row("found", BETWEEN, 88.5, 90.5, 92.5, search=EVOLUTION, images=100)
    assert "any number of seeds: the test images are too few" in sentences_on("found", ISO, few)[0]


def test_without_uniform_networks():
    first = sentences_on("found", row("found", VGG_A, 92.0, 92.1, search=EVOLUTION))[0]
    assert first == "There is no uniform network of equal or lower cost to compare with."


def test_a_search_that_found_a_uniform_network():
    control = row("iso", 1, 90, 90.1, control_of=ControlOf("found", "uniform"))
    found = row("found", 1, 90.0, 90.1, search=EVOLUTION)
    assert sentences_on("found", control, ONE, found)[0].startswith("It is itself a uniform network")


def test_one_seed_each_never_says_better():
    control = row("iso", 1.4, 80.0, control_of=ControlOf("found", "uniform"))
    first = sentences_on("found", control, row("found", BETWEEN, 95.0, search=EVOLUTION))[0]
    assert "better" not in first
    assert "15.0 points above in these trainings (" in first
    assert "what another seed would give is not known" in first


def found_by(name, algorithm, penalty, fitnesses, evaluations=96, rescored=True):
    anew = [value if rescored else None for value in fitnesses]
    runs = tuple(RunBest(f"{name}-{i}", VGG_A, fitnesses[i] + 2, value) for i, value in enumerate(anew))
    mean = float(np.mean(fitnesses))
    best = Best(name, VGG_A, 90.0, 1.0, mean, 0, 0, evaluations, None, 3, 5, mean + 2, runs)
    return Search(name, algorithm, configured({"lambda": penalty}), best)


BASELINE = row("random-A", VGG_B, 91.0, 91.2, 91.4, search=found_by("random", "random", 4, (84.0, 84.5, 85.0)))


def test_against_a_baseline_of_the_same_penalty():
    found = row("found", VGG_A, 92.1, 92.2, 92.3, search=found_by("A", "evolution", 4, (86.9, 87.0, 87.1)))
    _, accuracy, fitness = sentences_on("found", BASELINE, found)
    assert accuracy.startswith("Against random-A, found by random search for the same λ (5.24 times its FLOPs, 91.20")
    assert "better by 1.0 points (" in accuracy
    assert fitness.startswith(
        "Fitness (scored anew): evolution is above random search in 3 of 3 seeds; the mean is higher"
    )
    assert len(verdicts([BASELINE, found])) == 1, "a baseline is what others are judged by"


def test_fitness_of_runs_that_are_not_told_apart():
    found = row("found", VGG_A, 92.1, 92.2, 92.3, search=found_by("A", "evolution", 4, (83.9, 84.6, 84.9)))
    fitness = sentences_on("found", BASELINE, found)[2]
    assert "in 1 of 3 seeds; the mean is not told apart: −0.03 (−" in fitness


def test_one_run_each_and_unequal_budgets():
    mine = found_by("A", "evolution", 4, (87.0,), rescored=False)
    found = row("found", VGG_A, 92.1, 92.2, 92.3, search=mine)
    theirs = row("random-A", VGG_B, 91, 92, search=found_by("random", "random", 4, (88.0,), 50, rescored=False))
    _, _, budget, fitness = sentences_on("found", theirs, found)
    assert budget == "The budgets are not equal: 96 candidates against 50 by random search."
    assert fitness == (
        "Fitness (of the selected candidates, which chance has raised): evolution is above random search in 0 of 1 "
        "seed, 89.00 against 90.00; one seed says nothing about the next."
    )


def test_a_baseline_of_another_penalty_is_none():
    found = row("found", VGG_A, 92.1, 92.2, 92.3, search=found_by("A", "evolution", 0.2, (87.0, 87.2)))
    assert sentences_on("found", BASELINE, found)[1].startswith("No row comes from a baseline search of the same λ")


def test_baselines_are_judged_where_nothing_else_was_found():
    assert [verdict.model for verdict in verdicts([ONE, BASELINE])] == ["random-A"]


def test_given_rows_get_no_verdict():
    assert verdicts([ONE, TWO, row("auto-a", VGG_A, 92.0)]) == []


def test_the_headline_says_what_was_selected_and_what_came_of_it():
    found = row("found", VGG_A, 92.1, 92.2, search=found_by("A", "evolution", 4, (86.9, 87.0, 87.1)))
    (verdict,) = verdicts([found])
    assert "evolution, λ = 4, 96 candidates of 3 seeds" in verdict.headline
    assert (
        "fitness 87.00 when scored anew (5 finalists, 3 trainings each), 89.00 when it was selected" in verdict.headline
    )


def test_the_more_comparisons_the_wider_the_intervals():
    def interval(*rows):
        found = row("found", BETWEEN, 90.0, 90.6, 91.2, search=EVOLUTION)
        return next(one.difference for one in comparisons([*rows, found]) if one.other is ISO)

    assert interval(ISO, FIRST).high > interval(ISO).high


def test_equal_rows_are_told_apart_in_at_most_one_table_of_twenty():
    random = np.random.default_rng(0)
    tables, told_apart = 300, 0
    for _ in range(tables):

        def draw(model, genome, **more):
            return row(model, genome, *random.normal(90, 1, 3), **more)

        table = [
            draw("found", BETWEEN, search=EVOLUTION),
            draw("found-B", VGG_B, search=Search("B", "evolution", configured({"lambda": 1}))),
            draw("iso", 1.4, control_of=ControlOf("found", "uniform")),
            draw("first", (1.0, *(1.5,) * 5), control_of=ControlOf("found", "first-layer")),
            draw("iso-B", 2.0, control_of=ControlOf("found-B", "uniform")),
        ]
        text = " ".join(sentence for verdict in verdicts(table) for sentence in verdict.sentences)
        told_apart += "better by" in text or "worse by" in text
    assert told_apart / tables <= 0.05 + 2 * (0.05 * 0.95 / tables) ** 0.5


def test_the_cost_that_was_weighed_is_named():
    table = made_up(NetworkSpec("vgg_small", ONE.spec.genome), lambda layer: layer.out_channels * 1e-6)
    for counting in (Counting("memory"), Counting("latency", table)):
        found = replace(row("found", VGG_A, 90.0, 91.0, search=EVOLUTION), counting=counting)
        control = replace(row("iso", 0.9, 89.0, 90.0, control_of=ControlOf("found", "uniform")), counting=counting)
        share = counting.value(control.spec) / counting.value(found.spec)
        assert f"({share:.2f} times its {counting.title}, " in sentences_on("found", found, control)[0]
        assert counting.shown(counting.value(found.spec)) in verdicts([found, control])[0].headline


def test_the_dearest_uniform_network_within_the_cost_that_was_weighed():
    # By memory uniform-2x is too dear; on a machine that knows no width it is as cheap as any.
    table = made_up(NetworkSpec("vgg_small", ONE.spec.genome), lambda layer: 1e-3)
    for counting, beside in ((Counting("memory"), "uniform-1x"), (Counting("latency", table), "uniform-2x")):
        rows = [replace(one, counting=counting) for one in (row("found", BETWEEN, 92.0, search=EVOLUTION), TWO, ONE)]
        assert sentences_on("found", *rows)[0].startswith(f"Against {beside}, the largest uniform network")
