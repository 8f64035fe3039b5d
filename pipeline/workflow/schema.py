"""The configuration's schema: types, limits and descriptions of all keys.

``schemas/config.schema.yaml`` holds what no settings class declares. What one does is added here, and what algorithms
and objectives that are no part of this project declare when a configuration names them.

``python -m pipeline.workflow.schema`` prints the whole, for editors and people.
"""

import copy
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.common.errors import UserError
from pipeline.common.registry import Registry
from pipeline.common.settings import schema_of
from pipeline.common.yaml_text import read_yaml
from pipeline.search.algorithms import ALGORITHMS
from pipeline.search.algorithms.base import SearchSettings
from pipeline.search.objectives import DEFAULT, OBJECTIVES
from pipeline.training.settings import TrainingSettings
from pipeline.workflow.sections import SECTIONS
from pipeline.workflow.settings import RetrainSettings

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "schemas" / "config.schema.yaml"


def schema_for(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the schema for a configuration, settings of whatever its searches name included.

    Raises:
        UserError: a search names an algorithm or an objective that there is not.
    """
    schema = copy.deepcopy(_completed())
    searches = config.get("searches")
    for name, section in searches.items() if isinstance(searches, Mapping) else ():
        if isinstance(section, Mapping):
            if algorithm := _settings(name, "algorithm", ALGORITHMS, section.get("algorithm")):
                _add_algorithm(schema, algorithm)
            if objective := _settings(name, "objective", OBJECTIVES, section.get("objective", DEFAULT)):
                _add_objective(schema, objective)
    return schema


def _settings(search: str, key: str, registry: Registry, name: Any) -> type | None:
    if not isinstance(name, str):
        return None  # which the schema objects to
    if name not in registry:
        raise UserError(f"searches.{search}.{key} is '{name}'", registry.choices)
    try:
        settings: type = registry[name].Settings
    except UserError as error:
        raise UserError(f"searches.{search}.{key}: {error}") from None
    return settings


def _add_algorithm(schema: dict[str, Any], settings: type) -> None:
    """Adds an algorithm's settings to those of all searches, and its own to those of each."""
    described, shared = schema_of(settings), schema_of(SearchSettings)
    schema["properties"]["search"]["properties"].update(described)
    of_each = schema["properties"]["searches"]["additionalProperties"]["properties"]
    of_each.update({key: value for key, value in described.items() if key not in shared})


def _add_objective(schema: dict[str, Any], settings: type) -> None:
    """Adds an objective's settings to those of each search."""
    schema["properties"]["searches"]["additionalProperties"]["properties"].update(schema_of(settings))


@cache
def _completed() -> dict[str, Any]:
    """Returns the schema with all that settings classes of this project say."""
    whole: dict[str, Any] = copy.deepcopy(read_yaml(SCHEMA))
    properties = whole["properties"]
    whole["$defs"]["training"]["properties"] = schema_of(TrainingSettings)
    for section, classes in SECTIONS.items():
        described = [schema_of(settings) for settings in classes if settings is not TrainingSettings]
        properties[section]["properties"] = {key: value for part in described for key, value in part.items()}
    own_recipe = {key: value for key, value in schema_of(RetrainSettings).items() if key != "seeds"}
    of_each = properties["models"]["additionalProperties"]["properties"]
    of_each["retrain"]["properties"] = {**schema_of(TrainingSettings), **own_recipe}
    for name in ALGORITHMS.own:
        _add_algorithm(whole, ALGORITHMS[name].Settings)
    for name in OBJECTIVES.own:
        _add_objective(whole, OBJECTIVES[name].Settings)
    return whole


if __name__ == "__main__":
    print(json.dumps(_completed(), indent=2, ensure_ascii=False))
