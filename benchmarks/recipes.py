"""What each ingredient of a training recipe gives uniform-1x on real CIFAR-10.

    python -m benchmarks.recipes --images cifar10.zip --output OUTPUT
    python -m benchmarks.recipes --images cifar10.zip --output OUTPUT --device cpu --width 0.125 --seeds 2

Beside the paper's recipe on a schedule scaled to ``--epochs``, each row changes one thing of the same recipe with half
a cosine, and the last has several at once. Teachers are the full-precision network of the same width, from the same
seed. The rows of a seed are trained side by side, a step of each in turn, on a GPU on streams of their own; recipes.md
and recipes.csv are written anew after every seed. The same on other images is done by the workflow itself:
``configs/recipes.yaml``.
"""

import argparse
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.cifar10_gpu import Trained, prepared_images, scaled, train_side_by_side, training_of, write_epochs
from benchmarks.timing import execution_on, heading, table
from benchmarks.workloads import published_recipe
from pipeline.common.log import progress
from pipeline.data.loading import load_images
from pipeline.data.prepared import read_info
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.report.statistics import Sample, compare
from pipeline.training.execution import Execution
from pipeline.training.settings import TrainingSettings
from pipeline.training.teacher import Teacher

#: Rows that learn from a teacher.
TAUGHT = ("taught", "all")
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
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    arguments = parser.parse_args()
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
    with progress("recipes", arguments.seeds, "seeds") as bar:
        for seed in range(arguments.seeds):
            real = replace(spec, binary=False)
            first = training_of(real, images, recipes(arguments.epochs)[USUAL], seed, execution)
            found["full precision"] += train_side_by_side([first], unseen, execution)
            teacher = Teacher(first.network, 1.0)
            trainings = [
                training_of(spec, images, recipe, seed, execution, teacher if row in TAUGHT else None)
                for row, recipe in wanted.items()
            ]
            for row, trained in zip(wanted, train_side_by_side(trainings, unseen, execution), strict=True):
                found[row].append(trained)
            text = _text(found, spec, arguments.epochs, execution, len(unseen))
            (arguments.output / "recipes.md").write_text(text)
            write_epochs(found, arguments.output / "recipes.csv")
            bar.advance(note=", ".join(f"{row}: {found[row][-1].top1:.2f} %" for row in found))
    print(text)


def _text(
    found: Mapping[str, Sequence[Trained]], spec: NetworkSpec, epochs: int, execution: Execution, test: int
) -> str:
    tops = {row: tuple(training.top1 for training in trained) for row, trained in found.items()}
    others = [row for row in tops if row not in ("full precision", USUAL) and USUAL in tops]
    samples = [(Sample(tops[row], (), test), Sample(tops[USUAL], (), test)) for row in others]
    beside = dict(zip(others, map(str, compare(samples)), strict=True))

    def cells(row: str) -> list[str]:
        spread = f" ± {statistics.stdev(tops[row]):.2f}" if len(tops[row]) > 1 else ""
        seconds = statistics.mean(training.seconds for training in found[row])
        return [
            row,
            str(len(tops[row])),
            f"{statistics.mean(tops[row]):.2f}{spread}",
            beside.get(row, ""),
            f"{seconds:.0f}",
        ]

    about = f"base width {spec.base_width:g}, {epochs} epochs, {test:,} test images"
    columns = ["recipe", "seeds", "top-1 %", f"beside {USUAL}", "seconds a training"]
    return f"{heading(execution, about)}\n\n{table(columns, [cells(row) for row in tops])}\n"


if __name__ == "__main__":
    main()
