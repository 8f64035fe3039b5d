"""What each ingredient of a training recipe gives uniform-1x on real CIFAR-10.

    python -m benchmarks.recipes --images cifar10.zip --output OUTPUT
    python -m benchmarks.recipes --images cifar10.zip --output OUTPUT --device cpu --width 0.125 --seeds 2

Beside the paper's recipe on a schedule scaled to ``--epochs``, each row changes one thing of the same recipe with half
a cosine, and the last has several at once. Teachers are the full-precision network of the same width, from the same
seed; those of all seeds are trained first. The rows of a seed are trained side by side, a step of each in turn, on a
GPU on streams of their own; recipes.md, recipes.csv and trainings.npz (all of it, and which test images each training
answers rightly) are written anew after every seed. A folder that has trainings keeps them: the same command, or one
with more seeds or other rows, trains what is not there, and without ``--images`` the table is printed once more. With
``--seconds``, no seed is begun for which no time is left. The same on other images is done by the workflow itself:
``configs/recipes.yaml``.
"""

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.cifar10_gpu import (
    prepared_images,
    scaled,
    train_side_by_side,
    training_of,
)
from benchmarks.timing import execution_on, heading, table
from benchmarks.trainings import Trainings, described, differences, trained_or_kept
from benchmarks.workloads import published_recipe
from pipeline.common.log import log, progress
from pipeline.common.text import counted
from pipeline.data.loading import load_images
from pipeline.data.prepared import read_info
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.training.settings import TrainingSettings
from pipeline.training.teacher import Teacher

#: Rows that learn from a teacher.
TAUGHT = ("taught", "staged-taught", "all")
#: The row that others are set beside.
USUAL = "cosine"
#: The full-precision network.
TEACHER = "full precision"


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
    parser.add_argument("--images", type=Path, help="a ZIP or a folder: train/CLASS/*, test/CLASS/*")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to, and to go on from")
    parser.add_argument("--prepared", type=Path, help="folder to keep the prepared images in, for the next time")
    parser.add_argument("--rows", nargs="+", choices=recipes(3), default=list(recipes(3)))
    parser.add_argument("--width", type=float, default=1.0, help="fraction of the published widths")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="that all of it may take")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    arguments = parser.parse_args()
    kept = trained_or_kept(parser, arguments, _train_missing)
    print(_text(kept))


def _train_missing(arguments: argparse.Namespace, kept: Trainings) -> None:
    """Trains what is wanted and not kept yet, as far as there is time for it."""
    started = time.monotonic()
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
    usual = recipes(arguments.epochs)[USUAL]
    kept.expect(
        {"base width": arguments.width, "train": len(images), "test": len(unseen), "epochs": arguments.epochs},
        {row: json.dumps(described(recipe)) for row, recipe in {TEACHER: usual, **wanted}.items()},
    )
    lacking = kept.missing([TEACHER, *wanted], arguments.seeds)
    if not lacking:
        log(f"note: {kept.file} has all of these trainings")
        return
    real = replace(spec, binary=False)
    # A teacher's weights are not kept: where somebody is still to learn from it, it is trained once more.
    teaching = [seed for seed, rows in lacking.items() if not {TEACHER, *TAUGHT}.isdisjoint(rows)]
    teachers = {seed: training_of(real, images, usual, seed, execution) for seed in teaching}
    log(f"training {counted(len(teachers), 'teacher')}")
    taught_by = dict(zip(teaching, train_side_by_side(list(teachers.values()), unseen, execution), strict=True))
    with progress("recipes", len(lacking), "seeds") as bar:
        for seed, rows in lacking.items():
            begun = time.monotonic()
            students = [row for row in rows if row != TEACHER]
            taught = Teacher(teachers[seed].network, 1.0) if seed in teachers else None
            trainings = [
                training_of(spec, images, wanted[row], seed, execution, taught if row in TAUGHT else None)
                for row in students
            ]
            trained = dict(zip(students, train_side_by_side(trainings, unseen, execution), strict=True))
            if TEACHER in rows:
                trained = {TEACHER: taught_by[seed], **trained}
            kept.add(seed, trained, heading(execution))
            (arguments.output / "recipes.md").write_text(_text(kept))
            kept.write_epochs(arguments.output / "recipes.csv")
            bar.advance(note=", ".join(f"{row}: {training.top1:.2f} %" for row, training in trained.items()))
            left = arguments.seconds - (time.monotonic() - started)
            if left < time.monotonic() - begun and seed != max(lacking):
                log(f"note: {left:.0f} s are left, too few for another seed")
                break


def _text(kept: Trainings) -> str:
    found, common = kept.by_row(), kept.common
    others = [row for row in found if row not in (TEACHER, USUAL) and USUAL in found]
    beside = differences(found, others, USUAL)

    def cells(row: str) -> list[str]:
        tops = [training.top1 for training in found[row]]
        spread = f" ± {statistics.stdev(tops):.2f}" if len(tops) > 1 else ""
        seconds = statistics.mean(training.seconds for training in found[row])
        mean = f"{statistics.mean(tops):.2f}{spread}"
        return [row, str(len(tops)), mean, beside.get(row, ""), f"{seconds:.0f}"]

    images = f"{common['train']:,} train and {common['test']:,} test images"
    about = f"base width {common['base width']:g}, {common['epochs']} epochs, {images}"
    columns = ["recipe", "seeds", "top-1 %", f"beside {USUAL}", "seconds a training"]
    return f"{'; '.join(kept.machines)}, {about}\n\n{table(columns, [cells(row) for row in found])}\n"


if __name__ == "__main__":
    main()
