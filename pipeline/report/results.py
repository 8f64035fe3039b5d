"""The results of an experiment: its rows, and the table of them.

Pure functions of measurements that the outer layer has read, like those of :mod:`pipeline.report.verdicts` and
:mod:`pipeline.report.proxy`. The same measurements give the same numbers, sentences and rounding, whenever and wherever
they are made; times are accounted for apart (:mod:`pipeline.report.timing`), since they are never twice the same.

>>> Interval.of([91.0, 92.0, 93.0])
Interval(mean=92.0, std=1.0, seeds=3)
>>> str(Interval.of([91.0, 92.0, 93.0])), str(Interval.of([92.125]))
('92.00 ± 1.00', '92.12')
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import fmean, stdev
from typing import Any, Literal, NamedTuple

import numpy as np

from pipeline.common.errors import UserError
from pipeline.data.census import Census
from pipeline.networks.architectures import find_architecture
from pipeline.networks.cost import Cost, network_cost, speedup
from pipeline.networks.genome import Genome, format_genome
from pipeline.networks.spec import PUBLISHED_WIDTH, NetworkSpec
from pipeline.report.answers import Answered
from pipeline.report.fronts import front
from pipeline.report.published import PublishedRow, PublishedTable, find_table
from pipeline.report.statistics import Sample
from pipeline.search.algorithms import ALGORITHMS
from pipeline.search.costs import FLOPS, Counting
from pipeline.search.objectives import Objective
from pipeline.search.tables import Best
from pipeline.training.identity import all_settings, disagreements, row_seed
from pipeline.training.settings import OF_BINARY

Kind = Literal["full-precision", "uniform", "control", "found", "baseline", "given"]
#: What a row of equal cost has in common with the found one that it is compared with.
Control = Literal["uniform", "first-layer"]


class Interval(NamedTuple):
    """Mean and sample standard deviation over seeds; ``std`` is None for one seed, which says nothing of spread."""

    mean: float
    std: float | None
    seeds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Interval":
        """Returns the interval of one value for each seed."""
        return cls(fmean(values), stdev(values) if len(values) > 1 else None, len(values))

    def __str__(self) -> str:
        return f"{self.mean:.2f}" + ("" if self.std is None else f" ± {self.std:.2f}")


@dataclass(frozen=True)
class Measurement:
    """One trained network on the test set.

    Attributes:
        model: the row's name.
        seed: which of the row's trainings.
        top1, top5: in percent; ``top5`` None where there are too few classes.
        spec: the network.
        right: which images were answered rightly, bool (images,); None where the record is too old to say so.
        images: how many there are; 0 where it is not known.
        census: what was wrong with train and test images; None where the record is too old to say so.
        answered: the answers, class by class; None where the record is too old to say so.
        weights: digest of the network's weights; nothing where the record is too old to say so.
        training: what the network was trained with (:func:`pipeline.training.identity.said_of`), as far as it is known.
        test_images: digest of the test set; nothing where the record is too old to say so.
    """

    model: str
    seed: int
    top1: float
    top5: float | None
    spec: NetworkSpec
    right: np.ndarray | None = field(default=None, compare=False)
    images: int = 0
    census: Census | None = None
    answered: Answered | None = field(default=None, repr=False, compare=False)
    weights: str = ""
    training: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    test_images: str = ""


@dataclass(frozen=True)
class Search:
    """A search of the experiment, or one run of it.

    Attributes:
        name: of the search.
        algorithm: its name in ``ALGORITHMS``.
        objective: what it looked for.
        best: what it found; None where that is not known.
    """

    name: str
    algorithm: str
    objective: Objective
    best: Best | None = None

    @property
    def title(self) -> str:
        """The algorithm's name in prose."""
        return str(ALGORITHMS[self.algorithm].TITLE)

    @property
    def baseline(self) -> bool:
        """Returns whether the algorithm is one that others are measured against."""
        return bool(ALGORITHMS[self.algorithm].BASELINE)


@dataclass(frozen=True)
class ControlOf:
    """Which row a control is compared with, what they have in common beside their cost, and the genome that was chosen
    for it; None where that is not known.
    """

    model: str
    control: Control
    genome: Genome | None = None


class Given(NamedTuple):
    """A genome that the configuration gives a row, and whether its network is binary."""

    genome: Genome
    binary: bool

    def __str__(self) -> str:
        return format_genome(self.genome) + ("" if self.binary else " in full precision")


@dataclass(frozen=True)
class Row:
    """A line of the table of results: a network trained with one or more seeds.

    Attributes:
        model: the line's name.
        spec: the network, at the width at which it was trained.
        top1, top5: on the test set in percent; ``top5`` None where there are too few classes.
        search: that found the genome; None for a genome that was given.
        published: the line of the published table with the same genome; None without one.
        control_of: the row of the same cost that it is a control of; None for any other row.
        sample: all that was measured, for comparisons.
        cost_width: base width at which its cost is counted.
        counting: what its cost is in comparisons.
        census: what was wrong with the images; None where it is not known.
        answered: the answers of every seed's network; none where those of one are not known.
        test_images: digest of the test set; nothing where it is not known.
        recipe: in what it was trained otherwise than most rows, in words such as 'optimizer adam'.
    """

    model: str
    spec: NetworkSpec
    top1: Interval
    top5: Interval | None = None
    search: Search | None = None
    published: PublishedRow | None = None
    control_of: ControlOf | None = None
    sample: Sample = Sample(())
    cost_width: float = PUBLISHED_WIDTH
    census: Census | None = None
    answered: tuple[Answered, ...] = field(default=(), repr=False, compare=False)
    counting: Counting = FLOPS
    test_images: str = ""
    recipe: tuple[str, ...] = ()

    @cached_property
    def weighed_cost(self) -> float:
        """Its cost as the search means it, at ``cost_width``: operations, bytes or seconds, of the binary network."""
        return self.counting.value(self.counted_spec)

    @cached_property
    def milliseconds(self) -> float | None:
        """Its time for one image by the table of latencies; None without one, and for full precision."""
        return self.counting.milliseconds(self.counted_spec) if self.spec.binary else None

    @cached_property
    def cost(self) -> Cost:
        """Returns what the network costs at ``cost_width``, counted as its published table does."""
        return network_cost(self.spec.at_width(self.cost_width))

    @cached_property
    def trained_cost(self) -> Cost:
        """Returns what it costs at the width at which it was trained."""
        return network_cost(self.spec)

    @cached_property
    def speedup(self) -> float:
        """In theory, over the full-precision network of ratio 1, at ``cost_width``."""
        return speedup(self.spec.at_width(self.cost_width))

    @property
    def counted_spec(self) -> NetworkSpec:
        """The binary network at the width at which costs are counted."""
        return replace(self.spec, base_width=self.cost_width, binary=True)

    @property
    def kind(self) -> Kind:
        """Returns what the line stands for in a comparison."""
        if self.control_of is not None:
            return "control"
        if self.search is not None:
            return "baseline" if self.search.baseline else "found"
        if not self.spec.binary:
            return "full-precision"
        return "uniform" if len(set(self.spec.genome)) == 1 else "given"


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


def sample_of(measured: Sequence[Measurement]) -> Sample:
    """Returns what statistics want to know of a row's trainings; answers only if they are known of every seed."""
    right = [measurement.right for measurement in measured]
    known = tuple(answers for answers in right if answers is not None)
    images = min(measurement.images for measurement in measured)
    return Sample(tuple(m.top1 for m in measured), known if len(known) == len(right) else (), images)


def pareto_front(rows: Sequence[Row], cost: Callable[[Row], float] = lambda row: row.cost.flops) -> list[Row]:
    """Returns the binary rows than which no other binary row is both cheaper and more accurate in the mean, cheapest
    first.
    """
    return front([row for row in rows if row.spec.binary], cost, lambda row: row.top1.mean)


# --- the table ---

RESULT_COLUMNS = (
    "model",
    "source",
    "genome",
    "binary",
    "seeds",
    "flops_m",
    "speedup_theoretical",
    "binary_macs_m",
    "memory_mbit",
    "memory_kib",
    "trained_flops_m",
    "trained_memory_kib",
    "top1_mean",
    "top1_std",
    "top5_mean",
    "top5_std",
    "pareto",
    "published_model",
    "published_flops_m",
    "published_speedup",
    "published_memory_mbit",
    "published_top1",
    "published_top5",
)


def results_columns(rows: Sequence[Row]) -> tuple[str, ...]:
    """Returns ``RESULT_COLUMNS``; the time of each row, if there is a table of latencies; and in what it was trained
    otherwise than most, if any was.
    """
    timed = any(row.milliseconds is not None for row in rows)
    own = any(row.recipe for row in rows)
    return (*RESULT_COLUMNS, *["latency_ms"] * timed, *["recipe"] * own)


def results_table(rows: Sequence[Row], published: str | None = None) -> list[dict[str, Any]]:
    """Returns the table of results with the columns ``results_columns``, rounded; None is an empty cell.

    Units: 10^6 operations, 10^6 bits, KiB, percent. Costs are counted at the rows' ``cost_width``; what is called
    'trained' is that of the network as it was trained. The lines of the published table that were not measured here
    follow the rows: networks of the paper as 'published only', methods that the paper quotes as 'quoted'.
    """
    front = pareto_front(rows)
    lines = [{**_measured_cells(row, row in front), **_published_cells(row.published)} for row in rows]
    for line, row in zip(lines, rows, strict=True):
        more = {"latency_ms": row.milliseconds, "recipe": "; ".join(row.recipe)}
        line |= {name: more[name] for name in results_columns(rows) if name in more}
    return lines + [_published_line(line) for line in published_only(rows, published)]


def published_only(rows: Sequence[Row], published: str | None) -> list[PublishedRow]:
    """Returns the lines of the published table that no row has measured, in printed order; none without a table."""
    if published is None:
        return []
    measured = [row.published for row in rows]
    return [line for line in find_table(published).rows if line not in measured]


def _measured_cells(row: Row, on_front: bool) -> dict[str, Any]:
    return {
        "model": row.model,
        "source": "measured",
        "genome": format_genome(row.spec.genome),
        "binary": int(row.spec.binary),
        "seeds": row.top1.seeds,
        "flops_m": round(row.cost.flops / 1e6, 6),
        "speedup_theoretical": round(row.speedup, 3),
        "binary_macs_m": round(row.cost.binary_macs / 1e6, 6),
        "memory_mbit": round(row.cost.bits / 1e6, 6),
        "memory_kib": round(row.cost.bytes / 1024, 3),
        "trained_flops_m": round(row.trained_cost.flops / 1e6, 6),
        "trained_memory_kib": round(row.trained_cost.bytes / 1024, 3),
        **interval_cells("top1", row.top1),
        **interval_cells("top5", row.top5),
        "pareto": int(on_front),
    }


def interval_cells(name: str, interval: Interval | None) -> dict[str, float | None]:
    """Returns the two cells of an interval in a table, rounded; ``name`` is that of their columns."""
    mean = None if interval is None else round(interval.mean, 4)
    std = None if interval is None or interval.std is None else round(interval.std, 4)
    return {f"{name}_mean": mean, f"{name}_std": std}


def _published_cells(line: PublishedRow | None) -> dict[str, Any]:
    return {
        "published_model": line and line.model,
        "published_flops_m": line and line.flops,
        "published_speedup": line and line.speedup,
        "published_memory_mbit": line and line.memory,
        "published_top1": line and line.top1,
        "published_top5": line and line.top5,
    }


def _published_line(line: PublishedRow) -> dict[str, Any]:
    cells: dict[str, Any] = dict.fromkeys(RESULT_COLUMNS)
    known = {
        "model": line.model,
        "source": "quoted" if line.quoted else "published only",
        "genome": None if line.genome is None else format_genome(line.genome),
        "binary": int(line.binary),
    }
    return {**cells, **known, **_published_cells(line)}
