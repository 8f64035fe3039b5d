"""Large images, stored as JPEG files in one HDF5 file, and the batches that a training sees.

Worker processes decode, crop and resize; whole batches come back as bytes and are normalised on the device. The random
changes of an image are drawn from the batch's address and the image's place in it, so batches do not depend on
the number of workers.
"""

import io
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from pipeline.common.errors import UserError
from pipeline.common.hdf5 import keep_open, open_hdf5
from pipeline.common.randomness import random_for
from pipeline.data.augmentation import Augmentation, Box, centre_box, random_box, shrink_factor
from pipeline.data.batches import WHOLE, Normalisation
from pipeline.data.prepared import FORMAT, labels_of, offsets_of, read_info

#: Batches that each worker has ready.
_AHEAD = 2


class JpegImages:
    """Prepared images of storage 'jpeg', an :class:`~pipeline.data.batches.ImageSource`.

    'resized-crop-flip' cuts out a random part (8 % to 100 % of the area, ratio 3/4 to 4/3), brings it to the size of
    the prepared file and mirrors every other image by chance; 'none' brings the shorter side to 256/224 of the size
    and cuts out the centre.

    Args:
        path: the prepared images.
        normalisation: applied to every batch.
        device: where the batches are made.
        indices: (N,) the images to use, in this order; None for all.
        workers: processes that decode; 0 decodes in this one.
    """

    def __init__(
        self,
        path: Path,
        normalisation: Normalisation,
        device: torch.device,
        indices: np.ndarray | None = None,
        workers: int = 0,
    ) -> None:
        info = read_info(path)
        self._shape = (info.size, info.channels)
        with open_hdf5(path, FORMAT) as file:
            offsets, labels = offsets_of(file), labels_of(file, len(info.classes))
        if indices is None:
            indices = np.arange(len(labels))
        self._path, self._workers, self._device = path, workers, device
        self._ends = np.stack([offsets[indices], offsets[indices + 1]], axis=1)
        self.labels = torch.from_numpy(labels[indices]).to(device)
        self._normalise = RowNormalisation(normalisation, self._shape[0], device)

    def __len__(self) -> int:
        return len(self.labels)

    def batches(
        self,
        plan: Sequence[Tensor],
        augmentation: Augmentation = "none",
        address: Sequence[object] = (),
        start: int = 0,
        part: slice = WHOLE,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """See :class:`~pipeline.data.batches.ImageSource`.

        Raises:
            UserError: the augmentation is one for small images.
        """
        if augmentation not in ("none", "resized-crop-flip"):
            raise UserError(f"augmentation '{augmentation}' is for small images", "use 'resized-crop-flip'")
        decoder = _BatchDecoder(self._path, self._ends, *self._shape, augmentation != "none", tuple(address))
        loader = DataLoader(
            decoder,
            sampler=[(step, plan[step].cpu(), part) for step in range(start, len(plan))],
            batch_size=None,  # what the sampler gives is a batch
            num_workers=self._workers,
            prefetch_factor=_AHEAD if self._workers else None,
            pin_memory=self._device.type == "cuda",
            worker_init_fn=_start_worker,
            generator=torch.Generator(),  # otherwise the loader would draw from the process's own generator
        )
        for step, pixels in zip(range(start, len(plan)), loader, strict=True):
            images = self._normalise(pixels.to(self._device, non_blocking=True))
            yield images, self.labels[plan[step][part].to(self._device)]


class RowNormalisation:
    """Normalises bytes (B, size, size, C) row by row, to float32 (B, C, size, size).

    Args:
        normalisation: mean and deviation of each channel.
        size: side in pixels.
        device: where the bytes are.
    """

    def __init__(self, normalisation: Normalisation, size: int, device: torch.device) -> None:
        # For a whole row of pixels: with three numbers only, the addition below would take twice as long on a CPU.
        mean, std = (
            torch.tensor(moment, device=device).repeat(size) for moment in (normalisation.mean, normalisation.std)
        )
        self._scale = 1 / (255 * std)
        self._shift = -mean / std

    def __call__(self, pixels: Tensor) -> Tensor:
        """Returns the normalised images."""
        images = pixels.float()
        rows = images.flatten(2)
        torch.addcmul(self._shift, rows, self._scale, out=rows)
        return images.permute(0, 3, 1, 2)


def _start_worker(_: int) -> None:
    # Ctrl-C and SIGTERM reach every process of a job. The main one saves its state first and then ends its workers;
    # without them it could not finish its step.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


class _BatchDecoder(Dataset[Tensor]):
    """Makes batches of bytes, in whatever process it finds itself.

    Args:
        path: the prepared images.
        ends: (N, 2) where each image's bytes begin and end.
        size: side of the crops.
        channels: 1 or 3.
        augment: random crops and mirroring, otherwise the centre.
        address: of the random draws.
    """

    def __init__(
        self, path: Path, ends: np.ndarray, size: int, channels: int, augment: bool, address: tuple[object, ...]
    ) -> None:
        self._path, self._ends, self._size, self._channels = path, ends, size, channels
        self._augment, self._address = augment, address
        self._file: h5py.File | None = None

    def __getitem__(self, item: tuple[int, Tensor, slice]) -> Tensor:
        """Returns (B, size, size, C) bytes of a part of the batch: (step, indices, part)."""
        step, indices, part = item
        places = range(len(indices))[part]
        if self._file is None:
            self._file = keep_open(self._path, FORMAT)
        encoded = self._file["encoded"]
        batch = torch.empty((len(places), self._size, self._size, self._channels), dtype=torch.uint8)
        for image, place, index in zip(batch, places, indices[part].tolist(), strict=True):
            begin, end = self._ends[index]
            image.copy_(self._decode(encoded[begin:end], step, place))
        return batch

    def _decode(self, data: np.ndarray, step: int, place: int) -> Tensor:
        if not self._augment:
            return centre(data.data, self._size)
        image = _open(data.data)
        random = random_for(*self._address, step, place)
        crop = _crop(image, random_box(*image.size, random), self._size)
        return crop.flip(1) if random.random() < 0.5 else crop


def centre(jpeg: bytes | memoryview, size: int) -> Tensor:
    """Returns (size, size, C) bytes: the centre of a JPEG file's image, its shorter side brought to 256/224 of
    ``size``.
    """
    image = _open(jpeg)
    return _crop(image, centre_box(*image.size, size), size)


def _open(jpeg: bytes | memoryview) -> Image.Image:
    return Image.open(io.BytesIO(jpeg), formats=("JPEG",))


def _crop(image: Image.Image, box: Box, size: int) -> Tensor:
    """Returns (size, size, C) bytes: a part of a JPEG image that is not loaded yet, resized."""
    width, height = image.size
    shrink = shrink_factor(box, size)
    # Decoding at a fraction of the size costs less, and all that the crop needs is still there.
    image.draft(None, (width // shrink, height // shrink))
    box = Box(*(round(edge / shrink) for edge in box))
    pixels = torch.from_numpy(np.array(image.crop(box)))
    planes = pixels[None, :, :, None] if pixels.dim() == 2 else pixels[None]
    # torch resizes bytes several times faster than Pillow, to the same values but for rounding.
    resized = F.interpolate(planes.permute(0, 3, 1, 2), (size, size), mode="bilinear", antialias=True)
    return resized[0].permute(1, 2, 0)
