"""Trains the supernet: the uniform network of the largest ratio, from which candidates inherit their weights."""

import argparse

from pipeline.networks.genome import RATIOS
from pipeline.steps.options import (
    add_execution,
    add_keeping,
    add_network,
    add_processes,
    add_settings,
    output,
    path,
    read_settings,
)
from pipeline.training.settings import ExecutionSettings, TrainingSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    path(parser, "--images", "prepared train set (HDF5)")
    path(parser, "--subset", "which images to train on (CSV)")
    parser.add_argument("--ratio", type=float, default=max(RATIOS), help="width of every layer over its base width")
    parser.add_argument("--seed", type=int, default=0, help="of the experiment")
    add_network(parser)
    add_settings(parser, TrainingSettings)
    add_execution(parser)
    add_processes(parser)
    add_keeping(parser)
    output(parser, "--supernet", "the supernet to write (HDF5)")
    output(parser, "--history", "its training curve to write (CSV)")
    output(parser, "--timing", "what it took, to write (JSON)")


def run(arguments: argparse.Namespace) -> None:
    """Trains, or goes on training, and writes the supernet."""
    from pipeline.data.prepared import read_info
    from pipeline.data.splits import read_split
    from pipeline.networks.spec import uniform_genome
    from pipeline.steps.options import network_for
    from pipeline.training.full import Outputs, Recipe, train_network
    from pipeline.workflow.slurm.time_limit import stop_requests

    info = read_info(arguments.images, "train")
    genome = uniform_genome(arguments.network, arguments.ratio)
    recipe = Recipe(
        network_for(arguments, info, genome),
        read_settings(arguments, TrainingSettings),
        read_settings(arguments, ExecutionSettings),
        arguments.seed,
        "supernet",
        arguments.save_minutes,
        arguments.finished,
        arguments.loaders,
        arguments.processes,
        arguments.arithmetic,
    )
    indices = read_split(arguments.subset, info)
    train_network(
        recipe,
        arguments.images,
        indices,
        Outputs(arguments.supernet, arguments.history, arguments.timing),
        stop_requests(),
    )
