"""Each class is shuffled by itself: which of its images are drawn says nothing about another class."""

from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.common.errors import UserError
from pipeline.data.splits import draw, read_split, split_off

LABELS = np.repeat(np.arange(4), 50)


def test_draws_of_classes_differ():
    """Of classes of 50 images each: their images, numbered within the class, and not the same numbers."""
    validation, subset, held_out = draw(LABELS, "abcd", 10, 10, held_out_per_class=10)
    train, test = split_off(LABELS, "abcd", 0.2, 0)
    for drawn in map(np.array, (validation, subset, held_out, test)):
        numbers = {tuple(drawn[LABELS[drawn] == label] - 50 * label) for label in range(4)}
        assert len(numbers) == 4 and all(len(of_class) == 10 for of_class in numbers)


def test_indices_are_ascending_and_the_seed_is_0_unless_told_otherwise():
    for indices in (*draw(LABELS, "abcd", 10, 10), *split_off(LABELS, "abcd", 0.2, 0)):
        assert (np.diff(indices) > 0).all()
    assert draw(LABELS, "abcd", 10, 10) == draw(LABELS, "abcd", 10, 10, seed=0)


def test_a_table_that_lists_an_image_twice(tmp_path):
    (tmp_path / "subset.csv").write_text("index,label,class\n1,0,a\n2,0,a\n1,0,a\n")
    with pytest.raises(UserError, match="lists an image twice"):
        read_split(tmp_path / "subset.csv", SimpleNamespace(classes=tuple("abcd"), count=200))
