"""How a search proposes genomes, as plain values."""

from dataclasses import dataclass
from typing import Literal

from pipeline.common.settings import setting


@dataclass(frozen=True)
class EvolutionSettings:
    """How a search proposes genomes. Rates and selection are not in the paper; these are this project's choices."""

    algorithm: Literal["evolution", "random"] = setting("'random' is the baseline at equal budget", default="evolution")
    population: int = setting("genomes in a generation", default=32)
    parents: int = setting("how many of the best genomes so far may become parents", default=5)
    crossover_rate: float = setting("probability that a child has two parents, gene by gene", default=0.5)
    mutation_rate: float = setting("probability that a gene of a child is drawn anew", default=0.1)
    max_flops: float | None = setting("no genome above these operations for one image is proposed", default=None)
    max_memory: float | None = setting("no genome above these bytes of weights is proposed", default=None)
    alive: int = setting("youngest individuals of which parents are drawn (regularised evolution)", default=40)
    tournament: int = setting("individuals in a tournament (regularised evolution)", default=10)
