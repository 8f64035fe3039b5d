"""The content of a folder of images: classes, how many images of each, their sizes, and which cannot be read."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.common.log import Progress
from pipeline.data.datasets import open_dataset
from pipeline.data.datasets.sources import DamagedImageError, Split

#: Images that are decoded; of more, so many spread over all.
_LOOK_AT = 600


@dataclass(frozen=True)
class Survey:
    """The things seen in a folder.

    Attributes:
        path: the folder.
        classes: names.
        train: (classes,) images of each class, before any are set aside for the test.
        lost: (classes,) how many of these cannot be read; an estimate if not all were decoded.
        test: how many test images there are; None if there are none of their own.
        looked: how many images were decoded.
        damaged: names of those that cannot be read, and why.
        widths, heights: pixels of those that can.
        grey: whether all of these are grey.
    """

    path: Path
    classes: tuple[str, ...]
    train: tuple[int, ...]
    lost: tuple[int, ...]
    test: int | None
    looked: int
    damaged: tuple[tuple[str, str], ...]
    widths: tuple[int, ...]
    heights: tuple[int, ...]
    grey: bool

    @property
    def images(self) -> int:
        """All images, train and test."""
        return sum(self.train) + (self.test or 0)

    @property
    def side(self) -> int:
        """The typical shorter side in pixels."""
        return int(np.median(np.minimum(self.widths, self.heights)))


def survey_folder(path: Path) -> Survey:
    """Looks at the images below a folder; of many, at some that are spread over all.

    Raises:
        UserError: there is no such folder, or it is not laid out as the data set 'image_folder' has to be.
    """
    dataset = open_dataset("image_folder", path)
    splits: list[Split] = [dataset.train, *([dataset.test] if dataset.test is not None else [])]
    chosen, images = _spread(splits), sum(len(split.labels) for split in splits)
    damaged, sizes, grey = [], [], True
    lost = np.zeros(len(dataset.classes))
    bar = Progress("looking at images", len(chosen), "images")
    for split, index in chosen:
        try:
            image = split.read(index).image
        except DamagedImageError as error:
            damaged.append((split.name(index), str(error)))
            lost[split.labels[index]] += images / len(chosen) if split is dataset.train else 0
        else:
            sizes.append(image.size)
            grey = grey and _is_grey(np.asarray(image))
        bar.advance()
    bar.close()
    return Survey(
        path,
        dataset.classes,
        tuple(np.bincount(dataset.train.labels, minlength=len(dataset.classes)).tolist()),
        tuple(np.ceil(lost).astype(int).tolist()),
        None if dataset.test is None else len(dataset.test.labels),
        len(chosen),
        tuple(damaged),
        tuple(width for width, _ in sizes),
        tuple(height for _, height in sizes),
        grey and bool(sizes),
    )


@dataclass(frozen=True)
class Unreadable:
    """Images that cannot be read.

    Attributes:
        looked: how many images were decoded.
        damaged: names of those that cannot be read, and why.
        lost: of each split, how many these are of each class.
    """

    looked: int
    damaged: list[tuple[str, str]]
    lost: tuple[Counter[int], ...]


def unreadable(splits: Sequence[Split]) -> Unreadable:
    """Looks for images that cannot be read, among files that do not look like images and some that are spread over
    all.
    """
    strangers = [(split, index) for split in splits for index in split.strangers()][:_LOOK_AT]
    known = {(id(split), index) for split, index in strangers}
    chosen = [*strangers, *(one for one in _spread(splits) if (id(one[0]), one[1]) not in known)]
    damaged, lost = [], {id(split): Counter[int]() for split in splits}
    bar = Progress("looking at images", len(chosen), "images")
    for split, index in chosen:
        try:
            split.read(index)
        except DamagedImageError as error:
            damaged.append((split.name(index), str(error)))
            lost[id(split)][int(split.labels[index])] += 1
        bar.advance()
    bar.close()
    return Unreadable(len(chosen), damaged, tuple(lost[id(split)] for split in splits))


def _spread(splits: Sequence[Split]) -> list[tuple[Split, int]]:
    """Returns images to look at: all, or of many some that are spread over all."""
    wanted = [(split, index) for split in splits for index in range(len(split.labels))]
    return [wanted[i] for i in np.unique(np.linspace(0, len(wanted) - 1, min(_LOOK_AT, len(wanted))).astype(int))]


def _is_grey(pixels: np.ndarray) -> bool:
    return pixels.ndim == 2 or bool((pixels == pixels[..., :1]).all())
