"""How well a candidate's score predicts the accuracy of the network trained in full, for several ways to score.

    python -m benchmarks.proxy [--genomes 24] [--base-width 0.0625]

On the embedded digits: random genomes are trained in full from two seeds on all train images that are not held out,
and scored with and without inheritance, at several learning rates, with batch-norm moments as training left them and
recomputed over the subset. Prints each way's mean score, Kendall's tau-b with the trained accuracy, and the partial tau
given cost at the published width. The accuracy is that on held-out train images: what is chosen by this table is not
chosen by the test set. Minutes on one core.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import torch

from pipeline.__main__ import main as step
from pipeline.common.settings import from_mapping
from pipeline.data.batches import ImageSource
from pipeline.data.loading import load_images
from pipeline.data.prepared import read_info, read_labels
from pipeline.data.splits import draw
from pipeline.networks.cost import relative_flops
from pipeline.networks.genome import Genome
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.report.proxy import kendall_tau, partial_tau
from pipeline.training.execution import describe_machine, resolve
from pipeline.training.loop import Training
from pipeline.training.scoring import recalibrate, score
from pipeline.training.settings import ExecutionSettings, TrainingSettings
from pipeline.workflow.config import ROOT, read_config

RATES = (0.02, 0.05, 0.1)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--genomes", type=int, default=24)
    parser.add_argument("--base-width", type=float, default=0.0625)
    arguments = parser.parse_args()
    config = read_config([ROOT / "config.yaml"])
    execution = resolve(from_mapping(ExecutionSettings, config["execution"]))
    execution.apply()
    recipes = {name: from_mapping(TrainingSettings, config[name]) for name in ("supernet", "candidate", "retrain")}
    with tempfile.TemporaryDirectory() as folder:
        train, test = Path(folder) / "train.h5", Path(folder) / "test.h5"
        step(["prepare-dataset", "--dataset", "digits", "--train", str(train), "--test", str(test)])
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
    truth = [
        statistics.mean(
            score(trained(fresh(genome, seed), everything, recipes["retrain"], seed), unseen, execution).top1
            for seed in (0, 1)
        )
        for genome in genomes
    ]
    print(f"{len(genomes)} random genomes, {describe_machine(execution.device_type)}, {execution.precision}\n")
    costs = [
        relative_flops(NetworkSpec("vgg_small", g, base_width=1.0, channels=info.channels, size=info.size))
        for g in genomes
    ]
    print(f"cost alone: tau {kendall_tau(costs, truth):.2f}\n")
    print(f"{'weights':<10} {'learning rate':>13} {'moments':<11} {'mean score %':>12} {'tau':>6} {'given cost':>10}")
    for start, make in starts.items():
        for rate in RATES:
            recipe = from_mapping(TrainingSettings, {**config["candidate"], "learning_rate": rate})
            scores: dict[str, list[float]] = {"running": [], "recomputed": []}
            for genome in genomes:
                network = trained(make(genome), subset, recipe, 1)
                scores["running"].append(score(network, validation, execution).top1)
                recalibrate(network, subset, execution, recipe.batch_size)
                scores["recomputed"].append(score(network, validation, execution).top1)
            for moments, values in scores.items():
                taus = f"{kendall_tau(values, truth):>6.2f} {partial_tau(values, truth, costs):>10.2f}"
                print(f"{start:<10} {rate:>13g} {moments:<11} {statistics.mean(values):>12.1f} {taus}", flush=True)


if __name__ == "__main__":
    main()
