"""Says what an experiment will cost here before it runs: hours of each stage and in all, memory, disk.

It times this machine for some seconds: steps of a few networks between the narrowest and the widest, in as many
processes side by side as the experiment will have, starts of processes, reading some of the images. Nothing is
downloaded and nothing is written. Searches are taken to propose random genomes.
"""

import argparse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.steps.options import add_configuration, read_configuration

if TYPE_CHECKING:
    from pipeline.calibration import Probe
    from pipeline.data.datasets.sources import Picture, Split
    from pipeline.networks.spec import NetworkSpec
    from pipeline.planning import Images, Plan

#: Images of CIFAR-10, which need not be here to be counted.
_CIFAR10 = (50_000, 10_000)
#: Images of the data set that are read to time it.
_SAMPLE = 64
#: A photograph of ImageNet's usual size, where none is at hand.
_PHOTOGRAPH = (500, 375)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    add_configuration(parser)
    parser.add_argument("--cores", type=int, help="of the run; by default all of this machine")
    parser.add_argument("--train-images", type=int, help="of the data set, where it is not here yet")
    parser.add_argument("--test-images", type=int, help="of the data set, where it is not here yet")
    parser.add_argument("--classes", type=int, help="of the data set, where it is not here yet")


def run(arguments: argparse.Namespace) -> None:
    """Prints the table."""
    import os
    import time

    from pipeline.calibration import calibrate
    from pipeline.common.errors import UserError
    from pipeline.planning import plan

    config = read_configuration(arguments)
    cores = len(os.sched_getaffinity(0)) if arguments.cores is None else arguments.cores
    if cores < 1:
        raise UserError(f"--cores is {cores}", "it must be at least 1")
    started = time.perf_counter()
    images, spec, read, decode = _look_at_images(config, arguments)
    probe = _probe(config, spec)
    # On a GPU, as many as share one; Snakemake gives each job its own (--resources gpu=…).
    side_by_side = config["search"].get("candidates_per_gpu", 1) if probe.execution.device_type == "cuda" else None
    calibration = calibrate(probe, side_by_side or max(1, cores // probe.execution.threads), read, decode)
    timed = time.perf_counter() - started
    _print(config, plan(config, spec, images, calibration, cores), probe, cores, timed)


def _probe(config: Mapping[str, Any], spec: "NetworkSpec") -> "Probe":
    """Networks between the narrowest and the widest of the experiment, some of them of its search space."""
    from dataclasses import replace
    from random import Random

    from pipeline.calibration import Probe
    from pipeline.common.settings import from_mapping
    from pipeline.networks.spec import uniform_genome
    from pipeline.planning import configured_space
    from pipeline.training.execution import resolve
    from pipeline.training.settings import ExecutionSettings, TrainingSettings

    ratios, random = sorted(config["search"]["ratios"]), Random(0)
    space = configured_space(config, spec)
    genomes = [uniform_genome(spec.network, ratio) for ratio in (ratios[0], ratios[len(ratios) // 2], ratios[-1])]
    genomes += [space.draw(random) for _ in range(4)]
    specs = tuple(spec.with_genome(genome) for genome in dict.fromkeys(genomes))
    settings: TrainingSettings = from_mapping(TrainingSettings, config["candidate"])
    if settings.augmentation == "resized-crop-flip":  # is part of decoding, which is timed by itself
        settings = replace(settings, augmentation="none")
    return Probe(specs, settings, resolve(from_mapping(ExecutionSettings, config["execution"])))


def _look_at_images(
    config: Mapping[str, Any], arguments: argparse.Namespace
) -> tuple["Images", "NetworkSpec", float, float]:
    """Counts the images and times some. Returns them, the network's shape, seconds to read and to decode one."""
    import io
    import time

    from PIL import Image

    from pipeline.calibration import time_decoding
    from pipeline.common.settings import from_mapping
    from pipeline.data.datasets import expect_images, resolve_storage
    from pipeline.data.datasets.sources import Picture
    from pipeline.networks.spec import NetworkSpec, uniform_genome
    from pipeline.planning import Images
    from pipeline.training.settings import TrainingSettings

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
        network["name"], uniform_genome(network["name"], 1), network["base_width"], channels, size, classes
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


def _print(config: Mapping[str, Any], found: "Plan", probe: "Probe", cores: int, timed: float) -> None:
    import os
    import shutil

    from pipeline.common.log import duration
    from pipeline.training.execution import describe_machine

    execution = probe.execution
    machine = describe_machine(execution.device_type)
    print(
        f"experiment '{config['experiment']}' on {machine}, {cores} cores, {execution.precision}, "
        f"{execution.threads} threads a training (timed in {timed:.0f} s)\n"
    )
    print(f"{'stage':<18} {'jobs':>6} {'core-hours':>11}  {'from':<14} {'to':<14}")
    for stage in found.stages:
        hours = f"{stage.core_seconds / 3600:.3g}"
        print(f"{stage.name:<18} {stage.jobs:>6} {hours:>11}  {duration(stage.begins):<14} {duration(stage.ends):<14}")
    total = sum(stage.core_seconds for stage in found.stages) / 3600
    print(f"{'in all':<18} {found.jobs:>6} {total:>11.3g}  {'':<14} {duration(found.seconds):<14}")
    print(f"\nhours   {found.seconds / 3600:.3g} from the command to the tables{_in_days(found.seconds)}")
    here = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    print(
        f"memory  up to {_size(found.process_bytes)} a process, {found.side_by_side} side by side: "
        f"{_size(found.memory_bytes)} ({_size(here)} here{', NOT ENOUGH' if found.memory_bytes > here else ''})"
    )
    folder = Path("results") / config["experiment"]
    free = shutil.disk_usage(".").free
    enough = "" if found.disk_bytes <= free else ", NOT ENOUGH"
    print(f"disk    about {_size(found.disk_bytes)} in {folder} ({_size(free)} free{enough})")
    if any(search["algorithm"] == "evolution" for search in config["searches"].values()):
        print(
            "\nGenerations are taken to be random genomes. An evolution that prefers cheap networks takes less, and "
            "candidates\nthat searches share are trained once: for searches and for retraining what they find, this is "
            "an upper estimate."
        )


def _in_days(seconds: float) -> str:
    return f", {seconds / 86400:.3g} days" if seconds > 2 * 86400 else ""


def _size(number: float) -> str:
    """Bytes as a person says them.

    >>> _size(2_300), _size(4.56e9)
    ('2.3 kB', '4.56 GB')
    """
    scale, unit = next((s, u) for s, u in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if number >= s or u == "kB")
    return f"{number / scale:.3g} {unit}"
