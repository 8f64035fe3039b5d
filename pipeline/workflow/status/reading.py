"""The facts read of an experiment, before anything is made of it. What is not known is None."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.networks.genome import Genome
from pipeline.search.objectives import Objective
from pipeline.workflow.lock import Run


class Finished(NamedTuple):
    """A training that has ended: when, in seconds of the files' clock, and how long it took."""

    ended: float
    seconds: float


@dataclass(frozen=True)
class TrainingState:
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
    relative_cost: float | None = None
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
class SearchState:
    """A search: what is planned (None where that is not known) and what has been proposed, in order."""

    name: str
    algorithm: str | None
    objective: Objective | None
    generations: int | None
    population: int | None
    proposed: tuple[Generation, ...]
    selected: bool = False


@dataclass(frozen=True)
class RowState:
    """A row of the table: its trainings, of those on the test set their top-1 in percent, whether it is binary."""

    model: str
    trainings: tuple[TrainingState, ...]
    top1: tuple[float | None, ...] = ()
    scored: int = 0
    binary: bool = True


@dataclass(frozen=True)
class RepeatedState:
    """Genomes that are trained several times over.

    Attributes:
        name: the row whose finalists they are; of the proxy's sample, how it is trained.
        done, total: trainings.
        complete: whether all that follows from them is there.
        seconds_left: at their own pace; None where they have none yet.
        briefly: whether they are trained as candidates are, rather than in full.
    """

    name: str
    done: int
    total: int
    complete: bool
    seconds_left: float | None
    briefly: bool = True


class Failure(NamedTuple):
    """A step that has failed: what its log is called, its last sentence, and where that stands."""

    step: str
    sentence: str
    log: str


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
        finalists, sample: genomes that are trained several times over, to choose what was found and to judge scores.
        archived, damaged: entries of the archive; those set aside.
        recent: the newest trainings of candidates.
        tables: tables and figures are there.
        run: None where no workflow has left a record.
        newest: time of the newest file.
        problems: what could not be read, in sentences.
        outdated: files of other settings or images, of each stage that has yet to make some again.
        strange: of them, those that are others than the experiment's jobs left there.
        other_config: a sentence about a saved configuration that is not that of the files; empty if it is.
        failed: steps with which the last run has ended.
        other_images: a sentence about images that have changed since; empty if they have not, or were not looked at.
    """

    name: str
    planned: bool = False
    data: bool = False
    images_done: int | None = None
    images_total: int | None = None
    supernet: TrainingState | None = None
    searches: tuple[SearchState, ...] = ()
    rows: tuple[RowState, ...] = ()
    finalists: tuple[RepeatedState, ...] = ()
    sample: tuple[RepeatedState, ...] = ()
    archived: int = 0
    damaged: int = 0
    recent: tuple[Finished, ...] = ()
    tables: bool = False
    run: Run | None = None
    newest: float | None = None
    problems: tuple[str, ...] = ()
    outdated: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    strange: tuple[str, ...] = ()
    other_config: str = ""
    failed: tuple[Failure, ...] = ()
    other_images: str = ""
