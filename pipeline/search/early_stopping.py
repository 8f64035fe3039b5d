"""Early stopping: a candidate that is clearly worse after a few epochs is not trained further.

Successive halving (K. Jamieson, A. Talwalkar, *Non-stochastic Best Arm Identification and Hyperparameter
Optimization*, AISTATS 2016) in the form that waits for no others (ASHA: L. Li et al., *A System for Massively Parallel
Hyperparameter Tuning*, MLSys 2020), with one rung: after its first epochs a candidate goes on if it is among the best
share of all that the same search has had there before. So it is known when a candidate is proposed what it must reach,
candidates need not wait for each other, and the outcome does not depend on shards or workers. A search's first
generation is trained to its end.

A candidate that was stopped has no score: its accuracy after a few epochs is not comparable with those of others.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.common.settings import setting
from pipeline.networks.genome import Genome
from pipeline.search.algorithms import ALGORITHMS
from pipeline.search.individual import Individual
from pipeline.search.objectives import Objective

#: What no accuracy in percent reaches.
OUT_OF_REACH = 101.0
#: Accuracies are told apart to a part of a percent.
_STEPS = 10_000


@dataclass(frozen=True)
class EarlyStopping:
    """The rule by which candidates are stopped."""

    early_stop_epochs: int | None = setting(
        "Epochs after which a candidate is scored a first time, and stopped if it is clearly worse than the search's "
        "earlier ones were there; 0 judges by the inherited weights alone. null: all are trained to their end, as in "
        "the paper.",
        limits={"minimum": 0},
        default=None,
    )
    early_stop_keep: float = setting(
        "Share of the earlier ones among whose best it has to be in order to go on.",
        limits={"exclusiveMinimum": 0, "maximum": 1},
        default=0.5,
    )


#: Trains all candidates to their end.
NEVER = EarlyStopping()


def stops_early(algorithm: str) -> bool:
    """Returns whether a search by this algorithm has what early stopping needs: scores, and one number to judge by."""
    module = ALGORITHMS[algorithm]
    return bool(module.LOOKS_AT_SCORES and getattr(module, "BY_OBJECTIVE", True))


def needed_worth(earlier: Sequence[Individual], objective: Objective, keep: float) -> float:
    """Returns the worth that a candidate must reach after its first epochs in order to go on.

    Args:
        earlier: the search's candidates so far, with the top-1 that they had after as many epochs.
        objective: what the search looks for.
        keep: share of them that are good enough.
    """
    worths = sorted((objective.value(individual) for individual in earlier), reverse=True)
    return worths[math.ceil(keep * len(worths)) - 1] if worths else -math.inf


def needed_top1(genome: Genome, relative_cost: float, worth: float, objective: Objective) -> float:
    """Returns the lowest top-1 in percent with which a candidate has this worth; ``OUT_OF_REACH`` if none suffices.

    Args:
        genome, relative_cost: the candidate's.
        worth: that it must reach.
        objective: which says what an accuracy is worth, and never less for a higher one.
    """

    def suffices(top1: float) -> bool:
        return objective.value(Individual(genome, top1, relative_cost)) >= worth

    if not suffices(100.0):
        return OUT_OF_REACH
    low, high = -1, 100 * _STEPS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle / _STEPS) else (middle, high)
    return high / _STEPS
