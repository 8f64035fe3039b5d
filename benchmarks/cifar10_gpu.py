"""VGG-small on real CIFAR-10 by the paper's recipe, as many of its epochs as fit into the time there is.

    python -m benchmarks.cifar10_gpu --images cifar10.zip --output OUTPUT --seconds 600
    python -m benchmarks.cifar10_gpu --images cifar10.zip --output OUTPUT --width 0.5 --epochs 60 --schedule cosine \\
        --rows uniform-1x VGG-Auto-A mine=0.5,1,2,1,1,0.5
    python -m benchmarks.cifar10_gpu --images cifar10.zip --output OUTPUT --device cpu --quick
    python -m benchmarks.cifar10_gpu --output OUTPUT      # its table once more

Uniform-1x, the published VGG-Auto-A, and a network that is uniform but for VGG-Auto-A's first layer, at the published
width, or other rows at another one: batch 128, learning rate 0.1, milestones at 0.3, 0.6 and 0.9 of the training, as
the paper's 60, 120 and 180 of 200 epochs. The pace is measured first. As many seeds are trained as have the time for
200 epochs, or those asked for. If two have not, two are trained on a schedule scaled to the epochs that fit (or one, if
those were fewer than 50), and the table says so. The rows of a seed are trained side by side, a step of each in turn,
on a GPU on streams of their own; cifar10.md, epochs.csv and trainings.npz (all of it, and which test images each
training answers rightly) are written anew after every seed. A folder that has trainings keeps them, and their epochs:
the same command, or one with more seeds or other rows, trains what is not there.
"""

import argparse
import os
import statistics
import time
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.timing import execution_on, heading, synchronise, table
from benchmarks.trainings import Trained, Trainings, described, differences, trained_or_kept
from benchmarks.workloads import published_recipe
from pipeline.__main__ import main as step
from pipeline.common.log import log, progress
from pipeline.data.batches import ImageSource
from pipeline.data.loading import load_images
from pipeline.data.prepared import read_info
from pipeline.networks.genome import Genome, format_genome, parse_genome
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.training.execution import Execution
from pipeline.training.loop import Training
from pipeline.training.scoring import score
from pipeline.training.settings import TrainingSettings
from pipeline.training.teacher import Teacher
from pipeline.training.turns import in_turns

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
    parser.add_argument("--images", type=Path, help="a ZIP or a folder: train/CLASS/*, test/CLASS/*")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to, and to go on from")
    parser.add_argument(
        "--rows",
        nargs="+",
        type=_row,
        default=list(ROWS.items()),
        metavar="ROW",
        help=f"{', '.join(ROWS)}, {FULL_PRECISION}, or NAME=GENOME",
    )
    parser.add_argument("--beside", metavar="ROW", help="what the others are set beside; the first if not given")
    parser.add_argument("--width", type=float, default=1.0, help="fraction of the published widths")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of each training, if they fit")
    parser.add_argument("--schedule", choices=("milestones", "cosine"), default="milestones")
    parser.add_argument("--seeds", type=int, default=5, help="of each row, at most")
    parser.add_argument("--prepared", type=Path, help="folder to keep the prepared images in, for the next time")
    parser.add_argument("--seconds", type=float, default=600.0, help="that all of it may take")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="a sixteenth of the width, two epochs")
    arguments = parser.parse_args()
    kept = trained_or_kept(parser, arguments, _train_missing)
    if arguments.beside is not None and arguments.beside not in kept.found:
        parser.error(f"{kept.file} has no row '{arguments.beside}', but {', '.join(kept.found)}")
    print(_text(kept, arguments.beside))


def _train_missing(arguments: argparse.Namespace, kept: Trainings) -> None:
    """Trains what is wanted and not kept yet, as far as there is time for it."""
    started = time.monotonic()
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

    def of_epochs(epochs: int) -> TrainingSettings:
        """Returns the recipe over so many epochs, by which these trainings are those that are kept, if any are."""
        settled = scaled(recipe, epochs) if recipe.milestones else replace(recipe, epochs=epochs)
        kept.expect(
            {"base width": width, "train": len(images), "test": len(unseen), **described(settled)},
            {
                row: f"{format_genome(spec.genome)}{'' if spec.binary else ', full precision'}"
                for row, spec in specs.items()
            },
        )
        return settled

    if kept.found:
        settled = of_epochs(kept.common["epochs"])
    lacking = kept.missing(specs, wanted)
    if not lacking:
        log(f"note: {kept.file} has all of these trainings")
        return
    some = {row for rows in lacking.values() for row in rows}
    pace = _seconds_of_an_epoch([specs[row] for row in specs if row in some], images, recipe, execution)
    left = arguments.seconds - (time.monotonic() - started)
    log(f"an epoch of {len(some)} rows takes {pace:.2f} s; {left:.0f} s are left")
    if kept.found:
        seeds = min(int((1 - _SPARE) * left / (pace * settled.epochs)), len(lacking))
        log(f"going on from {kept.file}: {seeds} of {len(lacking)} seeds have the time for {settled.epochs} epochs")
    else:
        seeds, epochs = what_fits(left, pace, most, wanted)
        settled = of_epochs(epochs)
    todo = list(lacking.items())[:seeds]
    with progress("CIFAR-10", len(todo), "seeds") as bar:
        for seed, rows in todo:
            trainings = [training_of(specs[row], images, settled, seed, execution) for row in rows]
            trained = train_side_by_side(trainings, unseen, execution)
            kept.add(seed, dict(zip(rows, trained, strict=True)), heading(execution))
            (arguments.output / "cifar10.md").write_text(_text(kept))
            kept.write_epochs(arguments.output / "epochs.csv")
            bar.advance(note=", ".join(f"{row}: {kept.found[row][seed].top1:.2f} %" for row in rows))


def _row(word: str) -> tuple[str, Genome]:
    name, _, genome = word.partition("=")
    known = ROWS | {FULL_PRECISION: ROWS["uniform-1x"]}
    if not genome and name not in known:
        raise argparse.ArgumentTypeError(f"'{name}' is none of {', '.join(known)}; write {name}=GENOME")
    return name, parse_genome(genome) if genome else known[name]


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
    took = (time.perf_counter() - begun) / max(1, len(trainings))
    scores = [score(training.network, unseen, execution) for training in trainings]
    return [
        Trained(scored.top1, took, training.history, scored.right)
        for scored, training in zip(scores, trainings, strict=True)
    ]


def _text(kept: Trainings, base: str | None = None) -> str:
    found, common = kept.by_row(), kept.common
    base = base or next(iter(found))
    beside = differences(found, [row for row in found if row != base], base)

    def cells(row: str, measured: Sequence[Trained]) -> list[str]:
        tops = [training.top1 for training in measured]
        spread = f" ± {statistics.stdev(tops):.2f}" if len(tops) > 1 else ""
        seconds = statistics.mean(training.seconds for training in measured)
        each = ", ".join(f"{top1:.2f}" for top1 in tops)
        mean = f"{statistics.mean(tops):.2f}{spread}"
        return [row, str(len(tops)), mean, each, beside.get(row, ""), f"{seconds:.0f}"]

    rows = [cells(row, measured) for row, measured in found.items()]
    columns = ["row", "seeds", "top-1 %", "of each seed", f"beside {base}", "seconds a training"]
    epochs = common["epochs"]
    whole = f"{epochs} epochs, the paper's schedule scaled to them"
    if common.get("schedule") != "milestones":
        whole = f"{epochs} epochs, half a cosine"
    elif epochs == EPOCHS:
        whole = "the paper's 200 epochs"
    images = f"{common['train']:,} train and {common['test']:,} test images"
    about = f"base width {common['base width']:g}, {images}, {whole}"
    return f"{'; '.join(kept.machines)}, {about}\n\n{table(columns, rows)}\n"


if __name__ == "__main__":
    main()
