"""Draws from the train images, class by class, those that the search learns from and those that it is scored on.

The validation images are drawn first, so they stay the same whatever the size of the subset.
"""

import argparse

from pipeline.steps.options import add_settings, output, path
from pipeline.workflow.settings import SplitSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    path(parser, "--images", "prepared train images (HDF5)")
    add_settings(parser, SplitSettings)
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    output(parser, "--subset", "images to learn from, to write (CSV)")
    output(parser, "--validation", "images to score on, to write (CSV)")


def run(arguments: argparse.Namespace) -> None:
    """Writes both tables."""
    from pipeline.data.prepared import read_info, read_labels, verify_images
    from pipeline.data.splits import draw, write_split

    classes, labels = read_info(arguments.images, "train").classes, read_labels(arguments.images)
    verify_images(arguments.images)
    per_class = arguments.validation_per_class, arguments.subset_per_class
    drawn = draw(labels, classes, *per_class, arguments.seed, arguments.held_out_per_class)
    write_split(arguments.validation, drawn.validation, labels, classes)
    write_split(arguments.subset, drawn.subset, labels, classes)
