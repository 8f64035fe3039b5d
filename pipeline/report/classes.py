"""Accuracy class by class: on which classes a row's networks are right, and for what they take the others."""

from collections.abc import Iterable, Sequence
from math import isclose
from typing import Any, NamedTuple

import numpy as np

from pipeline.report.answers import Mistake
from pipeline.report.results import interval_cells
from pipeline.report.rows import Interval, Row

#: Share of the test images, beyond an equal one, from which a class is worth a word.
_FAR_MORE = 0.1

CLASSES = ("model", "class", "images", "seeds", "top1_mean", "top1_std", "taken_for", "taken_for_share")


class ClassAccuracy(NamedTuple):
    """How a row's networks answer the test images of one class.

    Attributes:
        number: of the class.
        name: of the class.
        images: how many there are.
        top1: in percent over seeds; None if there are no images.
        taken_for: the class that they are most often taken for wrongly; None if they never are.
        share: how many are, in percent over all seeds.
    """

    number: int
    name: str
    images: int
    top1: Interval | None
    taken_for: str | None
    share: float


class SharedMistake(NamedTuple):
    """A test image that a network of the row was most wrong about, and how many of the row's networks were wrong."""

    mistake: Mistake
    wrong: int
    seeds: int


def confusion(row: Row) -> np.ndarray:
    """Returns how often images of a class (first axis) were taken for a class (second), all seeds together.

    Shape (classes, classes), int64. Raises IndexError for a row whose answers are not known.
    """
    classes = len(row.answered[0].classes)
    pairs = (one.labels * classes + one.answers for one in row.answered)
    counted = sum(np.bincount(pair, minlength=classes**2) for pair in pairs)
    return np.asarray(counted).reshape(classes, classes)


def class_accuracies(row: Row) -> list[ClassAccuracy]:
    """Returns the accuracy on each class; nothing for a row whose answers are not known."""
    if not row.answered:
        return []
    counts, seeds = confusion(row), len(row.answered)
    right = [np.bincount(one.labels[one.answers == one.labels], minlength=len(one.classes)) for one in row.answered]
    lines = []
    for number, name in enumerate(row.answered[0].classes):
        images = int(counts[number].sum()) // seeds
        others = counts[number].copy()
        others[number] = 0
        most = int(others.argmax())
        lines.append(
            ClassAccuracy(
                number,
                name,
                images,
                Interval.of([100 * float(one[number]) / images for one in right]) if images else None,
                row.answered[0].classes[most] if others[most] else None,
                100 * float(others[most]) / (images * seeds) if images else 0.0,
            )
        )
    return lines


def largest_class(rows: Iterable[Row]) -> str:
    """Says what one answer to all test images would be right on, where a class has far more of them than an equal
    share; '' where none has, or that is not known.
    """
    answered = next((row.answered[0] for row in rows if row.answered), None)
    if answered is None or not len(answered.labels):
        return ""
    counts = np.bincount(answered.labels, minlength=len(answered.classes))
    most, share = int(counts.argmax()), float(counts.max() / counts.sum())
    if share - 1 / len(counts) < _FAR_MORE:
        return ""
    return (
        f"{100 * share:.2f} % of the test images are of the class '{answered.classes[most]}': so accurate is who says "
        "nothing else."
    )


def class_table(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Returns the table with the columns ``CLASSES``, of the rows whose answers are known; shares in percent,
    rounded.
    """
    return [
        {
            "model": row.model,
            "class": line.name,
            "images": line.images,
            "seeds": row.top1.seeds,
            **interval_cells("top1", line.top1),
            "taken_for": line.taken_for,
            "taken_for_share": round(line.share, 4) if line.taken_for else None,
        }
        for row in rows
        for line in class_accuracies(row)
    ]


def class_sentence(row: Row) -> str:
    """Says on which class a row is worst and on which best, in a sentence; that it is alike on all, if it is."""
    known = [(line, line.top1) for line in class_accuracies(row) if line.top1 is not None]
    worst, accuracy = min(known, key=lambda one: one[1].mean)
    best, most = max(known, key=lambda one: one[1].mean)
    if isclose(accuracy.mean, most.mean):
        # Seeds whose networks each give one answer to all images are alike in the mean, and in nothing else.
        differ = any(top1.std for _, top1 in known)
        return f"{row.model}: {accuracy.mean:.2f} % on every class" + " in the mean, not with each seed" * differ
    taken = f", taken for '{worst.taken_for}' in {worst.share:.1f} % of cases" if worst.taken_for else ""
    return f"{row.model}: worst on '{worst.name}' ({accuracy} %{taken}), best on '{best.name}' ({most} %)"


def missing_classes(rows: Iterable[Row]) -> str:
    """Says of which rows nothing is known by class, and what to do; '' if there are none."""
    missing = [row.model for row in rows if not row.answered]
    if not missing:
        return ""
    return (
        f"Not known by class: {', '.join(missing)}, evaluated before the classes of the answers were kept. Delete "
        "their folders in evaluation/, and the workflow evaluates them again; it trains nothing."
    )


def confidence_sentence(row: Row) -> str:
    """Compares how sure the networks are with how often they are right, over all images and seeds."""
    confidences = np.concatenate([one.confidences for one in row.answered])
    sure = confidences >= 0.99
    right = np.concatenate([one.answers == one.labels for one in row.answered])
    sentence = (
        f"On average the softmax gives its answer {100 * confidences.mean():.1f} %, and {100 * right.mean():.1f} % of "
        "the answers are right."
    )
    if sure.any():
        sentence += (
            f" At 99 % or more ({100 * sure.mean():.1f} % of the answers), {100 * right[sure].mean():.1f} % are right."
        )
    return sentence


def shared_mistakes(row: Row, most: int) -> list[SharedMistake]:
    """Returns the images that a network of the row was most wrong about, the surest first, each image once."""
    surest: dict[int, Mistake] = {}
    for mistake in sorted((m for one in row.answered for m in one.mistakes), key=lambda m: (-m.confidence, m.image)):
        surest.setdefault(mistake.image, mistake)
    return [
        SharedMistake(mistake, _wrong(row, mistake.image), len(row.answered))
        for mistake in list(surest.values())[:most]
    ]


def _wrong(row: Row, image: int) -> int:
    return sum(int(one.answers[image] != one.labels[image]) for one in row.answered)


def hardest(lines: Sequence[ClassAccuracy], most: int) -> list[ClassAccuracy]:
    """Returns the classes of least accuracy, the worst first."""
    known = sorted((line.top1.mean, line.number) for line in lines if line.top1 is not None)
    return [lines[number] for _, number in known[:most]]
