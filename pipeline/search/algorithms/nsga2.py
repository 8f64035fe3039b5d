"""NSGA-II: a front of accuracy against cost in place of one weight λ between them.

K. Deb, A. Pratap, S. Agarwal, T. Meyarivan, *A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II*, IEEE
Transactions on Evolutionary Computation 6(2), 2002. Parents are the best of all that this search has evaluated, by the
rank of their front and then by how lonely they are on it; the paper's own selection, of the last parents and their
children, is the same where nothing that was dominated comes back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from pipeline.networks.genome import Genome
from pipeline.search.algorithms.base import (
    Child,
    SearchSettings,
    cross,
    draw_random,
    draw_unseen,
    mutate,
    rate_of_crossover,
    rate_of_mutation,
)
from pipeline.search.individual import Individual
from pipeline.search.objectives import Objective
from pipeline.search.space import SearchSpace

if TYPE_CHECKING:
    import numpy as np

NAME = "nsga2"
TITLE = "NSGA-II"
LOOKS_AT_SCORES = True
BASELINE = False
BY_OBJECTIVE = False


@dataclass(frozen=True)
class Settings(SearchSettings):
    """How children come from parents."""

    crossover_rate: float = rate_of_crossover()
    mutation_rate: float = rate_of_mutation()


def propose(
    space: SearchSpace,
    settings: Settings,
    history: Sequence[Sequence[Individual]],
    seed: int,
    generation: int,
    objective: Objective,
) -> list[Child]:
    """Proposes children of tournament winners; arguments as of :func:`pipeline.search.algorithms.propose`.

    The objective plays no part. Generation 0 is drawn at random.
    """
    everyone = [individual for individuals in history for individual in individuals if individual.top1 is not None]
    parents = elite(everyone, settings.population)

    def win(random: Random) -> Genome:
        first, second = random.randrange(len(parents)), random.randrange(len(parents))
        return parents[min(first, second)].genome

    def draw(random: Random) -> Child:
        if len(parents) < 2:
            return draw_random(space, random)
        crossed = random.random() < settings.crossover_rate
        genome = cross(win(random), win(random), random) if crossed else win(random)
        genome = mutate(space, genome, settings.mutation_rate, random, at_least_one=not crossed)
        return Child(space.fit(genome, random), "crossover" if crossed else "mutation")

    return draw_unseen(space, settings.population, history, seed, generation, draw)


def elite(individuals: Sequence[Individual], count: int) -> list[Individual]:
    """Returns the best ``count`` individuals, the best first: by front, then by crowding distance, then by genome."""
    import moocore
    import numpy as np

    if not individuals:
        return []
    # Both are to be small.
    points = np.array([(-(individual.top1 or 0.0), individual.relative_cost) for individual in individuals])
    ranks = moocore.pareto_rank(points)
    distances = np.empty(len(points))
    for front in np.unique(ranks):
        members = np.flatnonzero(ranks == front)
        distances[members] = crowding_distances(points[members])
    order = sorted(range(len(points)), key=lambda i: (ranks[i], -distances[i], individuals[i].genome))
    return [individuals[i] for i in order[:count]]


def crowding_distances(points: "np.ndarray") -> "np.ndarray":
    """Returns how far a front's members lie from their neighbours (section III-B); infinite at its ends.

    Args:
        points: (N, objectives).

    >>> import numpy as np
    >>> crowding_distances(np.array([[0.0, 4.0], [1.0, 1.0], [4.0, 0.0]])).tolist()
    [inf, 2.0, inf]
    """
    import numpy as np

    distances = np.zeros(len(points))
    for values in points.T:
        order = np.argsort(values, kind="stable")
        extent = values[order[-1]] - values[order[0]]
        distances[order[[0, -1]]] = np.inf
        if extent > 0 and len(points) > 2:
            distances[order[1:-1]] += (values[order[2:]] - values[order[:-2]]) / extent
    return distances
