"""The images that an experiment will train on: how many there are, and how long one takes to read and decode."""

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.common.text import counted

if TYPE_CHECKING:
    from pipeline.data.datasets.sources import Picture, Split
    from pipeline.networks.spec import NetworkSpec
    from pipeline.workflow.forecast.jobs import Images

#: Images of the data set that are read to time it.
_SAMPLE = 64
#: Classes that a message names.
_NAMED = 5
#: A photograph of ImageNet's usual size, where none is at hand.
_PHOTOGRAPH = (500, 375)


def look_at_images(
    config: Mapping[str, Any], arguments: argparse.Namespace
) -> tuple["Images", "NetworkSpec", float, float]:
    """Counts the images and times some. Returns them, the network's shape, seconds to read and to decode one."""
    import io
    import time

    from PIL import Image

    from pipeline.common.errors import UserError
    from pipeline.common.settings import from_mapping
    from pipeline.data.datasets import expect_images, resolve_storage
    from pipeline.data.datasets.sources import Picture
    from pipeline.networks.spec import NetworkSpec, uniform_genome
    from pipeline.training.settings import TrainingSettings
    from pipeline.workflow.forecast.calibrate import time_decoding

    dataset, network = config["dataset"], config["network"]
    size, storage = dataset["image_size"], resolve_storage(dataset["storage"], dataset["image_size"])
    channels = expect_images(dataset).channels
    given = Given(arguments.train_images, arguments.test_images, arguments.classes)
    found = count_images(config, given, to_read=True)
    check_enough(config, found)
    if found.splits:
        count = len(found.splits[0].labels)
        sample = _read(found.splits[0], range(0, count, max(1, count // _SAMPLE)))
    else:
        shape = (size, size) if storage == "pixels" else _PHOTOGRAPH
        noise = Image.effect_noise(shape, 40).convert("L" if channels == 1 else "RGB")
        sample = (Picture(noise.copy()) for _ in range(_SAMPLE))
    started = time.perf_counter()
    pictures = []
    for picture in sample:
        picture.image.resize((size, size))
        pictures.append(picture)
    if not pictures:
        raise UserError("none of the images that were tried can be read", "look at them, or name another dataset.path")
    read = (time.perf_counter() - started) / len(pictures)
    spec = NetworkSpec(
        network["name"],
        uniform_genome(network["name"], 1),
        base_width=network["base_width"],
        channels=channels,
        size=size,
        classes=len(found.train),
        binariser=network["binariser"],
    )
    pixels = float(size * size * channels)
    disk, memory, decode = pixels, pixels, 0.0
    if storage == "jpeg":

        def encoded(picture: "Picture") -> bytes:
            if picture.jpeg is not None:
                return picture.jpeg
            buffer = io.BytesIO()
            picture.image.save(buffer, "JPEG", quality=90)
            return buffer.getvalue()

        jpegs = [encoded(picture) for picture in pictures]
        disk, memory = sum(map(len, jpegs)) / len(jpegs), 0.0
        decode = time_decoding(spec, jpegs, from_mapping(TrainingSettings, config["candidate"]))
    return shares(config, found, disk, memory), spec, read, decode


def shares(config: Mapping[str, Any], found: "Available", disk: float, memory: float) -> "Images":
    """Returns how many images take part in what; ``disk`` and ``memory`` are bytes of one."""
    from pipeline.workflow.forecast.jobs import Images

    split, classes, train = config["split"], len(found.train), sum(found.train)
    validation = min(train, split["validation_per_class"] * classes)
    wanted = split["subset_per_class"]
    held_out = split["held_out_per_class"] * classes
    subset = train - validation - held_out if wanted is None else min(train - validation, wanted * classes)
    return Images(train, found.test, max(1, subset), validation, disk, memory)


class Given(NamedTuple):
    """Numbers that the user gives of images that are not here."""

    train: int | None = None
    test: int | None = None
    classes: int | None = None


@dataclass(frozen=True)
class Available:
    """The images that there are.

    Attributes:
        train: how many of each class can be learned from; those that are set aside for the test are not among them.
        test: how many to test on.
        classes: their names; empty if they are not known.
        aside: how many of each class are set aside for the test; empty if there is a test set.
        splits: to read some of, train images first; empty if they are not here or need not be read.
    """

    train: tuple[int, ...]
    test: int
    classes: tuple[str, ...] = ()
    aside: tuple[int, ...] = ()
    splits: tuple["Split", ...] = ()


def count_images(config: Mapping[str, Any], given: Given | None = None, *, to_read: bool = False) -> Available:
    """Counts the images of a configuration. What is downloaded, or comes with a library, need not be here for that.

    Args:
        config: checked.
        given: numbers of images that are not here.
        to_read: open the data set, in order to read some of its images, if that needs no download.

    Raises:
        UserError: the images are neither here nor known, a folder is not laid out as it should be, or a class has too
            few images to set some aside for the test.
    """
    import numpy as np

    from pipeline.common.errors import UserError
    from pipeline.data.datasets import find_dataset, locate, open_dataset

    given = given or Given()
    section = config["dataset"]
    module, path = find_dataset(section["name"]), section.get("path")
    known: tuple[tuple[int, ...], tuple[int, ...] | None] | None = getattr(module, "COUNTS", None)
    fraction = section["test_fraction"]
    if given.train is not None:
        classes = given.classes or module.CLASSES
        if classes is None:
            raise UserError("how many classes the images have is not known", "say it with --classes")
        test = given.test or (sum(known[1]) if known is not None and known[1] is not None else 1)
        if given.train < classes:
            raise UserError(f"{given.train} train images are too few for {classes} classes", "give more")
        each, rest = divmod(given.train, classes)
        return Available((each + 1,) * rest + (each,) * (classes - rest), test)
    if known is not None and (known[1] is not None or not to_read):
        train, held = known
        return _set_aside(train, (), fraction) if held is None else Available(train, sum(held))
    if hasattr(module, "is_here") and not module.is_here(locate(section["name"], path)):
        raise UserError(
            f"{section['name']} is not here yet, and how many images it has of each class is not known",
            "the workflow downloads it; plan takes --train-images and --test-images until then",
        )
    dataset = open_dataset(section["name"], None if path is None else locate(section["name"], path))
    counts = tuple(np.bincount(dataset.train.labels, minlength=len(dataset.classes)).tolist())
    if dataset.test is None:
        return replace(_set_aside(counts, dataset.classes, fraction), splits=(dataset.train,) if to_read else ())
    splits = (dataset.train, dataset.test) if to_read else ()
    return Available(counts, len(dataset.test.labels), dataset.classes, splits=splits)


def _set_aside(counts: tuple[int, ...], classes: tuple[str, ...], fraction: float) -> Available:
    """Sets images of each class aside for the test, as the preparation will."""
    from pipeline.common.errors import UserError

    aside = tuple(max(1, round(fraction * count)) for count in counts)
    for label, (count, taken) in enumerate(zip(counts, aside, strict=True)):
        if taken >= count:
            raise UserError(
                f"class '{classes[label] if classes else label}' has {counted(count, 'image')}, and "
                f"dataset.test_fraction {fraction:g} takes {taken} for the test",
                "add images or lower dataset.test_fraction",
            )
    train = tuple(count - taken for count, taken in zip(counts, aside, strict=True))
    return Available(train, sum(aside), classes, aside)


def readable(found: Available, lost: Sequence[Mapping[int, int]]) -> Available:
    """Returns at most how many images are left without those that cannot be read. Of images that are set aside for the
    test, it is not known yet which.

    Args:
        found: with its splits.
        lost: of each split, how many of each class cannot be read.

    Raises:
        UserError: a class has none left.
    """
    import numpy as np

    from pipeline.data.prepare import check_classes

    left = []
    for split, damaged in zip(found.splits, lost, strict=True):
        counts = np.bincount(split.labels, minlength=len(found.classes))
        left.append([count - damaged.get(label, 0) for label, count in enumerate(counts.tolist())])
    for each, name in zip(left, ("train", "test"), strict=False):
        check_classes(each, name, found.classes)
    return replace(found, train=tuple(map(min, found.train, left[0])))


def check_enough(config: Mapping[str, Any], found: Available) -> None:
    """Compares the images that there are with what the configuration needs.

    Raises:
        UserError: a class has too few.
    """
    from pipeline.common.errors import UserError

    if not config["searches"]:
        return  # rows take all that there are, of which a class has one at least
    split = config["split"]
    validation, subset = split["validation_per_class"], split["subset_per_class"]
    held_out = split["held_out_per_class"] if _holds_out(config) else 0
    needed = validation + (subset or 1) + held_out
    short = [label for label, count in enumerate(found.train) if count < needed]
    if not short:
        return
    names = [f"'{found.classes[label]}'" if found.classes else str(label) for label in short]
    fewest = min(found.train[label] for label in short)
    who = f"class {names[0]} has only" if len(short) == 1 else f"{len(short)} classes have too few train images, "
    if len(short) > 1:
        who += f"{', '.join(names[:_NAMED])}{' and others' * (len(names) > _NAMED)}; the smallest has"
    rest = f"{subset} for the subset" if subset else "at least 1 to learn from"
    rest += f", and {held_out} to be held out" if held_out else ""
    aside = " after those for the test are set aside" if found.aside else ""
    raise UserError(
        f"{who} {counted(fewest, 'train image')}{aside}, but the configuration needs {needed} of each class: "
        f"{validation} for validation and {rest}",
        "add images, or lower split.validation_per_class or split.subset_per_class"
        + (" or split.held_out_per_class" if held_out else ""),
    )


def _holds_out(config: Mapping[str, Any]) -> bool:
    """Returns whether images are held out: for finalists, for the proxy, or from a subset of all that remain."""
    from pipeline.workflow.proxy import samples

    asked = bool(config["search"]["finalists"]) or samples(config) > 0 or config["split"]["subset_per_class"] is None
    return asked and bool(config["searches"])


def _read(split: "Split", indices: Iterable[int]) -> "Iterator[Picture]":
    """Yields images that can be read; a damaged one is a matter for the preparation."""
    from pipeline.data.datasets.sources import DamagedImageError

    for index in indices:
        try:
            yield split.read(index)
        except DamagedImageError:
            continue
