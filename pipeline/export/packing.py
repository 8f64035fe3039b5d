"""From a trained network to the packed one: :func:`pack`.

>>> from pipeline.networks.module import Network
>>> from pipeline.networks.spec import NetworkSpec
>>> about = About(("cat", "dog"), mean=(0.5,), std=(0.25,))
>>> data = pack(Network(NetworkSpec("vgg_small", (1,) * 6, base_width=1 / 16, channels=1, size=8, classes=2)), about)
>>> data[:4]
b'\\x89BNN'
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.common.errors import UserError
from pipeline.export import thresholds
from pipeline.export.packed import IMAGE, Kind, Node, PackedNetwork, Storage
from pipeline.networks.binary.binarisers import is_compiled

if TYPE_CHECKING:
    from pipeline.networks.graph import Layer
    from pipeline.networks.module import Network
    from pipeline.networks.spec import NetworkSpec


@dataclass(frozen=True)
class About:
    """The facts that a network needs beside its weights to answer, and what made it.

    Attributes:
        classes: their names, in the order of the logits.
        mean, std: of each channel, in units of the full brightness.
        preparation: JSON values: how an image becomes pixels (crop, interpolation, …).
        provenance: JSON values: what made the network.
    """

    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    preparation: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


def can_pack(spec: "NetworkSpec") -> bool:
    """Returns whether packed networks compute a network's binarisation; they know the paper's alone."""
    return not spec.binary or is_compiled(spec.binariser)


def pack(network: "Network", about: About, storage: Storage = Storage.FLOAT32) -> bytes:
    """Returns the packed file of a trained network. Raises UserError as :func:`packed_network` does."""
    return packed_network(network, about, storage).to_bytes()


@torch.no_grad()
def packed_network(network: "Network", about: About, storage: Storage = Storage.FLOAT32) -> PackedNetwork:
    """Returns the packed form of a trained network, which answers as it does in evaluation mode and float32.

    Args:
        network: binary or full precision; it is not changed.
        about: classes and preprocessing.
        storage: of the real layers' weights.

    Raises:
        UserError: the network has a binariser or a layer that the format does not know or a number that is not
            finite, or ``about`` belongs to another network.
    """
    spec = network.spec
    if not can_pack(spec):
        raise UserError(
            f"packed networks compute the paper's binarisation alone, and {spec.title} has '{spec.binariser}'",
            "use its file of weights, which torch computes",
        )
    if (len(about.classes), len(about.mean), len(about.std)) != (spec.classes, spec.channels, spec.channels):
        raise UserError(
            f"{len(about.classes)} classes and {len(about.mean)} channels do not fit {spec.title}",
            f"it has {spec.classes} and {spec.channels}",
        )
    if bad := next((name for name in about.classes if "\0" in name), None):
        raise UserError(f"the class name {bad!r} has a zero byte in it", "rename the class")
    for name, tensor in network.state_dict().items():
        if not tensor.isfinite().all():
            raise UserError(f"tensor '{name}' of this network has numbers that are not finite", "train it again")
    nodes = _Nodes(network, storage).nodes
    information = {
        "network": spec.record(),
        "preparation": dict(about.preparation),
        "provenance": dict(about.provenance),
    }
    return PackedNetwork(tuple(nodes), spec.channels, spec.size, about.classes, about.mean, about.std, information)


class _Nodes:
    """Turns layers into nodes, one after another."""

    def __init__(self, network: "Network", storage: Storage) -> None:
        layers = network.spec.layers
        self._network = network
        self._layers = {layer.name: layer for layer in layers}
        self._storage = storage
        self._readers = {layer.name: [other for other in layers if layer.name in other.sources] for layer in layers}
        self.nodes: list[Node] = []
        #: By layer: the node that gives its output, and of which kind that is.
        self._places: dict[str, tuple[int, str]] = {"input": (IMAGE, "reals")}
        #: By layer: the node that gives its output as other values.
        self._others: dict[tuple[str, str], int] = {}
        #: By layer whose output is integers: what they are multiplied by, and the largest that can occur.
        self._scales: dict[str, tuple[float, int]] = {}
        for layer in layers:
            self._add(layer)

    def _append(self, kind: Kind, sources: Sequence[int], layer: "Layer", **more: Any) -> int:
        self.nodes.append(Node(kind, tuple(sources), layer.out_channels, name=layer.name, **more))
        return len(self.nodes) - 1

    def _put(self, layer: "Layer", node: int, values: str) -> None:
        self._places[layer.name] = node, values

    def _add(self, layer: "Layer") -> None:
        module: Any = self._network.get_submodule(layer.name)
        source = layer.sources[0]
        match layer.kind:
            case "convolution" if layer.binary:
                self._add_binary_convolution(layer, module.weight)
            case "convolution":
                shape = {"kernel": layer.kernel, "stride": layer.stride, "padding": layer.padding}
                weights = _numbers(module.weight)
                node = self._append(
                    Kind.CONVOLUTION, [self._reals(source)], layer, **shape, storage=self._storage, weights=weights
                )
                self._put(layer, node, "reals")
            case "batch_norm" if isinstance(module, nn.BatchNorm2d):
                self._add_batch_norm(layer, module)
            case "max_pool":
                place, values = self._places[source]
                if values == "bits":
                    place, values = self._reals(source), "reals"
                shape = {"kernel": layer.kernel, "stride": layer.stride, "padding": layer.padding}
                self._put(layer, self._append(Kind.MAX_POOL, [place], layer, **shape), values)
                if values == "integers":
                    self._scales[layer.name] = self._scales[source]
            case "relu":
                self._put(layer, self._append(Kind.RELU, [self._reals(source)], layer), "reals")
            case "add":
                sources = [self._reals(name) for name in layer.sources]
                self._put(layer, self._append(Kind.ADD, sources, layer), "reals")
            case "average_pool":
                self._put(layer, self._append(Kind.AVERAGE_POOL, [self._reals(source)], layer), "reals")
            case "linear":
                node = self._append(
                    Kind.LINEAR,
                    [self._reals(source)],
                    layer,
                    storage=self._storage,
                    weights=_numbers(module.weight),
                    parameters={"bias": _numbers(module.bias)},
                )
                self._put(layer, node, "reals")
            case _:
                raise UserError(
                    f"layer '{layer.name}' ({layer.kind}) has no place in a packed network",
                    "write a node for it (docs/packed.md)",
                )

    def _add_binary_convolution(self, layer: "Layer", weight: Tensor) -> None:
        # Contiguous: the order of the sum decides the scale's last digit.
        weight = weight.detach().float().cpu().contiguous()
        scale = weight.abs().mean().item()
        self._scales[layer.name] = scale, layer.in_channels * layer.kernel**2
        node = self._append(
            Kind.BINARY_CONVOLUTION,
            [self._bits(layer.sources[0])],
            layer,
            kernel=layer.kernel,
            stride=layer.stride,
            padding=layer.padding,
            weights=(weight >= 0).permute(0, 2, 3, 1).contiguous().numpy(),
        )
        self._put(layer, node, "integers")

    def _add_batch_norm(self, layer: "Layer", norm: nn.BatchNorm2d) -> None:
        source = layer.sources[0]
        place, values = self._places[source]
        readers = self._readers[layer.name]
        if values != "bits" and readers and all(reader.binary for reader in readers):
            if values == "integers":
                found = thresholds.of_integers(norm, *self._scales[source])
            else:
                found = thresholds.of_reals(norm)
            node = self._append(
                Kind.THRESHOLD,
                [place],
                layer,
                parameters={"threshold": found.threshold.numpy(), "at_most": found.at_most.numpy()},
            )
            self._put(layer, node, "bits")
            return
        if values == "bits":
            place, values = self._reals(source), "reals"
        self._put(layer, self._append_affine(layer, place, values, thresholds.affine(norm), source), "reals")

    def _append_affine(self, layer: "Layer", place: int, values: str, affine: thresholds.Affine, source: str) -> int:
        parameters = {"factor": affine.factor.numpy(), "term": affine.term.numpy()}
        if values == "integers":
            parameters["scale"] = np.array([self._scales[source][0]], np.float32)
        if not all(np.isfinite(array).all() for array in parameters.values()):
            raise UserError(
                f"batch norm '{layer.name}' has a channel that multiplies by no finite number", "train it again"
            )
        return self._append(Kind.AFFINE, [place], layer, parameters=parameters)

    def _reals(self, name: str) -> int:
        """Returns the node with a layer's output as reals."""
        place, values = self._places[name]
        if values == "reals":
            return place
        if (name, "reals") not in self._others:
            layer = self._layers[name]
            if values == "bits":
                raise UserError(f"layer '{name}' feeds a real layer with bits", "write a node for it (docs/packed.md)")
            channels = layer.out_channels
            one = thresholds.Affine(torch.ones(channels), torch.zeros(channels))
            self._others[name, "reals"] = self._append_affine(layer, place, values, one, name)
        return self._others[name, "reals"]

    def _bits(self, name: str) -> int:
        """Returns the node with a layer's output as bits."""
        place, values = self._places[name]
        if values == "bits":
            return place
        if (name, "bits") not in self._others:
            place = self._reals(name)
            layer = self._layers.get(name)
            channels = layer.out_channels if layer else self._network.spec.channels
            self.nodes.append(Node(Kind.BINARISE, (place,), channels, name=name))
            self._others[name, "bits"] = len(self.nodes) - 1
        return self._others[name, "bits"]


def _numbers(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().contiguous().numpy()
