"""How far an experiment is: the summary of what was read from its files. Pure functions; none reads a file or a clock.

Whatever is not known (no configuration in the folder yet, an unreadable file) is None, and so is what follows from it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Literal, NamedTuple

from pipeline.evolution import Individual, fitness, rank
from pipeline.genome import Genome

Stage = Literal["data", "supernet", "search", "retraining", "evaluation", "tables", "finished"]
STAGES: tuple[Stage, ...] = ("data", "supernet", "search", "retraining", "evaluation", "tables")

#: Seconds without any training that count as work between two of them (start-up, loading), not as an interruption;
#: three times the longest training, where that is more.
PAUSE = 60.0
#: Seconds without a new file after which a run that cannot be asked is taken for dead; three times the longest
#: candidate, where that is more.
SILENCE = 15 * 60.0


# --- what was read ---


class Finished(NamedTuple):
    """A training that has ended: when, in seconds of the files' clock, and how long it took."""

    ended: float
    seconds: float


@dataclass(frozen=True)
class Training:
    """The supernet, or one training of a row.

    Attributes:
        done: its artifact is there.
        started: there is a log or a saved state of it.
        epochs: of the whole training.
        steps_done, steps_total: by the newer of its log and its saved state.
        seconds: what it took (when done), without interruptions.
        ended: time of its artifact.
        steps_per_second: of late.
        seed: of a row's training.
    """

    done: bool = False
    started: bool = False
    epochs: int | None = None
    steps_done: int | None = None
    steps_total: int | None = None
    seconds: float | None = None
    ended: float | None = None
    steps_per_second: float | None = None
    seed: int | None = None

    @property
    def share(self) -> float:
        """How much of it is done, 0 … 1."""
        if self.done:
            return 1.0
        return min(1.0, self.steps_done / self.steps_total) if self.steps_done and self.steps_total else 0.0

    @property
    def epoch(self) -> int | None:
        """Epochs that are finished."""
        return None if self.epochs is None else int(self.share * self.epochs + 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """By its own pace; None where it has none yet."""
        if self.done:
            return 0.0
        if not self.steps_per_second or self.steps_done is None or self.steps_total is None:
            return None
        return max(0, self.steps_total - self.steps_done) / self.steps_per_second


class Candidate(NamedTuple):
    """A proposed genome. ``status`` is None while it has not been evaluated."""

    genome: Genome
    relative_flops: float | None = None
    flops: float | None = None
    memory_bytes: float | None = None
    status: str | None = None
    top1: float | None = None
    reused: bool = False


@dataclass(frozen=True)
class Generation:
    """A proposed generation. ``scored``: evaluated as a whole, its scores written (for the present λ)."""

    candidates: tuple[Candidate, ...]
    scored: bool = False


@dataclass(frozen=True)
class Search:
    """A search: what is planned (None where that is not known) and what has been proposed, in order."""

    name: str
    algorithm: str | None
    penalty: float | None
    generations: int | None
    population: int | None
    proposed: tuple[Generation, ...]
    selected: bool = False


@dataclass(frozen=True)
class Row:
    """A row of the table: its trainings, and of those on the test set their top-1 in percent."""

    model: str
    trainings: tuple[Training, ...]
    top1: tuple[float | None, ...] = ()
    scored: int = 0


@dataclass(frozen=True)
class Run:
    """The newest workflow of the folder. ``alive`` is None where it cannot be asked: it runs on another machine."""

    host: str
    pid: int
    alive: bool | None


@dataclass(frozen=True)
class Reading:
    """All that was read of an experiment.

    Attributes:
        name: of the experiment.
        planned: whether its configuration was there.
        data: the images are prepared and divided.
        images_done, images_total: while they are being prepared.
        supernet: None where there is none.
        searches, rows: in the configuration's order.
        archived, damaged: entries of the archive; those set aside.
        recent: the newest trainings of candidates.
        tables: tables and figures are there.
        run: None where no workflow has left a record.
        newest: time of the newest file.
        problems: what could not be read, in sentences.
    """

    name: str
    planned: bool = False
    data: bool = False
    images_done: int | None = None
    images_total: int | None = None
    supernet: Training | None = None
    searches: tuple[Search, ...] = ()
    rows: tuple[Row, ...] = ()
    archived: int = 0
    damaged: int = 0
    recent: tuple[Finished, ...] = ()
    tables: bool = False
    run: Run | None = None
    newest: float | None = None
    problems: tuple[str, ...] = ()


# --- what it says ---


@dataclass(frozen=True)
class Best:
    """The best candidate of a search so far. Costs are None where only its score could be read."""

    genome: Genome
    top1: float
    fitness: float
    relative_flops: float
    flops: float | None
    memory_bytes: float | None
    generation: int


@dataclass(frozen=True)
class SearchSummary:
    """How far a search is.

    Attributes:
        generation: the first one that is not finished, counted from 1; the last one when all are.
        in_generation, of_generation: its evaluated candidates, of how many.
        done, total: candidates of the whole search that have been evaluated, of how many.
        reused, diverged, failed: among those; a reused one was known to the archive.
        seconds_left: at the present pace.
    """

    name: str
    algorithm: str | None
    penalty: float | None
    finished: bool
    generation: int
    generations: int | None
    in_generation: int
    of_generation: int | None
    done: int
    total: int | None
    reused: int
    diverged: int
    failed: int
    best: Best | None
    seconds_left: float | None


@dataclass(frozen=True)
class TrainingSummary:
    """How far one training is, in finished epochs and in steps. ``seconds``: what it took, when done."""

    seed: int | None
    done: bool
    started: bool
    epoch: int | None
    epochs: int | None
    step: int | None
    steps: int | None
    seconds: float | None
    seconds_left: float | None


@dataclass(frozen=True)
class RowSummary:
    """How far a row is. ``top1_mean`` and ``top1_std`` in percent on the test set, over the seeds scored so far."""

    model: str
    trained: int
    scored: int
    seeds: int
    top1_mean: float | None
    top1_std: float | None
    trainings: tuple[TrainingSummary, ...]


@dataclass(frozen=True)
class Pace:
    """Candidates an hour while the search ran, what one of them takes, and how many were trained side by side."""

    candidates_per_hour: float
    seconds_each: float
    side_by_side: float


@dataclass(frozen=True)
class Summary:
    """How far an experiment is. Ages and times left in seconds; ``alive`` None: it cannot be told from here.

    ``rows_seconds_left`` is what the missing trainings of rows need, at the pace of the finished ones.
    """

    name: str
    stage: Stage
    finished_stages: tuple[Stage, ...]
    planned: bool
    alive: bool | None
    run: Run | None
    last_sign: float | None
    clock_ahead: float | None
    images_done: int | None
    images_total: int | None
    supernet: TrainingSummary | None
    searches: tuple[SearchSummary, ...]
    searches_seconds_left: float | None
    pace: Pace | None
    archived: int
    damaged: int
    rows: tuple[RowSummary, ...]
    rows_seconds_left: float | None
    problems: tuple[str, ...] = field(default=())


def summarise(reading: Reading, now: float) -> Summary:
    """The summary of what was read at the time ``now`` (of this machine's clock, seconds since the epoch)."""
    finished = finished_stages(reading)
    age = None if reading.newest is None else now - reading.newest
    searches, left = summarise_searches(reading.searches, reading.recent)
    done = len(finished) == len(STAGES)
    return Summary(
        name=reading.name,
        stage="finished" if done else next(stage for stage in STAGES if stage not in finished),
        finished_stages=finished,
        planned=reading.planned,
        alive=seems_alive(reading, age),
        run=reading.run,
        last_sign=None if age is None else max(0.0, age),
        clock_ahead=-age if age is not None and age < -PAUSE else None,
        images_done=reading.images_done,
        images_total=reading.images_total,
        supernet=None if reading.supernet is None else summarise_training(reading.supernet),
        searches=searches,
        searches_seconds_left=left,
        pace=pace(reading.recent),
        archived=reading.archived,
        damaged=reading.damaged,
        rows=tuple(map(summarise_row, reading.rows)),
        rows_seconds_left=rows_seconds_left(reading.rows),
        problems=reading.problems,
    )


def finished_stages(reading: Reading) -> tuple[Stage, ...]:
    """The stages whose files are all there. Only Snakemake knows whether they are of the present configuration."""
    # Without a configuration only the tables tell that there are no more rows to come.
    every_row = bool(reading.rows) and (reading.planned or reading.tables)
    trained = every_row and all(training.done for row in reading.rows for training in row.trainings)
    scored = trained and all(row.scored == len(row.trainings) for row in reading.rows)
    complete: dict[Stage, bool] = {
        "data": reading.data,
        "supernet": reading.supernet.done if reading.supernet else reading.planned,
        "search": all(search.selected for search in reading.searches) and (bool(reading.searches) or reading.planned),
        "retraining": trained,
        "evaluation": scored,
        "tables": scored and reading.tables,
    }
    return tuple(stage for stage in STAGES if complete[stage])


def seems_alive(reading: Reading, age: float | None) -> bool | None:
    """Whether a workflow runs: as its process says, or, where that cannot be asked, its newest file.

    A fresh file proves nothing then (None), a long silence says that none does.
    """
    if reading.run is not None and reading.run.alive is not None:
        return reading.run.alive
    longest = max((training.seconds for training in reading.recent), default=0.0)
    return False if age is None or age > max(SILENCE, 3 * longest) else None


# --- pace ---


def working_seconds(trainings: Iterable[Finished]) -> float:
    """Time in which at least one of the trainings ran, and the short pauses between them.

    A long pause is an interruption or another stage's work. Times of files can jump; then the pace is wrong for a
    while, but positive.
    """
    spans = sorted((training.ended - training.seconds, training.ended) for training in trainings)
    if not spans:
        return 0.0
    longest_pause = max(PAUSE, *(3 * (end - start) for start, end in spans))
    total, reach = 0.0, spans[0][0]
    for start, end in spans:
        if 0 < start - reach <= longest_pause:
            total += start - reach
        total += max(0.0, end - max(start, reach))
        reach = max(reach, end)
    return total


def pace(trainings: Sequence[Finished]) -> Pace | None:
    """Of candidates' trainings; None without any."""
    working = working_seconds(trainings)
    if working <= 0:
        return None
    seconds = [training.seconds for training in trainings]
    return Pace(3600 * len(seconds) / working, fmean(seconds), sum(seconds) / working)


# --- searches ---


def summarise_searches(
    searches: Sequence[Search], recent: Sequence[Finished]
) -> tuple[tuple[SearchSummary, ...], float | None]:
    """Every search, and the seconds until the last of them has evaluated its candidates.

    The searches share the pace evenly, so one that has r candidates left ends when it and each of the others has
    trained r of them, or all that it has. Of the candidates that are left, as large a share is taken to be known to
    the archive as of those that are done.
    """
    counted = [_count(search) for search in searches]
    done = sum(summary.done for summary in counted)
    trained = 1 - sum(summary.reused for summary in counted) / done if done else 1.0
    speed = pace(recent)
    left = [None if summary.total is None else max(0, summary.total - summary.done) for summary in counted]
    known = [count for count in left if count is not None]
    if speed is None or len(known) < len(left):
        ends: list[float | None] = [0.0 if count == 0 else None for count in left]
    else:
        each = 3600 * trained / speed.candidates_per_hour
        ends = [each * sum(min(count, other) for other in known) for count in known]
    summaries = tuple(
        SearchSummary(**{**summary.__dict__, "seconds_left": end}) for summary, end in zip(counted, ends, strict=True)
    )
    finite = [end for end in ends if end is not None]
    return summaries, max(finite, default=0.0) if len(finite) == len(ends) else None


def _count(search: Search) -> SearchSummary:
    """The search without its end."""
    proposed = search.proposed
    leading = next((i for i, generation in enumerate(proposed) if not generation.scored), len(proposed))
    everyone = [candidate for generation in proposed for candidate in generation.candidates]
    evaluated = [candidate for candidate in everyone if candidate.status is not None]
    generations = search.generations
    finished = generations is not None and leading >= generations
    at = leading if generations is None else min(leading, generations - 1)
    if search.selected and generations is None:
        finished, at = True, max(0, len(proposed) - 1)
    current = proposed[at] if at < len(proposed) else None
    return SearchSummary(
        name=search.name,
        algorithm=search.algorithm,
        penalty=search.penalty,
        finished=finished,
        generation=at + 1,
        generations=generations,
        in_generation=sum(c.status is not None for c in current.candidates) if current else 0,
        of_generation=len(current.candidates) if current else search.population,
        done=len(evaluated),
        total=planned_candidates(search),
        reused=sum(candidate.reused for candidate in evaluated),
        diverged=sum(candidate.status == "diverged" for candidate in evaluated),
        failed=sum(candidate.status == "failed" for candidate in evaluated),
        best=best(search),
        seconds_left=None,
    )


def planned_candidates(search: Search) -> int | None:
    """Candidates of the whole search: those proposed, and a population for each generation still to come.

    A generation shorter than the population means that the space is exhausted: nothing comes after it.
    """
    if search.generations is None or search.population is None:
        return None
    sizes = [len(generation.candidates) for generation in search.proposed]
    exhausted = bool(sizes) and sizes[-1] < search.population
    return sum(sizes) + (0 if exhausted else search.population * max(0, search.generations - len(sizes)))


def best(search: Search) -> Best | None:
    """The candidate of highest fitness that has been evaluated; None without λ or without a score."""
    if search.penalty is None:
        return None
    places = {
        candidate.genome: (number, candidate)
        for number, generation in enumerate(search.proposed)
        for candidate in generation.candidates
        if candidate.top1 is not None and candidate.relative_flops is not None
    }
    individuals = [Individual(g, c.top1, c.relative_flops or 0.0) for g, (_, c) in places.items()]
    for genome, top1, relative_flops in rank(individuals, search.penalty, 1):
        number, candidate = places[genome]
        value = fitness(top1, relative_flops, search.penalty)
        costs = (candidate.flops, candidate.memory_bytes)
        return Best(genome, top1 or 0.0, value, relative_flops, *costs, number + 1)
    return None


def implied_penalty(top1: float, relative_flops: float, value: float) -> float | None:
    """The λ with which a score was written; None where it does not show, the fitness being cut off at 0.

    >>> implied_penalty(80.0, 0.5, 78.0)
    4.0
    """
    return (top1 - value) / relative_flops if value > 0 and relative_flops > 0 else None


# --- trainings ---


def summarise_training(training: Training) -> TrainingSummary:
    """One training."""
    return TrainingSummary(
        training.seed,
        training.done,
        training.started or training.done,
        training.epoch,
        training.epochs,
        training.steps_total if training.done else training.steps_done,
        training.steps_total,
        training.seconds,
        training.seconds_left,
    )


def summarise_row(row: Row) -> RowSummary:
    """One row of the table."""
    scores = [top1 for top1 in row.top1 if top1 is not None]
    return RowSummary(
        row.model,
        sum(training.done for training in row.trainings),
        row.scored,
        len(row.trainings),
        fmean(scores) if scores else None,
        stdev(scores) if len(scores) > 1 else None,
        tuple(map(summarise_training, row.trainings)),
    )


def rows_seconds_left(rows: Sequence[Row]) -> float | None:
    """Seconds that the missing trainings take, as many side by side as until now; None before the first is done.

    A training takes what those of its row took, or else the mean of all.
    """
    trainings = [training for row in rows for training in row.trainings]
    if all(training.done for training in trainings):
        return 0.0 if trainings else None
    finished = [Finished(t.ended, t.seconds) for t in trainings if t.done and t.ended is not None and t.seconds]
    working = working_seconds(finished)
    if working <= 0:
        return None
    overall = fmean(training.seconds for training in finished)
    missing = 0.0
    for row in rows:
        own = [training.seconds for training in row.trainings if training.done and training.seconds]
        usual = fmean(own) if own else overall
        missing += sum(usual * (1 - training.share) for training in row.trainings)
    return missing / max(1.0, sum(training.seconds for training in finished) / working)
