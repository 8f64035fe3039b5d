"""How well a candidate's score predicts the accuracy of the network trained in full, for several ways to score.

    python -m benchmarks.proxy
    python -m benchmarks.proxy --quick

On the default experiment's digits: random genomes are trained in full from two seeds on all train images that are not
held out, and scored with and without inheritance, at several learning rates and numbers of epochs, with batch-norm
moments as training left them and recomputed over the subset. Prints each way's mean score, Kendall's tau-b with the
trained accuracy, and the partial tau given cost at the published width, each with a bootstrap interval over genomes.
The accuracy is that on held-out train images: what is chosen by this table is not chosen by the test set.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import torch

from benchmarks.timing import table
from pipeline.__main__ import main as step
from pipeline.common.log import progress
from pipeline.common.settings import from_mapping
from pipeline.data.batches import ImageSource
from pipeline.data.loading import load_images
from pipeline.data.prepared import read_info, read_labels
from pipeline.data.splits import draw
from pipeline.networks.cost import relative_flops
from pipeline.networks.genome import Genome
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.report.proxy import tau_intervals
from pipeline.training.execution import describe_machine, resolve
from pipeline.training.loop import Training
from pipeline.training.scoring import recalibrate, score
from pipeline.training.settings import ExecutionSettings, TrainingSettings
from pipeline.workflow.config import read_config
from pipeline.workflow.schema import ROOT

#: Learning rates and epochs of a candidate's training; the first is the default experiment's.
RECIPES = ((0.05, 10), (0.02, 10), (0.1, 10), (0.05, 3), (0.05, 30))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--genomes", type=int, default=24)
    parser.add_argument("--base-width", type=float, default=0.0625)
    parser.add_argument("--quick", action="store_true", help="few genomes, one epoch")
    arguments = parser.parse_args()
    config = read_config([ROOT / "config.yaml"])
    execution = resolve(from_mapping(ExecutionSettings, config["execution"]))
    execution.apply()
    recipes = {name: from_mapping(TrainingSettings, config[name]) for name in ("supernet", "candidate", "retrain")}
    ways = RECIPES
    if arguments.quick:
        arguments.genomes, ways = 6, ((0.05, 1),)
        recipes = {name: replace(recipe, epochs=1) for name, recipe in recipes.items()}
    with tempfile.TemporaryDirectory() as folder:
        train, test = Path(folder) / "train.h5", Path(folder) / "test.h5"
        words = ["prepare-dataset", "--dataset", "digits", "--test-fraction", str(config["dataset"]["test_fraction"])]
        words += ["--image-size", str(config["dataset"]["image_size"])]
        step([*words, "--train", str(train), "--test", str(test)])
        info, split = read_info(train), config["split"]
        labels = read_labels(train)
        per_class = split["validation_per_class"], split["subset_per_class"]
        drawn = draw(labels, info.classes, *per_class, held_out_per_class=split["held_out_per_class"])
        others = sorted(set(range(len(labels))) - set(drawn.held_out))
        parts = (drawn.subset, drawn.validation, others, drawn.held_out)
        subset, validation, everything, unseen = (load_images(train, execution.device, part) for part in parts)

    def trained(network: Network, images: ImageSource, recipe: TrainingSettings, seed: int) -> Network:
        for _ in Training(network, images, recipe, seed, execution).steps():
            pass
        return network

    def fresh(genome: Genome, seed: int) -> Network:
        network = Network(
            NetworkSpec("vgg_small", genome, base_width=arguments.base_width, channels=info.channels, size=info.size)
        )
        initialise(network, torch.Generator().manual_seed(seed))
        return network

    supernet = trained(fresh(uniform_genome("vgg_small", 4), 0), subset, recipes["supernet"], 0).state_dict()

    def inherited(genome: Genome) -> Network:
        network = fresh(genome, 0)
        shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
        network.load_state_dict({n: supernet[n][tuple(slice(k) for k in shape)] for n, shape in shapes.items()})
        return network

    starts: dict[str, Callable[[Genome], Network]] = {"inherited": inherited, "random": lambda genome: fresh(genome, 5)}
    random = Random(1)
    genomes = [tuple(random.choice(config["search"]["ratios"]) for _ in range(6)) for _ in range(arguments.genomes)]
    costs = [
        relative_flops(NetworkSpec("vgg_small", g, base_width=1.0, channels=info.channels, size=info.size))
        for g in genomes
    ]
    rows = []
    total = len(genomes) * (2 + len(starts) * len(ways))
    with progress("proxy", total, "trainings") as bar:

        def accuracy(genome: Genome, seed: int) -> float:
            found = score(trained(fresh(genome, seed), everything, recipes["retrain"], seed), unseen, execution).top1
            bar.advance()
            return found

        truth = [statistics.mean(accuracy(genome, seed) for seed in (0, 1)) for genome in genomes]
        rows.append(["cost alone", "", "", "", "", str(tau_intervals(costs, truth, truth)[0]), ""])
        for start, make in starts.items():
            for rate, epochs in ways:
                recipe = replace(recipes["candidate"], learning_rate=rate, epochs=epochs)
                scores: dict[str, list[float]] = {"running": [], "recomputed": []}
                for genome in genomes:
                    network = trained(make(genome), subset, recipe, 1)
                    scores["running"].append(score(network, validation, execution).top1)
                    recalibrate(network, subset, execution, recipe.batch_size)
                    scores["recomputed"].append(score(network, validation, execution).top1)
                    bar.advance()
                for moments, values in scores.items():
                    taus = map(str, tau_intervals(values, truth, costs))
                    rows.append([start, f"{rate:g}", epochs, moments, f"{statistics.mean(values):.1f}", *taus])
    where = describe_machine(execution.device_type)
    print(f"{len(genomes)} random genomes, base width {arguments.base_width:g}, {where}, {execution.precision}\n")
    heading = ["first weights", "learning rate", "epochs", "moments", "mean score %", "tau", "tau given cost"]
    print(table(heading, rows))


if __name__ == "__main__":
    main()
