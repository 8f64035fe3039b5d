"""Checks of the rows of the table: genomes, what searches found, controls, teachers."""

from collections.abc import Mapping
from typing import Any

from pipeline.common.errors import UserError
from pipeline.networks.genome import Genome, format_genome
from pipeline.workflow.config.networks import check_digits, spec_of
from pipeline.workflow.models import ASKED, genome_of, is_baseline, runs_of
from pipeline.workflow.recipes import recipe_of, teacher_of


def check_rows(config: Mapping[str, Any]) -> None:
    """Checks that every row has what makes it one: a genome, a search, or a row that it is the control of."""
    spec = spec_of(config)
    for model, row in config["models"].items():
        if "control" in row:
            _check_control(config, model)
            continue
        _check_teacher(config, model)
        if ("genome" in row) == ("search" in row):
            raise UserError(f"models.{model} needs either a genome or a search", "give exactly one of the two")
        if "search" in row:
            _check_found(config, model)
            continue
        for key in ("by", *ASKED):
            if key in row:
                raise UserError(
                    f"models.{model} has a genome and {key}", f"leave out {key}, which is for what a search found"
                )
        genome = genome_of(config, model)
        try:
            _ = spec.with_genome(genome).layers
        except UserError as error:
            raise UserError(f"models.{model}: {error}") from None
        _check_ratios(config, model, genome)
        check_digits(spec, config, genome)


def _check_ratios(config: Mapping[str, Any], model: str, genome: Genome) -> None:
    """Refuses what is beyond the ratios of searches: a slip of the pen, or nothing that layers' times are known for."""
    narrowest, widest = min(config["search"]["ratios"]), max(config["search"]["ratios"])
    for gene, ratio in enumerate(genome, start=1):
        if not narrowest <= ratio <= widest:
            raise UserError(
                f"models.{model}: gene {gene} of genome {format_genome(genome)} is {ratio:g}, which is not between "
                f"{narrowest:g} and {widest:g}, the least and the greatest of search.ratios",
                f"add it to search.ratios, or leave the row out (models: {{{model}: null}})",
            )


def _check_found(config: Mapping[str, Any], model: str) -> None:
    """Checks that a searched row names a search, and for a baseline, which seeks nothing, whose objective chooses."""
    row = config["models"][model]
    for key in ("search", "by"):
        if key in row and not runs_of(config, row[key]):
            named = dict.fromkeys(run.get("run_of", name) for name, run in config["searches"].items())
            raise UserError(
                f"models.{model}.{key} is '{row[key]}'", f"searches of this experiment: {', '.join(named) or 'none'}"
            )
    if "by" in row and not is_baseline(config, row["search"]):
        raise UserError(
            f"models.{model} is chosen by what {row['by']} looks for, but {row['search']} looked for something itself",
            "leave out by",
        )
    asked = [key for key in ("by", *ASKED) if key in row]
    if len(asked) > 1:
        raise UserError(
            f"models.{model} has {' and '.join(asked)}", "give at most one of them: each says how a genome is chosen"
        )


def _check_teacher(config: Mapping[str, Any], model: str) -> None:
    """Checks a row's recipe where it is its own, and that it learns from a network that is there before any search."""
    own, models = config["models"][model].get("retrain", {}), config["models"]
    if own and "genome" not in models[model]:
        raise UserError(
            f"models.{model} has a recipe of its own, but rows from searches are compared with others of one recipe",
            "give it a genome in place of a search, or leave out its retrain",
        )
    if own.get("teacher") is not None and not models[model].get("binary", True):
        raise UserError(f"models.{model} is of full precision and has a teacher", "leave out its teacher")
    if "teacher_weight" in own and recipe_of(config, model)["teacher"] is None:
        raise UserError(f"models.{model}.retrain has a teacher_weight and no teacher", "name its teacher")
    teacher = teacher_of(config, model)
    named = models.get(teacher, {})
    if teacher is not None and ("genome" not in named or named.get("binary", True)):
        where = f"models.{model}.retrain" if "teacher" in own else "retrain"
        fitting = [name for name, row in models.items() if "genome" in row and not row.get("binary", True)]
        raise UserError(f"{where}.teacher is '{teacher}'", f"rows in full precision: {', '.join(fitting) or 'none'}")


def _check_control(config: Mapping[str, Any], model: str) -> None:
    row, models = config["models"][model], config["models"]
    if set(row) != {"control", "of"}:
        raise UserError(f"models.{model} is a control", "give it 'control' and 'of', and nothing else")
    if "search" not in models.get(row["of"], {}):
        found = [name for name, other in models.items() if "search" in other]
        raise UserError(f"models.{model}.of is '{row['of']}'", f"rows from searches: {', '.join(found) or 'none'}")
