"""Scores trained networks on the test set, in float32. No other step sees a test image."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.steps.options import add_asked, add_execution, output, path, read_settings
from pipeline.training.settings import ANSWERED_IN, ExecutionSettings

if TYPE_CHECKING:
    from pipeline.data.batches import ImageSource
    from pipeline.data.prepared import ImagesInfo
    from pipeline.training.execution import Execution
    from pipeline.training.scoring import Score


class _Evaluated(NamedTuple):
    """How a network answers the images, its shape, the digest of its weights, and what they were trained with."""

    score: "Score"
    network: dict[str, Any]
    weights: str
    training: dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    path(parser, "--weights", "trained networks (HDF5)", nargs="+")
    path(parser, "--images", "prepared test set (HDF5)")
    add_asked(parser, "--asked", "networks (of the experiment's seed, as its first, second, ... training)")
    path(parser, "--best", "they must have this genome (JSON)", required=False)
    path(parser, "--train-images", "they must have learnt from these, if they are there (HDF5)", required=False)
    add_execution(parser)
    output(parser, "--output", "their scores to write (JSON), in the order of --weights", nargs="+")


def run(arguments: argparse.Namespace) -> None:
    """Writes top-1, top-5, loss, the answers, the surest mistakes' pictures and the network's shape for each."""
    from dataclasses import replace

    from pipeline.common.errors import UserError
    from pipeline.data.loading import load_images
    from pipeline.data.prepared import read_info, verify_images
    from pipeline.training.arithmetic import settle

    if len(arguments.weights) != len(arguments.output):
        raise UserError(
            f"there are {len(arguments.weights)} networks, but {len(arguments.output)} files to write",
            "name one file for each network",
        )
    info = read_info(arguments.images, "test")
    verify_images(arguments.images)
    for repetition, weights in enumerate(arguments.weights):
        _check(weights, repetition, arguments)
        _check_prepared(weights, info, arguments.images)
    # In what every format computes in which a network is handed over, whatever it was trained in.
    settled = settle(read_settings(arguments, ExecutionSettings), arguments.arithmetic)
    execution = replace(settled, precision=ANSWERED_IN)
    execution.apply()
    images = load_images(arguments.images, execution.device, workers=arguments.loaders)
    for weights, written in zip(arguments.weights, arguments.output, strict=True):
        _write(written, _evaluate(weights, images, info, execution), arguments.images, info)


def _check(weights: Path, repetition: int, arguments: argparse.Namespace) -> None:
    """Raises UserError for weights that are of another training than the experiment's."""
    from pipeline import METHOD_VERSION
    from pipeline.common.hdf5 import read_attributes
    from pipeline.data.prepared import read_info
    from pipeline.search.tables import read_genome
    from pipeline.training.identity import check_asked, row_seed

    asked = dict(arguments.asked)
    if "seed" in asked:
        asked |= {"seed": row_seed(asked["seed"], repetition), "method": METHOD_VERSION}
    if arguments.best is not None:
        asked["network"] = {**asked.get("network", {}), "genome": list(read_genome(arguments.best))}
    if arguments.train_images is not None and arguments.train_images.exists():
        asked["images"] = read_info(arguments.train_images, "train").digest
    check_asked(read_attributes(weights), asked, str(weights))


def _check_prepared(weights: Path, info: "ImagesInfo", images: Path) -> None:
    """Raises UserError for test images that were not prepared with those that a network learnt from: some of them may
    be among these.
    """
    from pipeline.common.errors import UserError, made_again
    from pipeline.common.hdf5 import read_attributes
    from pipeline.data.preprocessing import Preprocessing

    about = read_attributes(weights)
    if "classes" not in about or "preprocessing" not in about:  # of an older version
        return
    same = about["classes"] == list(info.classes)
    if not same or Preprocessing.from_record(about["preprocessing"]) != Preprocessing.of(info):
        raise UserError(f"{images} was not prepared together with the images that {weights} learnt from", made_again())


def _evaluate(weights: Path, images: "ImageSource", info: "ImagesInfo", execution: "Execution") -> "_Evaluated":
    from pipeline.common.errors import UserError
    from pipeline.common.hdf5 import read_attributes
    from pipeline.networks.weights import load_network
    from pipeline.training.identity import said_of
    from pipeline.training.memory import enough_memory
    from pipeline.training.scoring import score

    network = load_network(weights)
    spec = network.spec
    if (info.channels, info.size, len(info.classes)) != (spec.channels, spec.size, spec.classes):
        raise UserError(f"{weights} was trained on other images than these", "name files of one experiment")
    with enough_memory(f"scoring {weights}", "one image is too much: use a machine with more memory"):
        scored, about = score(network, images, execution), read_attributes(weights)
        return _Evaluated(scored, spec.record(), about["digest"], said_of(about))


def _write(output: Path, evaluated: "_Evaluated", images: Path, info: "ImagesInfo") -> None:
    import json

    from pipeline.common.files import write_record
    from pipeline.data.pictures import read_pictures
    from pipeline.report.answers import Mistake, most_confident, pack_answers, pack_classes

    result = evaluated.score
    accuracies = {
        "top1": round(result.top1, 4),
        "top5": None if result.top5 is None else round(result.top5, 4),
        "loss": round(result.loss, 4),
        "images": result.images,
    }
    worst = most_confident(result.answers, result.labels, result.confidences).tolist()
    mistakes = [
        Mistake(image, int(result.labels[image]), int(result.answers[image]), float(result.confidences[image]), picture)
        for image, picture in zip(worst, read_pictures(images, worst), strict=True)
    ]
    answers = pack_answers(result.answers, result.right)
    answers |= pack_classes(info.classes, result.labels, result.confidences, mistakes)
    about = {"network": evaluated.network, "weights": evaluated.weights, "training": evaluated.training}
    about["test_images"] = info.digest
    # What was wrong with the images belongs to whatever is said about the accuracy on them.
    write_record(output, {**accuracies, **answers, **about, "census": json.loads(info.census)})
