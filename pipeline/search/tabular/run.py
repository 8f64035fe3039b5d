"""Searches on a table: what they would choose after every evaluation, and how far that lies below the best there is."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.search.algorithms import propose
from pipeline.search.individual import Individual
from pipeline.search.objectives import Objective
from pipeline.search.tabular import Table


def search_on(
    table: Table, algorithm: str, settings: Any, objective: Objective, seed: int, generations: int
) -> list[list[Individual]]:
    """Runs a search whose candidates are looked up. Returns its generations; an exhausted space makes them shorter.

    Args:
        table: of the space.
        algorithm: its name.
        settings: an instance of the algorithm's ``Settings``.
        objective: what it looks for.
        seed: of the search.
        generations: how many.
    """
    history: list[list[Individual]] = []
    for generation in range(generations):
        children = propose(algorithm, table.space, settings, history, seed, generation, objective)
        history.append([table.individual(child.genome) for child in children])
    return history


def true_worth(table: Table, individual: Individual, objective: Objective) -> float:
    """Returns what the objective makes of a genome's quality in place of its score."""
    return objective.value(individual._replace(top1=table.quality_of(individual.genome)))


def course(table: Table, history: Sequence[Sequence[Individual]], objective: Objective) -> np.ndarray:
    """Returns, after each evaluation, the true worth of the best by score so far, float64 (evaluations,)."""
    worths: list[float] = []
    best: Individual | None = None
    for individual in (individual for individuals in history for individual in individuals):
        if best is None or objective.rank([best, individual], 1) == [individual]:
            best, worth = individual, true_worth(table, individual, objective)
        worths.append(worth)
    return np.array(worths)


def best_worth(table: Table, objective: Objective) -> float:
    """Returns the highest true worth in the table."""
    individuals = zip(table.genomes, table.quality.tolist(), table.costs.tolist(), strict=True)
    return max(objective.value(Individual(*individual)) for individual in individuals)
