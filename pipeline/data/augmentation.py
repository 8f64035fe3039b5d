"""Random changes to training images: crops of large ones (Szegedy et al., 2015), shifts and flips of small ones.

torch is imported only where tensors are made, since settings and preparation, which need none, look here as well.

>>> centre_box(500, 400, 224)
Box(left=75, top=25, right=425, bottom=375)
"""

import math
from random import Random
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import torch
    from torch import Tensor

#: The shorter side that an image is brought to before its centre is cut out, over the crop's side.
_MARGIN = 256 / 224
_AREA = (0.08, 1.0)
_LOG_RATIO = (math.log(3 / 4), math.log(4 / 3))
_TRIES = 10


class Box(NamedTuple):
    """A part of an image in pixels; right and bottom are outside."""

    left: int
    top: int
    right: int
    bottom: int


def centre_box(width: int, height: int, size: int) -> Box:
    """Returns what remains of an image whose shorter side is brought to size · 256/224 and whose centre of side size
    is cut.
    """
    side = max(1, round(min(width, height) * size / round(size * _MARGIN)))
    left, top = (width - side) // 2, (height - side) // 2
    return Box(left, top, left + side, top + side)


def random_box(width: int, height: int, random: Random) -> Box:
    """Returns a part of 8 % to 100 % of the area with a ratio of width to height of 3/4 to 4/3, anywhere in the image.

    Where ten tries do not fit, the largest centred part with such a ratio.
    """
    for _ in range(_TRIES):
        area = width * height * random.uniform(*_AREA)
        ratio = math.exp(random.uniform(*_LOG_RATIO))
        wide, high = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < wide <= width and 0 < high <= height:
            left, top = random.randint(0, width - wide), random.randint(0, height - high)
            return Box(left, top, left + wide, top + high)
    wide = max(1, min(width, round(height * 4 / 3)))
    high = max(1, min(height, round(width * 4 / 3)))
    left, top = (width - wide) // 2, (height - high) // 2
    return Box(left, top, left + wide, top + high)


def shrink_factor(box: Box, size: int) -> int:
    """Returns the largest of 1, 2, 4 and 8 by which an image can be decoded smaller without ``box`` falling below
    ``size``.

    >>> shrink_factor(Box(0, 0, 500, 460), 224)
    2
    """
    room = min(box.right - box.left, box.bottom - box.top) // size
    return next(factor for factor in (8, 4, 2, 1) if room >= factor or factor == 1)


def draw_shifts(count: int, side: int, generator: "torch.Generator", *, flip: bool) -> "Tensor":
    """Returns how random crops of ``count`` square images lie: (3, count), int64, the rows and the columns from the
    corner of the padding (an eighth of the side, at least a pixel, all around), and 1 where the crop is mirrored.

    Args:
        count: how many images.
        side: of an image, in pixels, and of its crop.
        generator: on the CPU, so that equal seeds give equal crops on every device.
        flip: mirror every other image, by chance.
    """
    import torch

    shifts = torch.zeros((3, count), dtype=torch.int64)
    shifts[:2] = torch.randint(0, 2 * padding(side) + 1, (2, count), generator=generator)
    if flip:
        shifts[2] = torch.rand(count, generator=generator) < 0.5
    return shifts


def lines_of(shifts: "Tensor", side: int) -> "tuple[Tensor, Tensor]":
    """Returns the rows and columns, (count, side) each, that crops take which lie as ``shifts`` (3, count) says."""
    import torch

    line = torch.arange(side, device=shifts.device)
    down, right, mirrored = shifts[:, :, None]
    columns = right + line
    return down + line, torch.where(mirrored.bool(), columns.flip(1), columns)


def crop(pixels: "Tensor", rows: "Tensor", columns: "Tensor") -> "Tensor":
    """Returns these rows and columns, counted from the padding's corner, of every image of (B, H, W, C), padded with
    black.
    """
    import torch
    from torch.nn import functional as F

    pad = padding(pixels.shape[1])
    padded = F.pad(pixels, (0, 0, pad, pad, pad, pad))
    rows, columns = rows.to(pixels.device), columns.to(pixels.device)
    image = torch.arange(len(pixels), device=pixels.device)
    return padded[image[:, None, None], rows[:, :, None], columns[:, None, :]]


def padding(side: int) -> int:
    """Returns the pixels of black around an image of ``side`` pixels from which it is cropped back: an eighth."""
    return max(1, side // 8)


Augmentation = Literal["none", "crop", "crop-flip", "resized-crop-flip"]
