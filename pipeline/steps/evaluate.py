"""Scores a trained network on the test set. No other step sees a test image."""

import argparse

from pipeline.settings import ExecutionSettings
from pipeline.steps.options import add_execution, path, read_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    path(parser, "--weights", "the trained network (HDF5)")
    path(parser, "--images", "prepared test set (HDF5)")
    add_execution(parser)
    path(parser, "--output", "the score to write (JSON)")


def run(arguments: argparse.Namespace) -> None:
    """Writes top-1, top-5, loss and the network's shape."""
    from dataclasses import asdict

    import torch

    from pipeline.errors import UserError
    from pipeline.files import write_json
    from pipeline.hardware import resolve
    from pipeline.model import Network
    from pipeline.networks import NetworkSpec
    from pipeline.prepared import load_images, read_info
    from pipeline.tensors import read_attributes, read_tensors
    from pipeline.training import score

    attributes = read_attributes(arguments.weights)
    values = attributes["network"]
    spec = NetworkSpec(**{**values, "genome": tuple(values["genome"])})
    info = read_info(arguments.images)
    if (info.channels, info.size, len(info.classes)) != (spec.channels, spec.size, spec.classes):
        raise UserError(
            f"{arguments.weights} was trained on other images than {arguments.images}", "name files of one experiment"
        )
    execution = resolve(read_settings(arguments, ExecutionSettings))
    execution.apply()
    network = Network(spec).to(execution.device, memory_format=torch.channels_last)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    tensors = read_tensors(arguments.weights, shapes)
    network.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
    result = score(network, load_images(arguments.images, execution.device), execution)
    rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(result).items()}
    write_json(arguments.output, {**rounded, "network": asdict(spec)})
