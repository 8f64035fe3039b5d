"""Checks of the searches: their own settings, the space that they share, its budget, and what is held out for them."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from pipeline.common.errors import UserError
from pipeline.common.settings import from_mapping, key_of
from pipeline.common.text import counted
from pipeline.data.datasets import expect_images
from pipeline.networks.genome import format_genome
from pipeline.networks.spec import uniform_genome
from pipeline.search.algorithms import configured_settings, own_keys
from pipeline.search.choice import MODEL, SCORES_PER_GENE
from pipeline.search.objectives import DEFAULT as OBJECTIVE
from pipeline.search.objectives import OBJECTIVES, configured
from pipeline.search.space import Budget
from pipeline.workflow.config.networks import spec_of
from pipeline.workflow.counting import check_counting, counting_of
from pipeline.workflow.models import runs_of
from pipeline.workflow.proxy import samples


def check_own_settings(config: Mapping[str, Any]) -> None:
    """Checks that a search sets only what its own algorithm and objective know."""
    for name, section in config["searches"].items():
        known = {"algorithm", "objective", "seed", "run_of", *own_keys(section["algorithm"])}
        known |= {key_of(f) for f in fields(OBJECTIVES[section.get("objective", OBJECTIVE)].Settings)}
        strange = next((key for key in section if key not in known), None)
        if strange:
            raise UserError(
                f"searches.{name}.{strange} is no setting of its algorithm or objective",
                f"set it to null to drop it (known keys: {', '.join(sorted((known - {'run_of'}) | {'seeds'}))})",
            )
        try:
            configured(section)
        except TypeError as error:
            raise UserError(f"searches.{name} lacks a setting of its objective ({error})", "add it") from None
        try:
            configured_settings(config["search"], section)
        except TypeError as error:
            raise UserError(f"searches.{name} lacks a setting of its algorithm ({error})", "add it") from None


def check_searches(config: Mapping[str, Any]) -> None:
    """Checks the space and budget of all searches, and that there are images and scores for what is asked of them."""
    search = config["search"]
    written: dict[str, float] = {}  # genomes hold six digits of a ratio
    for ratio in search["ratios"]:
        if written.setdefault(f"{ratio:g}", ratio) != ratio:
            raise UserError(
                f"search.ratios has {written[f'{ratio:g}']} and {ratio}, which are one in six digits", "leave one out"
            )
    spec = spec_of(config).at_width(search["cost_width"])
    smallest = spec.with_genome(uniform_genome(spec.network, min(search["ratios"])))
    check_counting(config, spec, expect_images(config["dataset"]).classes)
    over = from_mapping(Budget, search).over(smallest, counting_of(config))
    if over is not None:
        key, limit, unit, least = over
        raise UserError(
            f"search.{key} is {limit:g}, but the smallest genome {format_genome(smallest.genome)} "
            f"needs {least:g} {unit}",
            "raise it or set it to null",
        )
    if samples(config) and not config["split"]["held_out_per_class"]:
        raise UserError(
            f"proxy.sample is {samples(config)}, but split.held_out_per_class holds out no images to judge it on",
            "hold out some, or set proxy.sample to 0",
        )
    if config["searches"] and search["finalists"] and not config["split"]["held_out_per_class"]:
        raise UserError(
            f"search.finalists is {search['finalists']}, but split.held_out_per_class holds out no images for them",
            "hold out some, or set search.finalists to 0",
        )
    needed = SCORES_PER_GENE * len(spec.genome)
    for name in dict.fromkeys(run.get("run_of", name) for name, run in config["searches"].items()):
        most = search["generations"] * search["population"] * len(runs_of(config, name))
        if search["chosen_by"] == MODEL and most < needed:
            raise UserError(
                f"search.chosen_by is model, which needs {needed} scores, but search {name} has {most} candidates",
                "raise search.generations, or choose by score",
            )
    space = len(search["ratios"]) ** len(spec.genome)
    if search["population"] > space:
        raise UserError(
            f"search.population is {search['population']}, but search.ratios allow {counted(space, 'genome')}",
            "lower it",
        )
