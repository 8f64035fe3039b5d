"""Local search: the neighbours of the best genome so far, then those of the next best.

A neighbour has one gene on the next higher or lower ratio. On tabular benchmarks of networks such a search is hard to
beat where evaluations have little noise (White, Nolen, Savani, *Exploring the Loss Landscape in Neural Architecture
Search*, UAI 2021); a batch at a time is ours.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.common.randomness import random_for
from pipeline.networks.genome import Genome
from pipeline.search.algorithms.base import Child, SearchSettings, draw_random, draw_unseen
from pipeline.search.individual import Individual
from pipeline.search.objectives import Objective
from pipeline.search.space import SearchSpace

NAME = "local_search"
TITLE = "local search"
LOOKS_AT_SCORES = True
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
    """Proposes unseen neighbours of the best genome, in random order, then of the second best and so on.

    Generation 0 is drawn at random, and so is what is missing where no evaluated genome has an unseen neighbour.
    Arguments as of :func:`pipeline.search.algorithms.propose`.
    """
    everyone = [individual for individuals in history for individual in individuals]
    seen = {individual.genome for individual in everyone}
    children: list[Child] = []
    for place, incumbent in enumerate(objective.rank(everyone)):
        around = [genome for genome in neighbours(space, incumbent.genome) if genome not in seen]
        random_for("neighbours", seed, generation, place).shuffle(around)
        for genome in around[: settings.population - len(children)]:
            seen.add(genome)
            children.append(Child(genome, "neighbour"))
        if len(children) == settings.population:
            return children
    missing = settings.population - len(children)
    known = [*history, [Individual(child.genome, None, 0.0) for child in children]]
    return children + draw_unseen(space, missing, known, seed, generation, lambda random: draw_random(space, random))


def neighbours(space: SearchSpace, genome: Genome) -> Iterator[Genome]:
    """Yields the genomes within budget of which one gene is one step higher or lower.

    >>> sorted(neighbours(SearchSpace(2, (0.5, 1.0, 2.0)), (0.5, 1.0)))
    [(0.5, 0.5), (0.5, 2.0), (1.0, 1.0)]
    """
    ladder = sorted(space.ratios)
    for gene, ratio in enumerate(genome):
        place = ladder.index(ratio)
        for step in (place - 1, place + 1):
            if 0 <= step < len(ladder):
                neighbour = (*genome[:gene], ladder[step], *genome[gene + 1 :])
                if space.within_budget(neighbour):
                    yield neighbour
