"""The part of trainings' identity that a configuration asks for, which is known before they are done.

Files of weights say what they were trained from and how (:mod:`pipeline.training.identity`). Whoever reads them, or
what was measured of them, compares: a file of another row, or of the same network trained otherwise, may lie in their
place.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.networks.genome import format_genome, parse_genome
from pipeline.networks.spec import uniform_genome
from pipeline.search.facts import training_settings
from pipeline.workflow.models import genome_of
from pipeline.workflow.recipes import settings_of, shared_settings


def asked_of_rows(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what all rows' trainings have in common; ``seed`` is the experiment's.

    Raises:
        KeyError, TypeError, ValueError: a section is missing or malformed.
    """
    return {"seed": config["seed"], "settings": shared_settings(config), "network": _network(config)}


def asked_of_row(config: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Returns the same for one row, with its genome if the configuration gives it."""
    row, asked = config["models"][model], asked_of_rows(config)
    network = {**asked["network"], "binary": row.get("binary", True)}
    if "genome" in row:
        network["genome"] = list(parse_genome(format_genome(genome_of(config, model))))  # as it stands in a command
    return {**asked, "settings": settings_of(config, model), "network": network}


def asked_of_supernet(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the supernet's training must be."""
    genome = uniform_genome(config["network"]["name"], max(config["search"]["ratios"]))
    network = {**_network(config), "binary": True, "genome": list(genome)}
    return {"seed": config["seed"], "settings": training_settings(config["supernet"]), "network": network}


def _network(config: Mapping[str, Any]) -> dict[str, Any]:
    network = config["network"]
    width, binariser = float(f"{network['base_width']:g}"), network["binariser"]
    return {"network": network["name"], "base_width": width, "binariser": binariser}
