"""What each ingredient of a training recipe gives uniform-1x on real CIFAR-10.

    python -m benchmarks.recipes --images cifar10.zip --output OUTPUT
    python -m benchmarks.recipes --images cifar10.zip --output OUTPUT --device cpu --width 0.125 --seeds 2

Beside the paper's recipe on a schedule scaled to ``--epochs``, each row changes one thing of the same recipe with half
a cosine, and the last has several at once. Teachers are the full-precision network of the same width, from the same
seed; those of all seeds are trained first. The rows of a seed are trained side by side, a step of each in turn, on a
GPU on streams of their own; recipes.md, recipes.csv and answers.npz (which test images each training answers rightly)
are written anew after every seed. With ``--seconds``, no seed is begun for which no time is left. The same on other
images is done by the workflow itself: ``configs/recipes.yaml``.
"""

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.cifar10_gpu import (
    Trained,
    differences,
    prepared_images,
    scaled,
    train_side_by_side,
    training_of,
    write_answers,
    write_epochs,
)
from benchmarks.timing import execution_on, heading, table
from benchmarks.workloads import published_recipe
from pipeline.common.log import log, progress
from pipeline.data.loading import load_images
from pipeline.data.prepared import read_info
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.training.execution import Execution
from pipeline.training.settings import TrainingSettings
from pipeline.training.teacher import Teacher

#: Rows that learn from a teacher.
TAUGHT = ("taught", "staged-taught", "all")
#: The row that others are set beside.
USUAL = "cosine"


def recipes(epochs: int) -> dict[str, TrainingSettings]:
    """Returns the recipes, by name."""
    paper = scaled(published_recipe("retrain"), epochs)
    cosine = replace(paper, schedule="cosine", milestones=())
    stages = {"real_weight_epochs": epochs // 3}
    return {
        "paper": paper,
        USUAL: cosine,
        "adam": replace(cosine, optimizer="adam", learning_rate=0.002),
        "no-decay": replace(cosine, binary_weight_decay=0.0),
        "two-stages": replace(cosine, **stages),
        "taught": cosine,
        "staged-taught": replace(cosine, **stages),
        "all": replace(cosine, binary_weight_decay=0.0, **stages),
    }


def main() -> None:
    """Writes OUTPUT/recipes.md and prints it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="a ZIP or a folder: train/CLASS/*, test/CLASS/*")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--prepared", type=Path, help="folder to keep the prepared images in, for the next time")
    parser.add_argument("--rows", nargs="+", choices=recipes(3), default=list(recipes(3)))
    parser.add_argument("--width", type=float, default=1.0, help="fraction of the published widths")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="that all of it may take")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    arguments = parser.parse_args()
    started = time.monotonic()
    arguments.output.mkdir(parents=True, exist_ok=True)
    execution = execution_on(arguments.device)
    with TemporaryDirectory() as name:
        train, test = prepared_images(arguments.images, Path(name), arguments.prepared or Path(name))
        info = read_info(train)
        images, unseen = load_images(train, execution.device), load_images(test, execution.device)
    spec = NetworkSpec(
        "vgg_small",
        uniform_genome("vgg_small", 1),
        base_width=arguments.width,
        channels=info.channels,
        size=info.size,
        classes=len(info.classes),
    )
    wanted = {row: recipe for row, recipe in recipes(arguments.epochs).items() if row in arguments.rows}
    found: dict[str, list[Trained]] = {row: [] for row in ("full precision", *wanted)}
    usual = recipes(arguments.epochs)[USUAL]
    real = replace(spec, binary=False)
    teachers = [training_of(real, images, usual, seed, execution) for seed in range(arguments.seeds)]
    log(f"{len(teachers)} teachers")
    taught_by = train_side_by_side(teachers, unseen, execution)
    with progress("recipes", arguments.seeds, "seeds") as bar:
        for seed, teacher in enumerate(teachers):
            begun = time.monotonic()
            trainings = [
                training_of(
                    spec, images, recipe, seed, execution, Teacher(teacher.network, 1.0) if row in TAUGHT else None
                )
                for row, recipe in wanted.items()
            ]
            found["full precision"].append(taught_by[seed])
            for row, trained in zip(wanted, train_side_by_side(trainings, unseen, execution), strict=True):
                found[row].append(trained)
            text = _text(found, spec, arguments.epochs, execution, len(images), len(unseen))
            (arguments.output / "recipes.md").write_text(text)
            write_epochs(found, arguments.output / "recipes.csv")
            write_answers(found, arguments.output / "answers.npz")
            bar.advance(note=", ".join(f"{row}: {found[row][-1].top1:.2f} %" for row in found))
            left = arguments.seconds - (time.monotonic() - started)
            if left < time.monotonic() - begun and seed + 1 < arguments.seeds:
                log(f"note: {left:.0f} s are left, too few for another seed")
                break
    print(text)


def _text(
    found: Mapping[str, Sequence[Trained]], spec: NetworkSpec, epochs: int, execution: Execution, train: int, test: int
) -> str:
    others = [row for row in found if row not in ("full precision", USUAL) and USUAL in found]
    beside = differences(found, others, USUAL)

    def cells(row: str) -> list[str]:
        tops = [training.top1 for training in found[row]]
        spread = f" ± {statistics.stdev(tops):.2f}" if len(tops) > 1 else ""
        seconds = statistics.mean(training.seconds for training in found[row])
        mean = f"{statistics.mean(tops):.2f}{spread}"
        return [row, str(len(tops)), mean, beside.get(row, ""), f"{seconds:.0f}"]

    about = f"base width {spec.base_width:g}, {epochs} epochs, {train:,} train and {test:,} test images"
    columns = ["recipe", "seeds", "top-1 %", f"beside {USUAL}", "seconds a training"]
    return f"{heading(execution, about)}\n\n{table(columns, [cells(row) for row in found])}\n"


if __name__ == "__main__":
    main()
