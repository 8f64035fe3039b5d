"""Random search: the baseline at equal budget. Its generations do not look at scores, so none waits for another.

Within a budget (``search.max_flops``, ``search.max_memory``) every affordable genome is as likely as any other: draws
that are over budget are rejected.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from random import Random

from pipeline.networks.genome import Genome
from pipeline.search.algorithms.base import Child, SearchSettings, draw_unseen
from pipeline.search.individual import Individual
from pipeline.search.objectives import Objective
from pipeline.search.space import SearchSpace

NAME = "random"
TITLE = "random search"
LOOKS_AT_SCORES = False
BASELINE = True

#: Draws over budget after which a genome is found otherwise: fewer than one genome in so many is affordable.
REJECTIONS = 2000
#: Affordable genomes that are listed at most, to draw from the list.
LISTED = 50_000


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
    """Proposes genomes drawn uniformly from those within budget.

    Looks at the genomes of ``history`` alone. Arguments as of :func:`pipeline.search.algorithms.propose`.
    """
    return draw_unseen(space, settings.population, history, seed, generation, _Uniform(space).draw)


class _Uniform:
    """Draws from a space, every genome within budget with the same probability."""

    def __init__(self, space: SearchSpace) -> None:
        self._space, self._few = space, False

    def draw(self, random: Random) -> Child:
        """Returns a genome within budget: by rejection, or where few are affordable from a list of them.

        Where they are few, but too many to list, genes drawn by chance are lowered until the genome is affordable. Only
        then are some genomes likelier than others.
        """
        for _ in range(0 if self._few else REJECTIONS):
            genome = self._space.draw_any(random)
            if self._space.within_budget(genome):
                return Child(genome, "random")
        self._few = True
        return Child(random.choice(self._affordable) if self._affordable else self._space.draw(random), "random")

    @cached_property
    def _affordable(self) -> list[Genome]:
        """All genomes within budget; none if there are too many to list."""
        found = list(islice(self._space.enumerate(), LISTED + 1))
        return found if len(found) <= LISTED else []
