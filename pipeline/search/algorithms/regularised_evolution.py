"""Regularised evolution: the oldest die, whatever they are worth, so that no lucky score is a parent for ever.

E. Real, A. Aggarwal, Y. Huang, Q. V. Le, *Regularized Evolution for Image Classifier Architecture Search*, AAAI 2019.
Of the ``alive`` youngest individuals a few are drawn at random, and the best of them is mutated in one gene. A
generation is proposed at once, where the original proposes one child at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from pipeline.common.settings import setting
from pipeline.search.algorithms.base import Child, SearchSettings, draw_random, draw_unseen
from pipeline.search.individual import Individual
from pipeline.search.objectives import Objective
from pipeline.search.space import SearchSpace

NAME = "regularised_evolution"
TITLE = "regularised evolution"
LOOKS_AT_SCORES = True
BASELINE = False


@dataclass(frozen=True)
class Settings(SearchSettings):
    """Who lives, and who competes."""

    alive: int = setting("Youngest individuals of which parents are drawn.", limits={"minimum": 2}, default=40)
    tournament: int = setting("Individuals of which the best becomes a parent.", limits={"minimum": 1}, default=10)


def propose(
    space: SearchSpace,
    settings: Settings,
    history: Sequence[Sequence[Individual]],
    seed: int,
    generation: int,
    objective: Objective,
) -> list[Child]:
    """Proposes mutants of tournament winners among the living.

    Arguments as of :func:`pipeline.search.algorithms.propose`. As long as fewer than half of
    ``alive`` have been evaluated, genomes are drawn at random.
    """
    everyone = [individual for individuals in history for individual in individuals]
    alive = everyone[-settings.alive :]

    def draw(random: Random) -> Child:
        if len(everyone) < settings.alive // 2 or not alive:
            return draw_random(space, random)
        tournament = random.sample(alive, min(settings.tournament, len(alive)))
        (parent,) = objective.rank(tournament, 1)
        gene = random.randrange(space.genes)
        ratio = random.choice([ratio for ratio in space.ratios if ratio != parent.genome[gene]] or [*space.ratios])
        mutant = (*parent.genome[:gene], ratio, *parent.genome[gene + 1 :])
        return Child(space.fit(mutant, random), "mutation")

    return draw_unseen(space, settings.population, history, seed, generation, draw)
