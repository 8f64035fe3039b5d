"""What a candidate's short training is worth: does its score foretell the accuracy of the network trained in full?"""

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from pipeline.networks.genome import Genome, format_genome
from pipeline.report.results import Interval, Row, interval_cells

#: Fewer points than these have no rank correlation worth a number.
FEWEST_FOR_TAU = 3


class ProxyPoint(NamedTuple):
    """A genome's score as a candidate beside its accuracy when trained in full, both in percent."""

    model: str
    genome: Genome
    score: float
    top1: Interval


PROXY = ("model", "genome", "proxy_top1", "top1_mean", "top1_std", "seeds")


def proxy_points(rows: Sequence[Row], scores: Iterable[tuple[Genome, float]]) -> list[ProxyPoint]:
    """The binary rows whose genome has a score as a candidate, each genome once, in the rows' order.

    Searches share the archive, so that a genome has one score; where two trained it at the same time on a device
    that is not deterministic, the mean counts.
    """
    known: dict[Genome, list[float]] = {}
    for genome, top1 in scores:
        known.setdefault(genome, []).append(top1)
    points: dict[Genome, ProxyPoint] = {}
    for row in rows:
        genome = row.spec.genome
        if row.spec.binary and genome in known and genome not in points:
            points[genome] = ProxyPoint(row.model, genome, fmean(known[genome]), row.top1)
    return list(points.values())


def proxy_table(points: Sequence[ProxyPoint]) -> list[dict[str, Any]]:
    """The points as a table with the columns ``PROXY``, rounded."""
    return [
        {
            "model": point.model,
            "genome": format_genome(point.genome),
            "proxy_top1": round(point.score, 4),
            **interval_cells("top1", point.top1),
            "seeds": point.top1.seeds,
        }
        for point in points
    ]


def kendall_tau(points: Sequence[ProxyPoint]) -> float | None:
    """Kendall's tau-b between score and trained accuracy; None for fewer than three points or without any order."""
    if len(points) < FEWEST_FOR_TAU:
        return None
    from scipy.stats import kendalltau

    scores, accuracies = [point.score for point in points], [point.top1.mean for point in points]
    if len(set(scores)) == 1 or len(set(accuracies)) == 1:
        return None
    return float(kendalltau(scores, accuracies, variant="b").statistic)


def proxy_sentence(points: Sequence[ProxyPoint]) -> str:
    """What the correlation says, or why there is none."""
    tau = kendall_tau(points)
    if tau is not None:
        return (
            f"Kendall's tau-b between a candidate's score and its accuracy when trained in full: {tau:.2f}, "
            f"over {len(points)} genomes."
        )
    if len(points) >= FEWEST_FOR_TAU:
        return f"Kendall's tau-b is not defined: all {len(points)} genomes have the same score or the same accuracy."
    count = {0: "no genome has", 1: "only one genome has"}.get(len(points), f"only {len(points)} genomes have")
    return f"Kendall's tau-b is not given: {count} both a candidate's score and an accuracy when trained in full."
