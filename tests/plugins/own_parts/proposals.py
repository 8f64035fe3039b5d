"""Proposes genomes at random first, then the best one turned round."""

from dataclasses import dataclass

from pipeline.common.settings import setting
from pipeline.search.algorithms.base import Child, SearchSettings, draw_unseen

NAME = "opposites"
TITLE = "opposites"
LOOKS_AT_SCORES = True
BASELINE = False


@dataclass(frozen=True)
class Settings(SearchSettings):
    """How often it turns."""

    turns: float = setting("Probability of a turn.", limits={"minimum": 0, "maximum": 1}, default=1.0)


def propose(space, settings, history, seed, generation, objective):
    """Proposes a generation."""
    everyone = [individual for individuals in history for individual in individuals]

    def draw(random):
        if not everyone or random.random() >= settings.turns:
            return Child(space.draw(random), "drawn")
        return Child(space.fit(objective.rank(everyone, 1)[0].genome[::-1], random), "turn")

    return draw_unseen(space, settings.population, history, seed, generation, draw)
