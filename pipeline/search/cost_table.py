"""The cost of many genomes at once: a table of what single genes and pairs of genes add.

A layer's cost depends on the widths of its input and output alone, so that a network's is a sum over genes and pairs of
genes wherever no layer meets three. That holds for both networks; it is checked on a sample when a table is made, and
where it does not hold, genomes are counted one by one.

>>> table = CostTable.of(2, (1.0, 2.0), lambda genome: genome[0] + 3 * genome[0] * genome[1])
>>> table.costs([(1.0, 1.0), (2.0, 2.0)]).tolist()
[4.0, 14.0]
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random

import numpy as np

from pipeline.networks.genome import Genome

#: Genomes on which a table is compared with the count itself.
_CHECKED = 16


@dataclass(frozen=True)
class CostTable:
    """The costs that ratios of single genes and of pairs add to the cost of the genome of all smallest ratios.

    Attributes:
        ratios: ascending.
        base: cost of the smallest genome.
        single: (genes, ratios).
        pairs: for each pair of genes, (ratios, ratios), beyond what both add by themselves.
        count: the cost of one genome.
        exact: whether the table gives the same as ``count``.
    """

    ratios: tuple[float, ...]
    base: float
    single: np.ndarray
    pairs: dict[tuple[int, int], np.ndarray]
    count: Callable[[Genome], float]
    exact: bool

    @classmethod
    def of(cls, genes: int, ratios: Sequence[float], count: Callable[[Genome], float]) -> "CostTable":
        """Makes a table by counting genomes of which all genes but one or two are smallest."""
        ladder = tuple(sorted(ratios))
        smallest = (ladder[0],) * genes

        def with_genes(**changes: float) -> float:
            genome = tuple(changes.get(f"g{gene}", ratio) for gene, ratio in enumerate(smallest))
            return count(genome)

        base = count(smallest)
        single = np.array([[with_genes(**{f"g{gene}": r}) - base for r in ladder] for gene in range(genes)])
        pairs = {
            (a, b): np.array([[with_genes(**{f"g{a}": p, f"g{b}": q}) for q in ladder] for p in ladder])
            - base
            - single[a][:, None]
            - single[b][None, :]
            for a, b in combinations(range(genes), 2)
        }
        table = cls(ladder, base, single, pairs, count, True)
        random = Random(0)
        sample = [tuple(random.choice(ladder) for _ in range(genes)) for _ in range(_CHECKED)]
        exact = np.allclose(table.costs(sample), [count(genome) for genome in sample], rtol=1e-9, atol=1e-9)
        return table if exact else cls(ladder, base, single, pairs, count, False)

    def costs(self, genomes: Sequence[Genome]) -> np.ndarray:
        """Returns the cost of each genome, float64 (N,)."""
        if not self.exact:
            return np.array([self.count(genome) for genome in genomes], dtype=float)
        places = np.searchsorted(self.ratios, np.array(genomes, dtype=float).reshape(len(genomes), len(self.single)))
        total = np.full(len(genomes), self.base, dtype=float)
        for gene, added in enumerate(self.single):
            total += added[places[:, gene]]
        for (a, b), added in self.pairs.items():
            total += added[places[:, a], places[:, b]]
        return total
