"""Early stopping: a candidate that is clearly worse after a few epochs is not trained further.

Successive halving (K. Jamieson, A. Talwalkar, *Non-stochastic Best Arm Identification and Hyperparameter
Optimization*, AISTATS 2016) in the form that waits for no others (ASHA: L. Li et al., *A System for Massively Parallel
Hyperparameter Tuning*, MLSys 2020), with one rung: after its first epochs a candidate goes on if it is among the best
share of all that the same search has had there before, by what each of them let expect. So it is known when a candidate
is proposed what it must reach, candidates need not wait for each other, and the outcome does not depend on shards or
workers. A search's first generation is trained to its end.

A candidate that was stopped has no score: its accuracy after a few epochs is not comparable with those of others.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import linear_regression
from typing import NamedTuple

from pipeline.common.settings import setting
from pipeline.search.individual import Individual
from pipeline.search.objectives import Objective

#: What no accuracy in percent reaches.
OUT_OF_REACH = 101.0
#: Accuracies are told apart to a part of a percent.
_STEPS = 10_000
#: Different early accuracies of candidates that went on, below which no line is drawn through them.
_POINTS = 3


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


class Early(NamedTuple):
    """A candidate of a search, its own top-1 None if it was stopped, and the one in percent after its first epochs."""

    individual: Individual
    partial_top1: float


@dataclass(frozen=True)
class Bar:
    """The accuracies that candidates must reach after their first epochs in order to go on.

    Early accuracies are lower than those at the end, by which an objective weighs costs. So each is first taken for the
    one at the end that it lets expect: by a straight line through those of the search's candidates that went on.

    Attributes:
        objective: what the search looks for.
        worth: that the expected top-1 must give a candidate.
        slope, intercept: of the line, from early to expected top-1, both in percent.
    """

    objective: Objective
    worth: float = -math.inf
    slope: float = 1.0
    intercept: float = 0.0

    @classmethod
    def of(cls, earlier: Sequence[Early], objective: Objective, keep: float) -> "Bar":
        """Returns the bar that the best ``keep`` of the candidates so far pass; all pass it if no line can be drawn."""
        ended = [(early.partial_top1, early.individual.top1) for early in earlier if early.individual.top1 is not None]
        if len({partial for partial, _ in ended}) < _POINTS:
            return cls(objective)
        slope, intercept = linear_regression(*zip(*ended, strict=True))
        if slope <= 0:
            return cls(objective)
        bar = cls(objective, -math.inf, slope, intercept)
        worths = sorted((bar._worth(early.individual, early.partial_top1) for early in earlier), reverse=True)
        return replace(bar, worth=worths[math.ceil(keep * len(worths)) - 1])

    def needed_top1(self, individual: Individual) -> float:
        """Returns the lowest early top-1 in percent with which a candidate goes on; ``OUT_OF_REACH`` if none suffices.

        No objective may value a higher accuracy less.
        """
        if self._worth(individual, 100.0) < self.worth:
            return OUT_OF_REACH
        low, high = -1, 100 * _STEPS
        while high - low > 1:
            middle = (low + high) // 2
            suffices = self._worth(individual, middle / _STEPS) >= self.worth
            low, high = (low, middle) if suffices else (middle, high)
        return high / _STEPS

    def _worth(self, individual: Individual, partial_top1: float) -> float:
        expected = min(max(self.intercept + self.slope * partial_top1, 0.0), 100.0)
        return self.objective.value(individual._replace(top1=expected))
