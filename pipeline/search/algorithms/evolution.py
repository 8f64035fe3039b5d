"""The paper's evolutionary algorithm (section 3; what it leaves open is marked as ours)."""

from collections.abc import Sequence
from random import Random

from pipeline.networks.genome import Genome
from pipeline.search.algorithms.base import Child, cross, draw_random, draw_unseen, mutate
from pipeline.search.fitness import Individual, rank
from pipeline.search.settings import EvolutionSettings
from pipeline.search.space import SearchSpace

NAME = "evolution"
TITLE = "evolution"
#: Whether other searches are measured against it.
BASELINE = False


def propose(
    space: SearchSpace,
    settings: EvolutionSettings,
    history: Sequence[Sequence[Individual]],
    seed: int,
    generation: int,
    penalty: float = 0.0,
) -> list[Child]:
    """Proposes children of the best genomes so far (ours): by crossover of two parents or from one, then by mutation.

    Generation 0 is drawn at random. Arguments as of :func:`pipeline.search.algorithms.propose`.
    """
    parents: list[Genome] = []
    if generation > 0:
        everyone = [individual for individuals in history for individual in individuals]
        parents = [individual.genome for individual in rank(everyone, penalty, settings.parents)]

    def draw(random: Random) -> Child:
        return _breed(space, settings, parents, random) if parents else draw_random(space, random)

    return draw_unseen(space, settings.population, history, seed, generation, draw)


def _breed(space: SearchSpace, settings: EvolutionSettings, parents: Sequence[Genome], random: Random) -> Child:
    """A child of one or two parents, with at least one gene drawn anew where it has one parent."""
    crossed = len(parents) > 1 and random.random() < settings.crossover_rate
    if crossed:
        mother, father = random.sample(parents, 2)
        genome = cross(mother, father, random)
    else:
        genome = random.choice(parents)
    genome = mutate(space, genome, settings.mutation_rate, random, at_least_one=not crossed)
    return Child(space.fit(genome, random), "crossover" if crossed else "mutation")
