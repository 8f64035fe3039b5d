"""The paper's evolutionary algorithm (section 3). Rates and selection are not in the paper; they are ours."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from pipeline.networks.genome import Genome
from pipeline.search.algorithms.base import (
    Child,
    SearchSettings,
    cross,
    draw_random,
    draw_unseen,
    mutate,
    number_of_parents,
    rate_of_crossover,
    rate_of_mutation,
)
from pipeline.search.individual import Individual
from pipeline.search.objectives import Objective
from pipeline.search.space import SearchSpace

NAME = "evolution"
TITLE = "evolution"
LOOKS_AT_SCORES = True
BASELINE = False


@dataclass(frozen=True)
class Settings(SearchSettings):
    """How children come from parents."""

    parents: int = number_of_parents()
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
    """Proposes children of the best genomes so far: by crossover of two parents or from one, then by mutation.

    Generation 0 is drawn at random. Arguments as of :func:`pipeline.search.algorithms.propose`.
    """
    parents: list[Genome] = []
    if generation > 0:
        everyone = [individual for individuals in history for individual in individuals]
        parents = [individual.genome for individual in objective.rank(everyone, settings.parents)]

    def draw(random: Random) -> Child:
        return _breed(space, settings, parents, random) if parents else draw_random(space, random)

    return draw_unseen(space, settings.population, history, seed, generation, draw)


def _breed(space: SearchSpace, settings: Settings, parents: Sequence[Genome], random: Random) -> Child:
    """Returns a child of one or two parents, with at least one gene drawn anew where it has one parent."""
    crossed = len(parents) > 1 and random.random() < settings.crossover_rate
    if crossed:
        mother, father = random.sample(parents, 2)
        genome = cross(mother, father, random)
    else:
        genome = random.choice(parents)
    genome = mutate(space, genome, settings.mutation_rate, random, at_least_one=not crossed)
    return Child(space.fit(genome, random), "crossover" if crossed else "mutation")
