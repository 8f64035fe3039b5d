"""VGG-small on real CIFAR-10 by the paper's recipe, as many of its epochs as fit into the time there is.

    python -m benchmarks.cifar10_gpu --images cifar10.zip --output OUTPUT --seconds 600
    python -m benchmarks.cifar10_gpu --images cifar10.zip --output OUTPUT --width 0.5 --epochs 60 --schedule cosine \\
        --rows uniform-1x VGG-Auto-A mine=0.5,1,2,1,1,0.5
    python -m benchmarks.cifar10_gpu --images cifar10.zip --output OUTPUT --device cpu --quick

Uniform-1x, the published VGG-Auto-A, and a network that is uniform but for VGG-Auto-A's first layer, at the published
width, or other rows at another one: batch 128, learning rate 0.1, milestones at 0.3, 0.6 and 0.9 of the training, as
the paper's 60, 120 and 180 of 200 epochs. The pace is measured first. As many seeds are trained as have the time for
200 epochs, or those asked for. If two have not, two are trained on a schedule scaled to the epochs that fit (or one, if
those were fewer than 50), and the table says so. The rows of a seed are trained side by side, a step of each in turn,
on a GPU on streams of their own; cifar10.md, epochs.csv and answers.npz (which test images each training answers
rightly) are written anew after every seed.
"""

import argparse
import csv
import os
import statistics
import time
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.timing import execution_on, heading, synchronise, table
from benchmarks.workloads import in_turns, published_recipe
from pipeline.__main__ import main as step
from pipeline.common.log import log, progress
from pipeline.data.batches import ImageSource
from pipeline.data.loading import load_images
from pipeline.data.prepared import read_info
from pipeline.networks.genome import Genome, parse_genome
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.report.statistics import Sample, compare
from pipeline.training.execution import Execution
from pipeline.training.loop import Epoch, Training
from pipeline.training.scoring import score
from pipeline.training.settings import TrainingSettings
from pipeline.training.teacher import Teacher

ROWS: dict[str, Genome] = {
    "uniform-1x": uniform_genome("vgg_small", 1),
    "VGG-Auto-A": (0.5, 2.0, 1.0, 1.0, 1.0, 0.5),
    "first-layer": (0.5, 1.0, 1.0, 1.0, 1.0, 1.0),
}
#: The row with real weights and activations.
FULL_PRECISION = "full-precision"
#: The paper's, of 200 epochs.
EPOCHS, MILESTONES = 200, (0.3, 0.6, 0.9)
#: Of the time there is, what is not planned for: scoring, and trainings that are slower than measured.
_SPARE = 0.07
#: Epochs below which one seed has all the time.
_FEWEST = 50


def scaled(recipe: TrainingSettings, epochs: int) -> TrainingSettings:
    """Returns the paper's schedule over fewer epochs."""
    return replace(recipe, epochs=epochs, milestones=tuple(max(1, round(share * epochs)) for share in MILESTONES))


def what_fits(seconds: float, epoch: float, most: int = EPOCHS, seeds: int = 5) -> tuple[int, int]:
    """Returns how many seeds can be trained, and for how many epochs each.

    Args:
        seconds: that there are.
        epoch: seconds that an epoch of all rows takes.
        most: epochs that are wanted.
        seeds: that are wanted.

    >>> [what_fits(seconds, 1.0) for seconds in (1000, 500, 250, 90, 0.1)]
    [(4, 200), (2, 200), (2, 116), (1, 83), (1, 1)]
    """
    epochs = int((1 - _SPARE) * seconds / epoch)
    if epochs >= min(seeds, 2) * most:
        return min(epochs // most, seeds), most
    return (2, epochs // 2) if seeds > 1 and epochs >= 2 * _FEWEST else (1, min(max(epochs, 1), most))


def main() -> None:
    """Writes OUTPUT/cifar10.md and prints it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="a ZIP or a folder: train/CLASS/*, test/CLASS/*")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    parser.add_argument(
        "--rows",
        nargs="+",
        type=_row,
        default=list(ROWS.items()),
        metavar="ROW",
        help=f"{', '.join(ROWS)}, {FULL_PRECISION}, or NAME=GENOME; the first is what the others are set beside",
    )
    parser.add_argument("--width", type=float, default=1.0, help="fraction of the published widths")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of each training, if they fit")
    parser.add_argument("--schedule", choices=("milestones", "cosine"), default="milestones")
    parser.add_argument("--seeds", type=int, default=5, help="of each row, at most")
    parser.add_argument("--prepared", type=Path, help="folder to keep the prepared images in, for the next time")
    parser.add_argument("--seconds", type=float, default=600.0, help="that all of it may take")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="a sixteenth of the width, two epochs")
    arguments = parser.parse_args()
    started = time.monotonic()
    arguments.output.mkdir(parents=True, exist_ok=True)
    execution = execution_on(arguments.device)
    recipe = published_recipe("retrain")
    if arguments.schedule == "cosine":
        recipe = replace(recipe, schedule="cosine", milestones=())
    width, most = (1 / 16, 2) if arguments.quick else (arguments.width, arguments.epochs)
    wanted = 1 if arguments.quick else arguments.seeds
    with TemporaryDirectory() as name:
        train, test = prepared_images(arguments.images, Path(name), arguments.prepared or Path(name))
        info = read_info(train)
        images, unseen = load_images(train, execution.device), load_images(test, execution.device)
    base = NetworkSpec(
        "vgg_small",
        uniform_genome("vgg_small", 1),
        base_width=width,
        channels=info.channels,
        size=info.size,
        classes=len(info.classes),
    )
    specs = {
        row: replace(base.with_genome(genome), binary=row != FULL_PRECISION)
        for row, genome in dict(arguments.rows).items()
    }
    pace = _seconds_of_an_epoch(specs.values(), images, recipe, execution)
    left = arguments.seconds - (time.monotonic() - started)
    seeds, epochs = what_fits(left, pace, most, wanted)
    log(f"an epoch of all {len(specs)} rows takes {pace:.2f} s; {left:.0f} s are left")
    recipe = scaled(recipe, epochs) if recipe.milestones else replace(recipe, epochs=epochs)
    found: dict[str, list[Trained]] = {row: [] for row in specs}
    with progress("CIFAR-10", seeds, "seeds") as bar:
        for seed in range(seeds):
            trainings = [training_of(spec, images, recipe, seed, execution) for spec in specs.values()]
            for row, trained in zip(specs, train_side_by_side(trainings, unseen, execution), strict=True):
                found[row].append(trained)
            text = _text(found, base, recipe, execution, len(images), len(unseen))
            (arguments.output / "cifar10.md").write_text(text)
            write_epochs(found, arguments.output / "epochs.csv")
            write_answers(found, arguments.output / "answers.npz")
            bar.advance(note=", ".join(f"{row}: {found[row][-1].top1:.2f} %" for row in found))
    print(text)


def _row(word: str) -> tuple[str, Genome]:
    name, _, genome = word.partition("=")
    known = ROWS | {FULL_PRECISION: ROWS["uniform-1x"]}
    if not genome and name not in known:
        raise argparse.ArgumentTypeError(f"'{name}' is none of {', '.join(known)}; write {name}=GENOME")
    return name, parse_genome(genome) if genome else known[name]


class Trained(NamedTuple):
    """A training: test top-1 in percent, its share of the seconds, each epoch as it was, and which test images are
    answered rightly, bool (images,).
    """

    top1: float
    seconds: float
    epochs: list[Epoch]
    right: np.ndarray


def prepared_images(file: Path, folder: Path, kept: Path) -> tuple[Path, Path]:
    """Unpacks the images and prepares them as the workflow does, unless they are kept. Returns train and test."""
    train, test = kept / "train.h5", kept / "test.h5"
    if train.exists() and test.exists():
        log(f"note: the images are those that are kept in {kept}; {file} is not looked at")
        return train, test
    kept.mkdir(parents=True, exist_ok=True)
    if file.is_file():
        with zipfile.ZipFile(file) as archive:
            archive.extractall(folder / "images")
        file = folder / "images"
    top = min((path.parent for path in file.rglob("train")), key=lambda path: len(path.parts))
    words = ["prepare-dataset", "--dataset", "image_folder", "--path", str(top), "--image-size", "32"]
    words += ["--threads", str(len(os.sched_getaffinity(0)))]
    if step([*words, "--train", str(train), "--test", str(test)]):
        raise SystemExit(1)
    return train, test


def _seconds_of_an_epoch(
    specs: Iterable[NetworkSpec], images: ImageSource, recipe: TrainingSettings, execution: Execution, steps: int = 50
) -> float:
    """Returns seconds that an epoch of all networks takes, one step of each in turn."""
    endless = replace(recipe, epochs=10**4)
    each = in_turns([training_of(spec, images, endless, 0, execution).steps() for spec in specs], execution)
    for _ in range(5):
        next(each)
    synchronise(execution)
    begun = time.perf_counter()
    for _ in range(steps):
        next(each)
    synchronise(execution)
    batch = min(recipe.batch_size, len(images))
    return (time.perf_counter() - begun) / steps * (len(images) // batch)


def training_of(
    spec: NetworkSpec,
    images: ImageSource,
    recipe: TrainingSettings,
    seed: int,
    execution: Execution,
    teacher: Teacher | None = None,
) -> Training:
    """Returns a training from new weights."""
    network = Network(spec)
    initialise(network, torch.Generator().manual_seed(seed))
    return Training(network, images, recipe, seed, execution, teacher=teacher)


def train_side_by_side(trainings: Sequence[Training], unseen: ImageSource, execution: Execution) -> list[Trained]:
    """Takes all trainings to their ends, a step of each in turn, and scores them."""
    begun = time.perf_counter()
    for _ in in_turns([training.steps() for training in trainings], execution):
        pass
    synchronise(execution)
    took = (time.perf_counter() - begun) / len(trainings)
    scores = [score(training.network, unseen, execution) for training in trainings]
    return [
        Trained(scored.top1, took, training.history, scored.right)
        for scored, training in zip(scores, trainings, strict=True)
    ]


def differences(found: Mapping[str, Sequence[Trained]], rows: Sequence[str], base: str) -> dict[str, str]:
    """Returns in words how far each of the rows lies above ``base``; all of them together err in 5 % (Holm)."""

    def sample(row: str) -> Sample:
        return Sample(tuple(training.top1 for training in found[row]), tuple(training.right for training in found[row]))

    return dict(zip(rows, map(str, compare([(sample(row), sample(base)) for row in rows])), strict=True))


def write_epochs(found: Mapping[str, Sequence[Trained]], file: Path) -> None:
    """Writes each epoch of each training (CSV)."""
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["row", "seed", *(field.name for field in fields(Epoch))])
        for row, trained in found.items():
            for seed, training in enumerate(trained):
                writer.writerows([row, seed, *astuple(epoch)] for epoch in training.epochs)


def write_answers(found: Mapping[str, Sequence[Trained]], file: Path) -> None:
    """Writes which test images each training answers rightly: an array (seeds, images / 8) of bits for each row."""
    np.savez_compressed(
        file,
        **{
            row: np.packbits([training.right for training in trained], axis=1)
            for row, trained in found.items()
            if trained
        },
    )


def _text(
    found: Mapping[str, Sequence[Trained]],
    spec: NetworkSpec,
    recipe: TrainingSettings,
    execution: Execution,
    train: int,
    test: int,
) -> str:
    base, *others = found
    beside = differences(found, others, base)

    def cells(row: str, trained: Sequence[Trained]) -> list[str]:
        tops = [training.top1 for training in trained]
        spread = f" ± {statistics.stdev(tops):.2f}" if len(tops) > 1 else ""
        seconds = statistics.mean(training.seconds for training in trained)
        each = ", ".join(f"{top1:.2f}" for top1 in tops)
        mean = f"{statistics.mean(tops):.2f}{spread}"
        return [row, str(len(tops)), mean, each, beside.get(row, ""), f"{seconds:.0f}"]

    rows = [cells(row, measured) for row, measured in found.items() if measured]
    columns = ["row", "seeds", "top-1 %", "of each seed", f"beside {base}", "seconds a training"]
    whole = f"{recipe.epochs} epochs, the paper's schedule scaled to them"
    if recipe.schedule == "cosine":
        whole = f"{recipe.epochs} epochs, half a cosine"
    elif recipe.epochs == EPOCHS:
        whole = "the paper's 200 epochs"
    about = f"base width {spec.base_width:g}, {train:,} train and {test:,} test images, {whole}"
    return f"{heading(execution, about)}\n\n{table(columns, rows)}\n"


if __name__ == "__main__":
    main()
