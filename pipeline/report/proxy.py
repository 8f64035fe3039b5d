"""The worth of a candidate's short training: does its score foretell the accuracy of the network trained in full?

It is judged on a random sample of genomes, since the rows of the table were selected by their scores. Cost alone
foretells accuracy too, wider networks being better: what the score adds is the partial correlation given the cost. Two
scores of the same genomes do not agree perfectly, nor do two trainings in full: no correlation between score and
accuracy can be expected to be higher than these.
"""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from pipeline.common.text import counted
from pipeline.networks.genome import Genome, format_genome
from pipeline.report.statistics import Interval95
from pipeline.search.costs import DEFAULT, CostName, relative_column
from pipeline.search.tables import mean_top1

#: Fewer genomes than these have no rank correlation worth a number.
FEWEST = 5
RESAMPLES = 1000


class ProxyPoint(NamedTuple):
    """A genome of the sample.

    Attributes:
        genome: its ratios.
        cost: relative to uniform-1x, as in Eq. 4.
        scores: as a candidate, of each training, in percent.
        trained: accuracies of each training in full, in percent, on images that were in no training of the search.
    """

    genome: Genome
    cost: float
    scores: tuple[float, ...]
    trained: tuple[float, ...]


PROXY = ("genome", relative_column(DEFAULT), "score", "scores", "trained_mean", "trainings")


def proxy_table(points: Sequence[ProxyPoint], cost: CostName = DEFAULT) -> list[dict[str, Any]]:
    """Returns the points as a table, rounded; several values stand with spaces between.

    Args:
        points: of the sample.
        cost: what their costs are of. The columns are ``columns_for(PROXY, cost)``.
    """
    return [
        {
            "genome": format_genome(point.genome),
            relative_column(cost): round(point.cost, 6),
            "score": round(point.scores[0], 4),
            "scores": " ".join(f"{score:.4f}" for score in point.scores),
            "trained_mean": round(fmean(point.trained), 4),
            "trainings": " ".join(f"{accuracy:.4f}" for accuracy in point.trained),
        }
        for point in points
    ]


class ProxyWorth(NamedTuple):
    """Rank correlations (Kendall's tau-b) over the sample, each with a bootstrap interval over genomes.

    Attributes:
        score: of one score with the mean accuracy of the trained networks.
        cost: of the cost alone with that accuracy.
        partial: of one score with that accuracy, given the cost; None where one of both ranks the sample exactly as the
            cost does, which leaves nothing to be seen beyond it.
        scores: between two scores of the same genomes; None for one score each.
        trainings: between two trainings in full; None for one each.
    """

    score: Interval95
    cost: Interval95
    partial: Interval95 | None
    scores: Interval95 | None
    trainings: Interval95 | None


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float:
    """Returns Kendall's tau-b; 0 if one of both has no order."""
    return _tau(_order(first), _order(second))


def partial_tau(first: Sequence[float], second: Sequence[float], given: Sequence[float]) -> float:
    """Returns Kendall's partial tau of two rankings with what both owe to a third removed."""
    return _partial(_order(first), _order(second), _order(given))


def tau_intervals(
    first: Sequence[float], second: Sequence[float], given: Sequence[float]
) -> tuple[Interval95, Interval95]:
    """Returns Kendall's tau-b of two rankings, and the partial tau given a third, with bootstrap intervals."""
    one, other, third = _order(first), _order(second), _order(given)
    return _bootstrap(_tau, one, other), _bootstrap(_partial, one, other, third)


def _order(values: Sequence[float]) -> np.ndarray:
    """Returns (N, N): 1 where the row's value is above the column's, −1 where it is below, 0 where they are equal."""
    return np.sign(np.subtract.outer(values, values))


def _tau(first: np.ndarray, second: np.ndarray) -> float:
    # Plain sums over all ordered pairs: what scipy's kendalltau counts, a hundred times faster on a few dozen values.
    untied = float(np.sum(first * first)) * float(np.sum(second * second))
    return float(np.sum(first * second)) / untied**0.5 if untied else 0.0


def _partial(first: np.ndarray, second: np.ndarray, given: np.ndarray) -> float:
    direct, one, other = _tau(first, second), _tau(first, given), _tau(second, given)
    left = (1 - one**2) * (1 - other**2)
    return (direct - one * other) / left**0.5 if left > 1e-12 else 0.0


def proxy_worth(points: Sequence[ProxyPoint]) -> ProxyWorth | None:
    """Returns what scores are worth; None for fewer than ``FEWEST`` genomes, and where nothing is ranked."""
    if len(points) < FEWEST or _without_order(points):
        return None
    score = _order([point.scores[0] for point in points])
    accuracy = _order([mean_top1(point.trained) for point in points])
    cost = _order([point.cost for point in points])
    repeated = [_agreement([point.scores for point in points]), _agreement([point.trained for point in points])]
    return ProxyWorth(
        _bootstrap(_tau, score, accuracy),
        _bootstrap(_tau, cost, accuracy),
        None
        if 1 in (abs(_tau(score, cost)), abs(_tau(accuracy, cost)))
        else _bootstrap(_partial, score, accuracy, cost),
        *repeated,
    )


def _without_order(points: Sequence[ProxyPoint]) -> str:
    """Returns what is the same for all genomes, such as scores no better than chance, and ranks none; else nothing."""
    for what, values in (
        ("score", [point.scores[0] for point in points]),
        ("accuracy when trained in full", [mean_top1(point.trained) for point in points]),
    ):
        if len(set(values)) == 1:
            return f"{what}, {values[0]:.2f} %"
    return ""


def _agreement(repeated: Sequence[Sequence[float]]) -> Interval95 | None:
    """Returns how well the first two measurements of each genome agree; None if one has fewer, or all are equal."""
    if min(map(len, repeated)) < 2 or any(len({values[number] for values in repeated}) == 1 for number in range(2)):
        return None
    return _bootstrap(_tau, *(_order([values[number] for values in repeated]) for number in range(2)))


def _bootstrap(of: Callable[..., float], *orders: np.ndarray) -> Interval95:
    """Returns the value over all genomes, with the interval between the 2.5th and 97.5th percentile over resampled
    ones.
    """
    draw, count = np.random.default_rng(0), len(orders[0])  # the same numbers whenever the table is made
    values = []
    for _ in range(RESAMPLES):
        chosen = draw.integers(0, count, count)
        values.append(of(*(order[np.ix_(chosen, chosen)] for order in orders)))
    low, high = np.percentile(values, [2.5, 97.5])
    return Interval95(of(*orders), float(low), float(high))


def proxy_sentences(points: Sequence[ProxyPoint], diverged: int = 0) -> list[str]:
    """Returns what the correlations say, or why there are none.

    Args:
        points: of the sample.
        diverged: genomes of the sample that are none of them, since one of their trainings diverged.
    """
    left_out = f"Left out: {counted(diverged, 'sampled genome')} of which a training diverged."
    return [*_sentences(points), *([left_out] if diverged else [])]


def _sentences(points: Sequence[ProxyPoint]) -> list[str]:
    worth = proxy_worth(points)
    if worth is None and len(points) >= FEWEST:
        return [
            f"What a score is worth cannot be seen: all {len(points)} sampled genomes have the same "
            f"{_without_order(points)}."
        ]
    if worth is None:
        count = {0: "no genome was", 1: "one genome was"}.get(len(points), f"{len(points)} genomes were")
        return [
            f"What a score is worth is not known: {count} sampled (proxy.sample, if there is a search), of at "
            f"least {FEWEST} needed."
        ]
    first = (
        f"Over {len(points)} random genomes, spread over cost, Kendall's tau-b between one score as a candidate and "
        f"the accuracy when trained in full is {worth.score}. Cost alone reaches {worth.cost}"
    )
    if worth.partial is None:
        sentences = [
            f"{first}.",
            "What the score says beyond cost cannot be seen on this sample: the score, or the accuracy, ranks it "
            "exactly as cost does. A larger one (proxy.sample) would tell.",
        ]
    else:
        sentences = [
            f"{first}; what the score says beyond it, the partial tau given cost, is {worth.partial}.",
            "The score says something that cost does not: the interval of the partial tau lies above 0."
            if worth.partial.low > 0
            else "That the score tells anything beyond cost is not seen: the interval of the partial tau holds 0.",
        ]
    ceilings = [
        f"two {what} of the same genomes agree by {tau}"
        for what, tau in (("scores", worth.scores), ("trainings in full", worth.trainings))
        if tau is not None
    ]
    if ceilings:
        sentences.append(f"The noise sets a ceiling: {'; '.join(ceilings)}.")
    return [*sentences, "Intervals are 95 %, by bootstrap over genomes."]
