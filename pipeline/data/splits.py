"""Which images of a data set are used for what: stratified, seeded draws, and the tables that record them.

Every class is drawn from on its own and by address, so asking for a larger subset adds images to the smaller one, and
what is drawn for validation does not depend on the size of the subset.

>>> labels = np.array([0, 0, 0, 1, 1, 1])
>>> validation, subset, _ = draw(labels, ("cat", "dog"), validation_per_class=1, subset_per_class=1)
>>> len(validation), len(subset), set(validation) & set(subset)
(2, 2, set())
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from pipeline.common.errors import UserError, made_again
from pipeline.common.files import read_csv, write_csv
from pipeline.common.randomness import random_for

COLUMNS = ("index", "label", "class")


class Draw(NamedTuple):
    """Indices of images, ascending; no image is in two of them."""

    validation: list[int]
    subset: list[int]
    held_out: list[int]


class _Images(Protocol):
    """The part of :class:`pipeline.data.prepared.ImagesInfo` that a table of indices is checked against."""

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def count(self) -> int: ...


def draw(
    labels: np.ndarray,
    classes: Sequence[str],
    validation_per_class: int,
    subset_per_class: int | None = None,
    seed: int = 0,
    held_out_per_class: int = 0,
) -> Draw:
    """Draws validation images from every class, then the subset from what remains.

    The held-out images are the last of each class, so that what is drawn before them does not depend on their number,
    unless it is all that remains.

    Args:
        labels: (N,) class numbers.
        classes: their names.
        validation_per_class: images of each class to score candidates on; 0 for none.
        subset_per_class: images of each class to learn from; None for all that remain.
        seed: equal seeds give equal draws.
        held_out_per_class: images of each class that are kept out of both.

    Raises:
        UserError: a class has too few images.
    """
    if validation_per_class < 0 or (subset_per_class is not None and subset_per_class < 1):
        raise UserError(
            f"validation_per_class is {validation_per_class} and subset_per_class {subset_per_class}",
            "they must be at least 0 and 1",
        )
    drawn = Draw([], [], [])
    needed = validation_per_class + (subset_per_class or 1) + held_out_per_class
    for label, name in enumerate(classes):
        order = _shuffled(labels, label, "split", seed)
        if len(order) < needed:
            wanted = "at least 1" if subset_per_class is None else str(subset_per_class)
            raise UserError(
                f"class '{name}' has {len(order)} train images, but {validation_per_class} are asked for validation "
                f"and {wanted} for the subset"
                + (f", and {held_out_per_class} are held out" if held_out_per_class else ""),
                "lower split.validation_per_class or split.subset_per_class (where the images have no test folder, "
                "dataset.test_fraction of each class is set aside for the test)",
            )
        end = len(order) - held_out_per_class if subset_per_class is None else validation_per_class + subset_per_class
        drawn.validation.extend(order[:validation_per_class])
        drawn.held_out.extend(order[len(order) - held_out_per_class :])
        drawn.subset.extend(order[validation_per_class:end])
    return Draw(*map(sorted, drawn))


def split_off(labels: np.ndarray, classes: Sequence[str], fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Splits test images off: of every class this fraction, rounded, and at least one.

    Args:
        labels: (N,) class numbers.
        classes: their names.
        fraction: between 0 and 1.
        seed: equal seeds give equal splits.

    Returns:
        Indices of the train and of the test images, ascending.

    Raises:
        UserError: the fraction is out of range, or a class has too few images to be in both.
    """
    if not 0 < fraction < 1:
        raise UserError(f"test_fraction is {fraction:g}", "it must lie between 0 and 1")
    train: list[int] = []
    test: list[int] = []
    for label, name in enumerate(classes):
        order = _shuffled(labels, label, "test split", seed)
        count = max(1, round(fraction * len(order)))
        if count >= len(order):
            raise UserError(
                f"class '{name}' has {len(order)} images, and test_fraction {fraction:g} takes {count} for the test",
                "add images or lower test_fraction",
            )
        test.extend(order[:count])
        train.extend(order[count:])
    return np.array(sorted(train)), np.array(sorted(test))


def _shuffled(labels: np.ndarray, label: int, *address: object) -> list[int]:
    order: list[int] = np.flatnonzero(labels == label).tolist()
    random_for(*address, label).shuffle(order)
    return order


def write_split(path: Path, indices: Sequence[int], labels: np.ndarray, classes: Sequence[str]) -> None:
    """Writes a table of images: index in the prepared file, class number and class name."""
    rows = ((index, int(labels[index])) for index in indices)
    write_csv(path, COLUMNS, ({"index": i, "label": label, "class": classes[label]} for i, label in rows))


def read_split(path: Path, images: _Images) -> list[int]:
    """Returns the indices in a table written by ``write_split``.

    Args:
        path: the table.
        images: the prepared images that it is to be used with.

    Raises:
        UserError: the table is missing, damaged, empty or about other images.
    """
    indices = []
    for line, row in enumerate(read_csv(path, COLUMNS), start=2):
        try:
            index, label = int(row["index"]), int(row["label"])
        except ValueError:
            raise UserError(f"line {line} of {path} holds no numbers", made_again()) from None
        if (
            not (0 <= index < images.count and 0 <= label < len(images.classes))
            or row["class"] != images.classes[label]
        ):
            raise UserError(f"line {line} of {path} is about other images", made_again())
        indices.append(index)
    if len(set(indices)) != len(indices):
        raise UserError(f"{path} lists an image twice", made_again())
    if not indices:
        raise UserError(f"{path} lists no images", made_again())
    return indices
