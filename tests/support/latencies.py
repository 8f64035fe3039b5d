"""Tables of latencies that nobody has measured."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from pipeline.networks.genome import RATIOS
from pipeline.networks.graph import Layer
from pipeline.networks.latency import LatencyTable, widths_of, write_latency
from pipeline.networks.spec import NetworkSpec, uniform_genome

#: The network whose cost the default experiment, and the tiny one, count.
DIGITS = NetworkSpec("vgg_small", uniform_genome("vgg_small", 1), channels=1, size=8)


def by_first_layer(layer: Layer) -> float:
    """A machine on which nothing but the first layer takes time: a millisecond for each of its channels."""
    return 1e-3 * layer.out_channels if layer.name == "conv1" else 0.0


def made_up(
    spec: NetworkSpec = DIGITS,
    seconds: Callable[[Layer], float] = by_first_layer,
    ratios: Sequence[float] = RATIOS,
    start: float = 0.0,
) -> LatencyTable:
    """Returns a table with every convolution and the classifier at all widths that ratios give them."""
    layers: dict[str, dict[str, float]] = {}
    genes = len(spec.genome)
    for bit in range(genes.bit_length()):
        for pair in product(ratios, repeat=2):
            genome = tuple(float(pair[gene >> bit & 1]) for gene in range(genes))
            for layer in spec.with_genome(genome).layers:
                if layer.kind in ("convolution", "linear"):
                    layers.setdefault(layer.name, {})[widths_of(layer)] = seconds(layer)
    shape = (spec.network, spec.base_width, spec.channels, spec.size, spec.classes)
    return LatencyTable(*shape, layers, start, {"machine": "a board"})


def table_file(path: Path, table: LatencyTable | None = None, **changes: object) -> Path:
    """Writes a table, with other fields if some are given."""
    write_latency(path, replace(table or made_up(), **changes))  # type: ignore[arg-type]
    return path
