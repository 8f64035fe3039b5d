"""Measurements as tables and figures need them, read from the files that earlier steps have written."""

import re
from pathlib import Path

from pipeline.common.errors import UserError
from pipeline.common.files import read_csv, read_json
from pipeline.networks.spec import NetworkSpec
from pipeline.report.results import Measurement
from pipeline.search.fitness import Individual
from pipeline.search.tables import read_individuals


def read_measurement(path: Path) -> Measurement:
    """One evaluation; its model and seed are in its path, evaluation/MODEL/seed_N.json.

    Raises:
        UserError: the file is missing, or it is not what the step 'evaluate' writes.
    """
    record = read_json(path)
    try:
        values = record["network"]
        spec = NetworkSpec(**{**values, "genome": tuple(float(ratio) for ratio in values["genome"])})
        top5 = record["top5"]
        accuracies = float(record["top1"]), None if top5 is None else float(top5)
        return Measurement(path.parent.name, _seed_in(path.stem), *accuracies, spec)
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path} is no evaluation", "delete it, and it is made again") from None


def _seed_in(name: str) -> int:
    """The number in 'seed_3'. Raises ValueError where there is none."""
    found = re.search(r"_(\d+)$", name)
    if found is None:
        raise ValueError(f"'{name}' has no number")
    return int(found[1])


def read_history(path: Path) -> list[list[Individual]]:
    """Reads the scored candidates of a search, by generation, from search/SEARCH/history.csv.

    Raises:
        UserError: the file is missing, or it is no search's history.
    """
    generations: dict[int, list[Individual]] = {}
    for row, individual in zip(read_csv(path, ("generation",)), read_individuals(path), strict=True):
        if not row["generation"].isdecimal():
            raise UserError(f"{path} is no search's history", "delete it, and it is made again")
        generations.setdefault(int(row["generation"]), []).append(individual)
    return [generations[number] for number in sorted(generations)]
