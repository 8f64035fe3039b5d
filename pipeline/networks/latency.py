"""Latency as a cost: a table of what every layer takes on one machine, from which whole networks are predicted.

A layer's time depends on the channels of its input and its output alone, as its place in the network fixes all else. So
a table that has each layer at every pair of widths predicts each genome's network by a sum. It is measured once
(:mod:`pipeline.export.latency`), on this machine or on another one, and is a file with a digest; a search that counts
by it is as reproducible as one that counts operations.

>>> from dataclasses import replace
>>> table = LatencyTable("vgg_small", 1.0, 3, 32, 10, {"conv1": {"3,128": 0.001}})
>>> table.digest == replace(table, made_with={"machine": "a board"}).digest
True
"""

import hashlib
import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from pipeline.common.errors import UserError
from pipeline.common.files import read_json, write_json
from pipeline.networks.graph import Layer
from pipeline.networks.spec import NetworkSpec

_FORMAT = "binary-nas latency 1"


def widths_of(layer: Layer) -> str:
    """Returns the key of a layer's widths in a table.

    >>> widths_of(Layer("relu", "relu", ("conv1",), 16, 16, 8, 8))
    '16,16'
    """
    return f"{layer.in_channels},{layer.out_channels}"


@dataclass(frozen=True)
class LatencyTable:
    """The time of layers on one machine, in seconds for one image.

    Attributes:
        network, base_width, channels, size, classes: as in :class:`~pipeline.networks.spec.NetworkSpec`.
        layers: by name and widths ('channels of its input,of its output'), what a layer takes. Layers that are computed
            together with the one before them have no entry.
        start: seconds that a call takes beside its layers.
        made_with: the machine, kernels, threads and rounds.
    """

    network: str
    base_width: float
    channels: int
    size: int
    classes: int
    layers: Mapping[str, Mapping[str, float]]
    start: float = 0.0
    made_with: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of everything that a cost depends on."""
        values = {key: value for key, value in asdict(self).items() if key != "made_with"}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def check(self, spec: NetworkSpec, ratios: Sequence[float] = (), *, counted: bool = True) -> None:
        """Checks that the table is of a network, and has every layer at whatever widths some ratios give it.

        Args:
            spec: the network at the width at which its cost is counted, with any genome.
            ratios: values that a gene can take.
            counted: whether its number of classes is known; else any will do.

        Raises:
            UserError: it is of another network, width or kind of images, or lacks a layer at some widths.
        """
        if not counted:
            spec = replace(spec, classes=self.classes)
        for key in ("network", "base_width", "channels", "size", "classes"):
            theirs, ours = getattr(self, key), getattr(spec, key)
            if theirs != ours:
                width = " (search.cost_width, at which costs are counted)" if key == "base_width" else ""
                raise UserError(
                    f"the latency table is for {key.replace('_', ' ')} {theirs}, and this search has {ours}{width}",
                    f"measure one for it: {measuring_command(spec, ratios, counted=counted)}",
                )
        genes = range(len(spec.genome))
        # Two genes differ in some bit of their numbers: so they take every pair of ratios.
        for bit in range(len(genes).bit_length()):
            for pair in product(ratios, repeat=2):
                layer = self._unmeasured(spec.with_genome(tuple(pair[gene >> bit & 1] for gene in genes)))
                if layer is not None:
                    raise UserError(
                        f"the latency table has no time of layer '{layer.name}' with {layer.in_channels} and "
                        f"{layer.out_channels} channels, which search.ratios can give it",
                        f"measure one that has: {measuring_command(spec, ratios, counted=counted)}",
                    )

    def _unmeasured(self, spec: NetworkSpec) -> Layer | None:
        for layer in spec.layers:
            if layer.name in self.layers and widths_of(layer) not in self.layers[layer.name]:
                return layer
        return None

    def seconds(self, spec: NetworkSpec, *, between: bool = False) -> float:
        """Returns the predicted time of a network for one image.

        Args:
            spec: the network.
            between: whether a layer whose widths were not measured is taken to lie on the straight line between the
                nearest ones that were. What a processor computes at once makes steps, which a line does not know.

        Raises:
            UserError: it has a layer of widths that were not measured, or that lie outside of those that were.
        """
        total = self.start
        for layer in spec.layers:
            entries = self.layers.get(layer.name)
            if entries is None:
                continue
            found = entries.get(widths_of(layer))
            if found is None and between:
                found = self._grids[layer.name].between(layer.in_channels, layer.out_channels)
            if found is None:
                raise UserError(
                    f"the latency table has no time of layer '{layer.name}' with {layer.in_channels} and "
                    f"{layer.out_channels} channels",
                    "measure one with this search's ratios (python -m pipeline measure-latency --ratios)",
                )
            total += found
        return total

    @cached_property
    def _grids(self) -> "Mapping[str, _Grid]":
        return {name: _Grid.of(entries) for name, entries in self.layers.items()}


@dataclass(frozen=True)
class _Grid:
    """The times of a layer, at whatever pairs of widths were measured."""

    times: Mapping[tuple[int, int], float]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @classmethod
    def of(cls, entries: Mapping[str, float]) -> "_Grid":
        times = {(int(key.split(",")[0]), int(key.split(",")[1])): value for key, value in entries.items()}
        return cls(times, tuple(sorted({a for a, _ in times})), tuple(sorted({b for _, b in times})))

    def between(self, inputs: int, outputs: int) -> float | None:
        """Returns the bilinear interpolation; along the diagonal for a layer as wide as its input. None outside."""
        if inputs == outputs and all(a == b for a, b in self.times):
            pairs = [((width, width), share) for width, share in _around(self.inputs, inputs)]
        else:
            pairs = [
                ((a, b), p * q) for a, p in _around(self.inputs, inputs) for b, q in _around(self.outputs, outputs)
            ]
        if not pairs or any(pair not in self.times for pair, _ in pairs):
            return None
        return sum(self.times[pair] * share for pair, share in pairs)


def _around(widths: Sequence[int], width: int) -> list[tuple[int, float]]:
    """Returns the measured widths on both sides, each with its share; nothing outside of all."""
    if not (widths and widths[0] <= width <= widths[-1]):
        return []
    above = bisect_left(widths, width)
    if widths[above] == width:
        return [(width, 1.0)]
    low, high = widths[above - 1], widths[above]
    share = (width - low) / (high - low)
    return [(low, 1 - share), (high, share)]


def measuring_command(spec: NetworkSpec, ratios: Sequence[float] = (), *, counted: bool = True) -> str:
    """Returns the command that measures a table for a network at the width at which its cost is counted.

    Args:
        spec: the network, with any genome.
        ratios: values that a gene can take.
        counted: whether its number of classes is known; else whoever reads it has to fill it in.
    """
    words = f"--network {spec.network} --base-width {spec.base_width:g} --channels {spec.channels}"
    words += f" --image-size {spec.size} --classes {spec.classes if counted else 'CLASSES'}"
    words += "".join([" --ratios", *(f" {ratio:g}" for ratio in ratios)]) if ratios else ""
    return f"python -m pipeline measure-latency {words} --output latency.json"


def write_latency(path: Path, table: LatencyTable) -> None:
    """Writes a table."""
    write_json(path, {"format": _FORMAT, "digest": table.digest, **asdict(table)})


def read_latency(path: Path) -> LatencyTable:
    """Reads a table.

    Raises:
        UserError: the file is missing, no such table, or changed since it was written.
    """
    record = read_json(path)
    remedy = "measure it again (python -m pipeline measure-latency)"
    if not isinstance(record, dict) or record.pop("format", None) != _FORMAT:
        raise UserError(f"{path} is no latency table", remedy)
    digest = record.pop("digest", None)
    try:
        table = LatencyTable(**record)
        times = [float(value) for entries in table.layers.values() for value in entries.values()]
        times.append(float(table.start))
        _ = table.digest, table._grids
    except (TypeError, ValueError, AttributeError, IndexError):
        raise UserError(f"{path} is no whole latency table", remedy) from None
    if digest != table.digest:
        raise UserError(f"{path} has changed since it was measured: its digest differs", remedy)
    if not any(times) or not all(0 <= value < float("inf") for value in times):
        raise UserError(f"{path} holds times that are none", remedy)
    return table
