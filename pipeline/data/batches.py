"""Labelled images in memory, and the batches that a training sees.

Images stay bytes on the device where they are used; a batch is cropped, flipped and normalised there as a whole, and on
a GPU several batches at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from pipeline.common.randomness import seed_for
from pipeline.data.augmentation import Augmentation, crop, draw_shifts, lines_of, padding
from pipeline.kernels import library
from pipeline.kernels.crop import crop as crop_and_normalise

#: All images of a batch.
WHOLE = slice(None)
#: Bytes of pixels that are made into batches at once on a GPU: Python cannot launch what a batch of small images needs
#: as fast as a GPU takes steps of a small network.
_BYTES_AT_ONCE = 8 << 20


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel, in units of the full brightness (0 to 1)."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class ImageSource(Protocol):
    """Where batches come from."""

    labels: Tensor

    def __len__(self) -> int:
        """Returns how many images there are."""
        ...

    def batches(
        self,
        plan: Sequence[Tensor],
        augmentation: Augmentation = "none",
        address: Sequence[object] = (),
        start: int = 0,
        part: slice = WHOLE,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields for each index tensor of ``plan`` the images (B, C, H, W), float32, normalised, and labels (B,).

        The first ``start`` batches are left out, and of every batch all images but ``part``. The random changes of an
        image are drawn from ``address``, the batch's place in ``plan`` and the image's place in the batch alone, so
        they do not depend on what is left out.
        """
        ...


class ImagesInMemory:
    """Small images, resident on a device.

    Args:
        pixels: (N, H, W, C) bytes.
        labels: (N,) class numbers.
        normalisation: applied to every batch.
        device: where the images live and the batches are made.
        at_once: images that are made into batches at once, whole batches and at least one; None for what suits the
            device.

    Raises:
        ValueError: the pixels are not as said, or there are not as many moments as channels.
    """

    def __init__(
        self,
        pixels: Tensor,
        labels: Tensor,
        normalisation: Normalisation,
        device: torch.device,
        at_once: int | None = None,
    ) -> None:
        _, height, width, channels = pixels.shape
        if (
            pixels.dtype != torch.uint8
            or height != width
            or {*map(len, (normalisation.mean, normalisation.std))} != {channels}
        ):
            raise ValueError(f"{pixels.dtype} images of {height}×{width}×{channels}, {normalisation}")
        self._pixels = pixels.to(device).contiguous()
        self.labels = labels.to(device)
        self._size = pixels.shape[1]
        if at_once is None:
            at_once = _BYTES_AT_ONCE // pixels[0].numel() if device.type == "cuda" and len(pixels) else 1
        self._at_once = at_once
        scale = 255 * torch.tensor(normalisation.std, device=device)
        self._scale = 1 / scale
        self._shift = -255 * torch.tensor(normalisation.mean, device=device) / scale
        # What becomes of each byte of each channel, for compiled kernels.
        self._table = self._normalise(torch.arange(256, device=device)[:, None]).T.contiguous()

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
        """See :class:`ImageSource`."""
        together = max(1, self._at_once // len(plan[0])) if plan else 1
        for first in range(start, len(plan), together):
            batches = plan[first : first + together]
            parts = [batch[part] for batch in batches]
            drawn = [torch.cat(parts)[None]]
            if augmentation != "none":
                shifts = [
                    draw_shifts(len(batch), self._size, _generator(*address, step), flip=augmentation == "crop-flip")
                    for step, batch in enumerate(batches, first)
                ]
                drawn.append(torch.cat([shift[:, part] for shift in shifts], 1))
            images, labels = self._made(self._moved(torch.cat(drawn)))
            sizes = [len(indices) for indices in parts]
            yield from zip(torch.split(images, sizes), torch.split(labels, sizes), strict=True)

    def _made(self, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Returns images and labels of the indices ``drawn[0]``, cropped as the rest of it says if there is any."""
        indices, shifts = drawn[0], drawn[1:]
        if not len(shifts):
            images = self._normalise(self._pixels[indices])
        else:
            images = self._crops(indices, *lines_of(shifts, self._size))
        # The bytes lie channel by channel last, which is how convolutions like them; only the view changes.
        return images.permute(0, 3, 1, 2), self.labels[indices]

    def _crops(self, indices: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        if self._pixels.device.type == "cpu" and library.loaded():
            return crop_and_normalise(self._pixels, indices, rows, columns, padding(self._size), self._table)
        return self._normalise(crop(self._pixels[indices], rows, columns))

    def _moved(self, numbers: Tensor) -> Tensor:
        """Returns them on the device. Only from pinned memory does a GPU fetch them without making Python wait."""
        device = self._pixels.device
        return numbers.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else numbers.to(device)

    def _normalise(self, pixels: Tensor) -> Tensor:
        return torch.addcmul(self._shift, pixels.float(), self._scale)


def _generator(*address: object) -> torch.Generator:
    return torch.Generator().manual_seed(seed_for(*address))
