"""Trains one row of the table in full, from random weights, on the whole train set."""

import argparse

from pipeline.steps.options import (
    add_execution,
    add_keeping,
    add_network,
    add_processes,
    add_setting,
    add_settings,
    genome,
    output,
    path,
    read_settings,
)
from pipeline.training.settings import ExecutionSettings, TrainingSettings
from pipeline.workflow.settings import RetrainSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    path(parser, "--images", "prepared train set (HDF5)")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--genome", type=genome, help="ratios with commas between, one for each gene")
    path(which, "--best", "take the genome that a search found, or a control's (JSON)", required=False)
    parser.add_argument("--full-precision", action="store_true", help="real weights and activations everywhere")
    parser.add_argument("--seed", type=int, default=0, help="of the experiment")
    parser.add_argument("--repetition", type=int, default=0, help="which of the row's seeds")
    add_network(parser)
    add_settings(parser, TrainingSettings)
    path(parser, "--teacher", "a trained network from whose answers it learns (HDF5)", required=False)
    add_setting(parser, RetrainSettings, "teacher_weight")
    add_execution(parser)
    add_processes(parser)
    add_keeping(parser)
    output(parser, "--weights", "the trained network to write (HDF5)")
    output(parser, "--history", "its training curve to write (CSV)")
    output(parser, "--timing", "what it took, to write (JSON)")


def run(arguments: argparse.Namespace) -> None:
    """Trains, or goes on training, and writes the network."""
    from pipeline.data.prepared import read_info
    from pipeline.search.tables import read_genome
    from pipeline.steps.options import network_for
    from pipeline.training.full import Outputs, Recipe, train_network
    from pipeline.training.identity import row_seed
    from pipeline.training.teacher import TeacherFile
    from pipeline.workflow.slurm.time_limit import stop_requests

    chosen = arguments.genome or read_genome(arguments.best)
    info = read_info(arguments.images, "train")
    recipe = Recipe(
        network_for(arguments, info, chosen, binary=not arguments.full_precision),
        read_settings(arguments, TrainingSettings),
        read_settings(arguments, ExecutionSettings),
        row_seed(arguments.seed, arguments.repetition),
        "retraining",
        arguments.save_minutes,
        arguments.finished,
        arguments.loaders,
        arguments.processes,
        arguments.arithmetic,
        None if arguments.teacher is None else TeacherFile(arguments.teacher, arguments.teacher_weight),
    )
    train_network(
        recipe, arguments.images, None, Outputs(arguments.weights, arguments.history, arguments.timing), stop_requests()
    )
