"""Latency as a cost: a table of what every layer takes on one machine, from which whole networks are predicted.

A layer's time depends on the channels of its input and its output alone, as its place in the network fixes all else. So
a table that has each layer at every pair of widths predicts each genome's network by a sum. It is measured once
(:mod:`pipeline.export.latency`), on this machine or on another one, and is a file with a digest; a search that counts
by it is as reproducible as one that counts operations.

>>> table = LatencyTable("vgg_small", 1.0, 3, 32, 10, {"conv1": {"3,128": 0.001}})
>>> table.digest == replace(table, made_with={"machine": "a board"}).digest
True
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.common.errors import UserError
from pipeline.common.files import read_json, write_json
from pipeline.networks.graph import Layer
from pipeline.networks.spec import NetworkSpec, uniform_genome

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

    def check(self, spec: NetworkSpec) -> None:
        """Raises UserError if the table is of another network, width or kind of images than ``spec``."""
        for key in ("network", "base_width", "channels", "size", "classes"):
            theirs, ours = getattr(self, key), getattr(spec, key)
            if theirs != ours:
                raise UserError(
                    f"the latency table is for {key.replace('_', ' ')} {theirs}, and this search has {ours}",
                    "measure one for it (python -m pipeline measure-latency)",
                )

    def seconds(self, spec: NetworkSpec) -> float:
        """Returns the predicted time of a network for one image.

        Raises:
            UserError: it has a layer of widths that were not measured.
        """
        total = self.start
        for layer in spec.layers:
            entries = self.layers.get(layer.name)
            if entries is None:
                continue
            key = widths_of(layer)
            if key not in entries:
                raise UserError(
                    f"the latency table has no time of layer '{layer.name}' with {layer.in_channels} and "
                    f"{layer.out_channels} channels",
                    "measure one with this search's ratios (python -m pipeline measure-latency --ratios)",
                )
            total += entries[key]
        return total

    def relative(self, spec: NetworkSpec) -> float:
        """Returns the predicted time over that of the uniform 1x binary network. Raises UserError as :meth:`seconds`
        does.
        """
        return self.seconds(spec) / self.seconds(replace(spec, genome=uniform_genome(spec.network, 1), binary=True))


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
    except (TypeError, ValueError, AttributeError):
        raise UserError(f"{path} is no whole latency table", remedy) from None
    if digest != table.digest:
        raise UserError(f"{path} has changed since it was measured: its digest differs", remedy)
    if not times or not all(0 <= value < float("inf") for value in times):
        raise UserError(f"{path} holds times that are none", remedy)
    return table
