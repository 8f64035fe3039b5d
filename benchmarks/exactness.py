"""Accuracy after training: the engine against plain float32 modules, over several seeds on the embedded digits.

    python -m benchmarks.exactness
    python -m benchmarks.exactness --genomes 4,4,4,4,4,4 --first-seed 10 --seeds 20     # fresh seeds for one network
    python -m benchmarks.exactness --quick

Both train the same networks from the same weights on the same images in the same order with the same augmentation and
recipe (that of the default experiment's retraining). The plain reference has Eq. 1 written out, memory as it comes and
torch.optim.SGD. bfloat16 is added where the hardware computes in it (--bfloat16 adds it anyway). Two means are equal
within noise where Welch's t-test over the seeds finds no difference at the 5 % level.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from scipy.stats import ttest_ind
from torch import nn
from torch.nn import functional as F

from benchmarks.plain import PlainNetwork
from benchmarks.timing import table
from pipeline.__main__ import main as step
from pipeline.common.errors import UserError
from pipeline.common.randomness import seed_for
from pipeline.common.settings import from_mapping
from pipeline.data.batches import ImageSource
from pipeline.data.loading import load_images
from pipeline.data.prepared import read_info
from pipeline.networks.genome import Genome, format_genome, parse_genome
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.training.execution import Execution, describe_machine, resolve
from pipeline.training.loop import Training
from pipeline.training.scoring import score
from pipeline.training.settings import ExecutionSettings, TrainingSettings
from pipeline.workflow.config import read_config
from pipeline.workflow.schema import ROOT

FLOAT32 = resolve(ExecutionSettings("cpu", "float32", 1))
GENOMES: tuple[Genome, ...] = (
    uniform_genome("vgg_small", 1),
    (0.5, 2.0, 1.0, 1.0, 1.0, 0.5),
    uniform_genome("vgg_small", 4),
)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--genomes", type=_genome, nargs="+", default=GENOMES, help="in place of the three")
    parser.add_argument("--bfloat16", action="store_true", help="also where it is emulated, which is slow")
    parser.add_argument("--quick", action="store_true", help="two seeds, two epochs, one network")
    arguments = parser.parse_args()
    config = read_config([ROOT / "config.yaml"])
    recipe: TrainingSettings = from_mapping(TrainingSettings, config["retrain"])
    if arguments.quick:
        arguments.seeds, recipe, arguments.genomes = 2, replace(recipe, epochs=2), GENOMES[:1]
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    FLOAT32.apply()
    with tempfile.TemporaryDirectory() as folder:
        train, test = Path(folder) / "train.h5", Path(folder) / "test.h5"
        step(
            [
                "prepare-dataset",
                "--dataset",
                "digits",
                "--test-fraction",
                "0.4",
                "--train",
                str(train),
                "--test",
                str(test),
            ]
        )
        info = read_info(train)
        images, unseen = load_images(train, "cpu"), load_images(test, "cpu")
    ways: dict[str, Callable[[Network, int], nn.Module]] = {
        "plain float32": lambda network, seed: train_plainly(network, images, recipe, seed),
        "engine float32": lambda network, seed: train_by_engine(network, images, recipe, seed, FLOAT32),
    }
    if arguments.bfloat16 or resolve(ExecutionSettings("cpu", "auto", 1)).precision == "bfloat16":
        half = replace(FLOAT32, precision="bfloat16")
        ways["engine bfloat16"] = lambda network, seed: train_by_engine(network, images, recipe, seed, half)
    width = config["network"]["base_width"]
    print(f"{describe_machine()}, seeds {seeds[0]} to {seeds[-1]}, {recipe.epochs} epochs, base width {width:g}\n")
    rows = []
    for genome in arguments.genomes:
        spec = NetworkSpec("vgg_small", genome, base_width=width, channels=info.channels, size=info.size)
        scores = {name: [_score(way(_fresh(spec, seed), seed), unseen) for seed in seeds] for name, way in ways.items()}
        plain = scores["plain float32"]
        for name, values in scores.items():
            mean = f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}"
            rows.append([format_genome(genome), name, mean, _verdict(plain, values) if name != "plain float32" else ""])
    print(table(["genome", "trained by", "top-1 %", "against plain float32"], rows))


def _genome(text: str) -> Genome:
    try:
        genome = parse_genome(text)
        _ = NetworkSpec("vgg_small", genome).widths  # has the network as many genes?
        return genome
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _fresh(spec: NetworkSpec, seed: int) -> Network:
    network = Network(spec)
    initialise(network, torch.Generator().manual_seed(seed))
    return network


def _score(network: nn.Module, images: ImageSource) -> float:
    return score(network, images, FLOAT32).top1


def _verdict(plain: list[float], values: list[float]) -> str:
    if values == plain:
        return "equal, seed by seed"
    chance = float(ttest_ind(plain, values, equal_var=False).pvalue)
    difference = statistics.mean(values) - statistics.mean(plain)
    # No variance at all leaves the test without an answer, and equal means equal.
    equal = not chance < 0.05
    return f"{difference:+.2f}, {'equal within noise' if equal else 'NOT equal'} (p = {chance:.2f})"


def train_by_engine(
    network: Network, images: ImageSource, recipe: TrainingSettings, seed: int, execution: Execution
) -> nn.Module:
    """Trains with the project's engine."""
    for _ in Training(network, images, recipe, seed, execution).steps():
        pass
    return network


def train_plainly(start: Network, images: ImageSource, recipe: TrainingSettings, seed: int) -> nn.Module:
    """Trains plain modules from the weights of ``start``, on the batches that the engine would see."""
    network = PlainNetwork(start.spec)
    network.load_state_dict(start.state_dict())
    network.train()
    optimiser = torch.optim.SGD(
        network.parameters(), recipe.learning_rate, recipe.momentum, weight_decay=recipe.weight_decay
    )
    batch = min(recipe.batch_size, len(images))
    steps = len(images) // batch
    for epoch in range(recipe.epochs):
        generator = torch.Generator().manual_seed(seed_for("order", seed, epoch))
        order = torch.randperm(len(images), generator=generator)[: steps * batch].split(batch)
        for number, (x, y) in enumerate(images.batches(order, recipe.augmentation, ("augment", seed, epoch))):
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate_at(epoch + number / steps)
            optimiser.zero_grad()
            F.cross_entropy(network(x.contiguous()), y).backward()
            optimiser.step()
    return network


if __name__ == "__main__":
    main()
