"""What an experiment is going to do, left in its results folder by the workflow, for whoever looks on from elsewhere.

``results/EXPERIMENT/config.yaml`` is the whole configuration as it was checked: what the tables beside it were made
from, and good for ``--configfile`` to make them again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.common.errors import UserError
from pipeline.common.files import write_text

NAME = "config.yaml"
_HEADING = "# The configuration that the workflow last ran this experiment with.\n"


@dataclass(frozen=True)
class PlannedSearch:
    """A search as it was configured. ``penalty`` is its λ."""

    algorithm: str
    penalty: float


@dataclass(frozen=True)
class Plan:
    """The part of a configuration that says how much there is to do.

    Attributes:
        config: the whole of it.
        searches: by name.
        generations, population: of each search.
        models: rows of the table, in its order.
        seeds: trainings of each row.
        supernet: whether there is one.
    """

    config: dict[str, Any]
    searches: dict[str, PlannedSearch]
    generations: int
    population: int
    models: tuple[str, ...]
    seeds: int
    supernet: bool


def write_plan(config: Mapping[str, Any], folder: Path) -> None:
    """Writes the checked configuration, unless the file says the same already.

    Entries of the default configuration that this one has dropped are written as null: laid over the default, the
    file gives the same experiment.

    Raises:
        UserError: the folder cannot be written.
    """
    from pipeline.config import ROOT  # slow to import, and not needed to read a plan

    default = yaml.safe_load((ROOT / "config.yaml").read_text())
    # Through JSON: whatever mappings Snakemake uses become plain ones. Keys of Snakemake's own are left out.
    plain = json.loads(json.dumps({key: config[key] for key in default if key in config}))
    for section in ("searches", "models"):
        plain[section] |= dict.fromkeys(name for name in default[section] if name not in plain[section])
    text = _HEADING + yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120)
    path = folder / NAME
    try:
        unchanged = path.read_text() == text
    except (OSError, UnicodeDecodeError):
        unchanged = False
    if not unchanged:
        write_text(path, text)


def read_plan(folder: Path) -> Plan | None:
    """The plan in a results folder; None where the workflow has left none (yet).

    Raises:
        UserError: the file is damaged.
    """
    path = folder / NAME
    try:
        text = path.read_text()
        values = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return _plan(values)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path} cannot be read", error.strerror or str(error)) from None
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise UserError(f"{path} holds no configuration", "the workflow writes it anew when it next runs") from None


def _plan(config: dict[str, Any]) -> Plan:
    # Not checked again in whole: the folder of images, for one, may not be there on the machine that looks on.
    searches = {name: search for name, search in config["searches"].items() if search is not None}
    config = {**config, "searches": searches, "models": {k: v for k, v in config["models"].items() if v is not None}}
    return Plan(
        config,
        {name: PlannedSearch(str(s["algorithm"]), float(s["lambda"])) for name, s in searches.items()},
        int(config["search"]["generations"]),
        int(config["search"]["population"]),
        tuple(map(str, config["models"])),
        int(config["retrain"]["seeds"]),
        bool(config["supernet"]["enabled"]),
    )
