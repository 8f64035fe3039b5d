"""The interface of a data set: classes and splits, that is labelled images which are read one at a time."""

import hashlib
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from PIL import Image

from pipeline.data.datasets.listing import Files

#: Length of a file's digest.
CONTENT_BYTES = 16


class DamagedImageError(Exception):
    """An image that cannot be read, and why.

    Attributes:
        content: as of :class:`Picture`.
    """

    def __init__(self, reason: str, content: bytes = b"") -> None:
        super().__init__(reason)
        self.content = content


@dataclass(frozen=True)
class Picture:
    """One image as it was read.

    Attributes:
        image: upright, decoded, of mode 'L' or 'RGB'.
        jpeg: the file's own bytes where they are a JPEG of just this image; None otherwise.
        content: digest of the file's bytes; empty if it has no file of its own.
    """

    image: Image.Image
    jpeg: bytes | None = None
    content: bytes = b""


class Split(Protocol):
    """Labelled images of a data set."""

    @property
    def labels(self) -> np.ndarray:
        """(N,) int64 class numbers."""
        ...

    @property
    def sizes(self) -> np.ndarray:
        """(N,) int64 bytes that each image takes where it lies."""
        ...

    def read(self, index: int) -> Picture:
        """Reads one image.

        Raises:
            DamagedImageError: it cannot be read.
        """
        ...

    def name(self, index: int) -> str:
        """Returns what to call an image when talking to a person: its path, where it has one."""
        ...

    def strangers(self) -> list[int]:
        """Returns images whose names do not look like those of images."""
        ...

    def select(self, indices: np.ndarray) -> Self:
        """Returns the images at ``indices`` alone, in that order."""
        ...

    def fingerprint(self) -> str:
        """Changes when the images or their labels may have changed."""
        ...


@dataclass(frozen=True)
class Dataset:
    """A data set that is there, its images not yet read.

    Attributes:
        name: of the data set.
        classes: names, in the order of the class numbers.
        channels: 1 (images of mode 'L') or 3 (mode 'RGB').
        train: images to learn from.
        test: images to test on; None where the data set has no such split of its own.
        natural_size: side in pixels that its images are best brought to.
        files: all its files; None where they are not the user's, and so do not change, or its module lists them
            (``list_files``).
    """

    name: str
    classes: tuple[str, ...]
    channels: int
    train: Split
    test: Split | None
    natural_size: int
    files: Files | None = None


@dataclass(frozen=True)
class ArraySplit:
    """Images that came in one array.

    Attributes:
        pixels: (N, H, W, C) bytes, C 1 or 3.
        labels: (N,) int64.
        title: what to call the images.
    """

    pixels: np.ndarray
    labels: np.ndarray
    title: str

    @property
    def sizes(self) -> np.ndarray:
        """See :class:`Split`."""
        return np.full(len(self.labels), self.pixels[0].nbytes)

    def read(self, index: int) -> Picture:
        """See :class:`Split`."""
        pixels = self.pixels[index]
        return Picture(Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))

    def name(self, index: int) -> str:
        """See :class:`Split`."""
        return f"image {index} of {self.title}"

    def strangers(self) -> list[int]:
        """See :class:`Split`."""
        return []

    def select(self, indices: np.ndarray) -> "ArraySplit":
        """See :class:`Split`."""
        return ArraySplit(self.pixels[indices], self.labels[indices], self.title)

    def fingerprint(self) -> str:
        """See :class:`Split`."""
        total = hashlib.sha256(str(self.pixels.shape).encode())
        total.update(np.ascontiguousarray(self.pixels).data)
        total.update(self.labels.tobytes())
        return total.hexdigest()
