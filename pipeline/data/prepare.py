"""Bringing a data set into prepared files, in parts: an interrupted preparation goes on where it was.

Parts lie in a hidden folder beside the file that they become. Its name is a fingerprint of the listing of images and
of all that determines a part, so parts of other images or settings are never taken for these. When the prepared files
are written, the parts are removed; until then they need as much space again.
"""

import hashlib
import json
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL
from PIL import Image

from pipeline.common.errors import UserError
from pipeline.common.hdf5 import Arrays, read_attributes, read_tensors, write_tensors
from pipeline.common.log import log, progress
from pipeline.data.datasets.sources import DamagedImageError, Dataset, Picture, Split
from pipeline.data.prepared import ImagesInfo, Storage, write_images
from pipeline.data.preprocessing import JPEG_QUALITY, centred, encoded, fitted

#: A part has at most so many images and about so many bytes: seconds of work, and little enough memory.
_PART_IMAGES = 1000
_PART_BYTES = 32 * 2**20
_LEVELS = 256


@dataclass(frozen=True)
class Preparation:
    """How images are prepared.

    Attributes:
        size: side in pixels of what a network sees.
        storage: 'pixels' (bytes, brought to ``size``) or 'jpeg' (encoded, in their own size).
        skip_damaged: leave out and count images that cannot be read, instead of stopping.
        threads: images decoded at a time; the result does not depend on it.
    """

    size: int
    storage: Storage
    skip_damaged: bool = False
    threads: int = 1


class _Part(NamedTuple):
    path: Path
    indices: range


class _Parts:
    """The parts that one prepared file is made of.

    Args:
        split: the images.
        output: the prepared file that they become.
        channels: 1 or 3.
        how: settings of the preparation.
    """

    def __init__(self, split: Split, output: Path, channels: int, how: Preparation) -> None:
        self._split, self._channels, self._how = split, channels, how
        facts = [split.fingerprint(), channels, how.size, how.storage, PIL.__version__]
        facts += [_PART_IMAGES, _PART_BYTES, JPEG_QUALITY]
        fingerprint = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
        self._hidden = f".{output.name}.parts-"
        self._folder = output.with_name(f"{self._hidden}{fingerprint}")
        ranges = enumerate(_divide(split.sizes))
        self._parts = [_Part(self._folder / f"{number:06}.h5", indices) for number, indices in ranges]

    def missing(self) -> list[_Part]:
        """The parts that are still to be made; one without its damaged images will not do when they shall stop."""
        made = (part for part in self._parts if part.path.exists())
        good = {part for part in made if self._how.skip_damaged or not read_attributes(part.path)["skipped"]}
        return [part for part in self._parts if part not in good]

    def make(self, part: _Part) -> None:
        """Makes one part. Raises UserError for a damaged image, unless those are skipped."""
        arrays, skipped = _convert(self._split, part.indices, self._channels, self._how)
        images = arrays["pixels" if self._how.storage == "pixels" else "encoded"]
        counts = {"count": len(arrays["labels"]), "skipped": skipped, "length": images.nbytes}
        write_tensors(part.path, arrays, counts)

    def totals(self) -> dict[str, int]:
        """Over all parts: ``count`` of images, ``skipped`` ones, and ``length``, the bytes of all images."""
        found = [read_attributes(part.path) for part in self._parts]
        return {key: sum(attributes[key] for attributes in found) for key in ("count", "skipped", "length")}

    def histogram(self) -> np.ndarray:
        """(C, 256) how often each brightness occurs."""
        shape = {"histogram": (self._channels, _LEVELS)}
        total = np.zeros(shape["histogram"], np.int64)
        for part in self._parts:
            total += read_tensors(part.path, shape)["histogram"]
        return total

    def arrays(self) -> Iterator[Arrays]:
        """The content of each part."""
        return (read_tensors(part.path) for part in self._parts)

    def labels(self) -> np.ndarray:
        """(count,) class numbers of all images."""
        counts = [(part, read_attributes(part.path)["count"]) for part in self._parts]
        return np.concatenate([read_tensors(part.path, {"labels": (count,)})["labels"] for part, count in counts])

    def remove(self, *, stale: bool = False) -> None:
        """Removes the parts; those of other images or settings alone, when ``stale``."""
        beside = self._folder.parent
        for folder in beside.iterdir() if beside.is_dir() else ():
            if folder.name.startswith(self._hidden) and not (stale and folder == self._folder):
                shutil.rmtree(folder, ignore_errors=True)


def prepare(
    dataset: Dataset,
    train: tuple[Split, Path],
    test: tuple[Split, Path],
    how: Preparation,
    made_with: Mapping[str, Any],
) -> tuple[ImagesInfo, ImagesInfo]:
    """Prepares the train and the test images, or goes on preparing them.

    Args:
        dataset: their classes and channels.
        train, test: images, and the file to write.
        how: settings of the preparation.
        made_with: what to record about it, equal for equal input.

    Returns:
        What was written, without digests.

    Raises:
        UserError: an image is damaged (unless those are skipped), a class has none that is not, or a file cannot be
            written.
    """
    sets = [_Parts(split, output, dataset.channels, how) for split, output in (train, test)]
    for parts in sets:
        parts.remove(stale=True)
    _make_missing(sets, len(train[0].labels) + len(test[0].labels), how.threads)
    _check_classes(sets[0], dataset.classes)
    mean, std = _moments(sets[0].histogram())
    written = []
    for parts, (_, output), name in zip(sets, (train, test), ("train", "test"), strict=True):
        totals = parts.totals()
        if not totals["count"]:
            raise UserError(f"there is no image that can be read for {output}", "add images")
        if totals["skipped"]:
            log(f"warning: {totals['skipped']} damaged images are left out of {output}")
        info = ImagesInfo(
            dataset.name,
            how.storage,
            dataset.classes,
            dataset.channels,
            how.size,
            totals["count"],
            mean,
            std,
            name,
            totals["skipped"],
            made_with=json.dumps(made_with, sort_keys=True),
        )
        write_images(output, info, totals["length"], parts.arrays())
        written.append(info)
    for parts in sets:
        parts.remove()
    return written[0], written[1]


def _make_missing(sets: Sequence[_Parts], images: int, threads: int) -> None:
    """Makes the missing parts of all sets, several at a time: Pillow decodes outside of Python's lock."""
    todo = [(parts, part) for parts in sets for part in parts.missing()]
    done = images - sum(len(part.indices) for _, part in todo)
    pool = ThreadPoolExecutor(threads)
    try:
        with progress("preparing images", images, "images", done) as bar:
            futures = [(part, pool.submit(parts.make, part)) for parts, part in todo]
            for part, future in futures:
                future.result()
                bar.advance(len(part.indices))
    finally:
        pool.shutdown(cancel_futures=True)


def _divide(sizes: np.ndarray) -> list[range]:
    """Consecutive ranges of images that are not too many and not too large together."""
    ranges, start, total = [], 0, 0
    for index, size in enumerate(sizes.tolist()):
        if index > start and (index - start == _PART_IMAGES or total + size > _PART_BYTES):
            ranges.append(range(start, index))
            start, total = index, 0
        total += size
    ranges.append(range(start, len(sizes)))
    return ranges


def _convert(split: Split, indices: range, channels: int, how: Preparation) -> tuple[Arrays, int]:
    """Reads images and converts them. Returns the arrays of a part and how many images were skipped."""
    labels: list[int] = []
    stored: list[bytes] = []
    histogram = np.zeros((channels, _LEVELS), np.int64)
    for index in indices:
        try:
            data, seen = _store(split.read(index), how)
        except DamagedImageError as error:
            if not how.skip_damaged:
                raise UserError(
                    f"{split.name(index)} cannot be read as an image ({error})",
                    "replace it, remove it, or set dataset.damaged_images to 'skip'",
                ) from None
            log(f"skipped {split.name(index)}: {error}")
            continue
        stored.append(data)
        labels.append(int(split.labels[index]))
        histogram += np.array(seen.histogram()).reshape(channels, _LEVELS)
    arrays: Arrays = {"labels": np.array(labels, np.int64), "histogram": histogram}
    flat = np.frombuffer(b"".join(stored), np.uint8)
    if how.storage == "pixels":
        arrays["pixels"] = flat.reshape(-1, how.size, how.size, channels)
    else:
        arrays["encoded"] = flat
        arrays["lengths"] = np.array([len(data) for data in stored], np.int64)
    return arrays, len(indices) - len(labels)


def _store(picture: Picture, how: Preparation) -> tuple[bytes, Image.Image]:
    """The bytes that are kept of an image, and what a network sees of it when nothing is changed at random."""
    if how.storage == "pixels":
        image = fitted(picture.image, how.size)
        return image.tobytes(), image
    return encoded(picture), centred(picture.image, how.size)


def _check_classes(parts: _Parts, classes: Sequence[str]) -> None:
    counts = np.bincount(parts.labels(), minlength=len(classes))
    if not counts.all():
        raise UserError(f"class '{classes[int(counts.argmin())]}' has no train image that can be read", "add images")


def _moments(histogram: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, in units of the full brightness; exact until the division.

    >>> _moments(np.bincount([0, 255, 255, 0], minlength=256)[None])
    ((0.5,), (0.5,))
    """
    means, deviations = [], []
    for counts in histogram.tolist():
        total = sum(counts)
        first = sum(level * count for level, count in enumerate(counts))
        second = sum(level * level * count for level, count in enumerate(counts))
        means.append(first / total / 255)
        # A channel without any contrast is divided by one step of brightness rather than by nothing.
        deviations.append(max(math.sqrt(second * total - first * first) / total, 1.0) / 255)
    return tuple(means), tuple(deviations)
