"""Each class is shuffled by itself: which of its images are drawn says nothing about another class."""

import numpy as np

from pipeline.data.splits import draw, split_off

LABELS = np.repeat(np.arange(4), 50)


def test_draws_of_classes_differ():
    """Of classes of 50 images each: their images, numbered within the class, and not the same numbers."""
    validation, subset = draw(LABELS, "abcd", 10, 10)
    train, test = split_off(LABELS, "abcd", 0.2, 0)
    for drawn in map(np.array, (validation, subset, test)):
        numbers = {tuple(drawn[LABELS[drawn] == label] - 50 * label) for label in range(4)}
        assert len(numbers) == 4 and all(len(of_class) == 10 for of_class in numbers)
