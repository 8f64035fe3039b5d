"""The search space: all genomes that a search may propose (Eq. 2), within its budget."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from random import Random
from typing import TYPE_CHECKING

from pipeline.common.settings import setting
from pipeline.networks.cost import network_cost
from pipeline.networks.genome import RATIOS, Genome
from pipeline.networks.spec import NetworkSpec
from pipeline.search.costs import FLOPS, Counting

if TYPE_CHECKING:
    import numpy as np

    from pipeline.search.cost_table import CostTable

#: Genomes of which it is remembered whether they are within budget: all of VGG-small's.
_REMEMBERED = 50_000


@dataclass(frozen=True)
class SearchSpace:
    """All genomes of ``genes`` ratios that are within budget.

    ``within_budget`` must be monotone: a genome below an allowed one, gene by gene, is allowed as well. Cost is; where
    measured time is not quite, ``enumerate`` can leave out genomes, and gives none that is over budget.
    ``relative_cost`` is that of Eq. 4: over the cost of uniform-1x.
    """

    genes: int
    ratios: tuple[float, ...] = RATIOS
    within_budget: Callable[[Genome], bool] = lambda genome: True
    relative_cost: Callable[[Genome], float] = lambda genome: 1.0

    @cached_property
    def _cost_table(self) -> "CostTable":
        from pipeline.search.cost_table import CostTable  # numpy, which most algorithms do not need

        return CostTable.of(self.genes, self.ratios, self.relative_cost)

    def costs(self, genomes: Sequence[Genome]) -> "np.ndarray":
        """Returns the cost of each genome relative to uniform-1x, as in Eq. 4, float64 (N,)."""
        return self._cost_table.costs(genomes)

    @property
    def smallest(self) -> Genome:
        """The genome that costs least."""
        return (min(self.ratios),) * self.genes

    def draw(self, random: Random) -> Genome:
        """Returns a random genome; while it is over budget, a gene drawn by chance is lowered one step."""
        return self.fit(self.draw_any(random), random)

    def draw_any(self, random: Random) -> Genome:
        """Draws a genome, whatever it costs."""
        return tuple(random.choice(self.ratios) for _ in range(self.genes))

    def __contains__(self, genome: object) -> bool:
        if not (isinstance(genome, tuple) and len(genome) == self.genes and set(genome) <= set(self.ratios)):
            return False
        return self.within_budget(genome)

    def fit(self, genome: Genome, random: Random) -> Genome:
        """Returns the genome with genes drawn by chance lowered until it is within budget (the smallest one always
        is).
        """
        ladder = sorted(self.ratios)
        while not self.within_budget(genome) and genome != self.smallest:
            gene = random.choice([i for i, ratio in enumerate(genome) if ratio > ladder[0]])
            lower = ladder[ladder.index(genome[gene]) - 1]
            genome = (*genome[:gene], lower, *genome[gene + 1 :])
        return genome

    def enumerate(self) -> Iterator[Genome]:
        """Yields all genomes within budget, small ratios first; a branch is cut where its cheapest genome is over
        budget.
        """
        ladder = sorted(self.ratios)

        def below(prefix: Genome) -> Iterator[Genome]:
            if len(prefix) == self.genes:
                yield prefix
                return
            for ratio in ladder:
                longer = (*prefix, ratio)
                if not self.within_budget(longer + self.smallest[len(longer) :]):
                    return
                yield from below(longer)

        if self.within_budget(self.smallest):
            yield from below(())


@dataclass(frozen=True)
class Budget:
    """The limits that no proposed genome exceeds."""

    max_flops: float | None = setting(
        "Operations for one image above which no genome is proposed. null: no limit.",
        limits={"exclusiveMinimum": 0},
        default=None,
    )
    max_memory: float | None = setting(
        "Bytes of weights above which no genome is proposed. null: no limit.",
        limits={"exclusiveMinimum": 0},
        default=None,
    )
    max_latency: float | None = setting(
        "Milliseconds for one image, by latency_table, above which no genome is proposed. null: no limit.",
        limits={"exclusiveMinimum": 0},
        default=None,
    )

    def over(self, spec: NetworkSpec, counting: Counting) -> "tuple[str, float, str, float] | None":
        """Returns the limit that a network exceeds: key, value, unit, and what the network needs; None for none.

        Args:
            spec: the network at the width at which its cost is counted.
            counting: has the table of latencies, if time is limited.
        """
        cost = network_cost(spec)
        for key, unit, limit, needs in (
            ("max_flops", "operations", self.max_flops, cost.flops),
            ("max_memory", "bytes", self.max_memory, cost.bytes),
            ("max_latency", "ms", self.max_latency, None if self.max_latency is None else counting.milliseconds(spec)),
        ):
            if limit is not None and needs is not None and needs > limit:
                return key, limit, unit, needs
        return None


def search_space(spec: NetworkSpec, ratios: Sequence[float], budget: Budget, counting: Counting = FLOPS) -> SearchSpace:
    """Returns the genomes that a search may propose.

    Args:
        spec: the network, with any genome.
        ratios: values that a gene can take.
        budget: what no genome exceeds.
        counting: what costs are.
    """

    @lru_cache(maxsize=_REMEMBERED)
    def within_budget(genome: Genome) -> bool:
        return budget.over(spec.with_genome(genome), counting) is None

    limited = {"within_budget": within_budget} if budget != Budget() else {}
    return SearchSpace(
        len(spec.genome),
        tuple(map(float, ratios)),
        **limited,
        relative_cost=lambda genome: counting.relative(spec.with_genome(genome)),
    )
