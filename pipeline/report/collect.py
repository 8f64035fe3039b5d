"""From measurements to rows: which belong together, and whether all of them are of one experiment.

Pure functions of measurements that the outer layer has read, like those of :mod:`pipeline.report.verdicts` and
:mod:`pipeline.report.proxy`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.common.errors import UserError
from pipeline.networks.architectures import find_architecture
from pipeline.networks.genome import format_genome
from pipeline.report.answers import Answered
from pipeline.report.published import PublishedTable, find_table
from pipeline.report.rows import ControlOf, Given, Interval, Measurement, Row, Search, sample_of
from pipeline.search.costs import FLOPS, Counting
from pipeline.training.identity import all_settings, disagreements, row_seed
from pipeline.training.settings import OF_BINARY


def collect_rows(
    models: Mapping[str, Search | ControlOf | Given | None],
    measurements: Iterable[Measurement],
    published: str | None = None,
    cost_width: float | None = None,
    counting: Counting = FLOPS,
    asked: Mapping[str, Any] | None = None,
) -> list[Row]:
    """Returns one row for each model, in the order of ``models``.

    Args:
        models: name of each row, and the search that it came from, the row that it is a control of, or its genome; None
            where that is not known.
        measurements: of all seeds of all models, in any order.
        published: ``table1`` or ``table2`` to put beside, or None.
        cost_width: base width at which costs are counted; None for that at which a row was trained.
        counting: what costs are in comparisons.
        asked: what all networks must have been trained with (:func:`pipeline.workflow.asked.asked_of_rows`).

    Raises:
        UserError: a model has no measurement or is not in ``models``, its seeds are of different networks or two of
            them of the same training, its search found, the configuration gives it or was chosen for it another
            network, one was trained otherwise than asked, rows are of different experiments or were scored on different
            test images, or the published table is about another network.
    """
    table = find_table(published) if published else None
    by_model: dict[str, list[Measurement]] = {model: [] for model in models}
    for measurement in measurements:
        if measurement.model not in by_model:
            raise UserError(f"there is an evaluation of '{measurement.model}'", "but the table has no such row")
        by_model[measurement.model].append(measurement)
    for one in (one for measured in by_model.values() for one in measured):
        others = unlike(one, asked or {})
        if others:
            raise UserError(
                f"the network of seed {one.seed} of row '{one.model}' was trained otherwise than this experiment's "
                f"({'; '.join(others)})",
                "delete the row's trainings and evaluations, and they are made again",
            )
    _check_alike(measured for measured in by_model.values() if measured)
    _check_test_images([one for measured in by_model.values() for one in measured])
    rows = [_row(model, models[model], by_model[model], table, cost_width, counting) for model in models]
    teachers = {one.weights: model for model, measured in by_model.items() for one in measured if one.weights}
    recipes = _own_recipes([by_model[model][0] for model in models], teachers)
    # What is printed of a network was trained in one way, so that it is set beside one row.
    return [
        replace(row, recipe=recipe, published=None) if recipe else row
        for row, recipe in zip(rows, recipes, strict=True)
    ]


def _own_recipes(measured: Sequence[Measurement], teachers: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Returns in what each row was trained otherwise than most, as far as that is known.

    Args:
        measured: a training of each row.
        teachers: the rows of networks that others may have learnt from, by the digest of their weights.
    """
    known = [_recipe(one.training, teachers) if "settings" in one.training else {} for one in measured]
    # Of binary rows, if there are any: those in full precision have no teacher, whoever has.
    binary = [settings for one, settings in zip(measured, known, strict=True) if settings and one.spec.binary]
    kinds = binary or [settings for settings in known if settings]
    if not kinds:
        return [()] * len(measured)
    usual = max(kinds, key=kinds.count)
    return [
        tuple(
            f"{name} {_worded(value)}"
            for name, value in settings.items()
            if value != usual.get(name) and (one.spec.binary or name not in ("teacher", "teacher_weight", *OF_BINARY))
        )
        for one, settings in zip(measured, known, strict=True)
    ]


def _recipe(training: Mapping[str, Any], teachers: Mapping[str, str]) -> dict[str, Any]:
    """Returns all that a person chooses of a training: its settings, and the row that it learnt from."""
    teacher = training.get("teacher")
    return {"teacher": teachers.get(teacher, "unknown") if teacher else "none", **all_settings(training["settings"])}


def _worded(value: Any) -> str:
    return (
        ",".join(map(str, value))
        if isinstance(value, list)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _row(
    model: str,
    origin: Search | ControlOf | Given | None,
    measured: list[Measurement],
    table: PublishedTable | None,
    cost_width: float | None,
    counting: Counting,
) -> Row:
    if not measured:
        raise UserError(f"row '{model}' has no evaluation", "evaluate it with at least one seed")
    measured = sorted(measured, key=lambda measurement: measurement.seed)
    spec = measured[0].spec
    if any(measurement.spec != spec for measurement in measured):
        raise UserError(
            f"the seeds of row '{model}' are of different networks", "delete its evaluations, and they are made again"
        )
    _check_weights(model, measured)
    if isinstance(origin, Search) and origin.best is not None and origin.best.genome != spec.genome:
        raise UserError(
            f"row '{model}' was trained as {format_genome(spec.genome)}, but what its search found is "
            f"{format_genome(origin.best.genome)}",
            "run the experiment again, or delete the row's evaluations, and they are made again",
        )
    if isinstance(origin, ControlOf) and origin.genome not in (None, spec.genome):
        raise UserError(
            f"row '{model}' was trained as {format_genome(spec.genome)}, but what was chosen for it is "
            f"{format_genome(origin.genome)}",
            "delete the row's trainings and evaluations, and they are made again",
        )
    if isinstance(origin, Given) and origin != (spec.genome, spec.binary):
        raise UserError(
            f"row '{model}' was trained as {Given(spec.genome, spec.binary)}, but the configuration gives it {origin}",
            "delete the row's trainings and evaluations, and they are made again",
        )
    published = None
    if table is not None:
        if spec.network != table.network:
            raise UserError(
                f"{table.title} is about {find_architecture(table.network).TITLE}, row '{model}' is "
                f"{find_architecture(spec.network).TITLE}",
                "choose the other table, or none",
            )
        wanted = (spec.genome, spec.binary)
        published = next((row for row in table.rows if (row.genome, row.binary) == wanted), None)
    top5 = [measurement.top5 for measurement in measured if measurement.top5 is not None]
    # A "top-5" over five classes or fewer is always right.
    shown = len(top5) == len(measured) and spec.classes > 5
    top1 = Interval.of([measurement.top1 for measurement in measured])
    return Row(
        model,
        spec,
        top1,
        Interval.of(top5) if shown else None,
        origin if isinstance(origin, Search) else None,
        published,
        origin if isinstance(origin, ControlOf) else None,
        sample_of(measured),
        spec.base_width if cost_width is None else cost_width,
        measured[0].census,
        _answered(measured),
        counting,
        next((one.test_images for one in measured if one.test_images), ""),
    )


def unlike(measurement: Measurement, asked: Mapping[str, Any]) -> list[str]:
    """Returns in what a network was trained otherwise than asked, in words; see ``asked`` of :func:`collect_rows`."""
    if "seed" in asked:
        asked = {**asked, "seed": row_seed(asked["seed"], measurement.seed)}
    return disagreements({**measurement.training, "network": measurement.spec.record()}, asked)


def _check_alike(rows: Iterable[Sequence[Measurement]]) -> None:
    """Raises UserError if rows differ by more than their genomes: one has come from another experiment."""
    ones = [measured[0] for measured in rows]
    # The full-precision network has no binariser, and so is set beside others without it.
    for these in (ones, [one for one in ones if one.spec.binary]):
        for one in these:
            like = replace(one.spec, genome=these[0].spec.genome, binary=these[0].spec.binary)
            if these is ones:
                like = replace(like, binariser=these[0].spec.binariser)
            if like != these[0].spec:
                raise UserError(
                    f"rows '{these[0].model}' and '{one.model}' are of networks for different experiments",
                    "delete the trainings and evaluations of the one that does not belong here, and they are made "
                    "again",
                )


def _check_test_images(measured: Sequence[Measurement]) -> None:
    """Raises UserError if networks were scored on different test images, as far as their records say it."""
    for known in ([one for one in measured if one.test_images], [one for one in measured if one.answered is not None]):
        for one in known:
            if not _same_test_images(known[0], one):
                raise UserError(
                    f"rows '{known[0].model}' and '{one.model}' were scored on different test images (seeds "
                    f"{known[0].seed} and {one.seed})",
                    "delete the experiment's evaluations, and they are made again",
                )


def _same_test_images(one: Measurement, other: Measurement) -> bool:
    if one.test_images and other.test_images:
        return one.test_images == other.test_images
    mine, theirs = one.answered, other.answered
    if mine is None or theirs is None:
        return True
    return mine.classes == theirs.classes and np.array_equal(mine.labels, theirs.labels)


def _check_weights(model: str, measured: Sequence[Measurement]) -> None:
    """Raises UserError if two evaluations are of one training: a copied file, which would make the row look certain."""
    seeds: dict[str, int] = {}
    for one in measured:
        if one.weights and one.weights in seeds:
            raise UserError(
                f"the evaluations of seeds {seeds[one.weights]} and {one.seed} of row '{model}' are of one training",
                "delete them and the weights that were copied, and they are made again",
            )
        seeds[one.weights] = one.seed


def _answered(measured: Sequence[Measurement]) -> tuple[Answered, ...]:
    """Returns all answers, if they are known of every seed."""
    known = tuple(measurement.answered for measurement in measured if measurement.answered is not None)
    return known if len(known) == len(measured) else ()
