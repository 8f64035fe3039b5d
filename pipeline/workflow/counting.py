"""The cost of a network as a configuration means it, and the table of latencies that it names."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.common.errors import UserError
from pipeline.common.settings import from_mapping
from pipeline.networks.latency import LatencyTable, measuring_command, read_latency
from pipeline.networks.spec import NetworkSpec
from pipeline.search.costs import DEFAULT, CostSettings, Counting


def counting_of(config: Mapping[str, Any]) -> Counting:
    """Returns how a configuration counts costs.

    Raises:
        UserError: its table of latencies is missing or damaged.
    """
    return Counting(_settings(config).cost, read_table(config))


def read_table(config: Mapping[str, Any]) -> LatencyTable | None:
    """Returns the table of latencies; None if there is none. Raises UserError if it is missing or damaged."""
    path = _settings(config).latency_table
    if path is not None and not Path(path).exists():
        raise UserError(
            f"search.latency_table: there is no file {path}", "measure it (python -m pipeline measure-latency)"
        )
    return None if path is None else read_latency(Path(path))


def looks_at_latency(config: Mapping[str, Any]) -> bool:
    """Returns whether what is searched depends on the table: if time is what counts, or is limited."""
    return _settings(config).cost == "latency" or config["search"].get("max_latency") is not None


def check_counting(config: Mapping[str, Any], spec: NetworkSpec, classes: int | None) -> None:
    """Checks that the table of latencies is there if it is needed, and that it is of the network that is searched.

    Args:
        config: the experiment's.
        spec: the network with any genome, at any width.
        classes: of the images; None if they have not been counted.

    Raises:
        UserError: it is not.
    """
    counted = spec.at_width(config["search"]["cost_width"])
    table, ratios = read_table(config), config["search"]["ratios"]
    if table is not None:
        table.check(counted, ratios, counted=classes is not None)
    elif looks_at_latency(config):
        key = "cost is 'latency'" if _settings(config).cost == "latency" else "max_latency limits time"
        raise UserError(
            f"search.{key}, but search.latency_table names no file",
            f"measure it: {measuring_command(counted, ratios, counted=classes is not None)}",
        )


def cost_words(config: Mapping[str, Any], *, for_tables: bool = False) -> tuple[str, str]:
    """Returns the flags that tell a step what cost is, and what they count as: the table by its digest.

    Args:
        config: the experiment's.
        for_tables: whether the step shows costs, of whatever table is there; others read it only if time counts.
    """
    settings = _settings(config)
    words = [] if settings.cost == DEFAULT else ["--cost", settings.cost]
    if settings.latency_table is None or not (for_tables or looks_at_latency(config)):
        return shlex.join(words), shlex.join(words)
    table = read_table(config)
    assert table is not None
    return tuple(shlex.join([*words, "--latency-table", word]) for word in (settings.latency_table, table.digest))  # type: ignore[return-value]


def _settings(config: Mapping[str, Any]) -> CostSettings:
    settings: CostSettings = from_mapping(CostSettings, config["search"])
    return settings
