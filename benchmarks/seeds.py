"""What chance does to a trained accuracy, and whether the tables' tests allow for it.

    python -m benchmarks.seeds
    python -m benchmarks.seeds --quick

Two questions, answered by trainings of the default experiment's recipe on the embedded digits:

- How often are equal networks told apart? One network is trained from many seeds. The trainings are divided at random
  into tables: rows of the same network, each with seeds of its own, every found row with two rivals, compared as the
  product's own tables are (:func:`pipeline.report.statistics.compare`). Any difference that is seen is false. Tables of
  several divisions share trainings: the rate's interval counts those of one division only, and so is too wide.
- Does pairing by seed help? Random genomes are trained from the same few seeds. Where a seed moved all networks alike,
  the variance over seeds of the difference of two of them would be below the sum of their variances.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

from benchmarks.timing import table
from pipeline.__main__ import main as step
from pipeline.common.log import progress
from pipeline.common.settings import from_mapping
from pipeline.data.loading import load_images
from pipeline.data.prepared import read_info
from pipeline.networks.genome import Genome
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.report.statistics import Sample, compare
from pipeline.training.execution import describe_machine, resolve
from pipeline.training.loop import Training
from pipeline.training.scoring import Score, score
from pipeline.training.settings import ExecutionSettings, TrainingSettings
from pipeline.workflow.config import read_config
from pipeline.workflow.schema import ROOT

#: Rows that a search found in a drawn table, each with this many rivals: as in the default experiment.
FOUND, RIVALS = 2, 2


def sample(scores: Sequence[Score]) -> Sample:
    """A row of these trainings."""
    return Sample(tuple(one.top1 for one in scores), tuple(one.right for one in scores), scores[0].images)


def false_tables(scores: Sequence[Score], seeds: int, draws: int) -> tuple[float, float, int]:
    """Returns the share of drawn tables that tell equal rows apart, a bound of its standard error, and their number.

    The trainings are divided at random into disjoint tables, ``draws`` times over.
    """
    needed = FOUND * (1 + RIVALS) * seeds
    random, rates = np.random.default_rng(0), []
    for _ in range(draws):
        order = random.permutation(len(scores))
        wrong = []
        for first in range(0, len(order) - needed + 1, needed):
            parts = np.split(order[first : first + needed], FOUND * (1 + RIVALS))
            rows = [sample([scores[i] for i in part]) for part in parts]
            pairs = [(rows[k], rows[FOUND + k * RIVALS + r]) for k in range(FOUND) for r in range(RIVALS)]
            wrong.append(any(difference.seen for difference in compare(pairs)))
        rates.append(float(np.mean(wrong)))
    tables, rate = len(scores) // needed, statistics.mean(rates)
    return rate, (max(rate * (1 - rate), 1 / (tables + 2) ** 2) / tables) ** 0.5, tables * draws


def paired_to_unpaired(top1: Sequence[Sequence[float]]) -> float:
    """Returns the variance over seeds of a difference, paired by seed, relative to the sum of variances.

    Args:
        top1: of each genome, its accuracies from the same seeds in the same order.
    """
    pairs = list(combinations(top1, 2))
    paired = sum(statistics.variance([a - b for a, b in zip(*pair, strict=True)]) for pair in pairs)
    return paired / sum(statistics.variance(one) for pair in pairs for one in pair)


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trainings", type=int, default=240, help="of the one network")
    parser.add_argument("--draws", type=int, default=200, help="divisions of them into tables")
    parser.add_argument("--genomes", type=int, default=30, help="random ones")
    parser.add_argument("--seeds", type=int, default=4, help="of each genome")
    parser.add_argument("--quick", action="store_true", help="few of all, one epoch")
    arguments = parser.parse_args()
    config = read_config([ROOT / "config.yaml"])
    recipe: TrainingSettings = from_mapping(TrainingSettings, config["retrain"])
    counts = (2, 3, 4, 5, 10)
    if arguments.quick:
        arguments.trainings, arguments.genomes, arguments.seeds, counts = 12, 3, 2, (2,)
        recipe = replace(recipe, epochs=1)
    execution = resolve(ExecutionSettings("cpu", "float32", 1))
    execution.apply()
    with tempfile.TemporaryDirectory() as folder:
        train, test = Path(folder) / "train.h5", Path(folder) / "test.h5"
        words = ["prepare-dataset", "--dataset", "digits", "--test-fraction", str(config["dataset"]["test_fraction"])]
        words += ["--image-size", str(config["dataset"]["image_size"])]
        step([*words, "--train", str(train), "--test", str(test)])
        info, images, unseen = read_info(train), load_images(train, "cpu"), load_images(test, "cpu")
    width, ratios = config["network"]["base_width"], config["search"]["ratios"]
    one = uniform_genome("vgg_small", 1)
    random = np.random.default_rng(0)
    genomes = [tuple(random.choice(ratios) for _ in one) for _ in range(arguments.genomes)]
    print(
        f"{describe_machine()}, {execution.kernels} kernels, digits ({len(images)} to learn from, {len(unseen)} to "
        f"score on), base width {width:g}, {recipe.epochs} epochs\n"
    )
    with progress("seeds", arguments.trainings + arguments.genomes * arguments.seeds, "trainings") as bar:

        def trained(genome: Genome, seed: int) -> Score:
            network = Network(
                NetworkSpec("vgg_small", genome, base_width=width, channels=info.channels, size=info.size)
            )
            initialise(network, torch.Generator().manual_seed(seed))
            for _ in Training(network, images, recipe, seed, execution).steps():
                pass
            found = score(network, unseen, execution)
            bar.advance(note=f"{found.top1:.2f} %")
            return found

        equal = [trained(one, seed) for seed in range(arguments.trainings)]
        varied = [[trained(genome, seed).top1 for seed in range(arguments.seeds)] for genome in genomes]
    rows = []
    for seeds in counts:
        rate, error, drawn = false_tables(equal, seeds, arguments.draws)
        rows.append([seeds, drawn, f"{100 * rate:.1f} ± {100 * 1.96 * error:.1f}"])
    tops = [one.top1 for one in equal]
    print(f"uniform-1x, {len(tops)} trainings: top-1 {statistics.mean(tops):.2f} ± {statistics.stdev(tops):.2f} %\n")
    print(table(["seeds of a row", "tables", "tell equal networks apart, % of tables"], rows))
    ratio = paired_to_unpaired(varied)
    spread = statistics.mean([statistics.variance(one) for one in varied]) ** 0.5
    line = [len(varied), arguments.seeds, f"{spread:.2f}", f"{ratio:.3f}"]
    print(table(["genomes", "seeds of each", "deviation over seeds", "variance, paired / unpaired"], [line]))


if __name__ == "__main__":
    main()
