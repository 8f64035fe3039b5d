"""An evaluated genome, as algorithms and objectives see it."""

from typing import NamedTuple

from pipeline.networks.genome import Genome


class Individual(NamedTuple):
    """An evaluated genome. ``top1`` in percent, None if there is no score; ``relative_flops`` over uniform-1x's."""

    genome: Genome
    top1: float | None
    relative_flops: float
