"""Classifies images by a trained network: prints classes and probabilities."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pipeline.steps.options import path

if TYPE_CHECKING:
    import numpy as np

    from pipeline.export.classifier import Answer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument(
        "network",
        type=Path,
        help="a row (results/EXPERIMENT/ROW; of its seeds the first, since no image is left to choose the best by), a "
        "file of weights (HDF5) or a packed network",
    )
    parser.add_argument("images", type=Path, nargs="+", help="image files, and folders with image files in them")
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="write a table of all probabilities instead; - prints it"
    )
    parser.add_argument("--top", type=int, default=3, help="classes that are printed for each image")
    parser.add_argument(
        "--engine",
        choices=("auto", "torch", "runtime", "numpy"),
        default="auto",
        help="what computes: torch as the experiment's evaluation did, the compiled runtime, or plain numpy",
    )
    parser.add_argument("--threads", type=int, default=1, help="of the computation")
    path(parser, "--train-images", "for weights of an older version, by default the experiment's", required=False)


def run(arguments: argparse.Namespace) -> int:
    """Prints a line for each image, or writes the table. Returns 1 where images could not be read."""
    from pipeline.common.errors import UserError
    from pipeline.common.files import TEXT, check_apart, replacing
    from pipeline.common.log import log, progress
    from pipeline.export.classifier import load_classifier
    from pipeline.workflow.rows import find_network, train_images_of

    if arguments.top < 1 or arguments.threads < 1:
        raise UserError("--top and --threads are counts", "give at least 1")
    files = find_images(arguments.images)
    network = find_network(arguments.network)
    if arguments.csv is not None and str(arguments.csv) != "-":
        check_apart(arguments.csv, [network, *files])
    images = arguments.train_images or train_images_of(network)
    classify = load_classifier(network, arguments.engine, images=images, threads=arguments.threads)
    answers: list[Answer] = []
    with progress("predicting", len(files), "images") as bar:
        for answer in classify.answers(files, threads=os.cpu_count() or 1):
            answers.append(answer)
            bar.advance()
    if arguments.csv is None:
        _print(files, answers, classify.classes, arguments.top)
    elif str(arguments.csv) == "-":
        _write_table(sys.stdout, files, answers, classify.classes)
    else:
        with replacing(arguments.csv) as temporary, open(temporary, "w", newline="", **TEXT) as table:
            _write_table(table, files, answers, classify.classes)
    bad = [(file, answer.problem) for file, answer in zip(files, answers, strict=True) if answer.problem]
    if len(files) == 1 and bad:
        raise UserError(f"{files[0]} cannot be read as an image ({bad[0][1]})", "name another one")
    for file, problem in bad:
        log(f"error: {file} cannot be read as an image ({problem}); left out")
    return 1 if bad else 0


def find_images(paths: Iterable[Path]) -> list[Path]:
    """Returns the files, and those in the folders and below them, by name; hidden ones are left out.

    Links to folders are followed, as they are among the images of a data set.

    Raises:
        UserError: a path does not exist, a folder has no files, or one of its folders cannot be read.
    """
    from pipeline.common.errors import UserError

    found: list[Path] = []
    for given in paths:
        if given.is_dir():
            files = sorted(_files_below(given))
            if not files:
                raise UserError(f"there is no image in {given}", "name a folder with image files")
            found += files
        elif given.exists():
            found.append(given)
        else:
            raise UserError(f"there is no file {given}", "name an image or a folder of images")
    return found


def _files_below(folder: Path, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[Path]:
    """Yields whatever is no folder, dead links and pipes included: reading says what is wrong with them."""
    from pipeline.common.errors import UserError

    try:
        facts = folder.stat()
        here = facts.st_dev, facts.st_ino
        if here in above:  # a link has led back
            return
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if entry.name[0] != "."]
    except OSError as error:
        raise UserError(f"the folder {folder} cannot be read", error.strerror or str(error)) from None
    for entry in shown:
        if entry.is_dir():
            yield from _files_below(folder / entry.name, above | {here})
        else:
            yield folder / entry.name


def _print(files: list[Path], answers: "list[Answer]", classes: tuple[str, ...], top: int) -> None:
    from pipeline.common.text import printable

    names = [printable(str(file)) for file in files]
    width = max(map(len, names))
    for name, answer in zip(names, answers, strict=True):
        if answer.probabilities is not None:
            best = (-answer.probabilities).argsort(kind="stable")[:top]  # of equals the first, as in the table
            cells = (f"{printable(classes[number])} {100 * answer.probabilities[number]:.1f} %" for number in best)
            print(f"{name:<{width}}  {', '.join(cells)}")


def _write_table(table: TextIO, files: list[Path], answers: "list[Answer]", classes: tuple[str, ...]) -> None:
    from pipeline.common.files import csv_cell, write_rows

    def row(file: Path, probabilities: "np.ndarray") -> list[str]:
        best = int(probabilities.argmax())
        numbers = [f"{value:.6f}" for value in probabilities]
        return [csv_cell(str(file)), csv_cell(classes[best]), numbers[best], *numbers]

    known = [(file, answer.probabilities) for file, answer in zip(files, answers, strict=True)]
    header = ["image", "class", "probability", *(f"p({name})" for name in classes)]
    write_rows(table, header, (row(file, values) for file, values in known if values is not None))
