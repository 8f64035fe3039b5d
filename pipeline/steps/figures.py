"""Draws the figures of an experiment, each as PNG, SVG and PDF."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.steps.measurements import (
    OfTraining,
    add_measurements,
    of_trainings,
    read_generations,
    read_rows,
    read_sample,
    read_searches,
)
from pipeline.steps.options import path
from pipeline.workflow.layout import FIGURE_FORMS, FIGURES, figure_file

if TYPE_CHECKING:
    from pipeline.report.figures import Curve

#: Column of a training's history that is drawn.
_HISTORY = ("epoch", "top1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    add_measurements(parser)
    of_trainings(parser, "--histories", "curve of every training of every row (CSV)")
    path(parser, "--supernet-history", "the supernet's curve (CSV); none without a supernet", required=False)
    path(parser, "--output-folder", f"where to write {', '.join(FIGURES)}, as {' and '.join(FIGURE_FORMS)}")


def run(arguments: argparse.Namespace) -> None:
    """Writes the figures; the same inputs give the same bytes."""
    from pipeline.common.files import replacing
    from pipeline.report.figures import (
        accuracy_figure,
        channels_figure,
        curves_figure,
        fitness_figure,
        methods_figure,
        proxy_figure,
        render,
    )

    rows = read_rows(arguments)
    generations = read_generations(arguments.scores)
    figures = {
        "fitness": fitness_figure(list(read_searches(arguments).values()), generations),
        "accuracy": accuracy_figure(rows),
        "channels": channels_figure(rows),
        "curves": curves_figure(
            read_curves([row.model for row in rows], arguments.histories, arguments.supernet_history),
            {row.model: row.top1.mean for row in rows},
        ),
        "proxy": proxy_figure(read_sample(arguments, rows), rows[0].counting),
        "methods": methods_figure(rows, arguments.published),
    }
    for name, figure in figures.items():
        for form in FIGURE_FORMS:
            with replacing(figure_file(arguments.output_folder, name, form)) as temporary:
                temporary.write_bytes(render(figure, form))


def read_curves(models: Sequence[str], histories: Sequence[OfTraining], supernet: Path | None) -> "list[Curve]":
    """Reads the curves of every model in this order, then the supernet's.

    Raises:
        UserError: a file is missing, or it is no training's history.
    """
    from pipeline.report.figures import Curve

    seeds: dict[str, list[list[float]]] = {model: [] for model in models}
    for history in histories:
        if history.model in seeds:
            seeds[history.model].append(_read_curve(history.path))
    curves = [Curve(model, curve) for model, curve in seeds.items()]
    return curves + ([Curve("supernet", [_read_curve(supernet)])] if supernet else [])


def _read_curve(history: Path) -> list[float]:
    from pipeline.common.errors import UserError, made_again
    from pipeline.common.files import read_csv

    try:
        return [float(row["top1"]) for row in read_csv(history, _HISTORY)]
    except ValueError:
        raise UserError(f"{history} is no training's history", made_again("its training is done again")) from None
