"""The images that an experiment will train on: how many there are, and how long one takes to read and decode."""

import argparse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.data.datasets.sources import Picture, Split
    from pipeline.networks.spec import NetworkSpec
    from pipeline.workflow.forecast.jobs import Images

#: Images of CIFAR-10, which need not be here to be counted.
_CIFAR10 = (50_000, 10_000)
#: Images of the data set that are read to time it.
_SAMPLE = 64
#: A photograph of ImageNet's usual size, where none is at hand.
_PHOTOGRAPH = (500, 375)


def look_at_images(
    config: Mapping[str, Any], arguments: argparse.Namespace
) -> tuple["Images", "NetworkSpec", float, float]:
    """Counts the images and times some. Returns them, the network's shape, seconds to read and to decode one."""
    import io
    import time

    from PIL import Image

    from pipeline.common.settings import from_mapping
    from pipeline.data.datasets import expect_images, resolve_storage
    from pipeline.data.datasets.sources import Picture
    from pipeline.networks.binary.binarisers import DEFAULT as BINARISER
    from pipeline.networks.spec import NetworkSpec, uniform_genome
    from pipeline.training.settings import TrainingSettings
    from pipeline.workflow.forecast.calibrate import time_decoding
    from pipeline.workflow.forecast.jobs import Images

    dataset, split, network = config["dataset"], config["split"], config["network"]
    size, storage = dataset["image_size"], resolve_storage(dataset.get("storage", "auto"), dataset["image_size"])
    channels = expect_images(dataset).channels
    counts = _given_counts(config, arguments)
    if counts is None:
        train, test, classes, sample = _open(config)
    else:
        train, test, classes = counts
        shape = (size, size) if storage == "pixels" else _PHOTOGRAPH
        noise = Image.effect_noise(shape, 40).convert("L" if channels == 1 else "RGB")
        sample = (Picture(noise.copy()) for _ in range(_SAMPLE))
    started = time.perf_counter()
    pictures = []
    for picture in sample:
        picture.image.resize((size, size))
        pictures.append(picture)
    read = (time.perf_counter() - started) / len(pictures)
    spec = NetworkSpec(
        network["name"],
        uniform_genome(network["name"], 1),
        network["base_width"],
        channels=channels,
        size=size,
        classes=classes,
        binariser=network.get("binariser", BINARISER),
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
    validation = min(train, split["validation_per_class"] * classes)
    wanted = split["subset_per_class"]
    subset = train - validation if wanted is None else min(train - validation, wanted * classes)
    return Images(train, test, max(1, subset), validation, disk, memory), spec, read, decode


def _given_counts(config: Mapping[str, Any], arguments: argparse.Namespace) -> tuple[int, int, int] | None:
    """Train images, test images and classes where they are known without the data set."""
    from pipeline.common.errors import UserError
    from pipeline.data.datasets import expect_images

    dataset = config["dataset"]
    known = _CIFAR10 if dataset["name"] == "cifar10" else None
    if arguments.train_images is None and known is None:
        return None
    train, test = known or (0, 0)
    train, test = arguments.train_images or train, arguments.test_images or test or 1
    classes = arguments.classes or expect_images(dataset).classes
    if classes is None:
        raise UserError("how many classes the images have is not known", "say it with --classes")
    if train < classes or test < 1:
        raise UserError(f"{train} train and {test} test images are too few for {classes} classes", "give more")
    return train, test, classes


def _open(config: Mapping[str, Any]) -> tuple[int, int, int, "Iterator[Picture]"]:
    """Train images, test images and classes of a data set that is here, and some of its images as they are read."""
    from pipeline.data.datasets import open_dataset

    section = config["dataset"]
    path = section.get("path")
    dataset = open_dataset(section["name"], Path(path) if path else None)
    count = len(dataset.train.labels)
    sample = _read(dataset.train, range(0, count, max(1, count // _SAMPLE)))
    if dataset.test is not None:
        return count, len(dataset.test.labels), len(dataset.classes), sample
    test = round(count * section.get("test_fraction", 0.2))
    return count - test, test, len(dataset.classes), sample


def _read(split: "Split", indices: Iterable[int]) -> "Iterator[Picture]":
    """Images that can be read; a damaged one is a matter for the preparation."""
    from pipeline.data.datasets.sources import DamagedImageError

    for index in indices:
        try:
            yield split.read(index)
        except DamagedImageError:
            continue
