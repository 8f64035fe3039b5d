"""Random crops of small images in one pass over their bytes (``cpp/training/crop.cpp``)."""

import torch
from torch import Tensor

from pipeline.kernels import library
from pipeline.kernels.library import address


def crop(pixels: Tensor, indices: Tensor, rows: Tensor, columns: Tensor, padding: int, table: Tensor) -> Tensor:
    """Crops of some images, (B, S, S, C), every byte replaced by what ``table`` says.

    Args:
        pixels: (N, S, S, C) bytes on the CPU, without gaps.
        indices: (B,) of the images, int64, from 0 on.
        rows, columns: (B, S), int64, that the crop takes, counted from the corner of the padding.
        padding: pixels of black around an image.
        table: (C, 256), float32.

    Raises:
        IndexError: there is no such image.
    """
    _, side, _, channels = pixels.shape
    crops = torch.empty(len(indices), side, side, channels, dtype=torch.float32)
    indices, rows, columns = (tensor.contiguous() for tensor in (indices, rows, columns))
    library.call(
        "crop_images",
        *(
            address(pixels),
            len(pixels),
            side,
            channels,
            padding,
            address(indices),
            len(indices),
            address(rows),
            address(columns),
        ),
        *(address(table), address(crops)),
    )
    return crops
