"""Eq. 4 of the paper: accuracy against cost, λ weighing the one against the other."""

from dataclasses import dataclass

from pipeline.common.settings import setting
from pipeline.search.individual import Individual

NAME = "fitness"


@dataclass(frozen=True)
class Settings:
    """How accuracy is weighed against cost."""

    penalty: float = setting(
        "λ, the weight of the cost against accuracy in percent (Eq. 4).",
        key="lambda",
        limits={"minimum": 0},
        default=4.0,
    )


def fitness(top1: float | None, relative_cost: float, penalty: float) -> float:
    """Returns max(Acc − λ · cost / cost(uniform 1x), 0), Eq. 4, with Acc in percent; 0 without a score."""
    return 0.0 if top1 is None else max(top1 - penalty * relative_cost, 0.0)


def value(individual: Individual, settings: Settings) -> float:
    """Returns the fitness of an individual."""
    return fitness(individual.top1, individual.relative_cost, settings.penalty)


def title(settings: Settings) -> str:
    """Returns what to call it in tables and figures."""
    return f"λ = {settings.penalty:g}"
