"""The rows of the table of results, as the configuration has them: given genomes, found ones and their controls."""

from collections.abc import Mapping
from typing import Any

from pipeline.search.algorithms import ALGORITHMS

#: What a found row can be controlled by → how the control's row is named.
CONTROLS = {"uniform": "uniform-iso", "first-layer": "first-iso"}


def with_controls(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the rows, each one that a search found with its controls of equal cost behind it.

    Searches that are baselines themselves get none. A row that has the control's name already is left as it is.
    """
    models = dict(config["models"])
    rows: dict[str, Any] = {}
    for model, row in models.items():
        rows.setdefault(model, row)
        if "search" not in row or is_baseline(config, row["search"]):
            continue
        for control in config.get("controls", ()):
            name = f"{CONTROLS[control]}-{model.removeprefix('found-')}"
            rows.setdefault(name, models.get(name, {"control": control, "of": model}))
    return rows


def is_baseline(config: Mapping[str, Any], search: str) -> bool:
    """Returns whether a search is one that others are measured against; False for one that is not known."""
    algorithm = config["searches"].get(search, {}).get("algorithm")
    return algorithm in ALGORITHMS and bool(ALGORITHMS[algorithm].BASELINE)


def search_of(config: Mapping[str, Any], model: str) -> str | None:
    """Returns the search that a row's genome depends on, for a control that of its found row; None for a given one."""
    row = config["models"][model]
    search: str | None = config["models"][row["of"]].get("search") if "control" in row else row.get("search")
    return search
