"""The most accurate network within a budget: no λ has to be guessed where what a network may cost is known."""

from dataclasses import dataclass

from pipeline.common.settings import setting
from pipeline.search.individual import Individual

NAME = "most_accurate"


@dataclass(frozen=True)
class Settings:
    """The budget."""

    max_cost: float = setting(
        "Cost relative to uniform-1x that a network may have.", limits={"exclusiveMinimum": 0}, default=1.0
    )


def value(individual: Individual, settings: Settings) -> float:
    """Returns top-1 in percent of a network within the budget; 0 for one above it, or without a score."""
    return individual.top1 or 0.0 if admits(individual, settings) else 0.0


def admits(individual: Individual, settings: Settings) -> bool:
    """Returns whether a network is within the budget."""
    return individual.relative_cost <= settings.max_cost


def title(settings: Settings) -> str:
    """Returns what to call it in tables and figures."""
    return f"the most accurate within {settings.max_cost:g} times uniform-1x's cost"
