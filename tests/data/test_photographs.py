"""Batches of decoded photographs: addressed randomness, whatever the workers, and the usual crops."""

import io
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms import functional as transforms

from pipeline.__main__ import main
from pipeline.common.errors import UserError
from pipeline.data.augmentation import Box, centre_box, random_box, shrink_factor
from pipeline.data.loading import load_images
from pipeline.data.photographs import JpegImages
from pipeline.data.prepared import read_info
from tests.support.photographs import photographs

SIZE = 64
ADDRESS = ("augment", 0, 3)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Photographs as train images, and the folder they came from."""
    folder = tmp_path_factory.mktemp("photographs")
    source = photographs(folder / "photos")
    words = f"prepare-dataset --dataset image_folder --image-size {SIZE} --storage jpeg".split()
    words += [f"--path={source}", f"--train={folder / 'train.h5'}", f"--test={folder / 'test.h5'}"]
    assert main(words) == 0
    return folder / "train.h5", source


@pytest.fixture(scope="module")
def images(prepared):
    return load_images(prepared[0], torch.device("cpu"))


def plan_of(count: int, batch: int = 3) -> list[torch.Tensor]:
    return list(torch.randperm(count, generator=torch.Generator().manual_seed(0))[:8].split(batch))


def as_bytes(x: torch.Tensor, path) -> torch.Tensor:
    """Undoes the normalisation: (B, H, W, C)."""
    info = read_info(path)
    return 255 * (x.permute(0, 2, 3, 1) * torch.tensor(info.std) + torch.tensor(info.mean))


@pytest.mark.parametrize("augmentation", ["none", "resized-crop-flip"])
def test_batches_are_normalised_images_with_their_labels(prepared, images, augmentation):
    plan = plan_of(len(images))
    batches = list(images.batches(plan, augmentation, ADDRESS))
    assert [len(y) for _, y in batches] == [3, 3, 2]
    for indices, (x, y) in zip(plan, batches, strict=True):
        assert x.shape == (len(indices), 3, SIZE, SIZE)
        assert x.dtype == torch.float32
        assert x.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(y, images.labels[indices])
        values = as_bytes(x, prepared[0])
        torch.testing.assert_close(values, values.round().clamp(0, 255), atol=1e-3, rtol=0)


@pytest.mark.parametrize("augmentation", ["none", "resized-crop-flip"])
def test_workers_change_nothing(prepared, images, augmentation):
    plan = plan_of(len(images))
    others = load_images(prepared[0], torch.device("cpu"), workers=2)
    pairs = zip(images.batches(plan, augmentation, ADDRESS), others.batches(plan, augmentation, ADDRESS), strict=True)
    for (x, y), (other_x, other_y) in pairs:
        assert torch.equal(x, other_x)
        assert torch.equal(y, other_y)


@pytest.mark.parametrize("start", [1, 2, 3])
def test_start_gives_the_tail(images, start):
    plan = plan_of(len(images))
    whole = list(images.batches(plan, "resized-crop-flip", ADDRESS))
    tail = list(images.batches(plan, "resized-crop-flip", ADDRESS, start=start))
    assert len(tail) == len(whole) - start
    for (x, y), (other_x, other_y) in zip(whole[start:], tail, strict=True):
        assert torch.equal(x, other_x)
        assert torch.equal(y, other_y)


def test_address_decides_what_is_drawn(images):
    def first(address):
        return next(iter(images.batches(plan_of(len(images)), "resized-crop-flip", address)))[0]

    assert torch.equal(first(ADDRESS), first(ADDRESS))
    assert not torch.equal(first(ADDRESS), first((*ADDRESS, 1)))


def test_the_process_own_generator_is_left_alone(images):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(images.batches(plan_of(len(images)), "resized-crop-flip", ADDRESS))
    assert torch.equal(before, torch.get_rng_state())


def test_abandoned_batches_leave_no_workers(prepared):
    from multiprocessing import active_children

    images = load_images(prepared[0], torch.device("cpu"), workers=2)
    batches = images.batches(plan_of(len(images), 1), "resized-crop-flip", ADDRESS)
    next(batches)
    assert len(active_children()) == 2
    batches.close()
    assert not active_children()


def test_indices_choose_images(prepared, images):
    some = load_images(prepared[0], torch.device("cpu"), [4, 1, 4])
    assert len(some) == 3
    ((x, y),) = some.batches([torch.arange(3)])
    ((wanted, labels),) = images.batches([torch.tensor([4, 1, 4])])
    assert torch.equal(x, wanted)
    assert torch.equal(y, labels)


def test_evaluation_sees_what_torchvision_would_show(prepared, images):
    path, source = prepared
    first = sorted((source / "train").iterdir())[0]
    with Image.open(sorted(first.iterdir())[0]) as image:
        whole = transforms.resize(image.convert("RGB"), round(SIZE * 256 / 224))
        wanted = np.asarray(transforms.center_crop(whole, SIZE)).astype(float)
    ((x, _),) = images.batches([torch.tensor([0])])
    difference = (as_bytes(x, path)[0].numpy() - wanted).mean((0, 1))
    assert np.abs(difference).max() < 1.5
    # Much closer than the neighbouring place would be.
    near = np.abs(as_bytes(x, path)[0].numpy() - wanted).mean()
    beside = np.abs(as_bytes(x, path)[0].numpy()[:, 4:] - wanted[:, :-4]).mean()
    assert near < 0.6 * beside


def test_augmentation_of_small_images_is_refused(images):
    with pytest.raises(UserError, match="augmentation 'crop' is for small images: use 'resized-crop-flip'"):
        next(iter(images.batches(plan_of(len(images)), "crop", ADDRESS)))


def test_half_of_the_images_are_mirrored(tmp_path):
    from pipeline.data.batches import Normalisation
    from pipeline.data.prepared import ImagesInfo, write_images

    ramp = np.tile(np.linspace(0, 255, 64, dtype=np.uint8)[None, :, None], (64, 1, 3))
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, "JPEG", quality=95)
    info = ImagesInfo("ramp", "jpeg", ("a", "b"), 3, 16, 1, (0.5,) * 3, (0.5,) * 3)
    data = np.frombuffer(buffer.getvalue(), np.uint8)
    part = {"encoded": data, "lengths": np.array([len(data)]), "labels": np.array([0])}
    write_images(tmp_path / "a.h5", info, len(data), [part])
    images = JpegImages(tmp_path / "a.h5", Normalisation(info.mean, info.std), torch.device("cpu"))
    ((x, _),) = images.batches([torch.zeros(400, dtype=torch.long)], "resized-crop-flip", ("mirror",))
    mirrored = (x[..., 0] > x[..., -1]).all(dim=(1, 2)).sum()
    assert 160 < mirrored < 240


# Crops


sides = st.integers(1, 3000)


@given(sides, sides, st.integers(0, 100))
def test_random_boxes_lie_in_the_image_and_have_the_right_shape(width, height, seed):
    box = random_box(width, height, Random(seed))
    wide, high = box.right - box.left, box.bottom - box.top
    assert 0 <= box.left < box.right <= width
    assert 0 <= box.top < box.bottom <= height
    # Rounded to pixels, so a side may be half a pixel off.
    assert (wide - 0.5) / (high + 0.5) <= 4 / 3
    assert (wide + 0.5) / (high - 0.5) >= 3 / 4


@given(sides, sides, st.sampled_from([8, 64, 224]))
def test_centre_boxes_lie_in_the_middle(width, height, size):
    box = centre_box(width, height, size)
    assert 0 <= box.left < box.right <= width
    assert 0 <= box.top < box.bottom <= height
    assert box.right - box.left == box.bottom - box.top
    assert abs(box.left + box.right - width) <= 1
    assert abs(box.top + box.bottom - height) <= 1


def test_random_boxes_are_spread_as_torchvisions_are():
    torch.manual_seed(0)
    image = torch.zeros(1, 375, 500)
    theirs = np.array([RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(3000)])
    boxes = [random_box(500, 375, Random(seed)) for seed in range(3000)]
    ours = np.array([(b.top, b.left, b.bottom - b.top, b.right - b.left) for b in boxes])
    assert np.abs(ours.mean(0) - theirs.mean(0)).max() < 8
    assert np.abs(ours.std(0) - theirs.std(0)).max() < 8


@pytest.mark.parametrize(
    ("side", "factor"), [(63, 1), (64, 1), (127, 1), (128, 2), (255, 2), (256, 4), (511, 4), (512, 8), (5000, 8)]
)
def test_images_are_decoded_no_smaller_than_the_crop(side, factor):
    assert shrink_factor(Box(3, 5, 3 + side, 5 + side + 100), 64) == factor


def test_large_photograph_decoded_smaller_shows_the_same(prepared):
    from pipeline.data.photographs import _crop

    first = sorted((prepared[1] / "train").iterdir())[0]
    with Image.open(sorted(first.iterdir())[0]) as image:
        large = image.convert("RGB").resize((1501, 1203))
    buffer = io.BytesIO()
    large.save(buffer, "JPEG", quality=95)
    box = Box(201, 99, 1335, 1190)
    shown = _crop(Image.open(buffer), box, 128).numpy().astype(float)
    wanted = np.asarray(large.resize((128, 128), Image.Resampling.BILINEAR, box)).astype(float)
    assert np.abs(shown - wanted).mean() < 4
