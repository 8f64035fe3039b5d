"""Brings a data set into two prepared files: its train and its test images.

Data sets: digits (embedded in scikit-learn), cifar10 (downloaded when it is not there) and image_folder: a folder with
train/CLASS/* and test/CLASS/* or val/CLASS/*, or just CLASS/*. Where there are no test images, some are split off.
Interrupted, it goes on where it was.
"""

import argparse
from pathlib import Path

from pipeline.steps.options import add_setting, output
from pipeline.workflow.settings import DatasetSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    add_setting(parser, DatasetSettings, "name")
    add_setting(parser, DatasetSettings, "path", type=Path)
    natural = "Side in pixels that images are brought to; the data set's own if not given."
    add_setting(parser, DatasetSettings, "image_size", required=False, help=natural)
    for key in ("storage", "test_fraction", "damaged_images"):
        add_setting(parser, DatasetSettings, key)
    parser.add_argument("--seed", type=int, default=0, help="of the split into train and test images")
    parser.add_argument("--threads", type=int, default=1, help="images read at a time; does not change the result")
    parser.add_argument("--sources", default="", help="what tells these images from those prepared before; to be noted")
    output(parser, "--train", "train images to write (HDF5)")
    output(parser, "--test", "test images to write (HDF5)")


def run(arguments: argparse.Namespace) -> None:
    """Prepares both files, or goes on preparing them."""
    import numpy as np

    from pipeline.common.errors import UserError
    from pipeline.common.log import log
    from pipeline.common.provenance import versions
    from pipeline.common.text import counted
    from pipeline.data.datasets import find_dataset, locate, open_dataset, resolve_storage
    from pipeline.data.manifest import Manifest, contents_of, last_touched, note_sources
    from pipeline.data.prepare import Preparation, prepare
    from pipeline.data.splits import split_off

    dataset = open_dataset(arguments.dataset, arguments.path)
    size = dataset.natural_size if arguments.image_size is None else arguments.image_size
    if size < 1:
        raise UserError(f"image_size is {size}", "it must be at least 1")
    storage = resolve_storage(arguments.storage, size)
    # Before images are read: what is touched from now on is read again.
    module, files = find_dataset(arguments.dataset), dataset.files
    if files is None and hasattr(module, "list_files"):
        files = module.list_files(locate(arguments.dataset, arguments.path))
    since = None if files is None else last_touched(files)
    train, test = dataset.train, dataset.test
    made_with = {"versions": versions(), "storage": storage, "image_size": size}
    if test is None:
        made_with |= {"test_fraction": arguments.test_fraction, "seed": arguments.seed}
        kept, held_out = split_off(train.labels, dataset.classes, arguments.test_fraction, arguments.seed)
        train, test = train.select(kept), train.select(held_out)
    how = Preparation(size, storage, arguments.damaged_images == "skip", arguments.threads)
    written = prepare(dataset, (train, arguments.train), (test, arguments.test), how, made_with)
    if files is not None:
        names = [split.name(index) for split in (train, test) for index in range(len(split.labels))]
        read = np.concatenate([written.train_contents, written.test_contents])
        named = "" if arguments.path is None else str(arguments.path)
        manifest = Manifest(files, contents_of(files, names, read), named, arguments.sources, since)
        note_sources(arguments.train, manifest)
    counts = f"{counted(written.train.count, 'train image')} and {counted(written.test.count, 'test image')}"
    log(f"{dataset.name}: {counted(len(dataset.classes), 'class', 'classes')}, {counts}")
