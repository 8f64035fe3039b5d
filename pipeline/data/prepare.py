"""Bringing a data set into prepared files, in parts: an interrupted preparation goes on where it was.

Parts lie in a hidden folder beside the file that they become. Its name is a fingerprint of the listing of images and
of all that determines a part, so parts of other images or settings are never taken for these. When the prepared files
are written, the parts are removed; until then they need as much space again.
"""

import hashlib
import json
import math
import shutil
from collections import Counter
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
from pipeline.common.text import counted
from pipeline.data.census import Census, brightest_if_dark, is_blank
from pipeline.data.datasets.sources import CONTENT_BYTES, ArraySplit, DamagedImageError, Dataset, Picture, Split
from pipeline.data.prepared import ImagesInfo, Storage, write_images
from pipeline.data.preprocessing import JPEG_QUALITY, centred, encoded, fitted

#: A part has at most so many images and about so many bytes: seconds of work, and little enough memory.
_PART_IMAGES = 1000
_PART_BYTES = 32 * 2**20
_LEVELS = 256
#: By channels: what images have to be.
_MODES = {1: "L", 3: "RGB"}
#: Raised when parts hold something else.
_FORMAT = 3
#: Images that a message names.
_NAMED = 10
#: As many images take so long to prepare that files which do not look like images are tried before all others.
_MANY, _FEW = 20_000, 1000


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


class _Faults(NamedTuple):
    """Places in a split of images that are damaged, each with the reason, and of those that are blank."""

    damaged: list[tuple[int, str]]
    blank: list[int]


class _Found(NamedTuple):
    """The content of a split's parts: images, their bytes, names of damaged ones with reasons, names of blank ones."""

    images: int
    length: int
    damaged: list[tuple[str, str]]
    blank: list[str]


class Prepared(NamedTuple):
    """The files written, without digests, and (N, 16) digests of the files that each image came from."""

    train: ImagesInfo
    test: ImagesInfo
    train_contents: np.ndarray
    test_contents: np.ndarray


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
        facts += [_PART_IMAGES, _PART_BYTES, JPEG_QUALITY, _FORMAT]
        fingerprint = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
        self._hidden = f".{output.name}.parts-"
        self._folder = output.with_name(f"{self._hidden}{fingerprint}")
        ranges = enumerate(_divide(split.sizes))
        self._parts = [_Part(self._folder / f"{number:06}.h5", indices) for number, indices in ranges]

    def missing(self) -> list[_Part]:
        """Returns the parts that are still to be made; one without its damaged images will not do when they shall
        stop.
        """
        made = (part for part in self._parts if part.path.exists())
        good = {part for part in made if self._how.skip_damaged or not read_attributes(part.path)["damaged"]}
        return [part for part in self._parts if part not in good]

    def make(self, part: _Part) -> None:
        """Makes one part, without damaged images."""
        arrays, faults = _convert(self._split, part.indices, self._channels, self._how)
        images = arrays["pixels" if self._how.storage == "pixels" else "encoded"]
        counts = {"count": len(arrays["labels"]), "length": images.nbytes}
        write_tensors(part.path, arrays, {**counts, "damaged": faults.damaged, "blank": faults.blank})

    def try_strangers(self) -> list[tuple[str, str]]:
        """Reads the files that do not look like images. Returns names and what is wrong with them."""
        found = []
        for index in self._split.strangers()[:_FEW]:
            try:
                self._split.read(index)
            except DamagedImageError as error:
                found.append((self._split.name(index), str(error)))
        return found

    def look(self) -> _Found:
        """Returns what all parts hold together."""
        count = length = 0
        damaged: list[tuple[str, str]] = []
        blank: list[str] = []
        for part in self._parts:
            attributes = read_attributes(part.path)
            count, length = count + attributes["count"], length + attributes["length"]
            damaged += [(self._split.name(index), reason) for index, reason in attributes["damaged"]]
            blank += [self._split.name(index) for index in attributes["blank"]]
        return _Found(count, length, damaged, blank)

    def contents(self) -> np.ndarray:
        """Returns (N, 16) digests of the files of all images, damaged ones included; zeros without a file."""
        shapes = [{"contents": (len(part.indices), CONTENT_BYTES)} for part in self._parts]
        found = [read_tensors(part.path, shape) for part, shape in zip(self._parts, shapes, strict=True)]
        return np.concatenate([tensors["contents"] for tensors in found])

    def good_contents(self) -> np.ndarray:
        """Returns the same with zeros for damaged images: downloads that failed alike are no copies of an image."""
        contents = self.contents()
        for part in self._parts:
            for index, _ in read_attributes(part.path)["damaged"]:
                contents[index] = 0
        return contents

    def histogram(self) -> np.ndarray:
        """Returns (C, 256) how often each brightness occurs."""
        shape = {"histogram": (self._channels, _LEVELS)}
        total = np.zeros(shape["histogram"], np.int64)
        for part in self._parts:
            total += read_tensors(part.path, shape)["histogram"]
        return total

    def arrays(self) -> Iterator[Arrays]:
        """Returns the content of each part."""
        return (read_tensors(part.path) for part in self._parts)

    def labels(self) -> np.ndarray:
        """Returns (count,) class numbers of all images."""
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
) -> Prepared:
    """Prepares the train and the test images, or goes on preparing them.

    Args:
        dataset: their classes and channels.
        train, test: images, and the file to write.
        how: settings of the preparation.
        made_with: what to record about it, equal for equal input.

    Raises:
        UserError: images are damaged (unless those are skipped), a class has none that is not, a file cannot be
            written, or the data set gives labels or images that are none.
    """
    for split, _ in (train, test):
        _check_given(dataset, split)
    sets = [_Parts(split, output, dataset.channels, how) for split, output in (train, test)]
    for parts in sets:
        parts.remove(stale=True)
    images = len(train[0].labels) + len(test[0].labels)
    if images > _MANY and not how.skip_damaged:
        refuse_damaged([name for parts in sets for name in parts.try_strangers()])
    _make_missing(sets, images, how.threads)
    found = [parts.look() for parts in sets]
    if not how.skip_damaged:
        refuse_damaged([name for each in found for name in each.damaged])
    for parts, name in zip(sets, ("train", "test"), strict=True):
        check_classes(np.bincount(parts.labels(), minlength=len(dataset.classes)).tolist(), name, dataset.classes)
    histogram = sets[0].histogram()
    contents, good = [parts.contents() for parts in sets], [parts.good_contents() for parts in sets]
    census = Census(
        found[0].images,
        found[1].images,
        (len(found[0].damaged), len(found[1].damaged)),
        (len(found[0].blank), len(found[1].blank)),
        _shared(*good),
        _repeated(good[0], train[0].labels),
        _contradicting(np.concatenate(good), np.concatenate([train[0].labels, test[0].labels])),
        _repeated(good[1], test[0].labels),
        brightest_if_dark(histogram),
    )
    _tell(census, [name for each in found for name in each.blank])
    mean, std = _moments(histogram)
    written = []
    for parts, (_, output), name, each in zip(sets, (train, test), ("train", "test"), found, strict=True):
        info = ImagesInfo(
            dataset.name,
            how.storage,
            dataset.classes,
            dataset.channels,
            how.size,
            each.images,
            mean,
            std,
            name,
            len(each.damaged),
            made_with=json.dumps(made_with, sort_keys=True),
            census=json.dumps(census.record),
        )
        write_images(output, info, each.length, parts.arrays())
        written.append(info)
    for parts in sets:
        parts.remove()
    return Prepared(written[0], written[1], contents[0], contents[1])


def _check_given(dataset: Dataset, split: Split) -> None:
    """Raises UserError for what a module from elsewhere must not give: two classes of one name, labels that are no
    classes of the data set, more images than labels or fewer.
    """
    if twice := [name for name in dict.fromkeys(dataset.classes) if dataset.classes.count(name) > 1]:
        raise UserError(
            f"the data set '{dataset.name}' has two classes that are called '{twice[0]}'", "give each its own name"
        )
    given = np.asarray(split.labels)
    if isinstance(split, ArraySplit) and len(split.pixels) != len(given):
        raise UserError(
            f"{split.title} of the data set '{dataset.name}' are {counted(len(split.pixels), 'image')}, "
            f"with {counted(len(given), 'label')}",
            "give one label for each image",
        )
    most = len(dataset.classes) - 1
    if given.dtype.kind not in "iu" or (len(given) and not (given.min() >= 0 and given.max() <= most)):
        raise UserError(
            f"the data set '{dataset.name}' has labels of type {given.dtype} that are not the numbers of its classes",
            f"give whole numbers from 0 to {most}",
        )


def refuse_damaged(damaged: Sequence[tuple[str, str]], rest: str = "which are named above") -> None:
    """Raises UserError that names the damaged images, if there are any; ``rest`` says where the others are."""
    if len(damaged) == 1:
        name, reason = damaged[0]
        raise UserError(
            f"{name} cannot be read as an image ({reason})",
            "replace it, remove it, or set dataset.damaged_images to 'skip'",
        )
    if damaged:
        listed = ", ".join(f"{name} ({reason})" for name, reason in damaged[:_NAMED])
        more = f" and {len(damaged) - _NAMED} more, {rest}" if len(damaged) > _NAMED else ""
        raise UserError(
            f"{len(damaged)} files cannot be read as images: {listed}{more}",
            "replace them, remove them, or set dataset.damaged_images to 'skip'",
        )


def _shared(train: np.ndarray, test: np.ndarray) -> int:
    """Returns how many test images come from a file whose bytes are those of a train image's file."""
    known = {row.tobytes() for row in train}
    return sum(bool(row.any()) and row.tobytes() in known for row in test)


def _repeated(contents: np.ndarray, labels: np.ndarray) -> int:
    """Returns how many images come from a file that another one of the class before them comes from too."""
    known = [(row.tobytes(), label) for row, label in zip(contents, labels.tolist(), strict=True) if row.any()]
    return len(known) - len(set(known))


def _contradicting(contents: np.ndarray, labels: np.ndarray) -> int:
    """Returns how many images come from a file that lies in several classes."""
    known = [(row.tobytes(), label) for row, label in zip(contents, labels.tolist(), strict=True) if row.any()]
    classes = Counter(content for content, _ in set(known))
    return sum(classes[content] > 1 for content, _ in known)


def _tell(census: Census, blank: Sequence[str]) -> None:
    """Warns of what is wrong with the images but does not stop."""
    for sentence in census.sentences():
        log(f"warning: {sentence}")
    for name in blank[:_NAMED]:
        log(f"warning: {name} is of one brightness or nearly so")
    if len(blank) > _NAMED:
        log(f"warning: so are {len(blank) - _NAMED} more")


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
    """Returns consecutive ranges of images that are not too many and not too large together."""
    ranges, start, total = [], 0, 0
    for index, size in enumerate(sizes.tolist()):
        if index > start and (index - start == _PART_IMAGES or total + size > _PART_BYTES):
            ranges.append(range(start, index))
            start, total = index, 0
        total += size
    ranges.append(range(start, len(sizes)))
    return ranges


def _convert(split: Split, indices: range, channels: int, how: Preparation) -> tuple[Arrays, _Faults]:
    """Reads images and converts them. Returns the arrays of a part and which images are damaged or blank."""
    labels: list[int] = []
    stored: list[bytes] = []
    contents: list[bytes] = []
    faults = _Faults([], [])
    histogram = np.zeros((channels, _LEVELS), np.int64)
    for index in indices:
        content = b""
        try:
            picture = split.read(index)
            content = picture.content
            if picture.image.mode != _MODES[channels]:
                raise UserError(
                    f"{split.name(index)} is an image of mode '{picture.image.mode}', and its data set has {channels} "
                    f"channel{'s' * (channels > 1)}",
                    f"convert it to '{_MODES[channels]}' where it is read",
                )
            data, seen = _store(picture, how)
        except DamagedImageError as error:
            what = "skipped" if how.skip_damaged else "not an image:"
            log(f"{what} {split.name(index)}: {error}")
            faults.damaged.append((index, str(error)))
            contents.append((error.content or content).ljust(CONTENT_BYTES, b"\0"))
            continue
        stored.append(data)
        labels.append(int(split.labels[index]))
        contents.append(content.ljust(CONTENT_BYTES, b"\0"))
        brightness = np.array(seen.histogram()).reshape(channels, _LEVELS)
        if is_blank(brightness):
            faults.blank.append(index)
        histogram += brightness
    arrays: Arrays = {"labels": np.array(labels, np.int64), "histogram": histogram}
    arrays["contents"] = np.frombuffer(b"".join(contents), np.uint8).reshape(-1, CONTENT_BYTES)
    flat = np.frombuffer(b"".join(stored), np.uint8)
    if how.storage == "pixels":
        arrays["pixels"] = flat.reshape(-1, how.size, how.size, channels)
    else:
        arrays["encoded"] = flat
        arrays["lengths"] = np.array([len(data) for data in stored], np.int64)
    return arrays, faults


def _store(picture: Picture, how: Preparation) -> tuple[bytes, Image.Image]:
    """Returns the bytes that are kept of an image, and what a network sees of it when nothing is changed at random."""
    if how.storage == "pixels":
        image = fitted(picture.image, how.size)
        return image.tobytes(), image
    return encoded(picture), centred(picture.image, how.size)


def check_classes(counts: Sequence[int], split: str, classes: Sequence[str]) -> None:
    """Raises UserError if a class has no image in a split, by how many of each can be read."""
    empty = [name for name, count in zip(classes, counts, strict=True) if not count]
    if len(empty) == 1:
        raise UserError(f"class '{empty[0]}' has no {split} image that can be read", "add images")
    if empty:
        named = ", ".join(f"'{name}'" for name in empty[:_NAMED]) + ", …" * (len(empty) > _NAMED)
        raise UserError(f"{len(empty)} classes have no {split} image that can be read, {named}", "add images")


def _moments(histogram: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns mean and standard deviation of each channel, in units of the full brightness; exact until the division.

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
