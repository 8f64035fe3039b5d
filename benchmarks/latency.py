"""Whole networks' latencies beside what a table of layers predicts: ``python -m benchmarks.latency``.

A table is measured (or read: ``--table``), then networks of random genomes are built and timed. The last line has the
largest and the mean deviation.
"""

import argparse
from pathlib import Path
from random import Random

import numpy as np

from pipeline.export.latency import measure_latency, stand_in, whole_time
from pipeline.kernels.inference import Runtime
from pipeline.networks.genome import RATIOS, format_genome
from pipeline.networks.latency import read_latency
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.training.execution import describe_machine

#: Turns in which every network is timed, of which the least time counts.
_TURNS = 5


def main() -> None:
    """Prints a line for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="vgg_small")
    parser.add_argument("--base-width", type=float, default=0.25)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--networks", type=int, default=12, help="random genomes")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--table", type=Path, help="a measured table, instead of measuring one")
    arguments = parser.parse_args()
    uniform = uniform_genome(arguments.network, 1)
    spec = NetworkSpec(arguments.network, uniform, base_width=arguments.base_width, size=arguments.image_size)
    if arguments.table:
        table = read_latency(arguments.table)
        table.check(spec)
    else:
        table = measure_latency(spec, RATIOS, arguments.rounds, describe_machine())
    random = Random(1)
    genomes = [tuple(random.choice(RATIOS) for _ in uniform) for _ in range(arguments.networks)]
    runtimes = [Runtime(stand_in(spec.with_genome(genome)).to_bytes()) for genome in genomes]
    pixels = np.random.default_rng(0).integers(0, 256, (1, spec.size, spec.size, spec.channels), dtype=np.uint8)
    least = [float("inf")] * len(genomes)
    for _ in range(_TURNS):
        for i, runtime in enumerate(runtimes):
            least[i] = min(least[i], whole_time(runtime, pixels, arguments.rounds))
    print(f"{spec.network}, base width {spec.base_width:g}, {runtimes[0].kernels} on {describe_machine()}\n")
    print("| genome | measured, ms | predicted, ms | predicted / measured |")
    print("| --- | ---: | ---: | ---: |")
    ratios = []
    for genome, seconds in zip(genomes, least, strict=True):
        predicted = table.seconds(spec.with_genome(genome))
        ratios.append(predicted / seconds)
        print(f"| {format_genome(genome)} | {1000 * seconds:.4f} | {1000 * predicted:.4f} | {ratios[-1]:.3f} |")
    off = [abs(ratio - 1) for ratio in ratios]
    print(f"\nlargest deviation {100 * max(off):.1f} %, mean {100 * float(np.mean(off)):.1f} %")


if __name__ == "__main__":
    main()
