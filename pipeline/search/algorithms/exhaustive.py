"""Exhaustive search: every genome of the space once, for tables that other searches are tried on.

The order is a permutation that the seed draws, so that a table that is not finished yet is a random sample. Once the
space is exhausted, generations are empty.
"""

from collections.abc import Sequence

from pipeline.common.randomness import random_for
from pipeline.search.algorithms.base import Child
from pipeline.search.fitness import Individual
from pipeline.search.settings import EvolutionSettings
from pipeline.search.space import SearchSpace

NAME = "exhaustive"
TITLE = "exhaustive search"
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
    """Proposes the next genomes of the permutation; arguments as of :func:`pipeline.search.algorithms.propose`."""
    genomes = list(space.enumerate())
    random_for("exhaustive", seed).shuffle(genomes)
    first = generation * settings.population
    return [Child(genome, "enumerated") for genome in genomes[first : first + settings.population]]
