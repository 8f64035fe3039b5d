"""How far the supernet and the rows of the table are, and how long the missing trainings will take."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from pipeline.workflow.status.pace import working_seconds
from pipeline.workflow.status.reading import Finished, RowState, TrainingState


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
    binary: bool = True


def summarise_training(training: TrainingState) -> TrainingSummary:
    """Returns one training."""
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


def summarise_row(row: RowState) -> RowSummary:
    """Returns one row of the table."""
    scores = [top1 for top1 in row.top1 if top1 is not None]
    return RowSummary(
        row.model,
        sum(training.done for training in row.trainings),
        row.scored,
        len(row.trainings),
        fmean(scores) if scores else None,
        stdev(scores) if len(scores) > 1 else None,
        tuple(map(summarise_training, row.trainings)),
        row.binary,
    )


def rows_seconds_left(rows: Sequence[RowState]) -> float | None:
    """Returns seconds that the missing trainings take, as many side by side as until now; None before the first is
    done.

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
