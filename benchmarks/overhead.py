"""What a training step costs however few images it has: starting operators, and all that is done to the weights.

    python -m benchmarks.overhead
    python -m benchmarks.overhead --quick

A step of two images, the fewest that a batch norm takes, has all operators and all weights of a step of a whole batch,
and next to no arithmetic on feature maps. So its time over that of a whole step is the share that does not depend on
the images, or a little more. The engine, the engine with torch's operators in place of compiled kernels, and plain
modules in float32 on a batch that lies ready take turns, on one thread as candidates are trained.
"""

import argparse
import statistics
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.ablation import SIZES, torchs_operators
from benchmarks.plain import PlainNetwork, plain_steps
from benchmarks.timing import heading, interleave, steps_rate, table
from benchmarks.workloads import engine_training, random_images, recipe
from pipeline.kernels import library
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.training.execution import Execution, resolve
from pipeline.training.settings import ExecutionSettings

_FEWEST = 2

Way = Callable[[NetworkSpec, int, float], Callable[[], float]]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a round of one way")
    parser.add_argument("--quick", action="store_true", help="the smallest network and short rounds")
    arguments = parser.parse_args()
    sizes = SIZES
    if arguments.quick:
        sizes, arguments.rounds, arguments.seconds = SIZES[:1], 1, 0.05
    execution = resolve(ExecutionSettings("cpu", "auto", arguments.threads))
    execution.apply()
    print(heading(execution, f"medians of {arguments.rounds} rounds in turns") + "\n")
    ways = _ways(execution)
    rows: list[list[str]] = []
    for width, side, batch in sizes:
        spec = NetworkSpec("vgg_small", uniform_genome("vgg_small", 1), base_width=width, size=side)
        measured = {
            f"{name}, {images}": way(spec, images, arguments.seconds)
            for name, way in ways.items()
            for images in (batch, _FEWEST)
        }
        rates = interleave(measured, arguments.rounds)
        for name in ways:
            whole = [batch / rate for rate in rates[f"{name}, {batch}"]]
            fixed = [_FEWEST / rate for rate in rates[f"{name}, {_FEWEST}"]]
            share = statistics.median(a / b for a, b in zip(fixed, whole, strict=True))
            times = [f"{1000 * statistics.median(seconds):.2f}" for seconds in (whole, fixed)]
            rows.append([f"{width:g}×, {side} px, batch {batch}", name, *times, f"{share:.0%}"])
    print(table(["network", "way", "a step, ms", "of two images, ms", "share"], rows))


def _ways(execution: Execution) -> dict[str, Way]:
    """Each gives, for a network, a batch size and a time, something that returns images/s."""
    plain = resolve(ExecutionSettings("cpu", "float32", execution.threads, "torch"))
    # What is resolved last has settled which operators are used.
    execution.apply()

    def engine(spec: NetworkSpec, batch: int, seconds: float) -> Callable[[], float]:
        training = engine_training(spec, recipe(batch), random_images(spec, 1000), execution)
        return steps_rate(training.steps(), batch, seconds, execution)

    def without_kernels(spec: NetworkSpec, batch: int, seconds: float) -> Callable[[], float]:
        rate = engine(spec, batch, seconds)

        def run() -> float:
            with torchs_operators():
                return rate()

        return run

    def modules(spec: NetworkSpec, batch: int, seconds: float) -> Callable[[], float]:
        x, y = _batch(spec, batch)
        return steps_rate(plain_steps(PlainNetwork(spec), x, y, plain), batch, seconds, plain)

    kernels: dict[str, Way] = {"engine, torch's operators": without_kernels} if library.loaded() else {}
    return {"engine": engine, **kernels, "plain modules": modules}


def _batch(spec: NetworkSpec, count: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, spec.channels, spec.size, spec.size, generator=generator)
    return x, torch.randint(spec.classes, (count,), generator=generator)


if __name__ == "__main__":
    main()
