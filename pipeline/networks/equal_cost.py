"""Controls: the widest uniform network, and the widest with a given first layer, that cost no more than a genome.

What a search found is worth something if it is more accurate than these. Widths are whole channels, so a control lies
at or just below the genome's cost. Channels are counted in the network that is trained, whose steps are coarser at a
reduced base width; its genome says exactly how wide each layer is, so that its cost can be counted at another width.

>>> from pipeline.networks.cost import network_cost
>>> found = NetworkSpec("vgg_small", (0.5, 2.0, 1.0, 1.0, 1.0, 0.5))
>>> flops = lambda spec: network_cost(spec).flops
>>> control = uniform_control(found, flops)
>>> control.widths
(116, 116, 233, 233, 467, 467)
>>> 0.98 < flops(control) / flops(found) <= 1
True
"""

import math
from collections.abc import Callable

from pipeline.networks.genome import Genome
from pipeline.networks.spec import NetworkSpec, uniform_genome

Cost = Callable[[NetworkSpec], float]


def uniform_control(found: NetworkSpec, cost: Cost) -> NetworkSpec:
    """Returns the uniform network of the largest ratio that costs no more than ``found``.

    Args:
        found: the network to be measured against it, at the base width that is trained.
        cost: of a network.
    """
    return _widest(found, cost, fixed=0)


def first_layer_control(found: NetworkSpec, cost: Cost) -> NetworkSpec:
    """Returns the widest network with the first layer of ``found`` and uniform others that costs no more than it.

    The first gene of every architecture scales its first layer, which is real-valued and can be most of the cost.
    """
    return _widest(found, cost, fixed=1)


def _widest(found: NetworkSpec, cost: Cost, fixed: int) -> NetworkSpec:
    """Returns the largest ratio for the genes after the ``fixed`` first ones of ``found``."""
    bases = found.with_genome(uniform_genome(found.network, 1)).widths
    genes = found.genome[fixed:]
    # A uniform network of the genome's smallest ratio has no wider layer, one of its largest no narrower one. Between
    # them a width changes where the ratio reaches a whole number of channels of some layer.
    steps = {channels / base for base in bases[fixed:] for channels in range(1, math.ceil(base * max(genes)) + 1)}
    ratios = sorted({min(genes), *(ratio for ratio in steps if min(genes) < ratio <= max(genes))})

    def control(ratio: float) -> NetworkSpec:
        return found.with_genome((*found.genome[:fixed], *_whole(bases[fixed:], ratio)))

    # From the widest down, since measured costs need not grow with every channel.
    limit = cost(found)
    within = (wide for wide in map(control, reversed(ratios)) if cost(wide) <= limit)
    chosen = next(within, control(ratios[0]))
    # Where ratios make no whole channels, the very same network would stand there by other ratios, at another cost.
    return found if chosen.widths == found.widths else chosen


def _whole(bases: tuple[int, ...], ratio: float) -> Genome:
    """Returns the ratios that give exactly the whole channels that fit under ``ratio``."""
    return tuple(_exact(max(1, math.floor(base * ratio * (1 + 1e-12))), base) for base in bases)


def _exact(channels: int, base: int) -> float:
    ratio = channels / base
    return ratio if int(base * ratio) == channels else math.nextafter(ratio, math.inf)
