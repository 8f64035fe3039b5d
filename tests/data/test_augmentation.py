"""Random shifts and flips of small images: as often and as far as they should, and new ones in every epoch."""

from collections import Counter
from math import log
from random import Random

import pytest
import torch

from pipeline.data.augmentation import Box, centre_box, crop, draw_shifts, lines_of, padding, random_box, shrink_factor
from pipeline.data.batches import ImagesInMemory, Normalisation
from pipeline.networks.module import Network
from pipeline.networks.spec import NetworkSpec
from pipeline.training.loop import Training
from pipeline.training.settings import TrainingSettings
from tests.support.execution import CPU


def draw_crops(count, side, seed=0, *, flip=False):
    """Rows and columns, (count, side) each."""
    return lines_of(draw_shifts(count, side, torch.Generator().manual_seed(seed), flip=flip), side)


def test_half_of_the_images_are_mirrored():
    rows, columns = draw_crops(4000, 16, flip=True)
    steps = columns.diff(dim=1)
    mirrored = (steps == -1).all(dim=1)
    assert (mirrored | (steps == 1).all(dim=1)).all() and (rows.diff(dim=1) == 1).all()
    assert 0.47 < mirrored.float().mean() < 0.53


def test_nothing_is_mirrored_unasked():
    _, columns = draw_crops(100, 16)
    assert (columns.diff(dim=1) == 1).all()


@pytest.mark.parametrize(("side", "pad"), [(32, 4), (8, 1), (4, 1), (16, 2)])
def test_shifts_are_spread_evenly_over_an_eighth_of_the_side_each_way(side, pad):
    assert padding(side) == pad
    drawn = draw_crops(6000, side)
    for starts in (lines[:, 0].tolist() for lines in drawn):
        counts = Counter(starts)
        assert set(counts) == set(range(2 * pad + 1))
        assert max(counts.values()) / min(counts.values()) < 1.4
    rows, columns = drawn
    assert not torch.equal(rows, columns)


def test_equal_seeds_give_the_crops_that_they_always_gave():
    """Another order of drawing would move every trained number under the same METHOD_VERSION."""
    drawn = []
    for other in (1, 2):
        torch.manual_seed(other)
        rows, columns = draw_crops(5, 8, seed=1, flip=True)
        drawn.append([rows[:, 0].tolist(), columns[:, 0].tolist(), columns[:, 7].tolist()])
    assert drawn[0] == drawn[1] == [[1, 2, 0, 2, 1], [1, 2, 2, 9, 7], [8, 9, 9, 2, 0]]


def test_what_a_crop_takes_from_outside_is_black():
    pixels = torch.full((1, 8, 8, 1), 200, dtype=torch.uint8)
    lines = torch.arange(8)[None]
    assert crop(pixels, lines, lines + 2).shape == (1, 8, 8, 1)
    corner = crop(pixels, lines, lines + 2)[0, :, :, 0]  # a row above the image, and a column to its right
    assert (corner[0] == 0).all() and (corner[:, -1] == 0).all() and (corner[1:, :-1] == 200).all()


@pytest.mark.parametrize(
    ("width", "height", "size", "box"),
    [
        (256, 256, 224, (16, 16, 240, 240)),
        (500, 400, 224, (75, 25, 425, 375)),
        (400, 500, 224, (25, 75, 375, 425)),
        (300, 301, 32, (20, 21, 279, 280)),  # brought to 37 pixels: 300 · 32 / 37 = 259
        (1, 5, 8, (0, 2, 1, 3)),
        (2, 2, 2, (0, 0, 2, 2)),
    ],
)
def test_the_centre_is_what_remains_of_the_shorter_side_at_256_over_224(width, height, size, box):
    assert centre_box(width, height, size) == box


class Scripted(Random):
    """Draws what it is told, and notes what it was asked for."""

    def __init__(self, shares, ratios) -> None:
        self.answers = [value for share, ratio in zip(shares, ratios, strict=True) for value in (share, log(ratio))]
        self.asked = []

    def uniform(self, a: float, b: float) -> float:
        self.asked.append((a, b))
        return self.answers[len(self.asked) - 1]

    def randint(self, a: int, b: int) -> int:
        self.asked.append((a, b))
        return b


def test_a_random_box_has_the_area_and_the_ratio_that_were_drawn():
    """Szegedy et al. 2015: 8 % to 100 % of the area, 3/4 to 4/3; anywhere in the image."""
    random = Scripted([0.5], [4 / 3])
    # Of 120 · 100 pixels the half, 6000: √8000 = 89.4 wide, √4500 = 67.1 high; 31 and 33 pixels are left.
    assert random_box(120, 100, random) == (31, 33, 120, 100)
    assert random.asked == [(0.08, 1.0), (log(3 / 4), log(4 / 3)), (0, 31), (0, 33)]
    # As wide or as high as the image fits still.
    assert random_box(100, 50, Scripted([0.5], [1.0])) == (50, 0, 100, 50)
    assert random_box(50, 100, Scripted([0.5], [1.0])) == (0, 50, 50, 100)


@pytest.mark.parametrize(
    ("width", "height", "ratio", "box"),
    [(100, 20, 3 / 4, (36, 0, 63, 20)), (20, 100, 4 / 3, (0, 36, 20, 63)), (1, 9, 4 / 3, (0, 4, 1, 5))],
)
def test_where_ten_boxes_do_not_fit_the_largest_in_the_middle_is_taken(width, height, ratio, box):
    random = Scripted([1.0] * 10, [ratio] * 10)
    assert random_box(width, height, random) == box and len(random.asked) == 20


def test_the_tenth_box_is_tried():
    assert random_box(100, 50, Scripted([1.0] * 9 + [0.5], [3 / 4] * 9 + [1.0])) == (50, 0, 100, 50)


def test_no_box_is_without_pixels():
    """8 % of a single pixel are none."""
    assert random_box(1, 1, Scripted([0.08] * 10, [1.0] * 10)) == (0, 0, 1, 1)
    for ratio in (3 / 4, 4 / 3):  # a quarter of it is one high and none wide, or the other way round
        assert random_box(1, 1, Scripted([0.25] * 10, [ratio] * 10)) == (0, 0, 1, 1)
        assert random_box(1, 1, counted := Scripted([0.25] * 10, [ratio] * 10)) and len(counted.asked) == 20
    assert random_box(2, 1, Scripted([0.5] + [0.08] * 9, [1.0] * 10)) == (1, 0, 2, 1)


@pytest.mark.parametrize(
    ("wide", "high", "factor"),
    [(447, 900, 1), (448, 900, 2), (900, 448, 2), (895, 895, 2), (896, 896, 4), (1791, 1800, 4), (1792, 1792, 8),
     (9999, 9999, 8), (100, 100, 1)],
)  # fmt: skip
def test_an_image_is_decoded_as_small_as_the_box_allows(wide, high, factor):
    assert shrink_factor(Box(1030, 700, 1030 + wide, 700 + high), 224) == factor


class _Recorded:
    """Images that are all the same picture, so that batches differ by their augmentation alone; keeps what was seen."""

    def __init__(self) -> None:
        picture = torch.arange(64, dtype=torch.uint8).reshape(1, 8, 8, 1).repeat(50, 1, 1, 1)
        self._images = ImagesInMemory(
            picture, torch.zeros(50, dtype=torch.int64), Normalisation((0.5,), (0.5,)), CPU.device
        )
        self.labels = self._images.labels
        self.seen: list[torch.Tensor] = []

    def __len__(self) -> int:
        return 50

    def batches(self, *arguments: object):
        for x, y in self._images.batches(*arguments):
            self.seen.append(x.clone())
            yield x, y


def shown(seed: int) -> list[torch.Tensor]:
    """The batches of a training of two epochs of two steps."""
    images = _Recorded()
    settings = TrainingSettings(epochs=2, batch_size=25, learning_rate=0.1, augmentation="crop")
    for _ in Training(
        Network(NetworkSpec("vgg_small", (1,) * 6, base_width=1 / 16, channels=1, size=8)), images, settings, seed, CPU
    ).steps():
        pass
    return images.seen


def test_every_batch_of_every_epoch_is_augmented_anew_and_by_the_seed():
    batches = shown(0) + shown(1)
    assert len(batches) == 8
    assert not any(torch.equal(a, b) for i, a in enumerate(batches) for b in batches[:i])
