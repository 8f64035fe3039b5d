"""How fast trainings come to their end, from the times at which some did."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from pipeline.workflow.status.reading import Finished

#: Seconds without any training that count as work between two of them (start-up, loading), not as an interruption;
#: three times the longest training, where that is more.
PAUSE = 60.0


@dataclass(frozen=True)
class Pace:
    """Candidates an hour while the search ran, what one of them takes, and how many were trained side by side."""

    candidates_per_hour: float
    seconds_each: float
    side_by_side: float


def working_seconds(trainings: Iterable[Finished]) -> float:
    """Returns time in which at least one of the trainings ran, and the short pauses between them.

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
    """Returns the pace of candidates' trainings; None without any."""
    working = working_seconds(trainings)
    if working <= 0:
        return None
    seconds = [training.seconds for training in trainings]
    return Pace(3600 * len(seconds) / working, fmean(seconds), sum(seconds) / working)
