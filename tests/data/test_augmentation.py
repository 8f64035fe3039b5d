"""Random shifts and flips of small images: as often and as far as they should, and new ones in every epoch."""

from collections import Counter

import pytest
import torch

from pipeline.data.augmentation import crop, draw_crops, padding
from pipeline.data.batches import ImagesInMemory, Normalisation
from pipeline.networks.module import Network
from pipeline.networks.spec import NetworkSpec
from pipeline.training.loop import Training
from pipeline.training.settings import TrainingSettings
from tests.support.execution import CPU


def test_half_of_the_images_are_mirrored():
    rows, columns = draw_crops(4000, 16, torch.Generator().manual_seed(0), flip=True)
    steps = columns.diff(dim=1)
    mirrored = (steps == -1).all(dim=1)
    assert (mirrored | (steps == 1).all(dim=1)).all() and (rows.diff(dim=1) == 1).all()
    assert 0.47 < mirrored.float().mean() < 0.53


def test_nothing_is_mirrored_unasked():
    _, columns = draw_crops(100, 16, torch.Generator().manual_seed(0), flip=False)
    assert (columns.diff(dim=1) == 1).all()


@pytest.mark.parametrize(("side", "pad"), [(32, 4), (8, 1), (4, 1), (16, 2)])
def test_shifts_are_spread_evenly_over_an_eighth_of_the_side_each_way(side, pad):
    assert padding(side) == pad
    drawn = draw_crops(6000, side, torch.Generator().manual_seed(0), flip=False)
    for starts in (lines[:, 0].tolist() for lines in drawn):
        counts = Counter(starts)
        assert set(counts) == set(range(2 * pad + 1))
        assert max(counts.values()) / min(counts.values()) < 1.4
    rows, columns = drawn
    assert not torch.equal(rows, columns)


def test_what_a_crop_takes_from_outside_is_black():
    pixels = torch.full((1, 8, 8, 1), 200, dtype=torch.uint8)
    lines = torch.arange(8)[None]
    corner = crop(pixels, lines, lines + 2)[0, :, :, 0]  # a row above the image, and a column to its right
    assert (corner[0] == 0).all() and (corner[:, -1] == 0).all() and (corner[1:, :-1] == 200).all()


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
