"""The score of a network, by hand, and the moments of its batch norms."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.data.batches import ImagesInMemory, Normalisation
from pipeline.training.scoring import recalibrate, score
from tests.support.execution import CPU


def images(values: list[int], labels: list[int]) -> ImagesInMemory:
    """Images of a single pixel, which a network sees as it is stored (0 to 255)."""
    pixels = torch.tensor(values, dtype=torch.uint8).reshape(-1, 1, 1, 1)
    return ImagesInMemory(pixels, torch.tensor(labels), Normalisation((0.0,), (1 / 255,)), CPU.device)


class Ranked(nn.Module):
    """Ranks the classes that follow the pixel's number behind it, each by ``step`` less sure."""

    def __init__(self, classes: int, step: float = 1.0) -> None:
        super().__init__()
        self._classes, self._step = classes, step

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = x[:, 0, 0, :].round()
        return -self._step * ((torch.arange(self._classes) - first) % self._classes)


@pytest.mark.parametrize(("classes", "shown"), [(5, False), (6, True), (10, True)])
def test_top1_and_top5_of_ranks_known_beforehand(classes, shown):
    # The right class is the first of the ranking, the last of the best five, the one behind, and the first again.
    labels = [0, (1 + 4) % classes, (2 + 5) % classes, 3]
    found = score(Ranked(classes), images([0, 1, 2, 3], labels), CPU, batch_size=3)
    assert found.top1 == pytest.approx(50.0 if classes > 5 else 75.0)  # of five classes the sixth is the first again
    assert found.top5 == (pytest.approx(75.0) if shown else None)
    assert found.images == 4 and found.answers.tolist() == [0, 1, 2, 3]
    assert found.labels.tolist() == labels
    assert found.right.tolist() == [True, False, classes == 5, True]
    most = math.log(sum(math.exp(-rank) for rank in range(classes)))
    assert found.loss == pytest.approx(most + (0 + 4 + (5 if classes > 5 else 0) + 0) / 4, rel=1e-6)
    surest = 1 / sum(math.exp(-rank) for rank in range(classes))
    assert found.confidences == pytest.approx(np.full(4, surest), rel=1e-5)


def test_of_classes_that_are_equally_likely_the_first_is_the_answer():
    """As everywhere else that a network answers: in bfloat16 the two highest are equal in some images of a thousand."""

    class Undecided(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first = x[:, 0, 0, :].round()
            return (torch.arange(40) >= first).float()  # all classes from one on

    found = score(Undecided(), images([0, 7, 30, 39], [0, 7, 31, 39]), CPU)
    assert found.answers.tolist() == [0, 7, 30, 39] and found.right.tolist() == [True, True, False, True]
    assert found.top1 == 75.0 and found.top5 is not None and found.top5 >= 75.0
    assert found.confidences[1] == pytest.approx(math.e / (33 * math.e + 7), rel=1e-5)


def test_the_loss_of_many_images_is_no_rounded_sum():
    """A large loss of one batch does not swallow the small ones of others: in float32, 2^24 + 1 is 2^24."""
    network = Ranked(2, step=2.0**24)
    one = score(network, images([0], [1]), CPU).loss
    assert one == 2**24

    class Unsure(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            sure = x[:, 0, 0, :] > 0
            return torch.where(sure, torch.tensor([[0.0, 2.0**24]]), torch.tensor([[1.0, 1.0]]))

    found = score(Unsure(), images([1, 0, 0, 0], [0] * 4), CPU, batch_size=1)
    assert found.loss == pytest.approx((2**24 + 3 * math.log(2)) / 4, rel=1e-10)


def test_recalibration_takes_a_network_that_was_only_looked_at():
    """In evaluation mode batch norms would learn nothing. The mean is that over batches, however large the last is."""
    network = nn.Sequential(nn.BatchNorm2d(1, momentum=0.3)).eval()
    recalibrate(network, images([10, 20, 30, 60, 80], [0] * 5), CPU, batch_size=2)
    norm = network[0]
    assert norm.running_mean.item() == pytest.approx((15 + 45) / 2, rel=1e-6)  # an image by itself has no variance
    assert norm.running_var.item() == pytest.approx((50 + 450) / 2, rel=1e-6)
    assert norm.momentum == 0.3 and norm.num_batches_tracked.item() == 2
    recalibrate(network, images([110, 120], [0] * 2), CPU, batch_size=2)  # what was there counts for nothing
    assert norm.running_mean.item() == pytest.approx(115, rel=1e-6) and norm.num_batches_tracked.item() == 1


def test_moments_of_a_single_image_are_taken_for_want_of_more():
    pixels = torch.tensor([1, 2, 3, 6], dtype=torch.uint8).reshape(1, 2, 2, 1)
    one = ImagesInMemory(pixels, torch.tensor([0]), Normalisation((0.0,), (1 / 255,)), CPU.device)
    network = nn.Sequential(nn.BatchNorm2d(1))
    recalibrate(network, one, CPU, batch_size=8)
    assert network[0].running_mean.item() == pytest.approx(3, rel=1e-6)
