"""How far an experiment is, made of what was read of it.

Whatever is not known (no configuration in the folder yet, an unreadable file) is None, and so is what follows from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from pipeline.workflow.lock import Run
from pipeline.workflow.status.pace import PAUSE, Pace, pace
from pipeline.workflow.status.reading import Failure, Reading, RepeatedState
from pipeline.workflow.status.searches import SearchSummary, summarise_searches
from pipeline.workflow.status.trainings import (
    RowSummary,
    TrainingSummary,
    rows_seconds_left,
    summarise_row,
    summarise_training,
)

Stage = Literal["data", "supernet", "search", "finalists", "proxy", "retraining", "evaluation", "tables", "finished"]
STAGES: tuple[Stage, ...] = (
    "data",
    "supernet",
    "search",
    "finalists",
    "proxy",
    "retraining",
    "evaluation",
    "tables",
)

#: Seconds without a new file after which a run that cannot be asked is taken for dead; three times the longest
#: candidate, where that is more.
SILENCE = 15 * 60.0


@dataclass(frozen=True)
class Summary:
    """How far an experiment is. Ages and times left in seconds; ``alive`` None: it cannot be told from here.

    ``stage`` is the first one that is not finished; ``begun_stages`` are all of which something is done and not all, as
    several are in work at a time. ``rows_seconds_left`` is what the missing trainings of rows need, at the pace of the
    finished ones. ``outdated`` are files of other settings or images than the experiment's, ``strange`` those of them
    that are others than its jobs left there, ``other_config`` is a sentence about a configuration that is not that of
    the files, ``failed`` the steps with which the last run has ended, ``other_images`` a sentence about images that
    have changed since.
    """

    name: str
    stage: Stage
    finished_stages: tuple[Stage, ...]
    begun_stages: tuple[Stage, ...]
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
    finalists: tuple[RepeatedState, ...]
    sample: tuple[RepeatedState, ...]
    rows: tuple[RowSummary, ...]
    rows_seconds_left: float | None
    problems: tuple[str, ...] = field(default=())
    outdated: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()
    other_config: str = ""
    failed: tuple[Failure, ...] = ()
    other_images: str = ""


def summarise(reading: Reading, now: float) -> Summary:
    """Returns the summary of what was read at the time ``now`` (of this machine's clock, seconds since the epoch)."""
    finished = finished_stages(reading)
    age = None if reading.newest is None else now - reading.newest
    searches, left = summarise_searches(reading.searches, reading.recent)
    done, speed = len(finished) == len(STAGES), pace(reading.recent)
    return Summary(
        name=reading.name,
        stage="finished" if done else next(stage for stage in STAGES if stage not in finished),
        finished_stages=finished,
        begun_stages=tuple(stage for stage in begun_stages(reading) if stage not in finished),
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
        pace=speed,
        archived=reading.archived,
        damaged=reading.damaged,
        finalists=_at_pace(reading.finalists, speed),
        sample=_at_pace(reading.sample, speed),
        rows=tuple(map(summarise_row, reading.rows)),
        rows_seconds_left=rows_seconds_left(reading.rows),
        problems=reading.problems,
        outdated=tuple(file for files in reading.outdated.values() for file in files),
        failed=reading.failed,
        strange=reading.strange,
        other_config=reading.other_config,
        other_images=reading.other_images,
    )


def _at_pace(states: Sequence[RepeatedState], candidates: Pace | None) -> tuple[RepeatedState, ...]:
    """Returns sets of genomes, those that are trained as candidates and have no pace of their own at that of these."""
    if candidates is None:
        return tuple(states)
    each = 3600 / candidates.candidates_per_hour
    return tuple(
        replace(state, seconds_left=each * (state.total - state.done))
        if state.briefly and state.seconds_left is None
        else state
        for state in states
    )


def finished_stages(reading: Reading) -> tuple[Stage, ...]:
    """Returns the stages whose files are all there, as far as is known of the present configuration."""
    # Without a configuration only the tables tell that there are no more rows to come.
    every_row = bool(reading.rows) and (reading.planned or reading.tables)
    trained = every_row and all(training.done for row in reading.rows for training in row.trainings)
    scored = trained and all(row.scored == len(row.trainings) for row in reading.rows)
    searched = all(search.selected for search in reading.searches) and (bool(reading.searches) or reading.planned)
    found = searched and all(state.complete for state in reading.finalists)
    # What a run with other settings had begun to make again, before it was interrupted and taken back, is gone, and no
    # run makes it again that finds all up to date that was made from it.
    settled = scored and searched and reading.tables and not reading.outdated and not reading.other_config
    complete: dict[Stage, bool] = {
        "data": reading.data or settled,
        "supernet": (reading.supernet.done if reading.supernet else reading.planned) or settled,
        "search": searched,
        "finalists": found,
        "proxy": found and (settled or all(state.complete for state in reading.sample)),
        "retraining": trained,
        "evaluation": scored,
        "tables": scored and reading.tables and not reading.other_config,
    }
    return tuple(stage for stage in STAGES if complete[stage] and stage not in reading.outdated)


def begun_stages(reading: Reading) -> tuple[Stage, ...]:
    """Returns the stages of which something is done or in work."""
    begun: dict[Stage, bool] = {
        "data": bool(reading.data or reading.images_done),
        "supernet": reading.supernet is not None and (reading.supernet.started or reading.supernet.done),
        "search": any(search.proposed for search in reading.searches),
        "finalists": any(state.done for state in reading.finalists),
        "proxy": any(state.done for state in reading.sample),
        "retraining": any(training.started or training.done for row in reading.rows for training in row.trainings),
        "evaluation": any(row.scored for row in reading.rows),
        "tables": reading.tables and "tables" not in reading.outdated,  # those of before are made at once, at the end
    }
    return tuple(stage for stage in STAGES if begun[stage])


def seems_alive(reading: Reading, age: float | None) -> bool | None:
    """Returns whether a workflow runs: as its process says, or, where that cannot be asked, its newest file.

    A fresh file proves nothing then (None), a long silence says that none does.
    """
    if reading.run is not None and reading.run.alive is not None:
        return reading.run.alive
    longest = max((training.seconds for training in reading.recent), default=0.0)
    return False if age is None or age > max(SILENCE, 3 * longest) else None
