"""Exhaustive search: every genome of the space once, for tables that other searches are tried on.

The order is a permutation that the seed draws, so that a table that is not finished yet is a random sample. Once the
space is exhausted, generations are empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.common.randomness import random_for
from pipeline.search.algorithms.base import Child, SearchSettings
from pipeline.search.individual import Individual
from pipeline.search.objectives import Objective
from pipeline.search.space import SearchSpace

NAME = "exhaustive"
TITLE = "exhaustive search"
LOOKS_AT_SCORES = False
BASELINE = False


@dataclass(frozen=True)
class Settings(SearchSettings):
    """None of its own."""


def propose(
    space: SearchSpace,
    settings: Settings,
    history: Sequence[Sequence[Individual]],
    seed: int,
    generation: int,
    objective: Objective,
) -> list[Child]:
    """Proposes the next genomes of the permutation; arguments as of :func:`pipeline.search.algorithms.propose`."""
    genomes = list(space.enumerate())
    random_for("exhaustive", seed).shuffle(genomes)
    first = generation * settings.population
    return [Child(genome, "enumerated") for genome in genomes[first : first + settings.population]]
