"""Batches of images in memory: the same, however many are made at once and wherever they begin."""

import pytest
import torch

from pipeline.data.batches import ImagesInMemory, Normalisation
from pipeline.kernels import library

CPU = torch.device("cpu")


def images(at_once=None):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.empty((30, 8, 8, 3), dtype=torch.uint8).random_(generator=generator)
    return ImagesInMemory(pixels, torch.arange(30), Normalisation((0.5, 0.4, 0.3), (0.2, 0.3, 0.4)), CPU, at_once)


def plan():
    """Five batches of seven images, the last of them smaller."""
    return list(torch.randint(30, (33,), generator=torch.Generator().manual_seed(1)).split(7))


@pytest.mark.parametrize("augmentation", ["none", "crop", "crop-flip"])
@pytest.mark.parametrize("at_once", [1, 7, 20, 28, 1000])
@pytest.mark.parametrize("start", [0, 3])
@pytest.mark.parametrize("part", [slice(None), slice(2, 5)])
@pytest.mark.parametrize("compiled", [True, False])
def test_they_do_not_depend_on_how_many_are_made_at_once(monkeypatch, augmentation, at_once, start, part, compiled):
    if not compiled:
        monkeypatch.setattr(library, "loaded", lambda: False)
    one_by_one = list(images().batches(plan(), augmentation, (5,), part=part))
    together = list(images(at_once).batches(plan(), augmentation, (5,), start, part))
    assert len(together) == 5 - start
    for (x, y), (other, labels) in zip(one_by_one[start:], together, strict=True):
        assert torch.equal(y, labels) and x.shape == other.shape == (len(y), 3, 8, 8)
        assert x.stride() == other.stride()
        torch.testing.assert_close(x, other, rtol=0, atol=1e-5)


def test_as_many_are_made_at_once_as_asked(monkeypatch):
    made = []
    several = images(20)
    monkeypatch.setattr(
        several, "_made", lambda drawn: made.append(drawn.shape[1]) or ImagesInMemory._made(several, drawn)
    )
    assert len(list(several.batches(plan(), "crop"))) == 5
    assert made == [14, 14, 5], "two whole batches of seven"


def test_no_plan_has_no_batches():
    assert not list(images().batches([]))
