"""Random search: the baseline at equal budget. Its generations do not look at scores, so none waits for another."""

from collections.abc import Sequence
from functools import partial

from pipeline.search.algorithms.base import Child, draw_random, draw_unseen
from pipeline.search.fitness import Individual
from pipeline.search.settings import EvolutionSettings
from pipeline.search.space import SearchSpace

NAME = "random"
TITLE = "random search"
#: Whether other searches are measured against it.
BASELINE = True


def propose(
    space: SearchSpace,
    settings: EvolutionSettings,
    history: Sequence[Sequence[Individual]],
    seed: int,
    generation: int,
    penalty: float = 0.0,
) -> list[Child]:
    """Proposes genomes drawn at random; arguments as of :func:`pipeline.search.algorithms.propose`.

    Looks at the genomes of ``history`` alone.
    """
    return draw_unseen(space, settings.population, history, seed, generation, partial(draw_random, space))
