"""The classification data sets of torchvision, by the name ``torchvision:NAME``, such as ``torchvision:CIFAR100``.

torchvision's own class reads the files, and downloads them if they are not there. It compares the checksums of what it
downloads, and those of CIFAR's files, which are pickles, before each reading; it unpickles them without restriction,
so a folder that others can write to is no place for them (the data set ``cifar10`` reads the same files by a restricted
unpickler).

>>> find("CIFAR100").CLASSES, find("STL10").CHANNELS, find("GTSRB").COUNTS
(100, 3, None)
"""

import hashlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from pipeline.common.errors import UserError
from pipeline.common.log import Progress, log
from pipeline.data.datasets.decoding import upright
from pipeline.data.datasets.sources import ArraySplit, DamagedImageError, Dataset, Picture, Split

#: What names begin with.
PREFIX = "torchvision"

#: Images up to this side are kept in memory as they are.
_SMALL = 96
#: What to call their usual size, and the usual crop of larger ones.
_USUAL_CROP = 224
#: Where classes keep the labels of their images.
_LABELS = ("targets", "labels", "_labels", "y")
#: Seconds without an answer after which a download is given up.
_PATIENCE = 30.0

_TRAIN, _TEST = {"train": True}, {"train": False}


class _Facts(NamedTuple):
    """Facts that are known before a set is there: channels, classes, and arguments of its class for each split.

    ``first`` is the lowest label, whose class is called by it; ``turned`` if rows and columns are exchanged in its
    images, so that a network that has learnt from them would take no letter of anybody's for what it is.
    """

    channels: int
    classes: int
    train: Mapping[str, Any]
    test: Mapping[str, Any] | None
    counts: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    first: int = 0
    turned: bool = False


def _splits(train: str, test: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"split": train}, {"split": test}


def _even(classes: int, train: int, test: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return (train,) * classes, (test,) * classes


_SVHN = (
    (4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659),
    (1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595),
)
_MNIST = (
    (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
)
SETS: Mapping[str, _Facts] = {
    "MNIST": _Facts(1, 10, _TRAIN, _TEST, _MNIST),
    "FashionMNIST": _Facts(1, 10, _TRAIN, _TEST, _even(10, 6000, 1000)),
    "KMNIST": _Facts(1, 10, _TRAIN, _TEST, _even(10, 6000, 1000)),
    "QMNIST": _Facts(1, 10, _TRAIN, _TEST),
    "EMNIST": _Facts(
        1, 47, {"split": "balanced", **_TRAIN}, {"split": "balanced", **_TEST}, _even(47, 2400, 400), turned=True
    ),
    "USPS": _Facts(1, 10, _TRAIN, _TEST),
    "SEMEION": _Facts(1, 10, {}, None),
    "CIFAR10": _Facts(3, 10, _TRAIN, _TEST, _even(10, 5000, 1000)),
    "CIFAR100": _Facts(3, 100, _TRAIN, _TEST, _even(100, 500, 100)),
    "SVHN": _Facts(3, 10, *_splits("train", "test"), _SVHN),
    "STL10": _Facts(3, 10, *_splits("train", "test"), _even(10, 500, 800)),
    "GTSRB": _Facts(3, 43, *_splits("train", "test")),
    "FER2013": _Facts(1, 7, {"split": "train"}, None),  # its test split has no labels
    "PCAM": _Facts(3, 2, *_splits("train", "test")),
    "EuroSAT": _Facts(3, 10, {}, None),
    "DTD": _Facts(3, 47, *_splits("train", "test"), _even(47, 40, 40)),
    "Flowers102": _Facts(3, 102, *_splits("train", "test")),
    "Food101": _Facts(3, 101, *_splits("train", "test"), _even(101, 750, 250)),
    "OxfordIIITPet": _Facts(3, 37, *_splits("trainval", "test")),
    "StanfordCars": _Facts(3, 196, *_splits("train", "test")),
    "FGVCAircraft": _Facts(3, 100, *_splits("trainval", "test")),
    "Country211": _Facts(3, 211, *_splits("train", "test"), _even(211, 150, 100)),
    "RenderedSST2": _Facts(3, 2, *_splits("train", "test")),
    "CLEVRClassification": _Facts(3, 8, *_splits("train", "val"), first=3),  # of so many things
    "Imagenette": _Facts(3, 10, *_splits("train", "val")),
    "SUN397": _Facts(3, 397, {}, None),
    "Caltech101": _Facts(3, 101, {}, None),
    "Caltech256": _Facts(3, 257, {}, None),
    "Places365": _Facts(3, 365, {"split": "train-standard", "small": True}, {"split": "val", "small": True}),
    "ImageNet": _Facts(3, 1000, *_splits("train", "val")),
}


@dataclass(frozen=True)
class TorchvisionSet:
    """A set as the other data sets' modules are; the attributes' names are theirs.

    Attributes:
        NAME: of torchvision's class.
    """

    NAME: str
    _facts: _Facts = field(repr=False)

    @property
    def CHANNELS(self) -> int:
        """1 or 3."""
        return self._facts.channels

    @property
    def CLASSES(self) -> int:
        """How many there are."""
        return self._facts.classes

    @property
    def COUNTS(self) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """Train and test images of each class, if that is known without them."""
        return self._facts.counts

    def is_here(self, path: Path, how: Mapping[str, Any] | None = None) -> bool:
        """Returns whether the files of a split (by default of the train images) are there."""
        try:
            self._open(path, self._facts.train if how is None else how, download=False)
        except Exception:  # whatever a class raises for want of its files
            return False
        return True

    def open_dataset(self, path: Path) -> Dataset:
        """Reads the set, downloading it first if it is not there.

        Args:
            path: the folder that torchvision calls its root.

        Raises:
            UserError: it cannot be downloaded or has to be fetched by hand, or its files are damaged.
        """
        opened = [self._opened(path, how) for how in (self._facts.train, self._facts.test) if how is not None]
        size = min(opened[0][0][0].size)
        titles = [f"{self.NAME}'s {split} images" for split in ("train", "test")]
        splits = [_split(one, self._facts, title) for one, title in zip(opened, titles, strict=False)]
        return Dataset(
            f"{PREFIX}:{self.NAME}",
            _class_names(opened[0], self._facts),
            self.CHANNELS,
            splits[0],
            splits[1] if len(splits) > 1 else None,
            natural_size=size if size <= _SMALL else _USUAL_CROP,
        )

    def _opened(self, path: Path, how: Mapping[str, Any]) -> Any:
        patience = socket.getdefaulttimeout()
        socket.setdefaulttimeout(_PATIENCE)
        log(f"{self.NAME}: reading {path}, or downloading it if it is not there")
        try:
            # First without, since some classes refuse to download what is there.
            return self._open(path, how, download=not self.is_here(path, how))
        except OSError as error:
            raise UserError(
                f"{self.NAME} can neither be read nor downloaded ({error})",
                f"fetch it on a machine that has a network and put it into {path}/",
            ) from None
        except (RuntimeError, ValueError, ImportError) as error:
            raise UserError(
                f"torchvision says of {self.NAME}: {' '.join(str(error).split())}", f"its folder is {path}"
            ) from None
        finally:
            socket.setdefaulttimeout(patience)

    def _open(self, path: Path, how: Mapping[str, Any], *, download: bool) -> Any:
        import inspect

        from torchvision import datasets

        kind = getattr(datasets, self.NAME)
        known = {name for base in kind.__mro__ for name in inspect.signature(base.__init__).parameters}
        if download:
            path.mkdir(parents=True, exist_ok=True)
        return kind(str(path), **how, **({"download": download} if "download" in known else {}))


def find(name: str) -> TorchvisionSet:
    """Returns the set whose class in torchvision has that name.

    Raises:
        UserError: there is none.
    """
    if name not in SETS:
        raise UserError(
            f"torchvision has no data set '{name}' for classification that is known here",
            f"choose one of {', '.join(f'{PREFIX}:{one}' for one in SETS)}",
        )
    return TorchvisionSet(name, SETS[name])


@dataclass(frozen=True)
class LazySplit:
    """Images that torchvision reads one at a time.

    Attributes:
        images: torchvision's data set.
        indices: (N,) which of its images.
        labels: (N,) int64.
        channels: 1 or 3.
        title: what to call the images.
        turned: whether rows and columns are exchanged in them.
    """

    images: Any
    indices: np.ndarray
    labels: np.ndarray
    channels: int
    title: str
    turned: bool = False

    @property
    def sizes(self) -> np.ndarray:
        """See :class:`~pipeline.data.datasets.sources.Split`; an estimate."""
        return np.full(len(self.labels), _USUAL_CROP**2 * self.channels // 4)

    def read(self, index: int) -> Picture:
        """See :class:`~pipeline.data.datasets.sources.Split`."""
        try:
            # torchvision does not look at what a camera says of its position, which is still known of the image.
            image = upright(self.images[int(self.indices[index])][0])
            if self.turned:
                image = image.transpose(Image.Transpose.TRANSPOSE)
            return Picture(image.convert("L" if self.channels == 1 else "RGB"))
        except (OSError, ValueError, SyntaxError) as error:
            raise DamagedImageError(str(error)) from None

    def name(self, index: int) -> str:
        """See :class:`~pipeline.data.datasets.sources.Split`."""
        return f"image {self.indices[index]} of {self.title}"

    def strangers(self) -> list[int]:
        """See :class:`~pipeline.data.datasets.sources.Split`."""
        return []

    def select(self, indices: np.ndarray) -> "LazySplit":
        """See :class:`~pipeline.data.datasets.sources.Split`."""
        return replace(self, indices=self.indices[indices], labels=self.labels[indices])

    def fingerprint(self) -> str:
        """See :class:`~pipeline.data.datasets.sources.Split`. What is published does not change."""
        total = hashlib.sha256(self.title.encode())
        total.update(self.indices.astype(np.int64).tobytes() + self.labels.tobytes())
        return total.hexdigest()


def _split(images: Any, facts: _Facts, title: str) -> Split:
    labels = _labels(images, title) - facts.first
    lazy = LazySplit(images, np.arange(len(labels)), labels, facts.channels, title, facts.turned)
    if not hasattr(images, "data") or max(images[0][0].size) > _SMALL:
        return lazy
    bar = Progress(f"reading {title}", len(labels), "images")
    pixels = []
    for index in range(len(labels)):
        pixels.append(np.asarray(lazy.read(index).image))
        bar.advance()
    bar.close()
    array = np.stack(pixels)
    return ArraySplit(array[..., None] if array.ndim == 3 else array, labels, title)


def _labels(images: Any, title: str) -> np.ndarray:
    """Returns (N,) int64, as torchvision keeps them; read image by image if it keeps none.

    Raises:
        UserError: they are not those that its images come with, or there are images without.
    """
    kept = next((getattr(images, name) for name in _LABELS if hasattr(images, name)), None)
    if kept is None or len(kept) != len(images):
        kept = [images[index][1] for index in range(len(images))]
    labels = np.asarray(kept, dtype=np.int64).reshape(len(images), -1)[:, 0]  # QMNIST has more to say of an image
    probes = {0, len(images) // 2, len(images) - 1}
    if labels.min() < 0 or any(int(images[index][1]) != labels[index] for index in probes):
        raise UserError(f"{title} have labels that torchvision does not give with them", "use another version of it")
    return labels


def _class_names(images: Any, facts: _Facts) -> tuple[str, ...]:
    names = [str(name[0] if isinstance(name, tuple) else name) for name in getattr(images, "classes", ())]
    numbers = range(facts.first, facts.first + facts.classes)
    return tuple(names) if len(set(names)) == facts.classes else tuple(map(str, numbers))
