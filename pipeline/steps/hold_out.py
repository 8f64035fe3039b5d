"""Draws the train images on which finalists and the proxy are judged; no candidate is selected on them.

They are the last of each class, so that the search's own images stay what they are without them.
"""

import argparse

from pipeline.steps.options import add_setting, output, path
from pipeline.workflow.settings import SplitSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    path(parser, "--images", "prepared train images (HDF5)")
    for key in ("validation_per_class", "subset_per_class"):
        add_setting(parser, SplitSettings, key)
    add_setting(parser, SplitSettings, "held_out_per_class", required=True)
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    output(parser, "--held-out", "images that are held out, to write (CSV)")
    output(parser, "--not-held-out", "all other train images, to write (CSV)")


def run(arguments: argparse.Namespace) -> None:
    """Writes both tables."""
    from pipeline.data.prepared import read_info, read_labels, verify_images
    from pipeline.data.splits import draw, write_split

    classes, labels = read_info(arguments.images, "train").classes, read_labels(arguments.images)
    verify_images(arguments.images)
    per_class = arguments.validation_per_class, arguments.subset_per_class
    held_out = draw(labels, classes, *per_class, arguments.seed, arguments.held_out_per_class).held_out
    others = sorted(set(range(len(labels))) - set(held_out))
    write_split(arguments.held_out, held_out, labels, classes)
    write_split(arguments.not_held_out, others, labels, classes)
