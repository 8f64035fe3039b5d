"""An evaluated genome, as algorithms and objectives see it."""

from typing import NamedTuple

from pipeline.networks.genome import Genome


class Individual(NamedTuple):
    """An evaluated genome: ``top1`` in percent, None without a score; ``relative_cost`` over uniform-1x's (Eq. 4)."""

    genome: Genome
    top1: float | None
    relative_cost: float
