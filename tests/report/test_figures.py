"""The figures: drawn for full and for poor experiments, legible, and the same bytes every time."""

from dataclasses import replace
from itertools import combinations

import pytest

from pipeline.__main__ import main
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.report.figures import (
    Curve,
    accuracy_figure,
    channels_figure,
    curves_figure,
    fitness_figure,
    methods_figure,
    proxy_figure,
    render,
)
from pipeline.report.page.cloud import cloud_figure
from pipeline.report.proxy import ProxyPoint
from pipeline.report.published import find_published
from pipeline.report.rows import ControlOf, Interval, Row, Search
from pipeline.search.costs import Counting
from pipeline.search.individual import Individual
from pipeline.search.objectives import configured
from pipeline.steps.figures import read_curves
from pipeline.steps.measurements import OfTraining
from pipeline.workflow.layout import FIGURE_FORMS, Layout
from pipeline.workflow.layout import FIGURES as NAMES
from tests.support.measured import SPEC, write_experiment
from tests.support.tables import forget_seals

VGG_A, VGG_B = (0.5, 2.0, 1.0, 1.0, 1.0, 0.5), (2.0, 2.0, 4.0, 2.0, 4.0, 0.5)
EQUATION_4 = configured({"lambda": 4})
EVOLUTION, RANDOM = Search("A", "evolution", EQUATION_4), Search("random-A", "random", EQUATION_4)


def row(model, genome, *top1, binary=True, search=None, network="vgg_small"):
    genome = genome if isinstance(genome, tuple) else uniform_genome(network, genome)
    size, classes, table = (32, 10, "table1") if network == "vgg_small" else (224, 1000, "table2")
    spec = NetworkSpec(network, genome, size=size, classes=classes, binary=binary)
    published = find_published(table, network, genome, binary=binary)
    return Row(model, spec, Interval.of(top1), None, search, published)


ROWS = [
    row("full-precision", 1, 93.4, 93.5, 93.6, binary=False),
    *(row(f"uniform-{r:g}x", r, 90 + i, 90.2 + i, 90.4 + i) for i, r in enumerate((0.25, 0.5, 1, 2, 3, 4))),
    row("found-A", VGG_A, 92.0, 92.2, 92.4, search=EVOLUTION),
    row("found-B", VGG_B, 93.9, 94.0, 94.1, search=EVOLUTION),
    row("random-A", VGG_A, 92.0, 92.1, 92.2, search=RANDOM),
    row("random-B", VGG_B, 93.8, 94.0, 94.2, search=RANDOM),
]
POINTS = [ProxyPoint((1.0,) * 6, 1.0 + i, (80.0 + i % 3, 81.0), (90.0 + i % 3, 91.0)) for i in range(6)]
GENERATIONS = {
    name: [[Individual(VGG_A, 80.0 + g + s, 1.0), Individual(VGG_B, None, 4.0)] for g in range(3)]
    for s, name in enumerate(("A", "random-A"))
}
RESNET = [
    row("uniform-1x", 1, 52.0, network="resnet18"),
    row("found-A", (2.0, 4.0, 2.0, 2.0, 2.0, *(4.0,) * 7), 60.0, search=EVOLUTION, network="resnet18"),
]

FIGURES = {
    "fitness": lambda: fitness_figure([EVOLUTION, RANDOM], GENERATIONS),
    "fitness of three lambdas": lambda: fitness_figure(
        [
            EVOLUTION,
            Search("random-A", "random", configured({"lambda": 0.2})),
            Search("C", "evolution", configured({"lambda": 0})),
        ],
        {**GENERATIONS, "C": [[Individual(VGG_A, None, 1.0)]]},
    ),
    "no search": lambda: fitness_figure([EVOLUTION], {}),
    "accuracy": lambda: accuracy_figure(ROWS),
    "accuracy of one row": lambda: accuracy_figure(ROWS[1:2]),
    "accuracy without binary rows": lambda: accuracy_figure(ROWS[:1]),
    "channels": lambda: channels_figure(ROWS),
    "channels of resnet18": lambda: channels_figure(RESNET),
    "channels without uniform rows": lambda: channels_figure(ROWS[-1:]),
    "nothing found": lambda: channels_figure(ROWS[:3]),
    "curves": lambda: curves_figure([Curve(f"m{i}", [[50, 60, 70], [55, 65, 75]]) for i in range(5)]),
    "curves of other lengths": lambda: curves_figure([Curve("m", [[50, 60], [55]]), Curve("supernet", [[40, 45, 50]])]),
    "no curves": lambda: curves_figure([Curve("m", [])]),
    "proxy": lambda: proxy_figure(POINTS),
    "proxy of two": lambda: proxy_figure(POINTS[:2]),
    "no proxy": lambda: proxy_figure([]),
    "methods": lambda: methods_figure(ROWS),
    "methods with table 1": lambda: methods_figure(ROWS, "table1"),
    "methods with table 2": lambda: methods_figure(RESNET, "table2"),
}


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES.keys())
def test_every_figure_is_drawn_and_is_the_same_again(draw):
    png, svg = render(draw(), "png"), render(draw(), "svg")
    assert png.startswith(b"\x89PNG")
    assert len(png) > 2000
    assert b"</svg>" in svg
    assert b"<dc:date>" not in svg
    assert render(draw(), "svg") == svg


def test_a_pdf_is_the_same_again_as_well():
    first, second = (render(curves_figure([Curve("m", [[50, 60]])]), "pdf") for _ in range(2))
    assert first == second and first.startswith(b"%PDF") and b"CreationDate" not in first


@pytest.mark.parametrize("draw", [lambda: accuracy_figure(ROWS)])
def test_names_beside_points_do_not_overlap(draw):
    figure = draw()
    renderer = figure.canvas.get_renderer()
    (axes,) = figure.axes
    boxes = [text.get_window_extent(renderer) for text in axes.texts if text.get_text()]
    assert len(boxes) == len(ROWS)
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    inside = axes.get_window_extent(renderer)
    assert all(inside.x0 <= box.x0 and box.x1 <= inside.x1 for box in boxes)


def test_every_row_is_named():
    assert {row.model for row in ROWS} <= set(texts(accuracy_figure(ROWS)))
    assert {row.model for row in ROWS} <= set(texts(methods_figure(ROWS)))


def test_published_methods_stand_beside_table_2():
    names = set(texts(methods_figure(RESNET, "table2")))
    assert {"XNOR-Net (published)", "Uniform-1x (published)", "Res18-Auto-B (published)"} <= names
    unpublished = [replace(row, published=None) for row in RESNET]
    assert not any("published" in name for name in texts(methods_figure(unpublished)))


@pytest.mark.parametrize(
    ("count", "title"), [(2, "2 random genomes: no rank correlation"), (6, "6 random genomes: τ = ")]
)
def test_proxy_says_tau_or_that_there_is_none(count, title):
    axes, _ = proxy_figure(POINTS[:count]).axes
    assert axes.get_title().startswith(title)


def test_channels_stand_beside_the_uniform_network_of_nearest_flops():
    labels = texts(channels_figure(ROWS))
    assert any(label.startswith("uniform-1x, 13.19M FLOPs") for label in labels)  # VGG-Auto-A has 11.3M
    assert any(label.startswith("uniform-2x, 45.25M FLOPs") for label in labels)  # VGG-Auto-B has 59.3M
    assert not any("shortcut" in label for label in texts(channels_figure(RESNET)))


def test_channels_stand_beside_the_uniform_network_of_nearest_memory_where_searches_weigh_it():
    """The last layers hold most weights and do little work: widening them alone costs memory."""
    memory = [replace(one, counting=Counting("memory")) for one in ROWS if one.model in ("uniform-1x", "uniform-2x")]
    found = row("found-C", (0.5, 0.5, 0.5, 0.5, 4.0, 1.0), 93.0, search=EVOLUTION)
    for counting, nearest in (Counting("flops"), "uniform-1x"), (Counting("memory"), "uniform-2x"):
        rows = [replace(one, counting=counting) for one in (*memory, found)]
        labels = texts(channels_figure(rows))
        assert {label.split(",")[0] for label in labels if "uniform" in label} == {nearest}
    assert any(label.startswith("uniform-2x, ") and "MiB" in label for label in labels)


def test_channels_stand_beside_the_control_of_equal_cost():
    found = row("found-A", VGG_A, 90.0, search=EVOLUTION)
    control = replace(row("uniform-iso-A", 0.75, 88.0), control_of=ControlOf("found-A", "uniform", (0.75,) * 6))
    other = replace(row("first-iso-A", 1, 88.0), control_of=ControlOf("found-A", "first-layer"))
    labels = texts(channels_figure([row("uniform-1x", 1, 89.0), other, control, found]))
    assert any(label.startswith("uniform-iso-A, ") for label in labels)
    assert not any(label.startswith(("uniform-1x, ", "first-iso-A, ")) for label in labels)


def test_rows_of_another_recipe_stand_for_no_width():
    """They are points of the figure: no line of uniform rows leads through them, and no found row stands beside one."""
    found, long = row("found-A", VGG_A, 90.0, search=EVOLUTION), replace(row("long", 1, 95.0), recipe=("epochs 90",))
    rows = [long, row("uniform-1x", 1, 89.0), row("uniform-2x", 2, 91.0), found]
    assert {label.split(",")[0] for label in texts(channels_figure(rows))} >= {"found-A", "uniform-1x"}
    assert not any(label.startswith("long") for label in texts(channels_figure(rows)))
    (dashed,) = (line for line in accuracy_figure(rows).axes[0].lines if line.get_linestyle() == "--")
    assert list(dashed.get_ydata()) == [89.0, 91.0]


def test_runs_of_one_search_look_alike_and_are_named_once():
    runs = [EVOLUTION, replace(EVOLUTION, name="A-1"), RANDOM]
    generations = {run.name: [[Individual(VGG_A, 80.0 + i, 1.0)] for i in range(2)] for run in runs}
    (axes,) = fitness_figure(runs, generations).axes
    named = [text.get_text() for text in axes.get_legend().get_texts()]
    assert named == [
        "random search: best so far",
        "random search: median",
        "evolution (2 seeds): best so far",
        "evolution (2 seeds): median",
    ]
    assert [line.get_marker() for line in axes.get_lines()] == [*"^^DDDD"], "as the rows in the other figures"
    colours = [line.get_color() for line in axes.get_lines()]
    assert len(colours) == 6 and len(set(colours[:2])) == 1 and len(set(colours[2:])) == 1


def test_searches_of_one_algorithm_with_other_settings_are_not_drawn_as_its_runs():
    """They look for the same, so that they are in one panel."""
    searches = [replace(EVOLUTION, name=name) for name in ("A", "A-1", "C", "C-1")]
    searches += [replace(RANDOM, name=name) for name in ("random", "random-1")]
    (axes,) = fitness_figure(searches, {search.name: GENERATIONS["A"] for search in searches}).axes
    named = [text.get_text() for text in axes.get_legend().get_texts()]
    assert named[::2] == [
        "random search (2 seeds): best so far",
        "evolution A (2 seeds): best so far",
        "evolution C (2 seeds): best so far",
    ]
    assert len({line.get_color() for line in axes.get_lines()}) == 3


@pytest.mark.parametrize(
    "draw",
    [
        lambda: accuracy_figure([row("uniform-1x", 1, 99.9, 98.0), row("uniform-2x", 2, 99.95)]),
        lambda: curves_figure([Curve("a", [[50.0, 100.0]])]),
        lambda: proxy_figure([ProxyPoint(VGG_A, 1.0, (99.0,), (99.5,)), ProxyPoint(VGG_B, 2.0, (60.0,), (70.0,))]),
    ],
)
def test_axes_end_where_accuracies_can_end(draw):
    assert draw().axes[0].get_ylim()[1] == 100.0


def test_rows_that_were_candidates_stand_out_in_the_cloud():
    axes = cloud_figure(GENERATIONS, rows=ROWS).axes[0]
    assert {text.get_text() for text in axes.texts if text.get_text()} == {"found-A", "random-A"}
    places = {tuple(line.get_xydata()[0]) for line in axes.get_lines() if line.get_marker() in ("D", "^")}
    assert places == {(1.0, 81.5)}, "the mean of its scores: 80, 81, 82 in one search, 81, 82, 83 in the other"
    assert not [text for text in cloud_figure(GENERATIONS).axes[0].texts if text.get_text()]


def test_a_training_ends_beside_what_the_test_images_say():
    figure = curves_figure([Curve("m", [[50, 60], [55, 65]]), Curve("n", [[50]])], {"m": 58.0})
    axes, other, *_ = figure.axes
    figure.draw_without_rendering()
    label = figure._supylabel.get_window_extent()
    assert label.y0 >= 0 and label.y1 <= figure.bbox.height, "its name fits beside one line of panels"
    (diamond,) = [line for line in axes.get_lines() if line.get_marker() == "D"]
    assert diamond.get_xydata().tolist() == [[2.0, 58.0]]
    assert not [line for line in other.get_lines() if line.get_marker() == "D"]


def test_best_so_far_never_falls():
    worse_later = {"A": [[Individual(VGG_A, value, 1.0)] for value in (80.0, 70.0, 90.0)]}
    (axes,) = fitness_figure([EVOLUTION], worse_later).axes
    best, median = axes.get_lines()
    assert list(best.get_ydata()) == [76.0, 76.0, 86.0]
    assert list(median.get_ydata()) == [76.0, 66.0, 86.0]


def test_step_writes_every_figure_and_the_same_bytes_again(tmp_path):
    arguments = write_experiment(tmp_path)["figures"]
    outputs = [f"{name}.{form}" for name in NAMES for form in FIGURE_FORMS]
    for folder in ("first", "second"):
        assert main(["figures", *arguments, "--output-folder", str(tmp_path / folder)]) == 0
    assert sorted(path.name for path in (tmp_path / "first").iterdir()) == sorted(outputs)
    for name in outputs:
        written = (tmp_path / "first" / name).read_bytes()
        assert len(written) > 2000
        assert (tmp_path / "second" / name).read_bytes() == written


def test_curves_are_read_in_the_rows_order(tmp_path):
    write_experiment(tmp_path)
    found = Layout(tmp_path)
    rows = [(model, seed) for model in ("found-A", "full-precision", "uniform-1x") for seed in (0, 1)]
    histories = [OfTraining(model, seed, found.training(model, seed).history) for model, seed in rows]
    curves = read_curves(["uniform-1x", "full-precision"], histories, found.supernet.history)
    assert [curve.name for curve in curves] == ["uniform-1x", "full-precision", "supernet"]
    assert [len(curve.seeds) for curve in curves] == [2, 2, 1]
    assert SPEC.base_width < 1


def test_damaged_history_is_named(tmp_path, capsys):
    arguments = write_experiment(tmp_path)["figures"]
    (tmp_path / "retrain/found-A/seed_0/history.csv").write_text("epoch,top1\n1,?\n")
    forget_seals(tmp_path)
    assert main(["figures", *arguments, "--output-folder", str(tmp_path / "figures")]) == 1
    assert "history.csv is no training's history" in capsys.readouterr().err
