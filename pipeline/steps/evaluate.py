"""Scores trained networks on the test set. No other step sees a test image."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.steps.options import add_execution, output, path, read_settings
from pipeline.training.settings import ExecutionSettings

if TYPE_CHECKING:
    from pipeline.data.batches import ImageSource
    from pipeline.data.prepared import ImagesInfo
    from pipeline.training.execution import Execution
    from pipeline.training.scoring import Score


class _Evaluated(NamedTuple):
    """How a network answers the images, its shape, and the digest of its weights."""

    score: "Score"
    network: dict[str, Any]
    weights: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    path(parser, "--weights", "trained networks (HDF5)", nargs="+")
    path(parser, "--images", "prepared test set (HDF5)")
    add_execution(parser)
    output(parser, "--output", "their scores to write (JSON), in the order of --weights", nargs="+")


def run(arguments: argparse.Namespace) -> None:
    """Writes top-1, top-5, loss, the answers, the surest mistakes' pictures and the network's shape for each."""
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
    execution = settle(read_settings(arguments, ExecutionSettings), arguments.arithmetic)
    execution.apply()
    images = load_images(arguments.images, execution.device, workers=arguments.loaders)
    for weights, written in zip(arguments.weights, arguments.output, strict=True):
        _write(written, _evaluate(weights, images, info, execution), arguments.images, info)


def _evaluate(weights: Path, images: "ImageSource", info: "ImagesInfo", execution: "Execution") -> "_Evaluated":
    from pipeline.common.errors import UserError
    from pipeline.common.hdf5 import read_attributes
    from pipeline.networks.weights import load_network
    from pipeline.training.memory import enough_memory
    from pipeline.training.scoring import score

    network = load_network(weights)
    spec = network.spec
    if (info.channels, info.size, len(info.classes)) != (spec.channels, spec.size, spec.classes):
        raise UserError(f"{weights} was trained on other images than these", "name files of one experiment")
    with enough_memory(f"scoring {weights}", "one image is too much: use a machine with more memory"):
        return _Evaluated(score(network, images, execution), spec.record(), read_attributes(weights)["digest"])


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
    about = {"network": evaluated.network, "weights": evaluated.weights}
    # What was wrong with the images belongs to whatever is said about the accuracy on them.
    write_record(output, {**accuracies, **answers, **about, "census": json.loads(info.census)})
