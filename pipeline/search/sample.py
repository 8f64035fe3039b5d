"""A sample of genomes on which the proxy is judged: random, and spread over what they cost."""

import math
from collections.abc import Callable
from random import Random

from pipeline.networks.genome import Genome
from pipeline.search.space import SearchSpace

#: Genomes that are drawn for each one of a sample.
_DRAWN = 40


def spread_over_cost(space: SearchSpace, count: int, cost: Callable[[Genome], float], random: Random) -> list[Genome]:
    """Returns random genomes whose costs are spread evenly on a logarithmic scale, the cheapest first.

    The range of costs of many drawn genomes is divided into as many parts as genomes are wanted, and one is taken from
    each; a part that has none leaves its place to any other genome.

    Args:
        space: what may be drawn.
        count: genomes wanted; fewer are returned if the space has fewer.
        cost: of a genome.
        random: draws.
    """
    drawn = list(dict.fromkeys(space.draw(random) for _ in range(_DRAWN * count)))
    logarithms = {genome: math.log(cost(genome)) for genome in drawn}
    least, most = min(logarithms.values(), default=0.0), max(logarithms.values(), default=0.0)
    parts: dict[int, list[Genome]] = {}
    for genome, value in logarithms.items():
        parts.setdefault(min(count - 1, int(count * (value - least) / (most - least or 1))), []).append(genome)
    chosen = [random.choice(part) for _, part in sorted(parts.items())]
    others = [genome for genome in drawn if genome not in set(chosen)]
    chosen += random.sample(others, min(count - len(chosen), len(others)))
    return sorted(chosen, key=lambda genome: (logarithms[genome], genome))
