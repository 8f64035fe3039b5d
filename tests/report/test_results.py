"""The table of results, the proxy's rank correlation and the account of time."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.common.errors import UserError
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.report.answers import Answered
from pipeline.report.collect import collect_rows
from pipeline.report.results import RESULT_COLUMNS, results_columns, results_table
from pipeline.report.rows import ControlOf, Given, Interval, Measurement, Row, Search, pareto_front
from pipeline.report.statistics import Sample
from pipeline.report.tables import results_markdown, timing_markdown
from pipeline.report.timing import BALANCE, TIMING, CandidateTime, TrainingTime, balance_table, timing_table
from pipeline.search.costs import Counting
from pipeline.search.objectives import configured
from pipeline.search.tables import Best
from pipeline.training.identity import row_seed
from tests.support.latencies import made_up

VGG_A, VGG_B = (0.5, 2.0, 1.0, 1.0, 1.0, 0.5), (2.0, 2.0, 4.0, 2.0, 4.0, 0.5)
OTHER = (1.0, 1.0, 1.0, 2.0, 2.0, 2.0)
EQUATION_4 = configured({"lambda": 4})
EVOLUTION, RANDOM = Search("A", "evolution", EQUATION_4), Search("random-A", "random", EQUATION_4)


def spec_of(genome, binary=True, **more):
    if not isinstance(genome, tuple):
        genome = uniform_genome("vgg_small", genome)
    return NetworkSpec("vgg_small", genome, binary=binary, **more)


def row(model, genome, *top1, binary=True, search=None):
    return Row(model, spec_of(genome, binary), Interval.of(top1), search=search, sample=Sample(top1, (), 10_000))


def measured(model, genome, *top1, top5=None, **more):
    return [Measurement(model, seed, value, top5, spec_of(genome, **more)) for seed, value in enumerate(top1)]


# --- intervals ---


def test_one_seed_has_no_standard_deviation():
    assert Interval.of([91.5]) == (91.5, None, 1)
    assert str(Interval.of([91.5])) == "91.50"


def test_two_seeds_have_one():
    assert Interval.of([91.0, 92.0]) == (91.5, pytest.approx(0.5**0.5), 2)


# --- rows ---


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("width", [1.0, 0.125])
def test_what_was_weighed_is_the_binary_network_at_the_width_at_which_costs_are_counted(binary, width):
    def made(counting, **more):
        return Row("r", spec_of(VGG_A, binary, base_width=width, **more), Interval.of([9]), counting=counting)

    assert made(Counting("memory")).weighed_cost == 5_052_416 / 8, "as Table 1 counts it, 5.1M bits"
    assert made(Counting()).weighed_cost == 11_313_152
    assert made(Counting()).milliseconds is None
    # A machine on which each channel of the first layer takes a millisecond: half of 128.
    timed = made(Counting("latency", made_up()), channels=1, size=8)
    assert timed.weighed_cost == pytest.approx(0.064)
    assert timed.milliseconds == (64.0 if binary else None)


def test_searches_are_called_by_their_algorithms():
    assert (EVOLUTION.title, EVOLUTION.baseline) == ("evolution", False)
    assert (RANDOM.title, RANDOM.baseline) == ("random search", True)


def test_rows_keep_the_given_order_and_any_order_of_measurements_gives_the_same():
    models = {"b": None, "a": EVOLUTION}
    measurements = measured("a", VGG_A, 92.1, 92.3) + measured("b", 1, 90.1, 90.4)
    rows = collect_rows(models, measurements)
    assert [r.model for r in rows] == ["b", "a"]
    assert [r.search for r in rows] == [None, EVOLUTION]
    assert results_table(collect_rows(models, measurements[::-1])) == results_table(rows)


@pytest.mark.parametrize(
    ("models", "measurements", "published", "message"),
    [
        ({"a": None}, [], None, "row 'a' has no evaluation"),
        ({"a": None}, measured("a", 1, 90) + measured("b", 1, 90), None, "evaluation of 'b'"),
        ({"a": None}, measured("a", 1, 90) + measured("a", 2, 90), None, "are of different networks"),
        ({"a": None}, measured("a", 1, 90), "table2", "Table 2 is about ResNet-18, row 'a' is VGG-small"),
        ({"a": None}, measured("a", 1, 90), "table3", "unknown published table"),
    ],
)
def test_what_does_not_fit_together(models, measurements, published, message):
    with pytest.raises(UserError, match=message):
        collect_rows(models, measurements, published)


@pytest.mark.parametrize(
    ("classes", "top5", "shown"), [(10, 99.0, True), (10, None, False), (5, 100.0, False), (6, 98.0, True)]
)
def test_top5_needs_more_than_five_classes(classes, top5, shown):
    rows = collect_rows({"a": None}, measured("a", 1, 90.0, 91.0, top5=top5, classes=classes))
    assert (rows[0].top5 is not None) is shown
    assert (results_table(rows)[0]["top5_mean"] is not None) is shown


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (row("m", 1, 93, binary=False), "full-precision"),
        (row("m", 0.25, 93), "uniform"),
        (row("m", VGG_A, 93), "given"),
        (row("m", 1, 93, search=EVOLUTION), "found"),
        (row("m", VGG_A, 93, search=RANDOM), "baseline"),
    ],
)
def test_kind(made, kind):
    assert made.kind == kind


def test_a_control_is_none_of_the_uniform_rows():
    made = collect_rows({"iso": ControlOf("found", "uniform")}, measured("iso", 1, 90.0))[0]
    assert (made.kind, made.control_of) == ("control", ControlOf("found", "uniform"))


def test_costs_are_counted_at_the_width_that_is_meant():
    narrow = measured("a", VGG_A, 90.0, base_width=0.125)
    (own,), (published,) = collect_rows({"a": None}, narrow), collect_rows({"a": None}, narrow, cost_width=1)
    assert published.cost == row("b", VGG_A, 90.0).cost
    assert published.speedup == pytest.approx(53.719, abs=1e-3)
    assert own.cost == published.trained_cost
    assert own.cost.flops < published.cost.flops / 8
    (line,) = results_table([published])
    assert (line["flops_m"], line["trained_flops_m"]) == (11.313152, round(own.cost.flops / 1e6, 6))


def test_rows_keep_what_their_seeds_answered():
    right = [np.array([True, False]), np.array([True, True])]
    made = [Measurement("a", seed, 100 * r.mean(), None, spec_of(1), r, 2) for seed, r in enumerate(right)]
    (complete,) = collect_rows({"a": None}, made[::-1])
    assert complete.sample.top1 == (50.0, 100.0)
    assert [list(answers) for answers in complete.sample.right] == [[True, False], [True, True]]
    (older,) = collect_rows({"a": None}, [made[0], Measurement("a", 1, 100.0, None, spec_of(1), None, 2)])
    assert (older.sample.top1, older.sample.right, older.sample.images) == ((50.0, 100.0), (), 2)


def test_answers_count_if_they_are_all_known():
    def seeds(*answered):
        known = [
            one and Answered(one[0], np.array(one[1]), np.array([0, 0]), np.array([0.5, 0.5]), ()) for one in answered
        ]
        made = [replace(one, answered=a) for one, a in zip(measured("a", 1, *[90.0] * len(known)), known, strict=True)]
        return [one.labels.tolist() for one in collect_rows({"a": None}, made)[0].answered]

    mine = (("x", "y"), [0, 1])
    assert seeds(mine) == [[0, 1]] and seeds(mine, mine) == [[0, 1], [0, 1]]
    assert seeds(mine, None) == seeds(None, mine) == seeds(mine, mine, None) == seeds(None) == []


def test_all_networks_are_scored_on_the_same_test_images():
    def scored(test_images="", labels=None, classes=("x", "y")):
        answered = labels and Answered(classes, np.array(labels), np.zeros(2), np.ones(2), ())
        return {"test_images": test_images, "answered": answered}

    def rows(*scored):
        made = [replace(one, **how) for one, how in zip(measured("a", 1, 90.0, 90.5) * 2, scored, strict=False)]
        made[2:] = [replace(one, model="b") for one in made[2:]]
        return collect_rows(dict.fromkeys(one.model for one in made), made)

    one, other = scored("1", [0, 1]), scored("2", [0, 1])
    older, shuffled, called = scored(labels=[0, 1]), scored(labels=[1, 0]), scored(labels=[0, 1], classes=("x", "z"))
    for good in ((one, one, one), (older, one, older), (scored(), one, scored("1")), (scored(), scored("1"), older)):
        rows(*good)
    for bad in ((one, one, other), (one, other), (older, one, other), (older, older, shuffled), (one, called)):
        with pytest.raises(UserError, match="rows 'a' and '[ab]' were scored on different test images.*: delete the"):
            rows(*bad)


def test_as_many_images_as_the_seed_of_which_fewest_are_known():
    made = [replace(one, images=images) for one, images in zip(measured("a", 1, 90, 91), (450, 0), strict=True)]
    assert collect_rows({"a": None}, made)[0].sample.images == 0


def test_no_training_counts_twice():
    """A copied evaluation would make a row look certain."""
    made = [replace(one, weights=digest) for one, digest in zip(measured("a", 1, 90.0, 90.0), ("x", "x"), strict=True)]
    with pytest.raises(UserError, match="evaluations of seeds 0 and 1 of row 'a' are of one training: delete"):
        collect_rows({"a": None}, made)
    for known in ("x", "y"), ("", ""):  # older records do not say it
        made = [replace(one, weights=digest) for one, digest in zip(made, known, strict=True)]
        assert collect_rows({"a": None}, made)[0].top1.seeds == 2


def test_a_row_is_of_what_its_search_found():
    found = Best("A", VGG_A, 90.0, 1.0, 86.0, 0, 0, 4)
    search = Search("A", "evolution", configured({"lambda": 4}), found)
    assert collect_rows({"found-A": search}, measured("found-A", VGG_A, 90.0))[0].search == search
    with pytest.raises(
        UserError, match=r"row 'found-A' was trained as 1,1,1,1,1,1, but what its search found is 0.5,2"
    ):
        collect_rows({"found-A": search}, measured("found-A", 1, 90.0))


def test_a_row_is_of_what_the_configuration_gives_it():
    """The weights of all its seeds may have been exchanged."""
    real = Given(uniform_genome("vgg_small", 1), False)
    assert collect_rows({"a": Given(VGG_A, True)}, measured("a", VGG_A, 90.0))[0].kind == "given"
    assert collect_rows({"a": real}, measured("a", 1, 90.0, binary=False))[0].kind == "full-precision"
    for genome, given, said in (
        (VGG_B, Given(VGG_A, True), "2,2,4,2,4,0.5, but the configuration gives it 0.5,2,1,1,1,0.5:"),
        (1, real, "1,1,1,1,1,1, but the configuration gives it 1,1,1,1,1,1 in full precision:"),
    ):
        with pytest.raises(UserError, match=f"row 'a' was trained as {said} delete the row's trainings"):
            collect_rows({"a": given}, measured("a", genome, 90.0, 91.0))


@pytest.mark.parametrize("other", [{"base_width": 0.5}, {"channels": 1}, {"size": 8}, {"classes": 20}])
def test_rows_of_different_experiments_do_not_stand_in_one_table(other):
    rows = {"a": None, "b": None, "c": None}
    alike = measured("a", 1, 90.0) + measured("b", 4, 91.0, binary=False)
    assert len(collect_rows(rows, alike + measured("c", VGG_A, 92.0))) == 3
    with pytest.raises(UserError, match="rows 'a' and 'c' are of networks for different experiments: delete the tra"):
        collect_rows(rows, alike + measured("c", VGG_A, 92.0, **other))


def test_another_binariser_is_another_experiment_where_it_has_an_influence():
    """A full-precision network's record does not name it."""
    one, other = (measured(model, VGG_A, 92.0, binariser=name) for model, name in (("a", "dorefa"), ("b", "another")))
    real = measured("r", 1, 93.0, binary=False)
    for first in (real + other, other + real):
        assert len(collect_rows(dict.fromkeys(m.model for m in first), first)) == 2
    with pytest.raises(UserError, match="different experiments"):
        collect_rows({"a": None, "b": None}, one + other)


def test_pareto_front():
    rows = [
        row("full", 1, 99.0, binary=False),
        row("dear", 4, 92.0),
        row("cheap", 0.25, 80.0),
        row("dominated", 3, 91.0),
        row("middle", 2, 91.5),
        row("same", 2, 91.5),
        row("as dear and worse", 2, 91.4),
    ]
    assert [r.model for r in pareto_front(rows)] == ["cheap", "middle", "same", "dear"]


# --- the table ---


def test_a_measured_line():
    (line,) = results_table(collect_rows({"a": None}, measured("a", VGG_A, 92.0, 92.5, 93.0)))
    assert tuple(line) == RESULT_COLUMNS
    assert line == {
        **dict.fromkeys(RESULT_COLUMNS),
        "model": "a",
        "source": "measured",
        "genome": "0.5,2,1,1,1,0.5",
        "binary": 1,
        "seeds": 3,
        "flops_m": 11.313152,
        "speedup_theoretical": 53.719,
        "binary_macs_m": 603.979776,
        "memory_mbit": 5.052416,
        "memory_kib": 616.75,
        "trained_flops_m": 11.313152,
        "trained_memory_kib": 616.75,
        "top1_mean": 92.5,
        "top1_std": 0.5,
        "pareto": 1,
    }


def test_one_seed_leaves_the_standard_deviation_empty():
    (line,) = results_table(collect_rows({"a": None}, measured("a", 1, 90.0, top5=99.0)))
    assert (line["top1_mean"], line["top1_std"], line["top5_mean"], line["top5_std"]) == (90.0, None, 99.0, None)


def test_cells_are_rounded():
    genome = (0.25, 0.5, 1.0, 2.0, 0.25, 0.5)
    more = {"base_width": 0.05, "channels": 1, "size": 8}
    (line,) = results_table(collect_rows({"a": None}, measured("a", genome, 90.12345678, 91.0, 91.0, top5=99, **more)))
    # 1637.5 operations, 56160 binary MACs, 9015 bits; 54.4916 times fewer than in full precision.
    assert (line["flops_m"], line["trained_flops_m"], line["binary_macs_m"]) == (0.001638, 0.001638, 0.05616)
    assert (line["speedup_theoretical"], line["memory_mbit"]) == (54.492, 0.009015)
    assert line["memory_kib"] == line["trained_memory_kib"] == 1.1
    assert (line["top1_mean"], line["top1_std"], line["top5_std"]) == (90.7078, 0.5061, 0)


def test_latencies_have_a_column_where_one_row_has_one():
    counting = Counting("flops", made_up())
    rows = [
        Row(name, spec_of(genome, binary, channels=1, size=8), Interval.of([90.0]), counting=counting)
        for name, genome, binary in (("full-precision", 1, False), ("uniform-1x", 1, True), ("a", VGG_B, True))
    ]
    lines = results_table(rows)
    assert [line["latency_ms"] for line in lines] == [None, 128.0, 256.0]
    assert all(tuple(line) == (*RESULT_COLUMNS, "latency_ms") for line in lines)
    assert results_columns(rows[:1]) == RESULT_COLUMNS == tuple(results_table(rows[:1])[0])


def test_published_figures_stand_beside_measured_ones_and_the_rest_below():
    models = {"mine": None, "uniform-0.5x": None, "auto-b": None}
    measurements = measured("mine", 1, 90.0) + measured("uniform-0.5x", 0.5, 85.0) + measured("auto-b", VGG_B, 92.0)
    lines = results_table(collect_rows(models, measurements, "table1"), "table1")
    columns = ("model", "source", "top1_mean", "published_model", "published_flops_m", "published_top1")
    assert [tuple(line[column] for column in columns) for line in lines] == [
        ("mine", "measured", 90.0, "Uniform-1x", 13.2, 90.24),
        ("uniform-0.5x", "measured", 85.0, None, None, None),
        ("auto-b", "measured", 92.0, "VGG-Auto-B", 59.3, 93.06),
        ("Full-precision", "published only", None, "Full-precision", 608, 93.48),
        ("Uniform-2x", "published only", None, "Uniform-2x", 45.3, 91.65),
        ("Uniform-3x", "published only", None, "Uniform-3x", 96.2, 91.87),
        ("Uniform-4x", "published only", None, "Uniform-4x", 166, 92.56),
        ("VGG-Auto-A", "published only", None, "VGG-Auto-A", 11.3, 92.17),
    ]
    assert all(tuple(line) == RESULT_COLUMNS for line in lines)


def test_quoted_methods_are_marked():
    genome = uniform_genome("resnet18", 1)
    spec = NetworkSpec("resnet18", genome, size=224, classes=1000)
    rows = collect_rows({"a": None}, [Measurement("a", 0, 50.0, 75.0, spec)], "table2")
    sources = {line["model"]: line["source"] for line in results_table(rows, "table2")}
    assert [model for model, source in sources.items() if source == "quoted"] == ["PCNN", "ABC {5/3}", "ABC {5/5}"]
    assert sources["Res18-Auto-A"] == "published only"


# --- the time ---


def test_timing_table():
    seeds = [TrainingTime(1800.0, "cpu", 2, "EPYC"), TrainingTime(5400.0, "cpu", 2, "EPYC")]
    supernet = TrainingTime(3600.0, "cuda", 1, "H100")
    candidates = [
        CandidateTime("A", VGG_A, 360.0, False, "EPYC"),
        CandidateTime("A", VGG_B, 720.0, False, "EPYC"),
        CandidateTime("random-A", VGG_A, 360.0, True, "EPYC"),
        CandidateTime("random-A", OTHER, 36.0, False, "Xeon"),
    ]
    lines = timing_table({"found-A": seeds}, candidates, supernet)
    assert all(tuple(line) == TIMING for line in lines)
    columns = ("name", "trainings", "seconds_per_training", "device_hours", "reused_share", "saved_device_hours")
    assert [tuple(line[column] for column in columns) for line in lines] == [
        ("found-A", 2, 3600.0, 2.0, None, None),
        ("supernet", 1, 3600.0, 1.0, None, None),
        ("A", 2, 540.0, 0.3, 0.0, 0.0),
        ("random-A", 1, 36.0, 0.01, 0.5, 0.1),
        ("everything", 6, pytest.approx(1986.0), 3.31, 0.25, 0.1),
    ]
    assert [line["device"] for line in lines[:2]] == ["cpu, 2 threads", "cuda"]
    assert lines[3]["machine"] == "EPYC; Xeon"


def test_trainings_of_one_genome_are_several():
    """From other seeds, on more images: none of them is had from the archive, but for the one that two rows share."""
    times = [
        CandidateTime("A", VGG_A, 10.0, False, "EPYC"),
        CandidateTime("finalists", VGG_A, 11.0, False, "EPYC", kind="finalists"),
        CandidateTime("finalists", VGG_A, 11.0, True, "EPYC", kind="finalists"),
        CandidateTime("proxy", VGG_A, 10.0, True, "EPYC", kind="proxy"),
        CandidateTime("proxy", VGG_A, 12.0, False, "EPYC", kind="proxy"),
        CandidateTime("proxy", VGG_A, 60.0, False, "EPYC", kind="proxy"),
        CandidateTime("proxy", VGG_A, 13.0, False, "EPYC"),  # a search of that name
    ]
    columns = ("name", "kind", "trainings", "device_hours", "reused", "saved_device_hours")
    assert [tuple(line[column] for column in columns) for line in timing_table({}, times)] == [
        ("A", "search", 1, round(10 / 3600, 6), 0, 0.0),
        ("finalists", "finalists", 1, round(11 / 3600, 6), 1, round(11 / 3600, 6)),
        ("proxy", "proxy", 2, round(72 / 3600, 6), 1, round(10 / 3600, 6)),
        ("proxy", "search", 1, round(13 / 3600, 6), 0, 0.0),
        ("everything", "total", 5, round(106 / 3600, 6), 2, round(21 / 3600, 6)),
    ]


def test_balance_of_shards():
    def time(seconds, generation, shard, reused=False):
        return CandidateTime("A", VGG_A, seconds, reused, "EPYC", generation, shard)

    times = [time(30, 0, 0), time(10, 0, 1), time(99, 0, 1, reused=True), time(5, 1, 0), time(5, 2, 0, reused=True)]
    lines = balance_table([*times, time(5, 2, 1, reused=True)])
    assert [tuple(line) for line in lines] == [BALANCE]
    assert tuple(lines[0].values()) == ("A", 0, 2, 1.5)


def test_shards_that_trained_nothing_are_not_called_one_job():
    times = [CandidateTime("A", VGG_A, 5, True, "EPYC", 0, shard) for shard in range(2)]
    text = timing_markdown(timing_table({}, times), balance_table(times))
    assert text.endswith("Every generation in which a candidate was trained was evaluated in one job.\n")


def test_every_process_of_a_training_counts_its_hours():
    seeds = [TrainingTime(1800.0, "cpu", 2, "EPYC", processes=3), TrainingTime(1800.0, "cpu", 2, "EPYC")]
    supernet = TrainingTime(3600.0, "cuda", 1, "H100", processes=4)
    row, pretrained, _, total = timing_table({"r": seeds}, [CandidateTime("A", VGG_A, 360.0, False, "EPYC")], supernet)
    assert (row["seconds_per_training"], row["device_hours"]) == (1800.0, 2.0)
    assert row["device"] == "3 × cpu, 2 threads; cpu, 2 threads"
    assert (pretrained["seconds_per_training"], pretrained["device_hours"], pretrained["device"]) == (
        3600.0,
        4.0,
        "4 × cuda",
    )
    assert total["device_hours"] == 6.1


def test_timing_of_a_search_that_trained_nothing():
    lines = timing_table({}, [CandidateTime("A", VGG_A, 360.0, True, "EPYC")])
    assert (lines[0]["trainings"], lines[0]["seconds_per_training"], lines[0]["reused_share"]) == (0, None, 1.0)


# --- rows that come from other trainings ---


def test_a_control_is_of_the_genome_that_was_chosen_for_it():
    """The weights of all its seeds may be another row's."""
    chosen = {"iso": ControlOf("found", "uniform", uniform_genome("vgg_small", 1))}
    assert collect_rows(chosen, measured("iso", 1, 90.0))[0].control_of == chosen["iso"]
    with pytest.raises(UserError, match=r"row 'iso' was trained as 0.5,2,1,1,1,0.5, but what was chosen for it is 1,1"):
        collect_rows(chosen, measured("iso", VGG_A, 90.0))


ASKED = {"seed": 0, "settings": {"epochs": 60}, "network": {"network": "vgg_small", "base_width": 1, "binariser": "b"}}


def trained(number, **more):
    said = {"seed": row_seed(0, number), "settings": {"epochs": 60, "gamma": 0.1}, **more}
    return Measurement("a", number, 90.0 + number, None, spec_of(1, binariser="b"), training=said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"settings": {"epochs": 1}}, "epochs 1 in place of 60"),
        ({"seed": 7}, f"seed 7 in place of {row_seed(0, 1)}"),
    ],
)
def test_a_row_is_trained_as_its_experiment_asks(change, said):
    def rows(*measurements, asked=ASKED):
        return collect_rows({"a": None}, measurements, asked=asked)

    assert rows(trained(0), trained(1))[0].top1.mean == 90.5
    for older in ({}, {"seed": row_seed(0, 1)}):
        assert rows(trained(0), replace(trained(1), training=older))
    odd = trained(1, **change)
    with pytest.raises(
        UserError, match=rf"the network of seed 1 of row 'a' was trained otherwise .* \({said}\): delete"
    ):
        rows(trained(0), odd)
    assert rows(trained(0), odd, asked=None)


def by_recipe(model, genome, binary=True, **settings):
    said = {"seed": row_seed(0, 0), "settings": {"epochs": 60, "milestones": [5], **settings}}
    return Measurement(model, 0, 90.0, None, spec_of(genome, binary), training=said, weights=model)


def test_rows_of_another_recipe_say_so_and_stand_beside_no_published_line():
    measurements = [
        by_recipe("real", 1, binary=False),
        by_recipe("one", 1),
        by_recipe("adam", 1, optimizer="adam", learning_rate=0.002),
        by_recipe("taught", 1, teacher_weight=0.5),
        by_recipe("long", 2, epochs=90, milestones=[5, 9]),
    ]
    rows = collect_rows(dict.fromkeys(one.model for one in measurements), measurements, published="table1")
    assert [row.recipe for row in rows] == [
        (),
        (),
        ("optimizer adam", "learning_rate 0.002"),
        ("teacher_weight 0.5",),
        ("epochs 90", "milestones 5,9"),
    ]
    assert [row.published is not None for row in rows] == [True, True, False, False, False]
    assert results_columns(rows[:2]) == RESULT_COLUMNS
    lines = results_table(rows)
    assert tuple(lines[0]) == results_columns(rows) == (*RESULT_COLUMNS, "recipe")
    assert [line["recipe"] for line in lines[1:3]] == ["", "optimizer adam; learning_rate 0.002"]
    stages = {"real_weight_epochs": 3, "binary_weight_decay": 0.0}
    rows = collect_rows(dict.fromkeys(("real", "a")), [measurements[0], by_recipe("a", 1, **stages)])
    assert [row.recipe for row in rows] == [(), ()], "full precision has no binary weights"
    taught = [by_recipe(name, 1, teacher_weight=1.0) for name in ("a", "b")]
    rows = collect_rows(dict.fromkeys(("real", "a", "b")), [measurements[0], *taught])
    assert [row.recipe for row in rows] == [(), (), ()], "the teacher has none"
    table = results_markdown(collect_rows(dict.fromkeys(("one", "adam")), measurements[1:3]), [], None)
    assert "## Recipes" in table and "- adam (optimizer adam, learning_rate 0.002): 90.00 % beside 90.00 % of" in table


def test_rows_that_learnt_from_different_teachers_are_of_different_recipes():
    def taught(model, teacher, genome=1):
        one = by_recipe(model, genome, teacher_weight=1.0)
        return replace(one, training={**one.training, "teacher": teacher})

    real = [by_recipe(name, genome, binary=False) for name, genome in (("real", 1), ("real-4x", 4))]
    measured = [
        *real,
        taught("one", "real"),
        taught("two", "real", 2),
        taught("by-larger", "real-4x"),
        taught("x", "?"),
    ]
    rows = collect_rows(dict.fromkeys(one.model for one in measured), measured)
    assert [row.recipe for row in rows] == [(), (), (), (), ("teacher real-4x",), ("teacher unknown",)]
    table = results_markdown(rows, [], None)
    assert "- by-larger (teacher real-4x): 90.00 % beside 90.00 % of one:" in table
    assert "Trained by recipes of their own: by-larger, x." in table.replace("\n", " ")
    assert "recipes of their own" not in results_markdown(rows[:4], [], None)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"base_width": 0.5}, "base_width 0.5 in place of 1"), ({"binariser": "c"}, "binariser c in place of b")],
)
def test_all_rows_may_be_of_another_experiment_s_network(change, said):
    with pytest.raises(UserError, match=said):
        collect_rows({"a": None}, [replace(trained(0), spec=replace(spec_of(1, binariser="b"), **change))], asked=ASKED)
    # In full precision there is no binariser.
    collect_rows({"a": None}, [replace(trained(0), spec=spec_of(1, binary=False, binariser="c"))], asked=ASKED)
