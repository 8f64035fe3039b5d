"""The configuration that an experiment was last run with, kept beside its results for whoever looks on from elsewhere.

``results/EXPERIMENT/config.yaml`` is the whole configuration as it was checked: what the tables beside it were made
from, and good for ``--configfile`` to make them again.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.common.errors import UserError
from pipeline.common.files import write_text
from pipeline.common.yaml_text import parse_yaml
from pipeline.search.objectives import Objective, configured
from pipeline.workflow.layout import Layout
from pipeline.workflow.models import without_null
from pipeline.workflow.proxy import trains_supernet
from pipeline.workflow.sections import with_defaults

_HEADING = "# The configuration that the workflow last ran this experiment with.\n"
#: Begins the line after it, which holds the digest of all that follows.
_SEAL = "# sha256 "


@dataclass(frozen=True)
class SavedSearch:
    """A search as it was configured."""

    algorithm: str
    objective: Objective


@dataclass(frozen=True)
class SavedConfig:
    """The part of a configuration that says how much there is to do.

    Attributes:
        config: the whole of it.
        searches: by name.
        generations, population: of each search.
        models: rows of the table, in its order.
        seeds: trainings of each row.
        supernet: whether one is trained.
    """

    config: dict[str, Any]
    searches: dict[str, SavedSearch]
    generations: int
    population: int
    models: tuple[str, ...]
    seeds: int
    supernet: bool


def as_saved(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a checked configuration as it is saved.

    Entries of the default configuration that it has dropped are null, and so are keys of entries: laid over the
    default, what is saved gives the same experiment.
    """
    from pipeline.workflow.config.default import default_config  # slow to import, and not needed to read it back

    default = default_config()
    # Through JSON: whatever mappings Snakemake uses become plain ones. Keys of Snakemake's own are left out.
    plain: dict[str, Any] = json.loads(json.dumps({key: config[key] for key in default if key in config}))
    # Every run of a search stands here by itself; the default's number of seeds would make more of them.
    plain["searches"] = {name: {**search, "seeds": 1} for name, search in plain["searches"].items()}
    for section in ("searches", "models"):
        for name, entry in default[section].items():
            kept = plain[section].setdefault(name)
            if kept is not None:
                kept |= dict.fromkeys(key for key in entry if key not in kept)
    return plain


def save_config(config: Mapping[str, Any], layout: Layout) -> None:
    """Writes the checked configuration, unless the file says the same already.

    Raises:
        UserError: the folder cannot be written.
    """
    values = yaml.safe_dump(as_saved(config), sort_keys=False, allow_unicode=True, width=120)
    text = f"{_HEADING}{_SEAL}{_digest(values)}\n{values}"
    path = layout.config
    try:
        unchanged = path.read_text(encoding="utf-8") == text
    except (OSError, UnicodeDecodeError):
        unchanged = False
    if not unchanged:
        write_text(path, text)


def read_saved_values(layout: Layout) -> dict[str, Any] | None:
    """Returns what stands in a saved configuration; None if the workflow has left none (yet).

    Raises:
        UserError: the file is damaged, or was changed after it was written.
    """
    path = layout.config
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path} cannot be read", error.strerror or str(error)) from None
    except UnicodeDecodeError:
        raise _damaged(path) from None
    seal, _, values = text.removeprefix(_HEADING).partition("\n")
    if text.startswith(_HEADING) and seal.startswith(_SEAL) and seal != _SEAL + _digest(values):
        raise UserError(f"{path} was changed after it was written", f"delete it; {_ANEW}")
    try:
        found = parse_yaml(text, str(path))
    except (UserError, RecursionError):
        raise _damaged(path) from None
    if not isinstance(found, dict):
        raise _damaged(path)
    return found


def read_saved_config(layout: Layout) -> SavedConfig | None:
    """Returns the configuration in a results folder; None if the workflow has left none (yet).

    Raises:
        UserError: the file is damaged, or was changed after it was written.
    """
    values = read_saved_values(layout)
    try:
        return None if values is None else _saved(values)
    except (UserError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise _damaged(layout.config) from None


_ANEW = "the workflow writes it anew when it next runs"


def _damaged(path: Path) -> UserError:
    return UserError(f"{path} holds no configuration", _ANEW)


def _digest(values: str) -> str:
    return hashlib.sha256(values.encode()).hexdigest()


def _saved(config: dict[str, Any]) -> SavedConfig:
    # Not checked again in whole: the folder of images, for one, may not be there on the machine that looks on.
    searches, models = (
        {name: without_null(entry) for name, entry in config[section].items() if entry is not None}
        for section in ("searches", "models")
    )
    # Before there was a section for it, nothing was measured.
    config = with_defaults({"inference": {"measure": False}, **config})
    config |= {"searches": searches, "models": models}
    return SavedConfig(
        config,
        {name: SavedSearch(str(s["algorithm"]), configured(s)) for name, s in searches.items()},
        int(config["search"]["generations"]),
        int(config["search"]["population"]),
        tuple(map(str, config["models"])),
        int(config["retrain"]["seeds"]),
        trains_supernet(config),
    )
