"""Every candidate that the searches evaluated, against its cost."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.report.figures import KINDS, ORANGE, new_figure, plain_log_ticks, styled
from pipeline.report.fronts import front
from pipeline.report.label_placement import Point, place_labels
from pipeline.report.rows import Row
from pipeline.search.costs import FLOPS, Counting
from pipeline.search.individual import Individual

#: From the first generation to the last: told apart in grey as well, and on dark paper.
_GENERATIONS = LinearSegmentedColormap.from_list("generations", ["#a9d6f0", "#2f8fcb", "#7b45b0"])


@styled
def cloud_figure(
    generations: Mapping[str, Sequence[Sequence[Individual]]], counting: Counting = FLOPS, rows: Sequence[Row] = ()
) -> Figure:
    """Returns scores against cost relative to uniform-1x, coloured by generation, with the front over all of them.

    Rows that were candidates too are marked and named, at their mean score.

    Args:
        generations: scored candidates of each search, by its name and generation.
        counting: what their costs are.
        rows: of the table.
    """
    found = [
        (number, individual)
        for search in generations.values()
        for number, generation in enumerate(search)
        for individual in generation
        if individual.top1 is not None
    ]
    figure = new_figure(8, 4.8)
    axes = figure.subplots()
    costs = [individual.relative_cost for _, individual in found]
    scores = [individual.top1 or 0.0 for _, individual in found]
    numbers = [number for number, _ in found]
    best = front(list(zip(costs, scores, strict=True)), lambda point: point[0], lambda point: point[1])
    axes.step(*zip(*best, strict=True), where="post", color=ORANGE, linewidth=1.8, zorder=1, label="front")
    points = axes.scatter(costs, scores, c=numbers, cmap=_GENERATIONS, s=16, linewidths=0, alpha=0.9, zorder=2)
    if len(set(numbers)) > 1:
        figure.colorbar(points, ax=axes, label="generation", ticks=MaxNLocator(6, integer=True))
    axes.set_xscale("log")
    plain_log_ticks(axes.xaxis, costs)
    axes.set_ylim(top=min(100.0, axes.get_ylim()[1]))
    axes.set_xlabel(f"cost relative to uniform-1x ({counting.title})")
    axes.set_ylabel("score on the validation images, top-1 %")
    named = []
    for row in rows:
        alike = [one for _, one in found if row.spec.binary and one.genome == row.spec.genome]
        if alike:
            colour, marker, _ = KINDS[row.kind]
            place = alike[0].relative_cost, fmean(one.top1 or 0.0 for one in alike)
            axes.plot(*place, marker, color=colour, markersize=8, markeredgecolor="white", zorder=3)
            named.append(Point(*place, 0.0, row.model))
    axes.legend(loc="lower right", fontsize=9)
    place_labels(axes, named, [best], list(zip(costs, scores, strict=True)))
    return figure
