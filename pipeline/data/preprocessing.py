"""From an image to the bytes that a network sees: what preparation, evaluation and prediction do, in one place.

Small images (storage 'pixels') are brought to the network's size by their largest centred part and bicubic
interpolation. Photographs (storage 'jpeg') are kept as JPEG files; their shorter side is brought to 256/224 of the
network's size, bilinearly, and the centre is cut out.

>>> how = Preprocessing("pixels", channels=1, size=2, mean=(0.5,), std=(0.25,))
>>> how.pixels(picture_of(np.full((2, 2), 7, np.uint8))).tolist()
[[[7], [7]], [[7], [7]]]
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from pipeline.common.errors import UserError
from pipeline.data.augmentation import centre_box
from pipeline.data.datasets.decoding import decode, read_file
from pipeline.data.datasets.sources import DamagedImageError, Picture
from pipeline.data.prepared import ImagesInfo, Storage

if TYPE_CHECKING:
    from torch import Tensor

#: Of images that are no JPEG of three colours yet.
JPEG_QUALITY = 95
#: By storage: which part of an image a network sees, and how that part is brought to its size.
_WAYS = {
    "pixels": {"crop": "the largest centred square", "interpolation": "bicubic"},
    "jpeg": {"crop": "the centre, 224/256 of the shorter side", "interpolation": "bilinear"},
}


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes what a network sees.

    Attributes:
        storage: 'pixels' or 'jpeg', the way of the preparation.
        channels: 1 (grey) or 3 (RGB).
        size: side in pixels.
        mean, std: of each channel, in units of the full brightness.
    """

    storage: Storage
    channels: int
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, info: ImagesInfo) -> "Preprocessing":
        """Returns the preprocessing of prepared images."""
        return cls(info.storage, info.channels, info.size, info.mean, info.std)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Preprocessing":
        """Returns what :attr:`record` gave.

        Raises:
            UserError: it is incomplete, or an image is to be brought to its size in a way that is not known here.
        """
        try:
            mean, std = (tuple(float(value) for value in record[key]) for key in ("mean", "std"))
            found = cls(record["storage"], int(record["channels"]), int(record["size"]), mean, std)
            known = _WAYS.get(found.storage) == {key: record[key] for key in ("crop", "interpolation")}
        except (KeyError, TypeError, ValueError):
            raise UserError("it does not say how an image becomes what the network sees", "export it again") from None
        if not known or found.channels not in (1, 3) or {len(mean), len(std)} != {found.channels}:
            raise UserError(
                "it was made for images that are prepared in a way which this version does not know",
                "use the version that made it",
            )
        return found

    @property
    def record(self) -> dict[str, Any]:
        """Returns the same as JSON values, in words for whoever has to write it in another language."""
        return {
            "size": self.size,
            "channels": self.channels,
            "storage": self.storage,
            **_WAYS[self.storage],
            "mean": list(self.mean),
            "std": list(self.std),
        }

    def pixels(self, picture: Picture) -> np.ndarray:
        """Returns (size, size, channels) bytes, those that evaluation sees of a prepared image.

        Raises:
            DamagedImageError: the image cannot be stored as JPEG.
        """
        if self.channels == 1 and picture.image.mode != "L":
            picture = Picture(picture.image.convert("L"))
        elif self.channels == 3 and picture.image.mode != "RGB":
            picture = Picture(picture.image.convert("RGB"))
        if self.storage == "pixels":
            return np.asarray(fitted(picture.image, self.size)).reshape(self.size, self.size, self.channels)
        from pipeline.data.photographs import centre

        return centre(encoded(picture), self.size).numpy()

    def normalised(self, pixels: np.ndarray) -> "Tensor":
        """Returns images (N, C, size, size), float32, of bytes (N, size, size, C), as evaluation normalises them."""
        import torch

        from pipeline.data.batches import ImagesInMemory, Normalisation
        from pipeline.data.photographs import RowNormalisation

        moments, device = Normalisation(self.mean, self.std), torch.device("cpu")
        stored = torch.from_numpy(np.ascontiguousarray(pixels))
        if self.storage == "jpeg":
            return RowNormalisation(moments, self.size, device)(stored)
        images = ImagesInMemory(stored, torch.zeros(len(stored), dtype=torch.int64), moments, device)
        ((batch, _),) = images.batches([torch.arange(len(stored))])
        return batch


def fitted(image: Image.Image, size: int) -> Image.Image:
    """Returns the largest centred square of an image, brought to ``size`` pixels; an image of that size stays as it
    is.
    """
    if image.size == (size, size):
        return image
    return ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)


def centred(image: Image.Image, size: int) -> Image.Image:
    """Returns the centre of a photograph, brought to ``size`` pixels."""
    return image.resize((size, size), Image.Resampling.BILINEAR, centre_box(*image.size, size))


def encoded(picture: Picture) -> bytes:
    """Returns the bytes of a JPEG file of a picture: its own, where it has some.

    Raises:
        DamagedImageError: it has more rows or columns than JPEG can have.
    """
    if picture.jpeg is not None:
        return picture.jpeg
    buffer = io.BytesIO()
    try:
        picture.image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    except OSError as error:  # JPEG has no more than 65535 rows and columns
        raise DamagedImageError(f"it cannot be stored as JPEG: {error}") from None
    return buffer.getvalue()


def read_picture(path: Path) -> Picture:
    """Reads an image file of any kind.

    Raises:
        DamagedImageError: it cannot be read.
    """
    return decode(read_file(path))


def picture_of(pixels: np.ndarray) -> Picture:
    """Returns an image of bytes, (H, W), (H, W, 1) grey or (H, W, 3) RGB.

    Raises:
        UserError: the array is none.
    """
    shape = pixels.shape
    if pixels.dtype != np.uint8 or not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3))) or 0 in shape:
        raise UserError(
            f"an array of {pixels.dtype} and shape {shape} is no image", "give uint8 of (height, width, 1 or 3)"
        )
    return Picture(Image.fromarray(pixels[:, :, 0] if len(shape) == 3 and shape[2] == 1 else pixels))
