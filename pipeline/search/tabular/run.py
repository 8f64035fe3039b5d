"""Searches on a table: what they would choose after every evaluation, and how far that lies below the best there is."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.search.algorithms import propose, stops_early
from pipeline.search.choice import SCORE, SCORES_PER_GENE, ChosenBy, believed
from pipeline.search.early_stopping import NEVER, Bar, Early, EarlyStopping
from pipeline.search.individual import Individual
from pipeline.search.objectives import Objective
from pipeline.search.tabular import Table


def search_on(
    table: Table,
    algorithm: str,
    settings: Any,
    objective: Objective,
    seed: int,
    generations: int,
    stopping: EarlyStopping = NEVER,
    trainings: float = math.inf,
) -> list[list[Individual]]:
    """Runs a search whose candidates are looked up. Returns its generations; an exhausted space makes them shorter.

    Candidates that are stopped early have no score, as in an experiment.

    Args:
        table: of the space.
        algorithm: its name.
        settings: an instance of the algorithm's ``Settings``.
        objective: what it looks for.
        seed: of the search.
        generations: how many at most.
        stopping: whether and when candidates are stopped.
        trainings: whole ones that may be spent; no generation is begun beyond.

    Raises:
        UserError: they are to be judged after epochs of which the table knows no scores.
    """
    history: list[list[Individual]] = []
    earlier: list[Early] = []
    early = stopping.early_stop_epochs if stops_early(algorithm) else None
    for generation in range(generations):
        if history and trainings_spent(table, history, stopping)[-1] >= trainings:
            break
        children = propose(algorithm, table.space, settings, history, seed, generation, objective)
        individuals = [table.individual(child.genome) for child in children]
        if early is not None:
            partial = [table.partial_top1(child.genome, early) for child in children]
            bar = Bar.of(earlier, objective, stopping.early_stop_keep)
            individuals = [
                one._replace(top1=None) if top1 is not None and top1 < bar.needed_top1(one) else one
                for one, top1 in zip(individuals, partial, strict=True)
            ]
            scored = zip(individuals, partial, strict=True)
            earlier += [Early(one, top1) for one, top1 in scored if top1 is not None]
        history.append(individuals)
    return history


def trainings_spent(table: Table, history: Sequence[Sequence[Individual]], stopping: EarlyStopping) -> np.ndarray:
    """Returns after each evaluation of a search how many whole trainings its epochs amount to, float64 (evaluations,).

    To judge a candidate early costs a pass over the subset, for its moments, and one over the validation images, each
    counted as a third of what a training pass over as many images costs.

    Raises:
        UserError: as of :attr:`Table.scored_share`.
    """
    scored = [individual.top1 is not None for individuals in history for individual in individuals]
    if (early := stopping.early_stop_epochs) is None:
        return np.arange(1.0, len(scored) + 1)
    judging = (1 + table.scored_share) / 3
    return np.cumsum((np.where(scored, table.epochs, early) + judging) / table.epochs)


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


def chosen_worth(
    table: Table, history: Sequence[Sequence[Individual]], objective: Objective, spent: int, chosen_by: ChosenBy
) -> float:
    """Returns the true worth of what a search would choose after so many evaluations; by score where a model has too
    few of them.
    """
    seen = {one.genome: one for individuals in history for one in individuals}
    first = list(seen.values())[:spent]
    scored = [one for one in first if one.top1 is not None]
    by_model = len(scored) >= SCORES_PER_GENE * len(table.spec.genome)
    candidates = believed(scored, objective, chosen_by if by_model else SCORE) or first
    return true_worth(table, objective.rank(candidates, 1)[0], objective)


def best_worth(table: Table, objective: Objective) -> float:
    """Returns the highest true worth in the table."""
    individuals = zip(table.genomes, table.quality.tolist(), table.costs.tolist(), strict=True)
    return max(objective.value(Individual(*individual)) for individual in individuals)
