"""What is said of searched rows: first against equal cost, then against baselines, in words that the numbers bear."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.report.recipes import recipe_sentences
from pipeline.report.rows import ControlOf, Interval, Row, Search
from pipeline.report.statistics import Sample, seeds_to_tell
from pipeline.report.verdicts import comparisons, verdicts, worth_it
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
    assert second.startswith(
        "Against first-iso, which has the same first layer, uniform others and at most equal cost (0.8"
    )


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            (93.9, 94.0, 94.1),
            "found: yes. Beside uniform-iso, the uniform network of equal cost: better by 3.5 points (",
        ),
        ((87.9, 88.0, 88.1), "found: no. Beside uniform-iso, the uniform network of equal cost: worse by 2.5 points ("),
        ((89.5, 90.5, 91.5), "found: not seen to be. Beside uniform-iso, the uniform network of equal cost: no diff"),
        ((93.0,), "found: not known from one training. Beside uniform-iso, the uniform network of equal cost: 2.5 po"),
    ],
)
def test_whether_it_was_worth_it(found, words):
    (answer,) = worth_it([ONE, FIRST, TWO, row("found", BETWEEN, *found, search=EVOLUTION), ISO])
    assert answer.startswith(words)


def test_what_beats_a_cheaper_network_is_not_worth_it_for_that():
    better = row("found", BETWEEN, 93.9, 94.0, 94.1, search=EVOLUTION)
    (answer,) = worth_it([ONE, better])
    assert answer.startswith("found: not known at equal cost. Beside uniform-1x, the uniform network of at most equal")
    (answer,) = worth_it([ONE, row("found", BETWEEN, 87.9, 88.0, 88.1, search=EVOLUTION)])
    assert answer.startswith("found: no. Beside uniform-1x")
    assert worth_it([TWO, better]) == [
        "found: not known. There is no uniform network of equal or lower cost to compare with."
    ]
    for rows in ([], [ONE]):
        found = row("found", 2, 92.0, 92.1, search=EVOLUTION)
        assert worth_it([*rows, found]) == ["found: no. It is itself a uniform network."]
        assert sentences_on("found", *rows, found)[0].startswith("It is itself a uniform network")
        assert comparisons([*rows, found]) == []


def test_a_control_that_is_much_dearer_is_not_of_equal_cost():
    """By measured times even the narrowest uniform network can take longer."""
    dear = replace(TWO, model="uniform-iso", control_of=ControlOf("found", "uniform"))
    for top1, answer in (
        ((87.9, 88.0, 88.1), "not known at equal cost"),
        ((93.9, 94.0, 94.1), "yes"),
        ((91.0, 92.0, 93.0), "not seen to be"),
    ):
        found = row("found", BETWEEN, *top1, search=EVOLUTION)
        (said,) = worth_it([dear, found])
        assert said.startswith(
            f"found: {answer}. Beside uniform-iso, the uniform network of higher cost (1.72 times its"
        )
        first = sentences_on("found", dear, found)[0]
        assert first.startswith("Against uniform-iso, the uniform network of higher cost (1.72 times its FLOPs")
        assert first.endswith("No uniform network here is as cheap.")


def test_a_control_that_is_much_cheaper_is_not_of_equal_cost():
    """Of a narrow network with few channels the next wider control can cost twice as much."""
    cheap = replace(ONE, model="uniform-iso", control_of=ControlOf("found", "uniform"))
    better = row("found", BETWEEN, 93.9, 94.0, 94.1, search=EVOLUTION)
    (answer,) = worth_it([cheap, better])
    assert answer.startswith(
        "found: not known at equal cost. Beside uniform-iso, the uniform network of at most equal cost (0.50 times its "
        "FLOPs): better by 4.0 points"
    )
    first = sentences_on("found", cheap, better)[0]
    assert first.startswith("Against uniform-iso, the uniform network of at most equal cost (0.50 times its FLOPs, ")
    assert first.endswith("Channels are too few here for one of equal cost.")
    worse = row("found", BETWEEN, 87.9, 88.0, 88.1, search=EVOLUTION)
    assert worth_it([cheap, worse])[0].startswith("found: no. Beside uniform-iso")


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


def test_a_network_is_not_compared_with_itself_by_other_ratios():
    """Of narrow layers: 3 of 12 channels and 6 of 25 are a quarter of them, and 0.24 of 25 are 6 too."""
    same = (0.25, 0.25, 0.24, 0.24, 0.25, 0.25)
    found, control, random = (
        replace(one, spec=replace(one.spec, base_width=0.1))
        for one in (
            row("found", 0.25, 90.0, 90.1, search=EVOLUTION),
            row("iso", same, 90.0, 90.1, control_of=ControlOf("found", "uniform")),
            row("random", same, 90.0, 90.1, search=Search("random", "random", EVOLUTION.objective)),
        )
    )
    first, second, *_ = sentences_on("found", control, found, random)
    assert first.startswith("It is itself a uniform network")
    assert second == "random, found by random search for the same λ, is the same network."
    assert worth_it([control, found, random]) == ["found: no. It is itself a uniform network."]


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


def test_fewer_of_a_baselines_candidates_may_count():
    """It draws from the whole space, of which most is beyond a budget that only the choice knows."""
    within = configured({"objective": "most_accurate", "max_cost": 1})

    def said(mine, theirs):
        searches = [
            replace(one, objective=within, best=replace(one.best, admitted=number))
            for one, number in ((found_by("A", "evolution", 4, (87.0,)), mine), (BASELINE.search, theirs))
        ]
        found = row("found", VGG_A, 92.1, 92.2, 92.3, search=searches[0])
        return " ".join(sentences_on("found", replace(BASELINE, search=searches[1]), found))

    assert "Only 7 of the 96 candidates of random search could be that network, and 40 of those of evolution." in said(
        40, 7
    )
    for mine, theirs in ((40, 40), (7, 40), (None, None), (None, 7), (40, None)):
        assert "could be that network" not in said(mine, theirs)


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


# --- which rows are compared, and what exactly is said ---


HALF = row("uniform-0.5x", 0.5, 85.0, 85.1)
FOUND = row("found", BETWEEN, 91.0, 91.1, 91.2, search=EVOLUTION)


def searched(model, genome, *top1, penalty=4, algorithm="evolution", **more):
    return row(model, genome, *top1, search=Search(model, algorithm, configured({"lambda": penalty, **more})))


RANDOM = searched("random-A", VGG_B, 91.0, 91.2, algorithm="random")


@pytest.mark.parametrize(
    ("rows", "rivals"),
    [
        # The control of equal cost first, and then no other uniform row.
        ([ONE, FIRST, RANDOM, TWO, FOUND, ISO], ["uniform-iso", "first-iso", "random-A"]),
        # Without a uniform control the dearest uniform row within the cost.
        ([ONE, HALF, FIRST, TWO, FOUND], ["uniform-1x", "first-iso"]),
        ([TWO, FOUND], []),
        # Nothing is compared with itself, whatever it is called.
        ([HALF, row("iso", BETWEEN, 90.0, control_of=ControlOf("found", "uniform")), searched("found", BETWEEN, 90.0)],
         ["uniform-0.5x"]),
        # Nor is a uniform network with a narrower one.
        ([HALF, row("iso", 1, 90.0, control_of=ControlOf("found", "uniform")), searched("found", 1, 90.0)], []),
        ([searched("found", VGG_B, 92.0), RANDOM], []),
        # A baseline has no baselines, nor has a search that looks for something else.
        ([RANDOM, searched("random-B", VGG_A, 90.0, algorithm="random")], []),
        ([searched("found", VGG_A, 90.0, penalty=1), RANDOM], []),
    ],
)  # fmt: skip
def test_what_is_compared_with_what(rows, rivals):
    assert [one.other.model for one in comparisons(rows)] == rivals


def test_every_row_has_its_own_comparisons():
    rows = [FOUND, searched("found-B", VGG_A, 92.0, 92.1), ISO, RANDOM]
    made = {verdict.model: verdict.sentences for verdict in verdicts(rows)}
    assert list(made) == ["found", "found-B"]
    assert made["found"][0].startswith("Against uniform-iso, ")
    assert made["found-B"][0] == "There is no uniform network of equal or lower cost to compare with."
    for sentences, share in ((made["found"], RANDOM.cost.flops / FOUND.cost.flops), (made["found-B"], 5.24)):
        assert sentences[1].startswith(f"Against random-A, found by random search for the same λ ({share:.2f} times")
        assert len(sentences) == 2


def test_a_baseline_that_found_the_same_network():
    same = searched("random-A", VGG_A, 91.0, 91.2, algorithm="random")
    other = searched("random-B", VGG_B, 91.0, 91.2, algorithm="random")
    found = searched("found", VGG_A, 92.0, 92.1)
    _, first, second = sentences_on("found", other, found, same)
    assert first.startswith("Against random-B, found by random search for the same λ (5.24 times its FLOPs, 91.10")
    assert second == "random-A, found by random search for the same λ, is the same network."


def test_what_two_searches_share_is_called_an_objective_if_it_is_not_equation_4():
    within = {"objective": "most_accurate", "max_cost": 1.0}
    found = searched("found", VGG_A, 92.0, 92.1, **within)
    assert sentences_on("found", found)[1].startswith("No row comes from a baseline search of the same objective, so")
    assert (
        "for the same objective ("
        in sentences_on("found", found, searched("r", VGG_B, 9, algorithm="random", **within))[1]
    )
    assert "objective" not in " ".join(sentences_on("found", searched("found", VGG_A, 92.0)))


def with_best(search, **changes):
    return replace(search, best=replace(search.best, **changes))


def test_micro_batches_are_said_and_a_baseline_that_is_judged_lacks_none():
    plain = found_by("A", "evolution", 4, (87.0, 87.2))
    for count in (0, 16):
        found = row("found", VGG_A, 92.1, 92.2, search=with_best(plain, micro_batch=count))
        said = [one for one in sentences_on("found", found) if "micro-batches of 16 images, since memory" in one]
        assert len(said) == (count == 16)
    assert len(sentences_on("random-A", BASELINE)) == 1


@pytest.mark.parametrize(("rescorings", "said"), [(2, "no finalist does"), (0, "no candidate does")])
def test_an_accuracy_that_was_asked_for_and_not_reached_is_said(rescorings, said):
    asked = configured({"objective": "cheapest", "min_top1": 80})
    search = replace(found_by("A", "evolution", 4, (87.0, 87.2)), objective=asked)
    below = with_best(search, top1=79.9, rescorings=rescorings)
    first, *others = sentences_on("found", ISO, row("found", VGG_A, 92.1, 92.2, search=below))
    assert first.startswith(f"It does not reach the 80 % that were asked for: {said}, and it is the most accurate")
    assert ("79.90 % when scored anew." in first) == bool(rescorings)
    by_model = with_best(search, top1=79.9, rescorings=rescorings, chosen_by="model")
    first, *_ = sentences_on("found", ISO, row("found", VGG_A, 92.1, 92.2, search=by_model))
    assert ("79.90 % as a model of all scores expects." in first) == (not rescorings)
    reached = with_best(search, top1=80.0)
    assert sentences_on("found", ISO, row("found", VGG_A, 92.1, 92.2, search=reached)) == tuple(others)


def test_a_search_whose_penalty_leaves_nothing_of_any_candidate_says_so():
    usual = found_by("A", "evolution", 400, (0.0, 0.0))  # whose candidates were above 0 before they were scored anew
    none = with_best(usual, runs=tuple(replace(run, selected=0.0) for run in usual.best.runs))

    def said(search):
        sentences = sentences_on("found", ISO, row("found", VGG_A, 92.1, 92.2, search=search))
        return [one for one in sentences if one.startswith("No candidate's fitness is above 0 with λ = 400: ")]

    assert len(said(none)) == 1 and not said(usual)
    assert len(said(with_best(none, runs=(), fitness=0.0))) == 1 and not said(with_best(none, runs=(), fitness=0.1))
    assert not said(with_best(none, fitness=0.1))  # a finalist that was above 0 when scored anew, and was taken for it
    assert not said(replace(none, objective=configured({"objective": "cheapest", "min_top1": 0})))


def test_headlines_in_full():
    search = found_by("A", "evolution", 4, (86.9, 87.0, 87.1))
    tail = "11.31M FLOPs, top-1 92.15 ± 0.07 %; genome 0.5,2,1,1,1,0.5"

    def headline(search):
        return verdicts([row("found", VGG_A, 92.1, 92.2, search=search)])[0].headline

    assert headline(search) == (
        "evolution, λ = 4, 96 candidates of 3 seeds; fitness 87.00 when scored anew (5 finalists, 3 trainings each), "
        f"89.00 when it was selected; {tail}"
    )
    once = with_best(found_by("A", "evolution", 4, (87.0,)), selected=None, rescorings=1, finalists=1)
    assert headline(once) == (
        "evolution, λ = 4, 96 candidates; fitness 87.00 when scored anew (1 finalist, 1 training each), 0.00 when it "
        f"was selected; {tail}"
    )
    assert "96 candidates of 2 seeds;" in headline(found_by("A", "evolution", 4, (87.0, 87.2)))
    assert headline(with_best(search, rescorings=0)) == f"evolution, λ = 4, 96 candidates of 3 seeds; {tail}"
    by_model = with_best(search, rescorings=0, chosen_by="model", selected=88.5)
    assert headline(by_model) == (
        "evolution, λ = 4, 96 candidates of 3 seeds; fitness 87.00 expected by a model of all their scores, by which "
        f"it was chosen, 88.50 by its own score; {tail}"
    )
    assert headline(with_best(search, chosen_by="model")) == headline(search)
    assert headline(EVOLUTION) == f"evolution, λ = 4; {tail}"


def fitness_sentence(mine, theirs):
    sides = [
        row(name, genome, 92.0, search=found_by(name, algorithm, 4, values))
        for name, genome, algorithm, values in (("found", VGG_A, "evolution", mine), ("r", VGG_B, "random", theirs))
    ]
    sentences = sentences_on("found", *sides)
    return next((one for one in sentences if one.startswith("Fitness")), None)


def test_how_often_and_by_how_much_runs_are_better():
    assert fitness_sentence((80.0, 81.0), (84.0, 85.0)).endswith(
        "is above random search in 0 of 2 seeds; the mean is lower by 4.00 (0.96 to 7.04)."
    )
    assert fitness_sentence((84.0, 85.0), (80.0, 81.0)).endswith(
        "2 of 2 seeds; the mean is higher by 4.00 (0.96 to 7.04)."
    )
    assert "in 0 of 2 seeds; the mean is not told apart: 0.00 (" in fitness_sentence((80.0, 81.0), (80.0, 81.0))
    assert "in 1 of 1 seed, 84.00 against 80.00; one seed says nothing" in fitness_sentence((84.0,), (80.0, 81.0))
    # Of runs that agree nothing is told, however little they differ; and those beyond the other's number have no pair.
    # Runs that all end alike give no interval, and none of no width.
    alike = ". The runs of each do not differ, so that no interval can be given."
    assert fitness_sentence((80.0, 80.0), (80.0, 80.0)).endswith(f"in 0 of 2 seeds; the mean is the same{alike}")
    assert fitness_sentence((80.0, 80.0), (79.0, 79.0)).endswith(f"in 2 of 2 seeds; the mean is higher by 1.00{alike}")
    assert fitness_sentence((79.0, 79.0), (80.0, 80.0)).endswith(f"in 0 of 2 seeds; the mean is lower by 1.00{alike}")
    assert "not told apart: 0.00 (−0.30 to 0.30)" in fitness_sentence((80.0, 80.1), (80.0, 80.1))
    assert "in 2 of 2 seeds" in fitness_sentence((84.0, 85.0, 86.0), (80.0, 81.0))


def test_a_search_of_which_little_is_known_is_not_judged_by_its_runs():
    known, unknown = found_by("A", "evolution", 4, (87.0, 88.0)), EVOLUTION
    for search, baseline in ((known, Search("r", "random", EVOLUTION.objective)), (unknown, BASELINE.search)):
        rows = [row("found", VGG_A, 92.0, search=search), row("r", VGG_B, 92.0, search=baseline)]
        assert len(sentences_on("found", *rows)) == 2


def test_runs_of_which_one_was_not_scored_anew():
    mine, theirs = found_by("A", "evolution", 4, (87.0, 88.0)), found_by("r", "random", 4, (80.0, 81.0))
    for search in (mine, theirs):
        runs = (replace(search.best.runs[0], rescored=None), *search.best.runs[1:])
        partly = with_best(search, runs=runs)
        sides = [partly if one is search else one for one in (mine, theirs)]
        rows = [row("found", VGG_A, 92.0, search=sides[0]), row("r", VGG_B, 92.0, search=sides[1])]
        assert sentences_on("found", *rows)[2].startswith("Fitness (of the selected candidates, ")
        without = [row("found", VGG_A, 92.0, search=with_best(sides[0], runs=())), rows[1]]
        assert len(sentences_on("found", *without)) == 2


def test_no_seeds_are_asked_for_where_there_are_enough_or_nothing_is_to_be_told():
    def power(mine, theirs, images=100_000):
        control = row("iso", 1.4, *theirs, control_of=ControlOf("found", "uniform"), images=images)
        found = row("found", BETWEEN, *mine, search=EVOLUTION, images=images)
        first = sentences_on("found", control, found)[0]
        assert first.endswith((".", ").")) and "None" not in first
        return seeds_to_tell(found.sample, control.sample, 1.0), "To tell" in first, first

    assert power((90.0, 90.25, 90.5), (90.0, 90.25, 90.5))[:2] == (3, False)
    assert power((90.0, 90.5), (90.0, 90.25, 90.5))[1]
    assert power((90.0, 90.35), (90.0, 90.25, 90.5))[:2] == (3, True), "one of both has too few"
    assert not power((95.0, 95.3, 95.6), (90.0, 90.3, 90.6))[1]
    assert not power((95.0,), (90.0, 90.3, 90.6))[1]
    needed, asked, text = power((88.5, 90.5, 92.5), (90.4, 90.5, 90.6))
    assert asked and f"would take about {needed} seeds of each." in text


def test_a_row_of_another_recipe_is_no_rival():
    """Else a search would be blamed for a recipe."""
    found = row("found", BETWEEN, 93.9, 94.0, 94.1, search=EVOLUTION)
    adam = replace(row("adam", 1, 70.0, 70.1, 70.2), recipe=("optimizer adam",))
    assert [one.other.model for one in comparisons([adam, ONE, found])] == ["uniform-1x"]
    assert comparisons([adam, found]) == []


def test_what_a_recipe_gives_is_told_beside_the_same_network_by_the_usual_one():
    adam = replace(row("adam", 1, 92.0, 92.1, 92.2), recipe=("optimizer adam", "learning_rate 0.002"))
    other = replace(row("other", 3, 92.0, 92.1, 92.2), recipe=("epochs 5",))
    told = recipe_sentences([ONE, TWO, adam, other])
    assert told[0].startswith(
        "adam (optimizer adam, learning_rate 0.002): 92.10 ± 0.10 % beside 90.00 ± 0.10 % of uniform-1x: "
        "better by 2.1 points ("
    )
    assert told[1] == "other (epochs 5): 92.10 ± 0.10 %; no row has the same network by the usual recipe."
    assert recipe_sentences([ONE, TWO]) == []
