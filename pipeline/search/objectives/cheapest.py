"""The cheapest network above an accuracy. As long as none is, the most accurate one is the nearest to it."""

from dataclasses import dataclass

from pipeline.common.settings import setting
from pipeline.search.individual import Individual

NAME = "cheapest"


@dataclass(frozen=True)
class Settings:
    """The accuracy that has to be reached."""

    min_top1: float = setting(
        "Top-1 in percent that a candidate's score has to reach.", limits={"minimum": 0, "maximum": 100}
    )


def value(individual: Individual, settings: Settings) -> float:
    """Returns top-1 in percent below the bound; from there on the bound, and 100 / (1 + relative cost) on top."""
    top1 = individual.top1 or 0.0
    return top1 if top1 < settings.min_top1 else settings.min_top1 + 100 / (1 + individual.relative_cost)


def title(settings: Settings) -> str:
    """Returns what to call it in tables and figures."""
    return f"the cheapest of at least {settings.min_top1:g} %"
