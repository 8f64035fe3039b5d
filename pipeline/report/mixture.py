"""The note of the table and the page if their trainings were not all computed in the same way."""

from collections import Counter
from collections.abc import Iterable, Sequence

from pipeline.report.text import wrap
from pipeline.report.timing import CandidateTime, TrainingTime

#: What it means that there are several kinds: a heading, and the rest of the sentence.
MIXED = "Not all of this was computed in the same way."
MEANING = (
    "These kinds of arithmetic differ in last digits, from which a training soon goes its own way; a difference "
    "between two rows can be one between them."
)


def kinds_of_arithmetic(trainings: Iterable[Sequence[TrainingTime]], candidates: Iterable[CandidateTime]) -> list[str]:
    """Returns the kinds of arithmetic with how much was computed by each; nothing if there are fewer than two.

    Trainings and candidates of versions that did not write down what they were computed with are not counted.
    """
    trained = Counter(words for times in trainings for time in times for words in time.arithmetic)
    scored = Counter(time.arithmetic for time in candidates if time.arithmetic)
    kinds = sorted({*trained, *scored})
    if len(kinds) < 2:
        return []
    return [f"{kind}: {_several(trained[kind], 'training')}, {_several(scored[kind], 'candidate')}" for kind in kinds]


def arithmetic_of_rows(trainings: Iterable[Sequence[TrainingTime]]) -> tuple[str, ...]:
    """Returns the kinds of arithmetic by which rows were trained, however many; nothing where that is not known."""
    return tuple(sorted({words for times in trainings for time in times for words in time.arithmetic}))


def mixed_arithmetic(trainings: Iterable[Sequence[TrainingTime]], candidates: Iterable[CandidateTime]) -> str:
    """Returns a paragraph of Markdown that names the kinds of arithmetic; nothing if there are fewer than two."""
    kinds = kinds_of_arithmetic(trainings, candidates)
    if not kinds:
        return ""
    return "\n".join(("", wrap(f"**{MIXED}** {MEANING}"), "", *(f"- {kind}" for kind in kinds), ""))


def _several(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
