"""VGG-small on real CIFAR-10 by the paper's recipe, as many of its epochs as fit into the time there is.

    python -m benchmarks.cifar10_gpu --zip cifar10.zip --output OUTPUT --seconds 600
    python -m benchmarks.cifar10_gpu --zip cifar10.zip --output OUTPUT --device cpu --quick

Uniform-1x and the published VGG-Auto-A at the published width, batch 128, learning rate 0.1, milestones at 0.3, 0.6 and
0.9 of the training, as the paper's 60, 120 and 180 of 200 epochs. The pace is measured first. If 200 epochs do not fit,
the schedule is scaled to those that do, and the table says so. Seeds are trained in turn, so that a run that is cut
short has equally many of both rows; the table is written anew after every training.
"""

import argparse
import statistics
import time
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.timing import execution_on, heading, synchronise, table
from pipeline.__main__ import main as step
from pipeline.common.log import log, progress
from pipeline.common.settings import from_mapping
from pipeline.data.batches import ImageSource
from pipeline.data.loading import load_images
from pipeline.data.prepared import read_info
from pipeline.networks.genome import Genome
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.training.execution import Execution
from pipeline.training.loop import Training
from pipeline.training.scoring import score
from pipeline.training.settings import TrainingSettings
from pipeline.workflow.config import ROOT, read_config

ROWS: dict[str, Genome] = {"uniform-1x": uniform_genome("vgg_small", 1), "VGG-Auto-A": (0.5, 2.0, 1.0, 1.0, 1.0, 0.5)}
#: The paper's, of 200 epochs.
EPOCHS, MILESTONES = 200, (0.3, 0.6, 0.9)
#: Of the time there is, what is not planned for: scoring, and trainings that are slower than measured.
_SPARE = 0.1


def scaled(recipe: TrainingSettings, epochs: int) -> TrainingSettings:
    """Returns the paper's schedule over fewer epochs."""
    return replace(recipe, epochs=epochs, milestones=tuple(max(1, round(share * epochs)) for share in MILESTONES))


def epochs_that_fit(seconds: float, epoch: float, trainings: int, most: int = EPOCHS) -> int:
    """Returns how many epochs each of several trainings can have.

    >>> epochs_that_fit(1000, 2.0, 4), epochs_that_fit(10**6, 2.0, 4), epochs_that_fit(1, 2.0, 4)
    (112, 200, 1)
    """
    return max(1, min(most, int((1 - _SPARE) * seconds / (epoch * trainings))))


def main() -> None:
    """Writes OUTPUT/cifar10.md and prints it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zip", type=Path, required=True, help="train/CLASS/* and test/CLASS/*")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--seconds", type=float, default=600.0, help="that all of it may take")
    parser.add_argument("--seeds", type=int, default=1, help="of each row")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="a sixteenth of the width, two epochs")
    arguments = parser.parse_args()
    started = time.monotonic()
    execution = execution_on(arguments.device)
    config = read_config([ROOT / "config.yaml", ROOT / "configs" / "cifar10.yaml"])
    recipe: TrainingSettings = from_mapping(TrainingSettings, config["retrain"])
    width, most = (1 / 16, 2) if arguments.quick else (1.0, EPOCHS)
    with TemporaryDirectory() as name:
        train, test = _prepare(arguments.zip, Path(name))
        info = read_info(train)
        images, unseen = load_images(train, execution.device), load_images(test, execution.device)
    base = NetworkSpec(
        "vgg_small",
        ROWS["uniform-1x"],
        base_width=width,
        channels=info.channels,
        size=info.size,
        classes=len(info.classes),
    )
    epoch = _seconds_of_an_epoch(base, images, recipe, execution)
    left = arguments.seconds - (time.monotonic() - started)
    epochs = epochs_that_fit(left, epoch, len(ROWS) * arguments.seeds, most)
    log(f"an epoch takes {epoch:.2f} s, {left:.0f} s are left: {epochs} epochs for each training")
    recipe = scaled(recipe, epochs)
    found: dict[str, list[tuple[float, float]]] = {row: [] for row in ROWS}
    with progress("CIFAR-10", arguments.seeds * len(ROWS), "trainings") as bar:
        for seed in range(arguments.seeds):
            for row, genome in ROWS.items():
                found[row].append(_train(base.with_genome(genome), images, unseen, recipe, seed, execution))
                text = _text(found, base, epochs, execution, len(images), len(unseen))
                (arguments.output / "cifar10.md").write_text(text)
                bar.advance(note=f"{row}: {found[row][-1][0]:.2f} %")
    print(text)


def _prepare(file: Path, folder: Path) -> tuple[Path, Path]:
    """Unpacks the images and prepares them as the workflow does. Returns train and test images."""
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder / "images")
    top = min((path.parent for path in (folder / "images").rglob("train")), key=lambda path: len(path.parts))
    train, test = folder / "train.h5", folder / "test.h5"
    words = ["prepare-dataset", "--dataset", "image_folder", "--path", str(top), "--image-size", "32"]
    if step([*words, "--train", str(train), "--test", str(test)]):
        raise SystemExit(1)
    return train, test


def _seconds_of_an_epoch(
    spec: NetworkSpec, images: ImageSource, recipe: TrainingSettings, execution: Execution, steps: int = 50
) -> float:
    training = _training(spec, images, replace(recipe, epochs=10**4), 0, execution)
    each = training.steps()
    for _ in range(5):
        next(each)
    synchronise(execution)
    begun = time.perf_counter()
    for _ in range(steps):
        next(each)
    synchronise(execution)
    batch = min(recipe.batch_size, len(images))
    return (time.perf_counter() - begun) / steps * (len(images) // batch)


def _training(
    spec: NetworkSpec, images: ImageSource, recipe: TrainingSettings, seed: int, execution: Execution
) -> Training:
    network = Network(spec)
    initialise(network, torch.Generator().manual_seed(seed))
    return Training(network, images, recipe, seed, execution)


def _train(
    spec: NetworkSpec,
    images: ImageSource,
    unseen: ImageSource,
    recipe: TrainingSettings,
    seed: int,
    execution: Execution,
) -> tuple[float, float]:
    """Trains a network. Returns its top-1 in percent and the seconds it took."""
    training = _training(spec, images, recipe, seed, execution)
    begun = time.perf_counter()
    for _ in training.steps():
        pass
    synchronise(execution)
    took = time.perf_counter() - begun
    return score(training.network, unseen, execution).top1, took


def _text(
    found: dict[str, list[tuple[float, float]]],
    spec: NetworkSpec,
    epochs: int,
    execution: Execution,
    train: int,
    test: int,
) -> str:
    def cells(row: str, measured: Sequence[tuple[float, float]]) -> list[str]:
        tops = [top1 for top1, _ in measured]
        spread = f" ± {statistics.stdev(tops):.2f}" if len(tops) > 1 else ""
        seconds = statistics.mean(took for _, took in measured)
        return [row, str(len(tops)), f"{statistics.mean(tops):.2f}{spread}", f"{seconds:.0f}"]

    rows = [cells(row, measured) for row, measured in found.items() if measured]
    whole = "the paper's 200 epochs" if epochs == EPOCHS else f"{epochs} epochs, the paper's schedule scaled to them"
    about = f"base width {spec.base_width:g}, {train:,} train and {test:,} test images, {whole}"
    return f"{heading(execution, about)}\n\n{table(['row', 'seeds', 'top-1 %', 'seconds a training'], rows)}\n"


if __name__ == "__main__":
    main()
