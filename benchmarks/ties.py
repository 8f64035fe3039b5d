"""Ties in max-pooling: which of equal pixels the gradient goes to, and whether it matters for what a training reaches.

    python -m benchmarks.ties
    python -m benchmarks.ties --quick

Sums of 0 and ±1 are integers, so that several pixels of a pooling window often share the largest value. The compiled
kernels give the gradient to the first of them, as torch does. Here the same networks are trained from the same weights
on the same batches in three ways: the first of the tied, a random one of them (as the rounding errors of float
arithmetic would choose), and equal shares for all. Only pooling differs; batch norms, binarisation and convolutions are
the engine's. Differences are paired by seed, with the 95 % interval of Student's t.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from scipy.stats import t as student
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from benchmarks.timing import table
from pipeline.__main__ import main as step
from pipeline.common.log import progress
from pipeline.common.settings import from_mapping
from pipeline.data.batches import ImageSource
from pipeline.data.loading import load_images
from pipeline.data.prepared import read_info
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.training.execution import Execution, describe_machine, resolve
from pipeline.training.loop import Training
from pipeline.training.scoring import score
from pipeline.training.settings import ExecutionSettings, TrainingSettings
from pipeline.workflow.config import read_config
from pipeline.workflow.schema import ROOT

#: To whom the gradient of a window goes.
WAYS = ("first", "random", "shared")


def windows(x: Tensor) -> Tensor:
    """The 2×2 windows of (N, C, H, W), as (N, C, H/2, W/2, 4)."""
    count, channels, height, width = x.shape
    parts = x.reshape(count, channels, height // 2, 2, width // 2, 2)
    return parts.permute(0, 1, 2, 4, 3, 5).reshape(count, channels, height // 2, width // 2, 4)


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, pool: "TiedPool") -> Tensor:
        found = windows(x)
        largest = found.amax(-1)
        tied = found == largest.unsqueeze(-1)
        pool.windows += largest.numel()
        pool.tied += int((tied.sum(-1) > 1).sum())
        if pool.way == "first":
            tied &= tied.cumsum(-1) == 1
        elif pool.way == "random":
            chance = torch.rand(tied.shape, generator=pool.generator) * tied
            tied = chance == chance.amax(-1, keepdim=True)
        ctx.save_for_backward(tied / tied.sum(-1, keepdim=True))
        return largest.contiguous(memory_format=torch.channels_last)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (shares,) = ctx.saved_tensors
        count, channels, height, width, _ = shares.shape
        flow = (grads[0].unsqueeze(-1) * shares).reshape(count, channels, height, width, 2, 2)
        flow = flow.permute(0, 1, 2, 4, 3, 5).reshape(count, channels, 2 * height, 2 * width)
        return flow.contiguous(memory_format=torch.channels_last), None


class TiedPool(nn.Module):
    """Max-pooling of 2×2 that knows ties. The engine runs it by itself and fuses what follows."""

    def __init__(self, way: str, seed: int) -> None:
        super().__init__()
        self.way, self.windows, self.tied = way, 0, 0
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H/2, W/2)."""
        return _MaxPool.apply(x, self)  # type: ignore[no-any-return]


def network(spec: NetworkSpec, way: str, seed: int) -> Network:
    """A network with its first weights, whose poolings treat ties in this way."""
    made = Network(spec)
    initialise(made, torch.Generator().manual_seed(seed))
    for name, module in list(made.named_modules()):
        if isinstance(module, nn.MaxPool2d):
            made.set_submodule(name, TiedPool(way, seed))
    return made


def first_gradient(
    spec: NetworkSpec, way: str, images: ImageSource, recipe: TrainingSettings, execution: Execution
) -> Tensor:
    """The gradient of the first convolution in the first step of a training."""
    made = network(spec, way, 0)
    x, y = next(iter(images.batches([torch.arange(min(recipe.batch_size, len(images)))], "none", ("first",))))
    made.train()
    with execution.autocast:
        loss = nn.functional.cross_entropy(made(x), y)
    loss.backward()
    gradient = made.get_submodule("conv1").weight.grad
    assert gradient is not None
    return gradient.double()


def paired(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """The mean difference with its 95 % interval."""
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    half = float(student.ppf(0.975, len(differences) - 1)) * statistics.stdev(differences) / len(differences) ** 0.5
    return f"{statistics.mean(differences):+.2f} ± {half:.2f}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--widths", type=float, nargs="+", default=[0.0625, 0.25], help="base widths")
    parser.add_argument("--test-fraction", type=float, default=0.4, help="of the images")
    parser.add_argument("--quick", action="store_true", help="two seeds, one epoch, the first width")
    arguments = parser.parse_args()
    recipe: TrainingSettings = from_mapping(TrainingSettings, read_config([ROOT / "config.yaml"])["retrain"])
    if arguments.quick:
        arguments.seeds, arguments.widths, recipe = 2, arguments.widths[:1], replace(recipe, epochs=1)
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    execution = resolve(ExecutionSettings("cpu", "float32", 1))
    execution.apply()
    with tempfile.TemporaryDirectory() as folder:
        train, test = Path(folder) / "train.h5", Path(folder) / "test.h5"
        words = ["prepare-dataset", "--dataset", "digits", "--test-fraction", str(arguments.test_fraction)]
        step([*words, "--train", str(train), "--test", str(test)])
        info, images, unseen = read_info(train), load_images(train, "cpu"), load_images(test, "cpu")
    print(
        f"{describe_machine()}, {execution.kernels} kernels, digits ({len(images)} to learn from, {len(unseen)} to "
        f"score on), seeds {seeds[0]} to {seeds[-1]}, {recipe.epochs} epochs\n"
    )
    rows = []
    total = len(arguments.widths) * arguments.seeds * len(WAYS)
    with progress("ties", total, "trainings") as bar:
        for width in arguments.widths:
            spec = NetworkSpec(
                "vgg_small", uniform_genome("vgg_small", 1), base_width=width, channels=info.channels, size=info.size
            )
            tops: dict[str, list[float]] = {way: [] for way in WAYS}
            shares: dict[str, list[float]] = {way: [] for way in WAYS}
            for seed in seeds:
                for way in WAYS:
                    trained = network(spec, way, seed)
                    for _ in Training(trained, images, recipe, seed, execution).steps():
                        pass
                    pools = [module for module in trained.modules() if isinstance(module, TiedPool)]
                    shares[way].append(sum(p.tied for p in pools) / sum(p.windows for p in pools))
                    tops[way].append(score(trained, unseen, execution).top1)
                    bar.advance(note=f"width {width:g}, {way}: {tops[way][-1]:.2f} %")
            base = first_gradient(spec, "shared", images, recipe, execution)
            for way in WAYS:
                gradient = first_gradient(spec, way, images, recipe, execution)
                rows.append(
                    [
                        f"{width:g}",
                        way,
                        f"{100 * statistics.mean(shares[way]):.1f}",
                        f"{100 * float((gradient - base).norm() / base.norm()):.0f}",
                        f"{statistics.mean(tops[way]):.2f} ± {statistics.stdev(tops[way]):.2f}",
                        "" if way == "first" else paired(tops[way], tops["first"]),
                    ]
                )
    heading = ["base width", "gradient to", "tied windows %", "conv1 gradient off shared %", "top-1 %", "against first"]
    print(table(heading, rows))


if __name__ == "__main__":
    main()
