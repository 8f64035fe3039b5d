"""Measuring a table of latencies: every layer at every pair of widths, by the compiled runtime on this machine."""

import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, product
from random import Random

import numpy as np

from pipeline.common.log import progress
from pipeline.export.packed import PackedNetwork
from pipeline.export.packing import About, packed_network
from pipeline.kernels.inference import Runtime
from pipeline.networks.genome import Genome
from pipeline.networks.latency import LatencyTable, widths_of
from pipeline.networks.module import Network
from pipeline.networks.spec import NetworkSpec

#: Genomes among which the next one to measure is chosen.
_DRAWN = 64
#: Times that all networks are gone through, some seconds apart.
TURNS = 5


def measure_latency(spec: NetworkSpec, ratios: Sequence[float], rounds: int, machine: str) -> LatencyTable:
    """Measures a table.

    Networks in which every layer has every pair of widths are profiled, layer by layer, in several turns: what else the
    machine does can only add to a time, so that the least of a layer's times counts.

    Args:
        spec: the network, with any genome.
        ratios: values that a gene can take.
        rounds: of each network in each turn.
        machine: its name.

    Raises:
        CompilationError: the runtime cannot be compiled.
    """
    networks = [spec.with_genome(genome) for genome in covering_genomes(spec, ratios)]
    runtimes: list[tuple[PackedNetwork, Runtime]] = []
    found: dict[str, dict[str, float]] = defaultdict(dict)
    whole = [float("inf")] * len(networks)
    pixels = np.zeros((1, spec.size, spec.size, spec.channels), np.uint8)
    with progress("measuring latencies", (1 + TURNS) * len(networks), "networks") as bar:
        for network in networks:
            form = stand_in(network)
            runtimes.append((form, Runtime(form.to_bytes())))
            bar.advance()
        for _ in range(TURNS):
            for i, (network, (form, runtime)) in enumerate(zip(networks, runtimes, strict=True)):
                whole[i] = min(whole[i], whole_time(runtime, pixels, rounds))
                layers = {layer.name: layer for layer in network.layers}
                for name, seconds in _profile(form, runtime, rounds).items():
                    widths = widths_of(layers[name])
                    found[name][widths] = min(seconds, found[name].get(widths, float("inf")))
                bar.advance()
    entries = {
        name: {key: float(f"{value:.6g}") for key, value in sorted(times.items())} for name, times in found.items()
    }
    shape = (spec.network, spec.base_width, spec.channels, spec.size, spec.classes)
    made_with = {"machine": machine, "kernels": runtimes[0][1].kernels, "threads": 1, "rounds": rounds * TURNS}
    table = LatencyTable(*shape, entries, made_with=made_with)
    # What a call takes beside its layers.
    starts = [seconds - table.seconds(network) for seconds, network in zip(whole, networks, strict=True)]
    return replace(table, start=max(0.0, float(f"{statistics.median(starts):.6g}")))


def stand_in(spec: NetworkSpec) -> PackedNetwork:
    """Returns a packed network of random weights, on which no time depends."""
    classes = tuple(str(number) for number in range(spec.classes))
    about = About(classes, (0.5,) * spec.channels, (0.25,) * spec.channels)
    return packed_network(Network(spec).eval(), about)


def _profile(form: PackedNetwork, runtime: Runtime, rounds: int) -> dict[str, float]:
    """Returns the least time of each step, under the name of the layer that it begins with."""
    pixels = np.random.default_rng(0).integers(0, 256, (form.size, form.size, form.channels), dtype=np.uint8)
    total: dict[str, float] = defaultdict(float)
    for step, seconds in zip(runtime.steps, runtime.profile(pixels, rounds), strict=True):
        total[form.nodes[step.node].name] += seconds
    return total


def whole_time(runtime: Runtime, pixels: np.ndarray, rounds: int) -> float:
    """Returns the least time of a whole network for one image of bytes (1, size, size, channels), to compare a table
    with.
    """
    least = float("inf")
    for _ in range(rounds):
        started = time.perf_counter()
        runtime(pixels)
        least = min(least, time.perf_counter() - started)
    return least


def covering_genomes(spec: NetworkSpec, ratios: Sequence[float]) -> list[Genome]:
    """Returns genomes in which each layer has every pair of widths that any genome gives it; always the same list."""
    missing = {key for genome in _pairs(len(spec.genome), ratios) for key in _keys(spec, genome)}
    random = Random(0)
    chosen: list[Genome] = []
    while missing:
        drawn = [tuple(random.choice(ratios) for _ in spec.genome) for _ in range(_DRAWN)]
        # One that is known to have a missing pair, so that each turn comes nearer to the end.
        wanted = min(missing)
        drawn.append(next(genome for genome in _pairs(len(spec.genome), ratios) if wanted in _keys(spec, genome)))
        best = max(drawn, key=lambda genome: len(missing & _keys(spec, genome)))
        chosen.append(best)
        missing -= _keys(spec, best)
    return chosen


def _pairs(genes: int, ratios: Sequence[float]) -> Iterator[Genome]:
    """Yields genomes in which two genes take every pair of ratios, and the others the smallest."""
    for a, b in combinations(range(genes), 2):
        for p, q in product(ratios, repeat=2):
            genome = [min(ratios)] * genes
            genome[a], genome[b] = p, q
            yield tuple(genome)


def _keys(spec: NetworkSpec, genome: Genome) -> set[tuple[str, str]]:
    return {(layer.name, widths_of(layer)) for layer in spec.with_genome(genome).layers}
