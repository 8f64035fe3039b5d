"""The figures of an experiment, drawn from its rows (:mod:`pipeline.report.rows`). Each function returns a figure.

Colours are those of Okabe and Ito, which colour-blind people tell apart, and every kind of network has a marker of
its own as well. The same data give the same bytes.
"""

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, ParamSpec

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from pipeline.report.label_placement import Point, place_labels
from pipeline.report.proxy import ProxyPoint, proxy_worth
from pipeline.report.published import FIGURE_1, find_table
from pipeline.report.results import published_only
from pipeline.report.rows import Row, Search, pareto_front
from pipeline.search.costs import FLOPS, CostName, Counting
from pipeline.search.individual import Individual
from pipeline.search.objectives import Objective

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

P = ParamSpec("P")

_STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that text is as wide everywhere
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.hashsalt": "pipeline",  # otherwise the names inside an SVG are random
}

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#8c8c8c"

#: Colour, marker and name in legends of each kind of row.
KINDS: dict[str, tuple[str, str, str]] = {
    "full-precision": (BLACK, "s", "full precision"),
    "uniform": (BLUE, "o", "uniform"),
    "given": (GREEN, "P", "given genome"),
    "control": (SKY, "v", "equal cost"),
    "baseline": (PURPLE, "^", "baseline search"),
    "found": (VERMILLION, "D", "found"),
}

#: Colours and markers for the searches in one panel; baselines look as their rows do in the other figures.
_SEARCHES = ((VERMILLION, "D"), (BLUE, "o"), (GREEN, "P"), (ORANGE, "s"), (SKY, "v"), (BLACK, "X"))
#: Markers along a line, at most.
_MARKERS = 20


class Curve(NamedTuple):
    """The training curves of one network: for each seed, top-1 in percent on the training images by epoch."""

    name: str
    seeds: Sequence[Sequence[float]]


@contextmanager
def _style() -> Iterator[None]:
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a user's own matplotlibrc must not change the bytes
        matplotlib.rcParams.update(_STYLE)
        yield


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draws a figure in the common style, whatever a user has set."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with _style():
            return draw(*args, **kwargs)

    return drawn


#: What a file of each form would say of the time at which it was made.
_DATES: Mapping[str, Any] = {"png": None, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


def render(figure: Figure, form: Literal["png", "svg", "pdf"]) -> bytes:
    """Returns the figure's file, free of dates, so that the same figure is the same bytes."""
    buffer = io.BytesIO()
    with _style():
        figure.savefig(buffer, format=form, dpi=150, metadata=_DATES[form])
    return buffer.getvalue()


def new_figure(width: float, height: float) -> Figure:
    """Returns an empty figure of so many inches."""
    figure = Figure((width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _empty_figure(text: str) -> Figure:
    """Returns a figure that says what an experiment does not have."""
    figure = new_figure(7, 2)
    figure.text(0.5, 0.5, text, ha="center", va="center")
    return figure


def _panels(count: int, columns: int, width: float, height: float, **how: Any) -> "tuple[Figure, list[Axes]]":
    """Returns a grid of ``count`` panels, each ``width`` × ``height`` inches; what is left of the last line stays
    blank.
    """
    columns = min(columns, count)
    lines = math.ceil(count / columns)
    figure = new_figure(columns * width, lines * height)
    axes = list(figure.subplots(lines, columns, squeeze=False, **how).flat)
    for blank in axes[count:]:
        blank.remove()
    for above in axes[max(0, count - columns) : count]:  # the lowest panel of each column shows the shared axis
        above.tick_params(labelbottom=True)
    return figure, axes[:count]


# --- fitness over generations ---


@styled
def fitness_figure(searches: Sequence[Search], generations: Mapping[str, Sequence[Sequence[Individual]]]) -> Figure:
    """Draws fitness (Eq. 4, or what another objective says) over generations: the best so far and the median.

    There is one panel for each objective, such as each λ. Baselines look at none, and are drawn in every panel.

    Args:
        searches: of the experiment; those without generations are left out.
        generations: scored candidates of each search, by its name and generation.
    """
    searches = [search for search in searches if generations.get(search.name)]
    if not searches:
        return _empty_figure("There is no search.")
    judged = [search for search in searches if not search.baseline] or searches
    objectives = list(dict.fromkeys(search.objective for search in judged))
    figure, panels = _panels(len(objectives), 2, 5.2, 3.9)
    for axes, objective in zip(panels, objectives, strict=True):
        here = [replace(s, objective=objective) for s in searches if s.baseline or s.objective == objective]
        called = _called(here)
        algorithms = list(dict.fromkeys(called[s.name] for s in here if not s.baseline))
        # Baselines first: the others are drawn over them.
        for title in [*dict.fromkeys(called[s.name] for s in here if s.baseline), *algorithms]:
            runs = [generations[search.name] for search in here if called[search.name] == title]
            look = KINDS["baseline"][:2]
            if title in algorithms:
                look = _SEARCHES[algorithms.index(title) % len(_SEARCHES)]
            _draw_runs(axes, title, runs, objective, *look)
        axes.set_title(objective.title)
        axes.set_xlabel("generation")
        axes.set_ylabel("fitness")
        axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], integer=True))
        if axes.get_lines():
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize=8.5)
    return figure


def _called(searches: Sequence[Search]) -> dict[str, str]:
    """Returns the name in a legend of each search, by its own: the algorithm's, which the runs of a search share, with
    the search's where several are of one algorithm, such as with other settings of it.
    """
    names = {search.name for search in searches}

    def of_run(name: str) -> str:
        first, _, number = name.rpartition("-")
        return first if number.isdecimal() and first in names else name

    of_title: dict[str, set[str]] = {}
    for search in searches:
        of_title.setdefault(search.title, set()).add(of_run(search.name))
    return {
        search.name: search.title if len(of_title[search.title]) == 1 else f"{search.title} {of_run(search.name)}"
        for search in searches
    }


def _draw_runs(
    axes: "Axes",
    title: str,
    runs: Sequence[Sequence[Sequence[Individual]]],
    objective: Objective,
    colour: str,
    marker: str,
) -> None:
    """Draws the runs of one algorithm from different seeds alike, and names them once."""
    several = f" ({len(runs)} seeds)" if len(runs) > 1 else ""
    names = {"best": f"{title}{several}: best so far", "median": f"{title}{several}: median"}
    for generations in runs:
        values = [
            [objective.value(individual) for individual in generation if individual.top1 is not None]
            for generation in generations
        ]
        numbers = [number for number, generation in enumerate(values) if generation]
        if not numbers:
            continue
        best = [max(value for generation in values[: number + 1] for value in generation) for number in numbers]
        marks: Any = {"marker": marker, "markersize": 4.5, "markevery": math.ceil(len(numbers) / _MARKERS)}
        axes.plot(numbers, best, color=colour, linewidth=1.8, label=names.pop("best", None), **marks)
        marks |= {"markersize": 3.5, "markerfacecolor": "white"}
        middle = [median(values[number]) for number in numbers]
        axes.plot(
            numbers,
            middle,
            color=colour,
            linewidth=1.2,
            linestyle=(0, (4, 2)),
            label=names.pop("median", None),
            **marks,
        )


# --- accuracy against FLOPs ---


@styled
def accuracy_figure(rows: Sequence[Row]) -> Figure:
    """Returns top-1 on the test set against cost (logarithmic): rows, the uniform networks' line, the Pareto front.

    Cost is what the searches weighed. If that is latency, full precision is left out: no time of it was measured.
    """
    rows = [row for row in rows if _cost(row) is not None]
    figure = new_figure(8, 5.4)
    _draw_accuracies(
        figure, [figure.subplots()], [rows], _cost_of, _COST_LABELS[rows[0].counting.cost] if rows else "cost"
    )
    return figure


@styled
def accuracies_figure(experiments: Mapping[str, Sequence[Row]]) -> Figure:
    """Returns the same of several experiments over FLOPs, a panel for each; all have the same axes.

    Args:
        experiments: rows of each, by its name.
    """
    figure, panels = _panels(len(experiments), 2, 6, 4.6, sharex=True, sharey=True)
    for axes, name in zip(panels, experiments, strict=True):
        axes.set_title(name)
    _draw_accuracies(figure, panels, list(experiments.values()), _millions, "FLOPs for one image (millions)")
    return figure


def _draw_accuracies(
    figure: Figure,
    panels: "Sequence[Axes]",
    experiments: Sequence[Sequence[Row]],
    cost: Callable[[Row], float],
    label: str,
) -> None:
    handles: dict[str, Any] = {}
    lines = []
    for axes, rows in zip(panels, experiments, strict=True):
        uniform = sorted((row for row in rows if row.kind == "uniform" and not row.recipe), key=cost)
        lines.append([[(cost(row), row.top1.mean) for row in line] for line in (pareto_front(rows, cost), uniform)])
        front: dict[str, Any] = {
            "color": ORANGE,
            "linewidth": 5,
            "alpha": 0.45,
            "zorder": 1,
            "label": "Pareto front (binary)",
        }
        handles.setdefault("front", axes.plot(*_columns(lines[-1][0]), **front)[0])
        axes.plot(*_columns(lines[-1][1]), color=BLUE, linewidth=1.2, linestyle="--", zorder=1)
        for kind, (colour, marker, name) in KINDS.items():
            of_kind = [row for row in rows if row.kind == kind]
            if of_kind:
                _draw_points(axes, [(cost(row), row.top1.mean, row.top1.std) for row in of_kind], colour, marker)
                dashes: Any = "--" if kind == "uniform" else ""
                how: dict[str, Any] = {
                    "color": colour,
                    "marker": marker,
                    "linestyle": dashes,
                    "linewidth": 1.2,
                    "label": name,
                }
                handles.setdefault(kind, Line2D([], [], **how))
        axes.margins(x=0.12, y=0.12)
    first = panels[0]
    first.set_xscale("log")
    plain_log_ticks(first.xaxis, [cost(row) for rows in experiments for row in rows])
    first.set_ylim(top=min(100.0, first.get_ylim()[1]))
    for axes in panels:
        axes.set_xlabel(label)
        axes.set_ylabel("top-1 on the test set (%)")
    figure.legend(
        handles=list(handles.values()), loc="outside lower center", ncols=5 if len(handles) < 6 else 3, fontsize=9
    )
    for axes, rows, drawn in zip(panels, experiments, lines, strict=True):
        place_labels(axes, [Point(cost(row), row.top1.mean, row.top1.std or 0.0, row.model) for row in rows], drawn)


_COST_LABELS: Mapping[CostName, str] = {
    "flops": "FLOPs for one image (millions, a binary multiply-accumulate counted as 1/64)",
    "memory": "memory of the weights (KiB)",
    "latency": "time for one image (ms, by the table of latencies)",
}


def _cost(row: Row) -> float | None:
    """Returns the cost that the searches weighed, in the unit of its label; None if it is not known."""
    cost = row.counting.cost
    return row.milliseconds if cost == "latency" else row.cost.bytes / 1024 if cost == "memory" else _millions(row)


def _cost_of(row: Row) -> float:
    return _cost(row) or 0.0


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _millions(row: Row) -> float:
    return row.cost.flops / 1e6


def _draw_points(axes: "Axes", points: Sequence[tuple[float, float, float | None]], colour: str, marker: str) -> None:
    for x, y, spread in points:
        bars: dict[str, Any] = {"yerr": spread or None, "capsize": 3, "elinewidth": 1}
        axes.errorbar(x, y, fmt=marker, color=colour, markersize=6.5, clip_on=False, **bars)


def plain_log_ticks(axis: "Axis", values: Sequence[float]) -> None:
    """Draws ticks as 0.5, 1, 2 instead of powers of ten."""
    decades = math.log10(max(values) / min(values)) if values else 1.0
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 3 else (1.0,), numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


# --- output channels ---


@styled
def channels_figure(rows: Sequence[Row]) -> Figure:
    """Draws Figure 2 of the paper: output channels of a found network, beside the uniform one of equal cost.

    Shortcut convolutions are left out: they are as wide as their stage.
    """
    found = [row for row in rows if row.kind == "found"] or [row for row in rows if row.kind == "baseline"]
    if not found:
        return _empty_figure("No row comes from a search.")
    layers = len(_channels(found[0]))
    figure, panels = _panels(len(found), 2 if layers <= 8 else 1, 5.2 if layers <= 8 else 9, 3.3, sharey=True)
    for axes, row in zip(panels, found, strict=True):
        beside = _most_similar(row, rows)
        _draw_channels(axes, [row] if beside is None else [row, beside])
    return figure


def _most_similar(row: Row, rows: Sequence[Row]) -> Row | None:
    """Returns the uniform control of equal cost, or for want of one the uniform row whose cost is nearest.

    Cost is what the searches weighed: operations, memory or latency.
    """
    of_row = (one for one in rows if one.control_of and one.control_of.model == row.model)
    controls = [one for one in of_row if one.control_of and one.control_of.control == "uniform"]
    uniform = controls or [one for one in rows if one.kind == "uniform" and one.recipe == row.recipe]
    return min(uniform, key=lambda other: abs(math.log(other.weighed_cost / row.weighed_cost)), default=None)


def _channels(row: Row) -> dict[str, int]:
    convolutions = [layer for layer in row.spec.layers if layer.kind == "convolution"]
    return {layer.name: layer.out_channels for layer in convolutions if "shortcut" not in layer.name}


def _draw_channels(axes: "Axes", rows: Sequence[Row]) -> None:
    width = 0.8 / len(rows)
    for number, row in enumerate(rows):
        channels = _channels(row)
        places = [layer + (number - (len(rows) - 1) / 2) * width for layer in range(len(channels))]
        colour = KINDS[row.kind][0]
        label = f"{row.model}, {row.counting.shown(row.weighed_cost)}, {row.top1} %"
        axes.bar(places, list(channels.values()), width, color=colour, label=label, edgecolor="white", linewidth=0.5)
    names = list(_channels(rows[0]))
    many = len(names) > 8
    axes.set_xticks(range(len(names)), names, rotation=60 if many else 0, ha="right" if many else "center")
    if many:
        for name_of_layer in axes.get_xticklabels():
            name_of_layer.set_rotation_mode("anchor")
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="x", visible=False)
    axes.set_ylabel("output channels")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.3, fontsize=9)


# --- training curves ---


@styled
def curves_figure(curves: Sequence[Curve], tested: Mapping[str, float] | None = None) -> Figure:
    """Returns top-1 on the training images by epoch, a panel for each network: mean over seeds, and from lowest to
    highest.

    The means of the other networks that trained as long stand behind it in grey.

    Args:
        curves: of each network.
        tested: mean top-1 on the test images in percent of the networks whose name is in it, marked at the last epoch.
    """
    tested = tested or {}
    curves = [curve for curve in curves if curve.seeds and all(curve.seeds)]
    if not curves:
        return _empty_figure("There are no training curves.")
    figure, panels = _panels(len(curves), 4, 2.6, 2.2, sharey=True)
    means = [over_seeds(curve, fmean) for curve in curves]
    for axes, curve, mean in zip(panels, curves, means, strict=True):
        epochs = range(1, len(mean) + 1)
        for other in means:
            if len(other) == len(mean):
                axes.plot(epochs, other, color="#cccccc", linewidth=0.8)
        axes.fill_between(epochs, over_seeds(curve, min), over_seeds(curve, max), color=BLUE, alpha=0.3, linewidth=0)
        axes.plot(epochs, mean, color=BLUE, linewidth=1.8)
        if curve.name in tested:
            axes.plot(len(mean), tested[curve.name], "D", color=VERMILLION, markersize=5, clip_on=False, zorder=3)
        axes.set_title(curve.name, fontsize=10)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))
    panels[0].set_ylim(top=min(100.0, panels[0].get_ylim()[1]))
    figure.supxlabel("epoch", fontsize=10)
    figure.supylabel("training top-1 (%)" + (", ◆: test" if tested else ""), fontsize=10)
    return figure


def over_seeds(curve: Curve, reduce: Callable[[Sequence[float]], float]) -> list[float]:
    """Returns one value for each epoch that every seed has."""
    return [reduce(values) for values in zip(*curve.seeds, strict=False)]


# --- the proxy ---


@styled
def proxy_figure(points: Sequence[ProxyPoint], counting: Counting = FLOPS) -> Figure:
    """Returns accuracy when trained in full against one score as a candidate, shaded by cost, with Kendall's tau."""
    if not points:
        return _empty_figure("No genomes were sampled to judge the proxy on.")
    figure = new_figure(6.4, 4.8)
    axes = figure.subplots()
    accuracies, costs = [fmean(point.trained) for point in points], [point.cost for point in points]
    shades = axes.scatter([point.scores[0] for point in points], accuracies, c=costs, norm="log", cmap="viridis", s=36)
    bar = figure.colorbar(shades, ax=axes, label=f"{counting.title} / {counting.title} of uniform-1x")
    plain_log_ticks(bar.ax.yaxis, costs)
    worth = proxy_worth(points)
    beyond = f", given cost {worth.partial.value:.2f}" if worth is not None and worth.partial is not None else ""
    count = f"{len(points)} random genome{'s' * (len(points) != 1)}"
    if worth is None:
        axes.set_title(f"{count}: no rank correlation")
    else:
        axes.set_title(f"{count}: τ = {worth.score.value:.2f}{beyond}")
    axes.set_xlabel("score as a candidate, top-1 on the validation images (%)")
    axes.set_ylabel("trained in full, top-1 on held-out images (%)")
    axes.margins(0.1)
    axes.set_xlim(right=min(100.0, axes.get_xlim()[1]))
    axes.set_ylim(top=min(100.0, axes.get_ylim()[1]))
    return figure


# --- the methods ---


class _Bar(NamedTuple):
    name: str
    value: float
    spread: float | None
    colour: str
    published: bool


@styled
def methods_figure(rows: Sequence[Row], published: str | None = None) -> Figure:
    """Draws Figure 1 of the paper: top-1 of every row, and published values in hatched bars beside them.

    Args:
        rows: of this experiment.
        published: ``table1`` or ``table2``, whose networks are shown, with Table 2 Figure 1's other methods too.
    """
    bars = [bar for row in rows for bar in _bars_of(row)]
    bars += [_published_bar(line.model, line.top1) for line in published_only(rows, published) if not line.quoted]
    if published and find_table(published).network == "resnet18":
        bars += [_published_bar(method.method, method.top1) for method in FIGURE_1]
    figure = new_figure(7.5, 0.9 + 0.27 * len(bars))
    axes = figure.subplots()
    for place, bar in enumerate(bars):
        look = {"color": "white", "edgecolor": bar.colour, "hatch": "////"} if bar.published else {"color": bar.colour}
        axes.barh(place, bar.value, 0.72, xerr=bar.spread or None, capsize=2.5, linewidth=0.8, **look)  # type: ignore[arg-type]
        text = f"{bar.value:.2f}" + (f" ± {bar.spread:.2f}" if bar.spread is not None else "")
        axes.text(bar.value + (bar.spread or 0.0) + 1.2, place, text, va="center", fontsize=9)
    axes.set_yticks(range(len(bars)), [bar.name for bar in bars])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.2 * max(bar.value for bar in bars))
    axes.set_xticks(range(0, 101, 20))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.margins(y=0.01)
    axes.set_xlabel("top-1 on the test set (%)")
    return figure


def _bars_of(row: Row) -> list[_Bar]:
    bars = [_Bar(row.model, row.top1.mean, row.top1.std, KINDS[row.kind][0], published=False)]
    return bars + ([_published_bar(row.published.model, row.published.top1)] if row.published else [])


def _published_bar(name: str, top1: float) -> _Bar:
    return _Bar(f"{name} (published)", top1, None, GREY, published=True)
