"""Differences between trained networks, and what can be said of them: intervals, tests, and how many seeds would tell.

Two things are left to chance in a measured accuracy: the seed of the training, and which images the test set has. The
variance of a difference between two rows is therefore the sum of

- each row's variance over its seeds, divided by their number, as in Welch's test. Rows are not paired by seed: over 40
  genomes that were trained from the same four seeds each, the variance of the paired difference is 1.016 times that of
  the unpaired one (``python -m benchmarks.seeds``), so that pairing would cost degrees of freedom and give nothing;
- the variance over images of the per-image difference, less what the seeds have put into it. Both rows answer the same
  images, so that this one is paired: for one training each it is McNemar's test in its Wald form, with Agresti and
  Min's half an image in each of the four cells, which keeps it from vanishing where all answers agree.

The degrees of freedom are Welch and Satterthwaite's over the seeds' parts alone: with two or three seeds these are so
uncertain that the images' many degrees would promise too much. Where a row has a single seed, nothing is known about
its variance over seeds: the interval is then about these two trainings alone, and never says which network is better.

Where a table compares several pairs, Holm's procedure holds the probability of any false difference among them at 5 %:
each interval has the level at which Holm judges it, so that it leaves out zero exactly where Holm finds a difference.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Literal, NamedTuple

import numpy as np

#: Probability of calling any pair of a table different when none is.
ERROR_RATE = 0.05


@dataclass(frozen=True)
class Sample:
    """The measurements of one row.

    Attributes:
        top1: of each seed's training, in percent.
        right: for each seed in the same order, which test images were answered rightly, bool (images,); empty where the
            evaluations are too old to say so.
        images: of the test set.
    """

    top1: tuple[float, ...]
    right: tuple[np.ndarray, ...] = ()
    images: int = 0


class Difference(NamedTuple):
    """How far one row lies above another, in points of top-1.

    Attributes:
        points: the difference of their means.
        low, high: its interval, at the level that Holm's procedure gives it.
        p: of its test, before any correction.
        scope: what the interval allows for: 'trainings' (other seeds and other images), or 'images' alone, if a row has
            one seed only and nothing is said about another training.
    """

    points: float
    low: float
    high: float
    p: float
    scope: Literal["trainings", "images"]

    @property
    def seen(self) -> bool:
        """Returns whether the interval leaves out zero and the rows have seeds enough to speak of the networks."""
        return self.scope == "trainings" and (self.low > 0 or self.high < 0)

    def __str__(self) -> str:
        """Returns it in words: 'better by 1.8 points (0.4 to 3.2)' or 'no difference seen (−1.1 to 1.9 points)'."""
        if self.scope == "images":
            side = "above" if self.points >= 0 else "below"
            return (
                f"{abs(self.points):.1f} points {side} in these trainings ({_span(self.low, self.high)} over test "
                "images; what another seed would give is not known)"
            )
        if self.low > 0:
            return f"better by {self.points:.1f} points ({_span(self.low, self.high)})"
        if self.high < 0:
            return f"worse by {-self.points:.1f} points ({_span(-self.high, -self.low)})"
        return f"no difference seen ({_span(self.low, self.high)} points)"


def _span(low: float, high: float) -> str:
    """Returns an interval of a difference in words, as far as accuracies can differ: few seeds give wider ones."""
    return f"{_signed(max(low, -100.0))} to {_signed(min(high, 100.0))}"


def _signed(value: float) -> str:
    """Returns one decimal with a true minus, and no negative zero.

    >>> _signed(-0.04), _signed(-1.14)
    ('0.0', '−1.1')
    """
    text = f"{value:.1f}".replace("-", "−")
    return "0.0" if text == "−0.0" else text


def compare(pairs: Sequence[tuple[Sample, Sample]]) -> list[Difference]:
    """Returns the difference of each pair (first minus second) of one table, in their order, corrected by Holm."""
    parts = [_parts(mine, theirs) for mine, theirs in pairs]
    levels = holm_levels([part.p for part in parts])
    return [part.at(level) for part, level in zip(parts, levels, strict=True)]


def holm_levels(p: Sequence[float], error_rate: float = ERROR_RATE) -> list[float]:
    """Returns the level at which Holm's step-down procedure judges each of several tests.

    A test is significant exactly if its p is at most its level: the smallest of m is judged at error_rate / m, the
    next at error_rate / (m − 1) and so on; from the first that fails, all have its level.

    >>> holm_levels([0.04, 0.01, 0.03])
    [0.025, 0.016666666666666666, 0.025]
    """
    levels = [0.0] * len(p)
    level, going = error_rate, True
    for rank, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        if going:
            level = error_rate / (len(p) - rank)
            going = p[index] <= level
        levels[index] = level
    return levels


class _Parts(NamedTuple):
    """A difference before its level is known: t-distributed around ``points``."""

    points: float
    error: float
    freedom: float
    scope: Literal["trainings", "images"]

    @property
    def p(self) -> float:
        from scipy.special import stdtr  # Student's t distribution function

        if not self.error:
            return float(self.points == 0)
        return float(2 * stdtr(self.freedom, -abs(self.points) / self.error))

    def at(self, level: float) -> Difference:
        from scipy.special import stdtrit  # its inverse

        reach = float(stdtrit(self.freedom, 1 - level / 2)) * self.error
        return Difference(self.points, self.points - reach, self.points + reach, self.p, self.scope)


def _parts(mine: Sample, theirs: Sample) -> _Parts:
    points = fmean(mine.top1) - fmean(theirs.top1)
    images, freedom = _over_images(mine, theirs)
    if min(len(mine.top1), len(theirs.top1)) < 2:
        return _Parts(points, images**0.5, freedom, "images")
    parts = [(variance(sample.top1) / len(sample.top1), len(sample.top1) - 1) for sample in (mine, theirs)]
    total = sum(part for part, _ in parts)
    spread = sum(part**2 / degrees for part, degrees in parts)
    freedom = total**2 / spread if spread else min(degrees for _, degrees in parts)
    return _Parts(points, (total + images) ** 0.5, freedom, "trainings")


def _over_images(mine: Sample, theirs: Sample) -> tuple[float, float]:
    """Returns the variance, in points², that the choice of images gives to a difference, and its degrees of freedom.

    Without stored answers the two rows are taken to have seen different images, which is wider.
    """
    if mine.right and theirs.right:
        answers = [100 * np.asarray(sample.right, dtype=float) for sample in (mine, theirs)]
        difference = answers[0].mean(axis=0) - answers[1].mean(axis=0)
        images = len(difference)
        # What an image's mean answer owes to the few seeds is counted with the seeds already.
        of_seeds = sum(float(row.var(axis=0, ddof=1).mean()) / len(row) for row in answers if len(row) > 1)
        own = max(float(difference.var(ddof=1)) - of_seeds, 0.0) if images > 1 else 0.0
        # Agresti and Min: half an image more in each cell, so two images in all, in one of which the rows differ.
        return (images * own + 100**2) / (images + 2) ** 2, max(images - 1, 1)
    images = min(mine.images, theirs.images)
    if not images:
        return 0.0, 1.0
    shares = [fmean(sample.top1) for sample in (mine, theirs)]
    return sum((share * (100 - share) + 100**2 / images) / images for share in shares), max(images - 1, 1)


def seeds_to_tell(mine: Sample, theirs: Sample, points: float, power: float = 0.8, most: int = 1000) -> int | None:
    """Returns how many seeds a row would need for a single test to find a true difference of ``points``.

    Args:
        mine, theirs: the rows, whose spread over seeds and images is taken as it was measured.
        points: the true difference to be found.
        power: probability of finding it.
        most: seeds that are tried; None is returned if they do not suffice (no number makes up for too few images), or
            if a row has a single seed, whose spread is not known.
    """
    from scipy.stats import nct, t

    if min(len(mine.top1), len(theirs.top1)) < 2:
        return None
    images, _ = _over_images(mine, theirs)
    spread = sum(variance(sample.top1) for sample in (mine, theirs))

    def tells(seeds: int) -> bool:
        freedom, error = 2 * (seeds - 1), (spread / seeds + images) ** 0.5
        return not error or bool(nct.sf(t.isf(ERROR_RATE / 2, freedom), freedom, points / error) >= power)

    # Power grows with seeds, so that halving finds the first number of them that suffices.
    needed = bisect_left(range(2, most + 1), True, key=tells) + 2
    return needed if needed <= most else None


class Interval95(NamedTuple):
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})".replace("-", "−")


def independent_difference(mine: Sequence[float], theirs: Sequence[float]) -> Interval95 | None:
    """Returns mean(mine) − mean(theirs) with Welch's 95 % interval; None if either has fewer than two values."""
    if min(len(mine), len(theirs)) < 2:
        return None
    found = _parts(Sample(tuple(mine)), Sample(tuple(theirs))).at(ERROR_RATE)
    return Interval95(found.points, found.low, found.high)


def mean_interval(values: Sequence[float]) -> Interval95:
    """Returns the mean of at least two values with Student's 95 % interval."""
    from scipy.special import stdtrit

    reach = float(stdtrit(len(values) - 1, 0.975)) * (variance(map(float, values)) / len(values)) ** 0.5
    return Interval95(fmean(values), fmean(values) - reach, fmean(values) + reach)
