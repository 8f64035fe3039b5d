"""Draws of validation images and subsets: stratified, disjoint, seeded, and refused where a class is too small."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.common.errors import UserError, made_again
from pipeline.data.splits import draw, read_split, split_off, write_split

CLASSES = ("cat", "dog", "eel")
LABELS = np.array([0, 1, 2] * 20)
IMAGES = SimpleNamespace(classes=CLASSES, count=60)

many_labels = st.lists(st.integers(0, 2), max_size=30).map(lambda more: np.array(more + [0, 1, 2] * 5))


@given(many_labels, st.integers(0, 3), st.integers(1, 2), st.integers(0, 5))
def test_every_class_gives_as_many_as_asked_for(labels, validation_per_class, subset_per_class, seed):
    validation, subset, _ = draw(labels, CLASSES, validation_per_class, subset_per_class, seed)
    assert np.bincount(labels[validation], minlength=3).tolist() == [validation_per_class] * 3
    assert np.bincount(labels[subset], minlength=3).tolist() == [subset_per_class] * 3
    assert not set(validation) & set(subset)
    assert (validation, subset) == (sorted(validation), sorted(subset))


@given(many_labels, st.integers(0, 4), st.integers(0, 5))
def test_subset_without_a_number_is_all_that_remains(labels, validation_per_class, seed):
    validation, subset, _ = draw(labels, CLASSES, validation_per_class, None, seed)
    assert sorted(validation + subset) == list(range(len(labels)))


def test_larger_subset_adds_to_the_smaller_and_leaves_validation_alone():
    small, large = draw(LABELS, CLASSES, 5, 3, seed=1), draw(LABELS, CLASSES, 5, 9, seed=1)
    assert small.validation == large.validation
    assert set(small.subset) < set(large.subset)


def test_the_seed_alone_decides():
    assert draw(LABELS, CLASSES, 5, 5, seed=3) == draw(LABELS, CLASSES, 5, 5, seed=3)
    assert draw(LABELS, CLASSES, 5, 5, seed=3) != draw(LABELS, CLASSES, 5, 5, seed=4)


@pytest.mark.parametrize(("subset", "wanted"), [(17, "17"), (None, "at least 1")])
def test_too_small_class_is_named_with_numbers(subset, wanted):
    labels = LABELS[:-6] if subset else np.array([0] * 9 + [1] * 4 + [2] * 9)
    name, there, validation = ("cat", 18, 2) if subset else ("dog", 4, 4)
    with pytest.raises(UserError) as caught:
        draw(labels, CLASSES, validation, subset)
    assert str(caught.value) == (
        f"class '{name}' has {there} train images, but {validation} are asked for validation and {wanted} for the "
        "subset: lower split.validation_per_class or split.subset_per_class (where the images have no test folder, "
        "dataset.test_fraction of each class is set aside for the test)"
    )


@pytest.mark.parametrize(("validation", "subset"), [(-1, 3), (3, 0)])
def test_numbers_that_make_no_sense(validation, subset):
    with pytest.raises(UserError, match="must be at least 0 and 1"):
        draw(LABELS, CLASSES, validation, subset)


@given(many_labels, st.floats(0.01, 0.85), st.integers(0, 5))
def test_split_off_takes_the_same_share_of_every_class(labels, fraction, seed):
    train, test = split_off(labels, CLASSES, fraction, seed)
    assert sorted([*train, *test]) == list(range(len(labels)))
    for label in range(3):
        there, taken = (labels == label).sum(), (labels[test] == label).sum()
        assert taken == max(1, round(fraction * there)) < there


def test_split_off_needs_two_images_of_a_class():
    with pytest.raises(UserError, match=r"class 'eel' has 1 images, and test_fraction 0\.2 takes 1"):
        split_off(np.array([0, 0, 1, 1, 2]), CLASSES, 0.2, 0)


@pytest.mark.parametrize("fraction", [0, 1, -0.5, float("nan")])
def test_split_off_needs_a_fraction(fraction):
    with pytest.raises(UserError, match="it must lie between 0 and 1"):
        split_off(LABELS, CLASSES, fraction, 0)


def test_table_comes_back(tmp_path):
    indices = draw(LABELS, CLASSES, 2, 4).subset
    write_split(tmp_path / "subset.csv", indices, LABELS, CLASSES)
    assert read_split(tmp_path / "subset.csv", IMAGES) == indices
    with open(tmp_path / "subset.csv", newline="") as file:
        row = next(csv.DictReader(file))
    assert row == {"index": str(indices[0]), "label": str(indices[0] % 3), "class": CLASSES[indices[0] % 3]}


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("60,0,cat", "line 2 of {} is about other images"),
        ("-1,0,cat", "line 2 of {} is about other images"),
        ("0,0,dog", "line 2 of {} is about other images"),
        ("0,3,cow", "line 2 of {} is about other images"),
        ("0,0,cat\nx,0,cat", "line 3 of {} holds no numbers"),
        ("", "{} lists no images"),
    ],
)
def test_table_that_will_not_do(tmp_path, rows, sentence):
    path = tmp_path / "subset.csv"
    path.write_text(f"index,label,class\n{rows}\n" if rows else "index,label,class\n")
    with pytest.raises(UserError) as caught:
        read_split(path, IMAGES)
    assert str(caught.value) == f"{sentence.format(path)}: {made_again()}"


def test_held_out_images_are_in_no_other_part_and_move_nothing():
    without, some = draw(LABELS, CLASSES, 3, 4, seed=2), draw(LABELS, CLASSES, 3, 4, seed=2, held_out_per_class=2)
    assert (some.validation, some.subset) == (without.validation, without.subset)
    assert without.held_out == []
    assert len(some.held_out) == 2 * len(CLASSES)
    assert not set(some.held_out) & {*some.validation, *some.subset}


def test_what_is_held_out_is_missing_where_the_subset_is_all_that_remains():
    validation, subset, held_out = draw(LABELS, CLASSES, 3, None, seed=2, held_out_per_class=2)
    assert sorted([*validation, *subset, *held_out]) == list(range(len(LABELS)))
    assert len(held_out) == 2 * len(CLASSES)


def test_too_few_images_to_hold_any_out():
    fewest = min(LABELS.tolist().count(label) for label in range(len(CLASSES)))
    with pytest.raises(UserError, match="and 1 are held out"):
        draw(LABELS, CLASSES, fewest - 1, 1, held_out_per_class=1)
