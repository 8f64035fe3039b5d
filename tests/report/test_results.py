"""The table of results, the verdicts, the proxy's rank correlation and the account of time."""

import pytest

from pipeline.common.errors import UserError
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.report.proxy import PROXY, kendall_tau, proxy_points, proxy_sentence, proxy_table
from pipeline.report.results import (
    RESULTS,
    Interval,
    Measurement,
    Row,
    Search,
    collect_rows,
    pareto_front,
    results_table,
)
from pipeline.report.timing import BALANCE, TIMING, CandidateTime, TrainingTime, balance_table, timing_table
from pipeline.report.verdicts import verdicts
from pipeline.search.tables import Best

VGG_A, VGG_B = (0.5, 2.0, 1.0, 1.0, 1.0, 0.5), (2.0, 2.0, 4.0, 2.0, 4.0, 0.5)
EVOLUTION, RANDOM = Search("A", "evolution", 4), Search("random-A", "random", 4)


def spec_of(genome, binary=True, **more):
    if not isinstance(genome, tuple):
        genome = uniform_genome("vgg_small", genome)
    return NetworkSpec("vgg_small", genome, binary=binary, **more)


def row(model, genome, *top1, binary=True, search=None):
    return Row(model, spec_of(genome, binary), Interval.of(top1), search=search)


def measured(model, genome, *top1, top5=None, **more):
    return [Measurement(model, seed, value, top5, spec_of(genome, **more)) for seed, value in enumerate(top1)]


# --- intervals ---


@pytest.mark.parametrize(
    ("mine", "theirs", "above"),
    [
        ((92, 93, 94), (88, 89, 90), True),
        ((92, 93, 94), (90, 91, 92), False),  # 93 - 1 is not above 91 + 1
        ((92, 93, 94), (90, 91, 91.9), True),
        ((88, 89, 90), (92, 93, 94), False),
        ((93,), (92.9,), True),
        ((93,), (93,), False),
        ((93,), (92, 92.5, 93), False),
        ((93.1,), (92, 92.5, 93), True),
        ((92, 93, 94), (92.5,), False),
    ],
)
def test_above(mine, theirs, above):
    assert Interval.of(mine).above(Interval.of(theirs)) is above


def test_one_seed_has_no_standard_deviation():
    assert Interval.of([91.5]) == (91.5, None, 1)
    assert str(Interval.of([91.5])) == "91.50"


# --- rows ---


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
        (row("m", VGG_A, 93, search=RANDOM), "random"),
    ],
)
def test_kind(made, kind):
    assert made.kind == kind


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
    assert tuple(line) == RESULTS
    assert line == {
        **dict.fromkeys(RESULTS),
        "model": "a",
        "source": "measured",
        "genome": "0.5,2,1,1,1,0.5",
        "binary": 1,
        "seeds": 3,
        "flops_m": 11.313152,
        "speedup_theoretical": 53.719,
        "memory_mbit": 5.052416,
        "memory_kib": 616.75,
        "top1_mean": 92.5,
        "top1_std": 0.5,
        "pareto": 1,
    }


def test_one_seed_leaves_the_standard_deviation_empty():
    (line,) = results_table(collect_rows({"a": None}, measured("a", 1, 90.0, top5=99.0)))
    assert (line["top1_mean"], line["top1_std"], line["top5_mean"], line["top5_std"]) == (90.0, None, 99.0, None)


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
    assert all(tuple(line) == RESULTS for line in lines)


def test_quoted_methods_are_marked():
    genome = uniform_genome("resnet18", 1)
    spec = NetworkSpec("resnet18", genome, size=224, classes=1000)
    rows = collect_rows({"a": None}, [Measurement("a", 0, 50.0, 75.0, spec)], "table2")
    sources = {line["model"]: line["source"] for line in results_table(rows, "table2")}
    assert [model for model, source in sources.items() if source == "quoted"] == ["PCNN", "ABC {5/3}", "ABC {5/5}"]
    assert sources["Res18-Auto-A"] == "published only"


# --- the verdict ---

#: 26.2M FLOPs, between uniform-1x (13.2M) and uniform-2x (45.3M).
BETWEEN = (1.0, 1.0, 1.0, 2.0, 2.0, 2.0)
ONE, TWO = row("uniform-1x", 1, 89.9, 90.0, 90.1), row("uniform-2x", 2, 91.9, 92.0, 92.1)


def sentences_on(model, *rows):
    return next(verdict.sentences for verdict in verdicts(rows) if verdict.model == model)


@pytest.mark.parametrize(
    ("found", "against_cheaper", "against_dearer"),
    [
        (
            (93.9, 94.0, 94.1),
            "Not beaten by any uniform network of equal or lower FLOPs: more accurate than uniform-1x "
            "(90.00 ± 0.10 %).",
            "equal or higher FLOPs: more accurate than uniform-2x (92.00 ± 0.10 %, 1.72 times its FLOPs).",
        ),
        ((90.9, 91.0, 91.1), "more accurate than uniform-1x", "less accurate than uniform-2x (92.00 ± 0.10 %)."),
        ((91.0, 92.0, 93.0), "more accurate than uniform-1x", "not told apart from uniform-2x"),
        (
            (89.5, 90.0, 90.5),
            "Not beaten by any uniform network of equal or lower FLOPs: not told apart from uniform-1x "
            "(90.00 ± 0.10 %, 0.50 times its FLOPs).",
            "less accurate than uniform-2x",
        ),
        (
            (87.9, 88.0, 88.1),
            "Beaten by a uniform network of equal or lower FLOPs: uniform-1x (90.00 ± 0.10 %, 0.50 times its FLOPs) is "
            "more accurate.",
            "less accurate than uniform-2x",
        ),
    ],
)
def test_verdict_against_uniform_networks(found, against_cheaper, against_dearer):
    cheaper, dearer, _ = sentences_on("found", ONE, TWO, row("found", BETWEEN, *found, search=EVOLUTION))
    assert against_cheaper in cheaper
    assert against_dearer in dearer


def test_verdict_at_equal_flops_counts_on_both_sides():
    cheaper, dearer, _ = sentences_on("found", ONE, row("found", 1, 95.0, 95.1, 95.2, search=EVOLUTION))
    assert "more accurate than uniform-1x" in cheaper
    assert "more accurate than uniform-1x" in dearer


def test_verdict_without_uniform_networks():
    full_precision = row("full", 1, 99.0, binary=False)
    cheaper, dearer, _ = sentences_on("found", full_precision, row("found", VGG_A, 92.0, search=EVOLUTION))
    assert cheaper == "There is no uniform network of equal or lower FLOPs to compare with."
    assert dearer == "There is no uniform network of equal or higher FLOPs to compare with."


def found_by(name, algorithm, penalty, fitness, evaluations=96):
    return Search(name, algorithm, penalty, Best(name, VGG_A, 90.0, 1.0, fitness, 0, 0, evaluations))


@pytest.mark.parametrize(
    ("random", "sentence"),
    [
        (
            row("random-A", VGG_B, 91.0, 91.2, 91.4, search=found_by("random-A", "random", 4, 86.5)),
            "Against random search of the same λ: more accurate than random-A (91.20 ± 0.20 %, 5.24 times its FLOPs); "
            "the fitness that it reached in the search is higher, 87.00 against 86.50.",
        ),
        (
            row("random-A", VGG_B, 94.0, 94.2, 94.4, search=found_by("random-A", "random", 4, 87.5)),
            "Against random search of the same λ: less accurate than random-A (94.20 ± 0.20 %, 5.24 times its FLOPs); "
            "the fitness that it reached in the search is lower, 87.00 against 87.50.",
        ),
        (
            row("random-A", VGG_B, 92.0, 92.2, 92.4, search=found_by("random-A", "random", 4, 87.0, 50)),
            "not told apart from random-A (92.20 ± 0.20 %, 5.24 times its FLOPs); the fitness that it reached in the "
            "search is equal, 87.00 against 87.00 (96 against 50 candidates: not an equal budget).",
        ),
        (
            row("random-A", VGG_A, 92.0, 92.2, 92.4, search=found_by("random-A", "random", 4, 87.0)),
            "The random search of the same λ, random-A, found the same genome.",
        ),
        (
            row("random-B", VGG_B, 92.0, 92.2, 92.4, search=found_by("random-B", "random", 0.2, 87.0)),
            "No row comes from a random search of the same λ",
        ),
    ],
)
def test_verdict_against_random_search(random, sentence):
    found = row("found", VGG_A, 92.1, 92.2, 92.3, search=found_by("A", "evolution", 4, 87.0))
    assert sentence in sentences_on("found", random, found)[2]
    assert len(sentences_on(random.model, random, found)) == 2  # a random search is not measured against itself


def test_given_rows_get_no_verdict():
    assert verdicts([ONE, TWO, row("auto-a", VGG_A, 92.0)]) == []


# --- the proxy ---


def points_of(scores, accuracies):
    genomes = [(float(i + 1),) * 6 for i in range(len(scores))]
    rows = [
        row(f"m{i}", genome, accuracy) for i, (genome, accuracy) in enumerate(zip(genomes, accuracies, strict=True))
    ]
    return proxy_points(rows, zip(genomes, scores, strict=True))


@pytest.mark.parametrize(
    ("scores", "accuracies", "tau"),
    [
        ((80, 81, 82), (90, 91, 92), 1.0),
        ((80, 81, 82), (92, 91, 90), -1.0),
        ((80, 81, 82, 83), (90, 92, 91, 93), 2 / 3),
        ((80, 80, 82), (90, 91, 92), 2 / 6**0.5),  # tau-b: 2 concordant pairs over sqrt(2 · 3) untied ones
        ((80, 81), (90, 91), None),
        ((), (), None),
        ((80, 80, 80), (90, 91, 92), None),
        ((80, 81, 82), (90, 90, 90), None),
    ],
)
def test_kendall_tau(scores, accuracies, tau):
    assert kendall_tau(points_of(scores, accuracies)) == (tau if tau is None else pytest.approx(tau))


@pytest.mark.parametrize(
    ("scores", "accuracies", "sentence"),
    [
        ((), (), "not given: no genome has both"),
        ((80,), (90,), "not given: only one genome has both"),
        ((80, 81), (90, 91), "not given: only 2 genomes have both"),
        ((80, 80, 80), (90, 91, 92), "not defined: all 3 genomes have the same"),
        ((80, 81, 82), (90, 91, 92), "1.00, over 3 genomes"),
    ],
)
def test_missing_tau_is_said(scores, accuracies, sentence):
    assert sentence in proxy_sentence(points_of(scores, accuracies))


def test_proxy_points_are_binary_rows_with_a_score_each_genome_once():
    rows = [
        row("full", 1, 99.0, binary=False),
        row("uniform-1x", 1, 90.0),
        row("found", VGG_A, 92.0, search=EVOLUTION),
        row("again", VGG_A, 92.0, search=RANDOM),
        row("diverged", VGG_B, 10.0),
        row("never scored", 4, 93.0),
    ]
    one = uniform_genome("vgg_small", 1)
    points = proxy_points(rows, [(one, 80.0), (VGG_A, 84.0), (VGG_A, 86.0)])
    assert [(point.model, point.score) for point in points] == [("uniform-1x", 80.0), ("found", 85.0)]
    assert [tuple(line) for line in proxy_table(points)] == [PROXY, PROXY]


# --- the time ---


def test_timing_table():
    seeds = [TrainingTime(1800.0, "cpu", 2, "EPYC"), TrainingTime(5400.0, "cpu", 2, "EPYC")]
    supernet = TrainingTime(3600.0, "cuda", 1, "H100")
    candidates = [
        CandidateTime("A", VGG_A, 360.0, False, "EPYC"),
        CandidateTime("A", VGG_B, 720.0, False, "EPYC"),
        CandidateTime("random-A", VGG_A, 360.0, True, "EPYC"),
        CandidateTime("random-A", BETWEEN, 36.0, False, "Xeon"),
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


def test_balance_of_shards():
    def time(seconds, generation, shard, reused=False):
        return CandidateTime("A", VGG_A, seconds, reused, "EPYC", generation, shard)

    times = [time(30, 0, 0), time(10, 0, 1), time(99, 0, 1, reused=True), time(5, 1, 0), time(5, 2, 0, reused=True)]
    lines = balance_table([*times, time(5, 2, 1, reused=True)])
    assert [tuple(line) for line in lines] == [BALANCE]
    assert tuple(lines[0].values()) == ("A", 0, 2, 1.5)


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
