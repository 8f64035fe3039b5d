"""Small pictures of prepared images, to be looked at."""

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.common.hdf5 import open_hdf5
from pipeline.data.prepared import FORMAT, offsets_of, read_info

#: Pixels of the longer side of a picture, at most.
_SIDE = 64


def read_pictures(path: Path, indices: Iterable[int]) -> list[bytes]:
    """Returns PNG files of some prepared images: of small ones as they are, of others brought to 64 pixels.

    Args:
        path: the prepared images.
        indices: which of them.

    Raises:
        UserError: the file is missing, damaged or of another kind.
    """
    info = read_info(path)
    with open_hdf5(path, FORMAT) as file:
        if info.storage == "pixels":
            return [_png(_from_pixels(file["pixels"][index])) for index in indices]
        offsets, encoded = offsets_of(file), file["encoded"]
        files = (encoded[offsets[index] : offsets[index + 1]].tobytes() for index in indices)
        return [_png(Image.open(io.BytesIO(data), formats=("JPEG",))) for data in files]


def _from_pixels(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def _png(image: Image.Image) -> bytes:
    image.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
