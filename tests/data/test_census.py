"""What was found among the images, in numbers and in sentences."""

import numpy as np
import pytest

from pipeline.data.census import Census, brightest_if_dark, is_blank


def histogram(*values: int, channels: int = 1) -> np.ndarray:
    return np.stack([np.bincount(values, minlength=256)] * channels)


@pytest.mark.parametrize(
    ("values", "blank"),
    [
        ([200] * 64, True),
        (list(range(16)) * 4, True),
        (list(range(17)) * 4, False),
        ([255] * 40_000 + [0], True),
        ([255] * 784 + [0] * 8, False),
        ([0, 255], False),
    ],
    ids=["constant", "12 bits of 16", "a little more", "a speck", "a thin line", "two pixels"],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_blank_is_what_nobody_can_see(values, blank, channels):
    assert is_blank(histogram(*values, channels=channels)) == blank


def test_one_channel_that_can_be_seen_is_enough():
    assert not is_blank(np.concatenate([histogram(*[9] * 64), histogram(*range(64))]))


@pytest.mark.parametrize("channels", [1, 3])
def test_dark_is_what_has_no_pixel_of_the_brighter_half(channels):
    assert brightest_if_dark(histogram(0, 63, 3, channels=channels)) == 63
    assert brightest_if_dark(histogram(127, channels=channels)) == 127
    assert brightest_if_dark(histogram(0, 128, channels=channels)) == 0
    assert brightest_if_dark(np.concatenate([histogram(9), histogram(200)])) == 0


def test_it_comes_back_from_its_record():
    census = Census(1000, 1, (3, 0), (1, 2), 1)
    assert Census.from_record(census.record) == census
    more = Census(1000, 1, repeated=2, contradicting=3, repeated_test=4, dark=5)
    assert Census.from_record(more.record) == more and set(census.record) < set(more.record)
    for record in ({}, {**census.record, "damaged": [1]}, {**census.record, "train": None}):
        with pytest.raises((KeyError, TypeError, ValueError)):
            Census.from_record(record)


def test_sentences_agree_with_their_numbers():
    assert Census(1000, 10).sentences() == []
    assert Census(1000, 10, (1, 1200), (1, 2), 1).sentences() == [
        "1 damaged train image was left out.",
        "1,200 damaged test images were left out.",
        "1 train image is of one brightness or nearly so.",
        "2 test images are of one brightness or nearly so.",
        "1 test image is a train image too.",
    ]
    assert Census(9, 9, repeated=1, contradicting=2).sentences() == [
        "1 train image is a copy of another.",
        "2 images are in several classes.",
    ]
    assert Census(9, 9, dark=63).sentences() == [
        "No train image is brighter than 63 of 255: do the files hold fewer bits than they claim?"
    ]
    assert Census(9, 9, repeated=2, repeated_test=1).sentences() == [
        "2 train images are copies of others.",
        "1 test image is a copy of another.",
    ]
