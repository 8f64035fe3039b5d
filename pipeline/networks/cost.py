"""The cost of a network, counted from its layers alone: no tensors, no torch, microseconds for a genome.

It climbs from one layer's account to the network's: real and binary multiply-accumulates (MACs), other operations,
and bits of weights. A *counting convention* then says which of them make up the FLOPs of a published table.

>>> from pipeline.networks.spec import NetworkSpec
>>> cost = network_cost(NetworkSpec("vgg_small", (1, 1, 1, 1, 1, 1)))
>>> f"{cost.flops / 1e6:.1f}M, {cost.bits / 1e6:.1f}M bits"
'13.2M, 7.3M bits'
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from pipeline.common.errors import UserError
from pipeline.networks.architectures import find_architecture
from pipeline.networks.graph import Layer
from pipeline.networks.spec import NetworkSpec, uniform_genome

#: A binary multiply-accumulate counts this part of a real one: 64 of them fit in one 64-bit word.
BINARY_MAC = 1 / 64
REAL_WEIGHT_BITS = 32


class LayerCost(NamedTuple):
    """One layer's account for one image. Batch norms and biases hold no counted bits, as in the paper's memory."""

    layer: Layer
    real_macs: int
    binary_macs: int
    other_operations: int
    bits: int

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.layer.name

    @property
    def kind(self) -> str:
        """The layer's kind."""
        return self.layer.kind

    @property
    def shape(self) -> str:
        """Input and output as channels x height x width, for display."""
        _, _, _, in_channels, out_channels, in_size, out_size, *_ = self.layer
        return f"{in_channels}x{in_size}x{in_size} -> {out_channels}x{out_size}x{out_size}"


@dataclass(frozen=True)
class Cost:
    """A network's totals. ``flops`` follows the counting convention, MACs and bits are the plain sums."""

    flops: float
    real_macs: int
    binary_macs: int
    other_operations: int
    bits: int

    @property
    def bytes(self) -> float:
        """Memory of the counted weights."""
        return self.bits / 8


def layer_cost(layer: Layer) -> LayerCost:
    """Counts one layer. Other operations are output elements, for pooling times the kernel's area."""
    if layer.kind in ("convolution", "linear"):
        if layer.binary:
            return LayerCost(layer, 0, layer.macs, 0, layer.weights)
        return LayerCost(layer, layer.macs, 0, 0, layer.weights * REAL_WEIGHT_BITS)
    area = layer.kernel**2 if layer.kind in ("max_pool", "average_pool") else 1
    return LayerCost(layer, 0, 0, layer.elements * area, 0)


def _table1(layers: Sequence[Layer]) -> Callable[[Layer], bool]:
    first_norm = next((layer.name for layer in layers if layer.kind == "batch_norm"), None)
    return lambda layer: layer.name == first_norm


def _table2(layers: Sequence[Layer]) -> Callable[[Layer], bool]:
    binary = any(layer.binary for layer in layers)
    kinds = ("batch_norm", "max_pool", "average_pool") + (() if binary else ("relu",))
    return lambda layer: layer.kind in kinds


#: Which other operations are FLOPs beside the MACs, by name. Each reproduces every digit of its table.
CONVENTIONS: dict[str, Callable[[Sequence[Layer]], Callable[[Layer], bool]]] = {
    # Table 1 of the paper: the first batch norm alone.
    "table1": _table1,
    # Table 2: every batch norm and pooling; in the full-precision network the ReLUs too.
    "table2": _table2,
    "macs": lambda layers: lambda layer: False,
    "everything": lambda layers: lambda layer: True,
}


def network_cost(spec: NetworkSpec, convention: str | None = None) -> Cost:
    """Returns the network's totals under a convention, by default the one of its own published table.

    Raises:
        UserError: there is no such convention, or the genome does not fit the network.
    """
    convention = convention or find_architecture(spec.network).CONVENTION
    if convention not in CONVENTIONS:
        raise UserError(f"unknown counting convention '{convention}'", f"choose one of {', '.join(CONVENTIONS)}")
    layers = spec.layers
    counts = CONVENTIONS[convention](layers)
    real = binary = other = counted = bits = 0
    for layer in layers:
        cost = layer_cost(layer)
        real += cost.real_macs
        binary += cost.binary_macs
        bits += cost.bits
        other += cost.other_operations
        if cost.other_operations and counts(layer):
            counted += cost.other_operations
    return Cost(real + binary * BINARY_MAC + counted, real, binary, other, bits)


def speedup(spec: NetworkSpec, convention: str | None = None) -> float:
    """Returns FLOPs of the full-precision network of base width over those of ``spec``: counted, not measured."""
    reference = replace(spec, genome=uniform_genome(spec.network, 1), binary=False)
    return network_cost(reference, convention).flops / network_cost(spec, convention).flops


def relative_flops(spec: NetworkSpec, convention: str | None = None) -> float:
    """Returns FLOPs over those of the uniform 1x binary network, the unit of the fitness (Eq. 4)."""
    reference = replace(spec, genome=uniform_genome(spec.network, 1), binary=True)
    return network_cost(spec, convention).flops / network_cost(reference, convention).flops
