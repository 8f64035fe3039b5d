"""What an experiment found: the table of results, the verdict on every searched network, the proxy's worth, the time.

Pure functions of measurements that the outer layer has read. The same measurements give the same numbers, sentences
and rounding, whenever and wherever they are made; times are accounted for apart, since they are never twice the same.

>>> Interval.of([91.0, 92.0, 93.0])
Interval(mean=92.0, std=1.0, seeds=3)
>>> str(Interval.of([91.0, 92.0, 93.0])), str(Interval.of([92.125]))
('92.00 ± 1.00', '92.12')
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev
from typing import Any, Literal, NamedTuple

from pipeline.balance import longest_over_mean
from pipeline.cost import Cost, network_cost, speedup
from pipeline.errors import UserError
from pipeline.genome import Genome, format_genome
from pipeline.networks import NetworkSpec, find_network
from pipeline.populations import Best
from pipeline.published import PublishedRow, PublishedTable, find_table

Kind = Literal["full-precision", "uniform", "found", "random", "given"]

#: Fewer points than these have no rank correlation worth a number.
FEWEST_FOR_TAU = 3


class Interval(NamedTuple):
    """Mean and sample standard deviation over seeds; ``std`` is None for one seed, which says nothing of spread."""

    mean: float
    std: float | None
    seeds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Interval":
        """The interval of one value for each seed."""
        return cls(fmean(values), stdev(values) if len(values) > 1 else None, len(values))

    def above(self, other: "Interval") -> bool:
        """Whether mean ± std lies wholly above the other's. With one seed each, whether the value is higher."""
        return self.mean - (self.std or 0.0) > other.mean + (other.std or 0.0)

    def __str__(self) -> str:
        return f"{self.mean:.2f}" + ("" if self.std is None else f" ± {self.std:.2f}")


@dataclass(frozen=True)
class Measurement:
    """One trained network's accuracy on the test set, in percent; ``top5`` None where there are too few classes."""

    model: str
    seed: int
    top1: float
    top5: float | None
    spec: NetworkSpec


@dataclass(frozen=True)
class Search:
    """A search of the experiment; ``penalty`` is λ of Eq. 4, ``best`` what it found, None where that is not known."""

    name: str
    algorithm: Literal["evolution", "random"]
    penalty: float
    best: Best | None = None


@dataclass(frozen=True)
class Row:
    """A line of the table of results: a network trained with one or more seeds.

    Attributes:
        model: the line's name.
        spec: the network.
        top1, top5: on the test set in percent; ``top5`` None where there are too few classes.
        search: that found the genome; None for a genome that was given.
        published: the line of the published table with the same genome; None without one.
    """

    model: str
    spec: NetworkSpec
    top1: Interval
    top5: Interval | None = None
    search: Search | None = None
    published: PublishedRow | None = None

    @cached_property
    def cost(self) -> Cost:
        """What the network costs, counted as its published table does."""
        return network_cost(self.spec)

    @cached_property
    def speedup(self) -> float:
        """In theory, over the full-precision network of base width."""
        return speedup(self.spec)

    @property
    def kind(self) -> Kind:
        """What the line stands for in a comparison."""
        if self.search is not None:
            return "random" if self.search.algorithm == "random" else "found"
        if not self.spec.binary:
            return "full-precision"
        return "uniform" if len(set(self.spec.genome)) == 1 else "given"


def collect_rows(
    models: Mapping[str, Search | None], measurements: Iterable[Measurement], published: str | None = None
) -> list[Row]:
    """One row for each model, in the order of ``models``.

    Args:
        models: name of each row, and the search that it came from.
        measurements: of all seeds of all models, in any order.
        published: ``table1`` or ``table2`` to put beside, or None.

    Raises:
        UserError: a model has no measurement or is not in ``models``, its seeds are of different networks, or the
            published table is about another network.
    """
    table = find_table(published) if published else None
    by_model: dict[str, list[Measurement]] = {model: [] for model in models}
    for measurement in measurements:
        if measurement.model not in by_model:
            raise UserError(f"there is an evaluation of '{measurement.model}'", "but the table has no such row")
        by_model[measurement.model].append(measurement)
    return [_row(model, models[model], by_model[model], table) for model in models]


def _row(model: str, search: Search | None, measured: list[Measurement], table: PublishedTable | None) -> Row:
    if not measured:
        raise UserError(f"row '{model}' has no evaluation", "evaluate it with at least one seed")
    measured = sorted(measured, key=lambda measurement: measurement.seed)
    spec = measured[0].spec
    if any(measurement.spec != spec for measurement in measured):
        raise UserError(
            f"the seeds of row '{model}' are of different networks", "delete its evaluations, and they are made again"
        )
    published = None
    if table is not None:
        if spec.network != table.network:
            raise UserError(
                f"{table.title} is about {find_network(table.network).TITLE}, row '{model}' is "
                f"{find_network(spec.network).TITLE}",
                "choose the other table, or none",
            )
        wanted = (spec.genome, spec.binary)
        published = next((row for row in table.rows if (row.genome, row.binary) == wanted), None)
    top5 = [measurement.top5 for measurement in measured if measurement.top5 is not None]
    # A "top-5" over five classes or fewer is always right.
    shown = len(top5) == len(measured) and spec.classes > 5
    top1 = Interval.of([measurement.top1 for measurement in measured])
    return Row(model, spec, top1, Interval.of(top5) if shown else None, search, published)


def pareto_front(rows: Sequence[Row]) -> list[Row]:
    """The binary rows than which no other binary row is both cheaper (FLOPs) and more accurate, cheapest first."""
    binary = [row for row in rows if row.spec.binary]

    def dominated(row: Row) -> bool:
        return any(
            other.cost.flops <= row.cost.flops
            and other.top1.mean >= row.top1.mean
            and (other.cost.flops, other.top1.mean) != (row.cost.flops, row.top1.mean)
            for other in binary
        )

    return sorted((row for row in binary if not dominated(row)), key=lambda row: row.cost.flops)


# --- the table ---

RESULTS = (
    "model",
    "source",
    "genome",
    "binary",
    "seeds",
    "flops_m",
    "speedup_theoretical",
    "memory_mbit",
    "memory_kib",
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


def results_table(rows: Sequence[Row], published: str | None = None) -> list[dict[str, Any]]:
    """The table of results with the columns ``RESULTS``, rounded; None is an empty cell.

    Units: 10^6 operations, 10^6 bits, KiB, percent. The lines of the published table that were not measured here
    follow the rows: networks of the paper as 'published only', methods that the paper quotes as 'quoted'.
    """
    front = pareto_front(rows)
    lines = [{**_measured_cells(row, row in front), **_published_cells(row.published)} for row in rows]
    return lines + [_published_line(line) for line in published_only(rows, published)]


def published_only(rows: Sequence[Row], published: str | None) -> list[PublishedRow]:
    """The lines of the published table that no row has measured, in printed order; none without a table."""
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
        "memory_mbit": round(row.cost.bits / 1e6, 6),
        "memory_kib": round(row.cost.bytes / 1024, 3),
        **_interval_cells("top1", row.top1),
        **_interval_cells("top5", row.top5),
        "pareto": int(on_front),
    }


def _interval_cells(name: str, interval: Interval | None) -> dict[str, float | None]:
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
    cells: dict[str, Any] = dict.fromkeys(RESULTS)
    known = {
        "model": line.model,
        "source": "quoted" if line.quoted else "published only",
        "genome": None if line.genome is None else format_genome(line.genome),
        "binary": int(line.binary),
    }
    return {**cells, **known, **_published_cells(line)}


# --- the verdict ---


class Verdict(NamedTuple):
    """What the experiment says about one searched network, in sentences."""

    model: str
    headline: str
    sentences: tuple[str, ...]


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """For every row that a search found: is it worth it, against uniform networks and against random search?

    A network counts as more accurate where its interval, mean ± sample standard deviation over seeds, lies wholly
    above the other's; where the two overlap they are not told apart.
    """
    return [_verdict(row, rows) for row in rows if row.search is not None]


def _verdict(row: Row, rows: Sequence[Row]) -> Verdict:
    search = row.search
    assert search is not None
    uniform = [other for other in rows if other.kind == "uniform"]
    sentences = [
        _against_cheaper(row, [other for other in uniform if other.cost.flops <= row.cost.flops]),
        _against_dearer(row, [other for other in uniform if other.cost.flops >= row.cost.flops]),
    ]
    if row.kind == "found":
        random = [other for other in rows if other.kind == "random" and other.search is not None]
        rivals = [other for other in random if other.search and other.search.penalty == search.penalty]
        sentences += [_against_random(row, other) for other in rivals]
        if not rivals:
            sentences.append(
                "No row comes from a random search of the same λ, so what the evolution adds is not known."
            )
    if search.best and search.best.micro_batch:
        sentences.append(
            f"In the search it was trained in micro-batches of {search.best.micro_batch} images, since memory did not "
            "hold a batch: its score there compares with the others' only roughly."
        )
    candidates = f", {search.best.evaluations} candidates" if search.best else ""
    how = "random search" if search.algorithm == "random" else "evolution"
    headline = (
        f"{how}, λ = {search.penalty:g}{candidates}; {row.cost.flops / 1e6:.4g}M FLOPs, top-1 {row.top1} %; "
        f"genome {format_genome(row.spec.genome)}"
    )
    return Verdict(row.model, headline, tuple(sentences))


def _against_cheaper(row: Row, rivals: Sequence[Row]) -> str:
    if not rivals:
        return "There is no uniform network of equal or lower FLOPs to compare with."
    better, level, worse = _sorted_out(row, rivals)
    if better:
        return (
            f"Beaten by a uniform network of equal or lower FLOPs: {_names(better, row)} is more accurate. "
            "This search found nothing that scaling all layers alike does not give."
        )
    parts = [f"more accurate than {_names(worse)}"] if worse else []
    parts += [f"not told apart from {_names(level, row)}"] if level else []
    return f"Not beaten by any uniform network of equal or lower FLOPs: {'; '.join(parts)}."


def _against_dearer(row: Row, rivals: Sequence[Row]) -> str:
    if not rivals:
        return "There is no uniform network of equal or higher FLOPs to compare with."
    better, level, worse = _sorted_out(row, rivals)
    parts = [f"more accurate than {_names(worse, row)}"] if worse else []
    parts += [f"not told apart from {_names(level, row)}"] if level else []
    parts += [f"less accurate than {_names(better)}"] if better else []
    return f"Among uniform networks of equal or higher FLOPs: {'; '.join(parts)}."


def _against_random(row: Row, other: Row) -> str:
    if other.spec.genome == row.spec.genome:
        return f"The random search of the same λ, {other.model}, found the same genome."
    better, _, worse = _sorted_out(row, [other])
    relation = "more accurate than" if worse else "less accurate than" if better else "not told apart from"
    sentence = f"Against random search of the same λ: {relation} {_names([other], row)}"
    mine, theirs = row.search and row.search.best, other.search and other.search.best
    if mine and theirs:
        word = "higher" if mine.fitness > theirs.fitness else "lower" if mine.fitness < theirs.fitness else "equal"
        sentence += f"; the fitness that it reached in the search is {word}, {mine.fitness:.2f}"
        sentence += f" against {theirs.fitness:.2f}"
        if mine.evaluations != theirs.evaluations:
            sentence += f" ({mine.evaluations} against {theirs.evaluations} candidates: not an equal budget)"
    return f"{sentence}."


def _sorted_out(row: Row, rivals: Sequence[Row]) -> tuple[list[Row], list[Row], list[Row]]:
    """The rivals that are more accurate than ``row``, not told apart from it, and less accurate."""
    better = [other for other in rivals if other.top1.above(row.top1)]
    worse = [other for other in rivals if row.top1.above(other.top1)]
    return better, [other for other in rivals if other not in better and other not in worse], worse


def _names(others: Sequence[Row], beside: Row | None = None) -> str:
    """Names and accuracies of rows for a sentence, and their FLOPs relative to those of ``beside``."""

    def name(other: Row) -> str:
        relative = f", {other.cost.flops / beside.cost.flops:.2f} times its FLOPs" if beside else ""
        return f"{other.model} ({other.top1} %{relative})"

    return ", ".join(map(name, others))


# --- the proxy ---


class ProxyPoint(NamedTuple):
    """A genome's score as a candidate beside its accuracy when trained in full, both in percent."""

    model: str
    genome: Genome
    score: float
    top1: Interval


PROXY = ("model", "genome", "proxy_top1", "top1_mean", "top1_std", "seeds")


def proxy_points(rows: Sequence[Row], scores: Iterable[tuple[Genome, float]]) -> list[ProxyPoint]:
    """The binary rows whose genome has a score as a candidate, each genome once, in the rows' order.

    Searches share the archive, so that a genome has one score; where two trained it at the same time on a device
    that is not deterministic, the mean counts.
    """
    known: dict[Genome, list[float]] = {}
    for genome, top1 in scores:
        known.setdefault(genome, []).append(top1)
    points: dict[Genome, ProxyPoint] = {}
    for row in rows:
        genome = row.spec.genome
        if row.spec.binary and genome in known and genome not in points:
            points[genome] = ProxyPoint(row.model, genome, fmean(known[genome]), row.top1)
    return list(points.values())


def proxy_table(points: Sequence[ProxyPoint]) -> list[dict[str, Any]]:
    """The points as a table with the columns ``PROXY``, rounded."""
    return [
        {
            "model": point.model,
            "genome": format_genome(point.genome),
            "proxy_top1": round(point.score, 4),
            **_interval_cells("top1", point.top1),
            "seeds": point.top1.seeds,
        }
        for point in points
    ]


def kendall_tau(points: Sequence[ProxyPoint]) -> float | None:
    """Kendall's tau-b between score and trained accuracy; None for fewer than three points or without any order."""
    if len(points) < FEWEST_FOR_TAU:
        return None
    from scipy.stats import kendalltau

    scores, accuracies = [point.score for point in points], [point.top1.mean for point in points]
    if len(set(scores)) == 1 or len(set(accuracies)) == 1:
        return None
    return float(kendalltau(scores, accuracies, variant="b").statistic)


def proxy_sentence(points: Sequence[ProxyPoint]) -> str:
    """What the correlation says, or why there is none."""
    tau = kendall_tau(points)
    if tau is not None:
        return (
            f"Kendall's tau-b between a candidate's score and its accuracy when trained in full: {tau:.2f}, "
            f"over {len(points)} genomes."
        )
    if len(points) >= FEWEST_FOR_TAU:
        return f"Kendall's tau-b is not defined: all {len(points)} genomes have the same score or the same accuracy."
    count = {0: "no genome has", 1: "only one genome has"}.get(len(points), f"only {len(points)} genomes have")
    return f"Kendall's tau-b is not given: {count} both a candidate's score and an accuracy when trained in full."


# --- the time ---


@dataclass(frozen=True)
class TrainingTime:
    """What one full training took, by the clock. ``device`` is cpu or cuda, ``threads`` those of a CPU.

    ``processes`` took its steps together, each with a GPU, or with so many threads, of its own. Where their number
    changed at an interruption, it is the last one.
    """

    seconds: float
    device: str
    threads: int
    machine: str
    processes: int = 1

    @property
    def device_seconds(self) -> float:
        """Of all processes together."""
        return self.seconds * self.processes


@dataclass(frozen=True)
class CandidateTime:
    """What one candidate's training took when it was trained; ``reused`` where the archive had it."""

    search: str
    genome: Genome
    seconds: float
    reused: bool
    machine: str
    generation: int = 0
    shard: int = 0


TIMING = (
    "name",
    "kind",
    "trainings",
    "seconds_per_training",
    "device_hours",
    "reused",
    "reused_share",
    "saved_device_hours",
    "device",
    "machine",
)


def timing_table(
    trainings: Mapping[str, Sequence[TrainingTime]],
    candidates: Sequence[CandidateTime],
    supernet: TrainingTime | None = None,
) -> list[dict[str, Any]]:
    """Wall time and device-hours of every row, the supernet and every search, with the columns ``TIMING``.

    A device-hour is an hour in which one process of a training has its device: a GPU, or on a CPU its threads. A
    training of several processes takes several of them in an hour. A search's own trainings are those that the archive
    did not have, ``saved_device_hours`` what the others took when they were made. The last line counts every distinct
    candidate once, whichever search trained it.

    Args:
        trainings: the full trainings of each row, one for each seed.
        candidates: every evaluation of every search.
        supernet: None where no supernet was trained.
    """
    lines = [_training_line(name, "row", times) for name, times in trainings.items()]
    if supernet is not None:
        lines.append(_training_line("supernet", "supernet", [supernet]))
    searches = dict.fromkeys(candidate.search for candidate in candidates)
    lines += [_search_line(search, [time for time in candidates if time.search == search]) for search in searches]
    distinct = {candidate.genome: candidate.seconds for candidate in candidates}
    full = [time for times in trainings.values() for time in times] + ([supernet] if supernet else [])
    seconds = [*(time.seconds for time in full), *distinct.values()]
    device_seconds = sum(time.device_seconds for time in full) + sum(distinct.values())
    reused = len(candidates) - len(distinct) if candidates else None
    saved = sum(candidate.seconds for candidate in candidates) - sum(distinct.values()) if candidates else None
    total = _timing_line("everything", "total", seconds, device_seconds, reused, len(candidates), saved)
    return [*lines, total]


BALANCE = ("search", "generation", "shards", "longest_over_mean")


def balance_table(candidates: Sequence[CandidateTime]) -> list[dict[str, Any]]:
    """How well the shards of every generation were balanced, with the columns ``BALANCE``.

    Generations in one piece have no line, nor have those in which nothing was trained.
    """
    seconds: dict[tuple[str, int], dict[int, float]] = {}
    for time in candidates:
        shards = seconds.setdefault((time.search, time.generation), {})
        shards[time.shard] = shards.get(time.shard, 0.0) + (0.0 if time.reused else time.seconds)
    return [
        {
            "search": search,
            "generation": generation,
            "shards": len(shards),
            "longest_over_mean": round(longest_over_mean(list(shards.values())), 3),
        }
        for (search, generation), shards in seconds.items()
        if len(shards) > 1 and any(shards.values())
    ]


def _training_line(name: str, kind: str, times: Sequence[TrainingTime]) -> dict[str, Any]:
    devices = dict.fromkeys(map(_devices, times))
    machines = dict.fromkeys(time.machine for time in times)
    return _timing_line(
        name,
        kind,
        [time.seconds for time in times],
        sum(time.device_seconds for time in times),
        device="; ".join(devices),
        machine="; ".join(machines),
    )


def _devices(time: TrainingTime) -> str:
    """What a training had: 'cuda', '4 × cuda', '2 × cpu, 3 threads'."""
    device = time.device if time.device != "cpu" else f"cpu, {time.threads} thread{'s' * (time.threads != 1)}"
    return device if time.processes == 1 else f"{time.processes} × {device}"


def _search_line(name: str, times: Sequence[CandidateTime]) -> dict[str, Any]:
    own = [time.seconds for time in times if not time.reused]
    saved = [time.seconds for time in times if time.reused]
    machines = dict.fromkeys(time.machine for time in times if time.machine)
    return _timing_line(name, "search", own, sum(own), len(saved), len(times), sum(saved), machine="; ".join(machines))


def _timing_line(
    name: str,
    kind: str,
    seconds: Sequence[float],
    device_seconds: float,
    reused: int | None = None,
    evaluations: int | None = None,
    saved: float | None = None,
    device: str = "",
    machine: str = "",
) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "trainings": len(seconds),
        "seconds_per_training": round(fmean(seconds), 2) if seconds else None,
        "device_hours": round(device_seconds / 3600, 6),
        "reused": reused,
        "reused_share": round(reused / evaluations, 4) if reused is not None and evaluations else None,
        "saved_device_hours": None if saved is None else round(saved / 3600, 6),
        "device": device,
        "machine": machine,
    }
