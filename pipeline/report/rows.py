"""Rows of the table of results: the networks that were measured, where their genomes come from, and what they cost.

>>> Interval.of([91.0, 92.0, 93.0])
Interval(mean=92.0, std=1.0, seeds=3)
>>> str(Interval.of([91.0, 92.0, 93.0])), str(Interval.of([92.125]))
('92.00 ± 1.00', '92.12')
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import fmean, stdev
from typing import Any, Literal, NamedTuple

import numpy as np

from pipeline.data.census import Census
from pipeline.networks.cost import Cost, network_cost, speedup
from pipeline.networks.genome import Genome, format_genome
from pipeline.networks.spec import PUBLISHED_WIDTH, NetworkSpec
from pipeline.report.answers import Answered
from pipeline.report.fronts import front
from pipeline.report.published import PublishedRow
from pipeline.report.statistics import Sample
from pipeline.search.algorithms import ALGORITHMS
from pipeline.search.costs import FLOPS, Counting
from pipeline.search.objectives import Objective
from pipeline.search.tables import Best

Kind = Literal["full-precision", "uniform", "control", "found", "baseline", "given"]
#: What a row of equal cost has in common with the found one that it is compared with.
Control = Literal["uniform", "first-layer"]


class Interval(NamedTuple):
    """Mean and sample standard deviation over seeds; ``std`` is None for one seed, which says nothing of spread."""

    mean: float
    std: float | None
    seeds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Interval":
        """Returns the interval of one value for each seed."""
        return cls(fmean(values), stdev(values) if len(values) > 1 else None, len(values))

    def __str__(self) -> str:
        return f"{self.mean:.2f}" + ("" if self.std is None else f" ± {self.std:.2f}")


@dataclass(frozen=True)
class Measurement:
    """One trained network on the test set.

    Attributes:
        model: the row's name.
        seed: which of the row's trainings.
        top1, top5: in percent; ``top5`` None where there are too few classes.
        spec: the network.
        right: which images were answered rightly, bool (images,); None where the record is too old to say so.
        images: how many there are; 0 where it is not known.
        census: what was wrong with train and test images; None where the record is too old to say so.
        answered: the answers, class by class; None where the record is too old to say so.
        weights: digest of the network's weights; nothing where the record is too old to say so.
        training: what the network was trained with (:func:`pipeline.training.identity.said_of`), as far as it is known.
        test_images: digest of the test set; nothing where the record is too old to say so.
    """

    model: str
    seed: int
    top1: float
    top5: float | None
    spec: NetworkSpec
    right: np.ndarray | None = field(default=None, compare=False)
    images: int = 0
    census: Census | None = None
    answered: Answered | None = field(default=None, repr=False, compare=False)
    weights: str = ""
    training: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    test_images: str = ""


@dataclass(frozen=True)
class Search:
    """A search of the experiment, or one run of it.

    Attributes:
        name: of the search.
        algorithm: its name in ``ALGORITHMS``.
        objective: what it looked for.
        best: what it found; None where that is not known.
    """

    name: str
    algorithm: str
    objective: Objective
    best: Best | None = None

    @property
    def title(self) -> str:
        """The algorithm's name in prose."""
        return str(ALGORITHMS[self.algorithm].TITLE)

    @property
    def baseline(self) -> bool:
        """Returns whether the algorithm is one that others are measured against."""
        return bool(ALGORITHMS[self.algorithm].BASELINE)


@dataclass(frozen=True)
class ControlOf:
    """Which row a control is compared with, what they have in common beside their cost, and the genome that was chosen
    for it; None where that is not known.
    """

    model: str
    control: Control
    genome: Genome | None = None


class Given(NamedTuple):
    """A genome that the configuration gives a row, and whether its network is binary."""

    genome: Genome
    binary: bool

    def __str__(self) -> str:
        return format_genome(self.genome) + ("" if self.binary else " in full precision")


@dataclass(frozen=True)
class Row:
    """A line of the table of results: a network trained with one or more seeds.

    Attributes:
        model: the line's name.
        spec: the network, at the width at which it was trained.
        top1, top5: on the test set in percent; ``top5`` None where there are too few classes.
        search: that found the genome; None for a genome that was given.
        published: the line of the published table with the same genome; None without one.
        control_of: the row of the same cost that it is a control of; None for any other row.
        sample: all that was measured, for comparisons.
        cost_width: base width at which its cost is counted.
        counting: what its cost is in comparisons.
        census: what was wrong with the images; None where it is not known.
        answered: the answers of every seed's network; none where those of one are not known.
        test_images: digest of the test set; nothing where it is not known.
        recipe: in what it was trained otherwise than most rows, in words such as 'optimizer adam'.
    """

    model: str
    spec: NetworkSpec
    top1: Interval
    top5: Interval | None = None
    search: Search | None = None
    published: PublishedRow | None = None
    control_of: ControlOf | None = None
    sample: Sample = Sample(())
    cost_width: float = PUBLISHED_WIDTH
    census: Census | None = None
    answered: tuple[Answered, ...] = field(default=(), repr=False, compare=False)
    counting: Counting = FLOPS
    test_images: str = ""
    recipe: tuple[str, ...] = ()

    @cached_property
    def weighed_cost(self) -> float:
        """Its cost as the search means it, at ``cost_width``: operations, bytes or seconds, of the binary network."""
        return self.counting.value(self.counted_spec)

    @cached_property
    def milliseconds(self) -> float | None:
        """Its time for one image by the table of latencies; None without one, and for full precision."""
        return self.counting.milliseconds(self.counted_spec) if self.spec.binary else None

    @cached_property
    def cost(self) -> Cost:
        """Returns what the network costs at ``cost_width``, counted as its published table does."""
        return network_cost(self.spec.at_width(self.cost_width))

    @cached_property
    def trained_cost(self) -> Cost:
        """Returns what it costs at the width at which it was trained."""
        return network_cost(self.spec)

    @cached_property
    def speedup(self) -> float:
        """In theory, over the full-precision network of ratio 1, at ``cost_width``."""
        return speedup(self.spec.at_width(self.cost_width))

    @property
    def counted_spec(self) -> NetworkSpec:
        """The binary network at the width at which costs are counted."""
        return replace(self.spec, base_width=self.cost_width, binary=True)

    @property
    def kind(self) -> Kind:
        """Returns what the line stands for in a comparison."""
        if self.control_of is not None:
            return "control"
        if self.search is not None:
            return "baseline" if self.search.baseline else "found"
        if not self.spec.binary:
            return "full-precision"
        return "uniform" if len(set(self.spec.genome)) == 1 else "given"


def sample_of(measured: Sequence[Measurement]) -> Sample:
    """Returns what statistics want to know of a row's trainings; answers only if they are known of every seed."""
    right = [measurement.right for measurement in measured]
    known = tuple(answers for answers in right if answers is not None)
    images = min(measurement.images for measurement in measured)
    return Sample(tuple(m.top1 for m in measured), known if len(known) == len(right) else (), images)


def pareto_front(rows: Sequence[Row], cost: Callable[[Row], float] = lambda row: row.cost.flops) -> list[Row]:
    """Returns the binary rows than which no other binary row is both cheaper and more accurate in the mean, cheapest
    first. Means are of accuracies with four digits, of which three are certain.
    """
    return front([row for row in rows if row.spec.binary], cost, lambda row: round(row.top1.mean, 3))
