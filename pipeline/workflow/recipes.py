"""How each row of the table is trained in full: by the section ``retrain``, over which a row can lay its own recipe.

>>> config = {
...     "retrain": {"epochs": 60, "optimizer": "sgd", "teacher": None},
...     "models": {"uniform-1x": {"genome": 1}, "adam": {"genome": 1, "retrain": {"optimizer": "adam"}}},
... }
>>> recipe_of(config, "adam")
{'epochs': 60, 'optimizer': 'adam', 'teacher': None}
"""

from collections.abc import Mapping
from typing import Any

from pipeline.search.facts import training_settings
from pipeline.training.settings import OF_BINARY, OFF


def recipe_of(config: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Returns the section by which a row is trained. In full precision what is about binary weights is off."""
    row = config["models"][model]
    recipe = {**config["retrain"], **row.get("retrain", {})}
    return recipe if row.get("binary", True) else {**recipe, **{key: OFF[key] for key in OF_BINARY if key in recipe}}


def teacher_of(config: Mapping[str, Any], model: str) -> str | None:
    """Returns the row from whose answers a row learns; None for the labels alone, as full precision always does."""
    binary = config["models"][model].get("binary", True)
    teacher: str | None = recipe_of(config, model).get("teacher")
    return teacher if binary else None


def settings_of(config: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Returns how a row is trained, as a training's identity says it."""
    recipe = recipe_of(config, model)
    taught = {"teacher_weight": recipe["teacher_weight"]} if teacher_of(config, model) else {}
    return {**training_settings(recipe), **taught}


def shared_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the trainings of all rows have in common, as identities say it; None for what they do not."""
    all_settings = [settings_of(config, model) for model in config["models"]]
    names = dict.fromkeys(name for one in all_settings for name in one)
    first = all_settings[0]
    return {
        name: first.get(name) if all(name in one and one[name] == first.get(name) for one in all_settings) else None
        for name in names
    }
