"""What a GPU makes of this: epochs, share of its peak, recorded steps, candidates that share it, the paper's search.

    python -m benchmarks.gpu                      # on a machine with a GPU, some minutes
    python -m benchmarks.gpu --device cpu --quick # does the program itself run?

Networks are binary VGG-small at the published widths, images 32×32 in memory, augmentation and recipe those of
configs/cifar10.yaml. An epoch is 50,000 images; only some steps of it are timed. "Of the peak" is the share of a large
bfloat16 matrix product, measured in the same run. The engine records a step as a CUDA graph and replays it; "launched"
is the same without. With --compile, a plain loop is set against torch.compile as well.
"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from benchmarks.plain import plain_steps
from benchmarks.timing import execution_on, heading, interleave, peak_flops, ratio, synchronise, table, training_flops
from benchmarks.workloads import engine_training, published_recipe, random_images
from pipeline.networks.genome import Genome, format_genome, parse_genome
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.training.execution import Execution
from pipeline.training.settings import TrainingSettings
from pipeline.training.turns import in_turns

EPOCH = 50_000
AUTO_A = (0.5, 2.0, 1.0, 1.0, 1.0, 0.5)
#: Candidates that share a device.
SHARED = (uniform_genome("vgg_small", 0.25), AUTO_A)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--images", type=int, default=EPOCH, help="that lie in memory")
    parser.add_argument("--seconds", type=float, default=5.0, help="that each thing is timed for")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4], help="candidates that share the GPU")
    parser.add_argument("--compile", action="store_true", help="torch.compile too (a minute for each network)")
    parser.add_argument("--sharing", action="store_true", help="candidates that share the GPU, and nothing else")
    parser.add_argument("--genomes", nargs="+", type=parse_genome, default=SHARED, help="of candidates that share it")
    parser.add_argument("--width", type=float, default=1.0, help="fraction of the published widths")
    parser.add_argument("--quick", action="store_true", help="small networks and short times")
    arguments = parser.parse_args()
    execution = execution_on(arguments.device)
    base_width, together = arguments.width, (1, 2, 4, 8)
    if arguments.quick:
        base_width, arguments.images, arguments.batch_size, together = 1 / 32, 100, 8, (1, 2)
        arguments.seconds, arguments.rounds, arguments.processes = 0.05, 1, [2]
    recipe = published_recipe("candidate")
    recipe = replace(recipe, epochs=10**6, schedule="constant", batch_size=arguments.batch_size)
    print(heading(execution, f"base width {base_width:g}, batch {arguments.batch_size}"))
    bench = _Bench(execution, recipe, base_width, arguments.images, arguments.seconds, together)
    if arguments.sharing:
        bench.sharing(arguments.genomes, arguments.processes)
        return
    per_image = bench.epochs(arguments.rounds)
    bench.recording(arguments.rounds)
    bench.sharing(arguments.genomes, arguments.processes)
    if arguments.compile:
        bench.compilation(arguments.rounds)
    _project(per_image, base_width)


class _Bench:
    """The measurements, with what they have in common."""

    def __init__(
        self,
        execution: Execution,
        recipe: TrainingSettings,
        base_width: float,
        images: int,
        seconds: float,
        together: Sequence[int],
    ) -> None:
        self._execution, self._recipe, self._base_width = execution, recipe, base_width
        self._images, self._seconds = images, seconds
        #: Trainings that take turns in one process.
        self._together = together

    def _spec(self, genome: Genome) -> NetworkSpec:
        return NetworkSpec("vgg_small", genome, base_width=self._base_width)

    def _rate(self, steps: Iterator[Any]) -> float:
        """Images/s over some seconds."""
        next(steps)
        synchronise(self._execution)
        started, done = time.perf_counter(), 0
        while time.perf_counter() - started < self._seconds:
            for _ in range(10):  # looking at the clock waits for nothing, so steps run ahead of it
                next(steps)
            synchronise(self._execution)
            done += 10
        return done * self._recipe.batch_size / (time.perf_counter() - started)

    def epochs(self, rounds: int) -> dict[Genome, float]:
        """Prints the epoch times. Returns seconds an image, by genome."""
        genomes = [*(uniform_genome("vgg_small", ratio) for ratio in (1, 2, 4)), AUTO_A]
        trainings = {
            genome: engine_steps(self._spec(genome), self._recipe, self._images, self._execution) for genome in genomes
        }
        ways: dict[str, Callable[[], float]] = {
            format_genome(genome): lambda steps=steps: self._rate(steps)  # type: ignore[misc]
            for genome, steps in trainings.items()
        }
        ways["peak"] = lambda: peak_flops(self._execution, seconds=min(1.0, self._seconds))
        rates = interleave(ways, rounds)
        peak = statistics.median(rates["peak"])
        rows = []
        for genome in genomes:
            macs = [layer.macs for layer in self._spec(genome).layers if layer.macs]
            rate = statistics.median(rates[format_genome(genome)])
            share = rate * training_flops(sum(macs), macs[0]) / peak
            rows.append([format_genome(genome), f"{rate:.0f}", f"{EPOCH / rate:.1f}", f"{share:.0%}"])
        print(f"\nA large matrix product reaches {peak / 1e12:.3g} TFLOP/s.\n")
        print(table(["genome", "images/s", "seconds an epoch", "of the peak"], rows))
        return {genome: 1 / statistics.median(rates[format_genome(genome)]) for genome in genomes}

    def recording(self, rounds: int) -> None:
        """Prints recorded steps beside launched ones, and beside a plain loop on one batch."""
        rows = []
        for genome in (uniform_genome("vgg_small", 0.25), AUTO_A, uniform_genome("vgg_small", 4)):
            spec = self._spec(genome)
            ways = {
                "plain loop, one batch": plain_steps(self._network(genome), *self._batch(), self._execution),
                "launched": engine_steps(spec, self._recipe, self._images, self._execution, replayed=False),
                "replayed": engine_steps(spec, self._recipe, self._images, self._execution),
            }
            measured = {name: (lambda steps=steps: self._rate(steps)) for name, steps in ways.items()}  # type: ignore[misc]
            rates = interleave(measured, rounds)
            for name, values in rates.items():
                faster = f"{ratio(rates, name, 'launched'):.2f}"
                rows.append([format_genome(genome), name, f"{statistics.median(values):.0f}", faster])
        print()
        print(table(["genome", "steps", "images/s", "over launched"], rows))

    def sharing(self, genomes: Sequence[Genome], processes: Sequence[int]) -> None:
        """Prints what several small candidates reach on one device: in one process, or in several."""
        rows = []
        for genome in genomes:
            together = {count: self._in_streams(genome, count) for count in self._together}
            ways = [(f"{count} in one process", rate) for count, rate in together.items()]
            ways += [(f"{count} processes", self._side_by_side(genome, count)) for count in processes]
            rows += [[format_genome(genome), way, f"{rate:.0f}", f"{rate / together[1]:.2f}"] for way, rate in ways]
        print()
        print(table(["genome", "candidates", "images/s in all", "over one alone"], rows))

    def _in_streams(self, genome: Genome, count: int) -> float:
        """Images/s of several trainings that take turns in one process, each on a stream of its own."""
        trainings = [
            engine_steps(self._spec(genome), self._recipe, self._images, self._execution) for _ in range(count)
        ]
        together = in_turns(trainings, self._execution)
        for _ in range(5):
            next(together)
        return count * self._rate(together)

    def _side_by_side(self, genome: Genome, count: int) -> float:
        context = multiprocessing.get_context("spawn")
        barrier, results = context.Barrier(count), context.Queue()
        words = (self._spec(genome), self._recipe, self._images, self._execution, self._seconds, barrier, results)
        children = [context.Process(target=_train_beside, args=words) for _ in range(count)]
        for child in children:
            child.start()
        rates = [results.get(timeout=600) for _ in children]
        for child in children:
            child.join()
        return sum(rates)

    def compilation(self, rounds: int) -> None:
        """Prints a plain loop's eager steps against compiled ones, and how long those take to begin."""
        rows = []
        for genome in (AUTO_A, uniform_genome("vgg_small", 4)):
            ways: dict[str, Iterator[None]] = {
                "eager": plain_steps(self._network(genome), *self._batch(), self._execution)
            }
            begun: dict[str, float] = {"eager": 0.0}
            for name, make in self._compiled(genome).items():
                started = time.perf_counter()
                try:
                    steps = make()
                    next(steps)
                    synchronise(self._execution)
                except Exception as error:  # no compiler here, or a network that it cannot take
                    rows.append([format_genome(genome), name, f"{type(error).__name__}", "", ""])
                    continue
                ways[name], begun[name] = steps, time.perf_counter() - started
            measured = {name: (lambda steps=steps: self._rate(steps)) for name, steps in ways.items()}  # type: ignore[misc]
            rates = interleave(measured, rounds)
            for name, values in rates.items():
                faster = f"{ratio(rates, name, 'eager'):.2f}"
                rate = f"{statistics.median(values):.0f}"
                rows.append([format_genome(genome), name, rate, faster, f"{begun[name]:.0f}"])
        print()
        print(table(["genome", "way", "images/s", "over eager", "seconds to begin"], rows))

    def _network(self, genome: Genome) -> nn.Module:
        network = Network(self._spec(genome)).to(self._execution.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        initialise(network, torch.Generator().manual_seed(0))
        return network.train()

    def _batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        count = self._recipe.batch_size
        x = torch.randn(count, 3, 32, 32).to(self._execution.device, memory_format=torch.channels_last)
        return x, torch.randint(10, (count,)).to(self._execution.device)

    def _compiled(self, genome: Genome) -> Mapping[str, Callable[[], Iterator[None]]]:
        def compiled() -> Iterator[None]:
            network = self._network(genome)
            return plain_steps(network, *self._batch(), self._execution, torch.compile(network))

        return {"torch.compile": compiled}


def engine_steps(
    spec: NetworkSpec, recipe: TrainingSettings, count: int, execution: Execution, *, replayed: bool = True
) -> Iterator[None]:
    """Steps of the engine itself, on random images."""
    return engine_training(spec, recipe, random_images(spec, count), execution, replayed=replayed).steps()


def _train_beside(
    spec: NetworkSpec,
    recipe: TrainingSettings,
    count: int,
    execution: Execution,
    seconds: float,
    barrier: Any,
    results: Any,
) -> None:
    """One of several processes that train at once; each puts its rate into the queue."""
    execution.apply()
    steps = engine_steps(spec, recipe, count, execution)
    for _ in range(5):
        next(steps)
    synchronise(execution)
    barrier.wait()
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        for _ in range(10):
            next(steps)
        synchronise(execution)
        done += 10
    results.put(done * recipe.batch_size / (time.perf_counter() - started))


def _project(per_image: Mapping[Genome, float], base_width: float) -> None:
    """Prints what the paper's search would take, every candidate at the mean over random genomes."""
    from random import Random

    from pipeline.networks.genome import RATIOS
    from pipeline.workflow.forecast.step_time import Timed, fit, workload

    def work(genome: Genome) -> Any:
        return workload(NetworkSpec("vgg_small", genome, base_width=base_width))

    model = fit([Timed(work(genome), 1, seconds) for genome, seconds in per_image.items()])
    random = Random(0)
    genomes = [tuple(random.choice(RATIOS) for _ in range(6)) for _ in range(500)]
    mean = statistics.mean(model.seconds(work(genome), 1) for genome in genomes)
    images = 10 * 45_000  # ten epochs of the train set without the validation images
    print("\nThe paper's search, 50 generations of 32, ten epochs of 45,000 images each, one after another")
    print(f"(base width {base_width:g}):")
    print(f"{50 * 32 * images * mean / 3600:.1f} h at the mean of random genomes,")
    print(f"{50 * 32 * images * per_image[AUTO_A] / 3600:.1f} h if all were VGG-Auto-A's")


if __name__ == "__main__":
    main()
