"""The search: which genomes a generation tries (section 3 of the paper; what it leaves open is marked as ours).

Pure functions of the settings, the search's own earlier generations, the seed and the generation's number. Nothing
is carried from one call to the next, so a search continues from its files as if it had never stopped, and can be
extended by more generations later.

>>> space = SearchSpace(genes=2, ratios=(0.5, 1.0))
>>> [child.genome for child in propose(space, EvolutionSettings(population=3), [], seed=0, generation=0)]
[(0.5, 1.0), (1.0, 1.0), (1.0, 0.5)]
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, NamedTuple

from pipeline.common.randomness import random_for
from pipeline.networks.genome import RATIOS, Genome
from pipeline.training.settings import EvolutionSettings

#: Draws of one child before the space is searched systematically for an unseen genome.
TRIES = 100

Origin = Literal["random", "crossover", "mutation", "unseen"]


class Individual(NamedTuple):
    """An evaluated genome. ``top1`` in percent, None where there is no score; ``relative_flops`` as in Eq. 4."""

    genome: Genome
    top1: float | None
    relative_flops: float


class Child(NamedTuple):
    """A proposed genome and how it came about."""

    genome: Genome
    origin: Origin


@dataclass(frozen=True)
class SearchSpace:
    """All genomes of ``genes`` ratios that are within budget.

    ``within_budget`` must be monotone: a genome below an allowed one, gene by gene, is allowed as well. Cost is.
    """

    genes: int
    ratios: tuple[float, ...] = RATIOS
    within_budget: Callable[[Genome], bool] = lambda genome: True

    @property
    def smallest(self) -> Genome:
        """The genome that costs least."""
        return (min(self.ratios),) * self.genes

    def draw(self, random: Random) -> Genome:
        """A random genome; while it is over budget, a gene drawn by chance is lowered one step."""
        genome = tuple(random.choice(self.ratios) for _ in range(self.genes))
        return self.fit(genome, random)

    def fit(self, genome: Genome, random: Random) -> Genome:
        """The genome with genes drawn by chance lowered until it is within budget (the smallest one always is)."""
        ladder = sorted(self.ratios)
        while not self.within_budget(genome) and genome != self.smallest:
            gene = random.choice([i for i, ratio in enumerate(genome) if ratio > ladder[0]])
            lower = ladder[ladder.index(genome[gene]) - 1]
            genome = (*genome[:gene], lower, *genome[gene + 1 :])
        return genome

    def enumerate(self) -> Iterator[Genome]:
        """All genomes within budget, small ratios first; a branch is cut where its cheapest genome is over budget."""
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


def fitness(top1: float | None, relative_flops: float, penalty: float) -> float:
    """max(Acc − λ · FLOPs / FLOPs(uniform 1x), 0), Eq. 4, with Acc in percent; 0 for a candidate without a score."""
    return 0.0 if top1 is None else max(top1 - penalty * relative_flops, 0.0)


def rank(individuals: Sequence[Individual], penalty: float, count: int | None = None) -> list[Individual]:
    """The best ``count`` by fitness; the cheaper of two equals first, then in the order of their genomes."""

    def key(individual: Individual) -> tuple[float, float, Genome]:
        genome, top1, relative_flops = individual
        return (-fitness(top1, relative_flops, penalty), relative_flops, genome)

    return heapq.nsmallest(len(individuals) if count is None else count, individuals, key)


def propose(
    space: SearchSpace,
    settings: EvolutionSettings,
    history: Sequence[Sequence[Individual]],
    seed: int,
    generation: int,
    penalty: float = 0.0,
) -> list[Child]:
    """The genomes of a generation, none of which is twice in it or anywhere in ``history``.

    Generation 0, and every generation of ``random``, is drawn at random. An evolution's later generations are
    children of the best genomes so far (ours): by crossover of two parents or from one, then by mutation. Where no
    unseen child is found, any unseen genome is taken; where the whole space has been seen, the population is
    shorter, at last empty.

    Args:
        space: what may be proposed.
        settings: of the search.
        history: this search's generations 0 … generation − 1. ``random`` looks at their genomes alone.
        seed: of the search. Draws are addressed by (seed, generation, slot).
        generation: number of the generation to propose.
        penalty: λ of the fitness by which parents are chosen.
    """
    seen = {individual.genome for individuals in history for individual in individuals}
    evolve = settings.algorithm == "evolution" and generation > 0
    parents: list[Genome] = []
    if evolve:
        everyone = [individual for individuals in history for individual in individuals]
        parents = [individual.genome for individual in rank(everyone, penalty, settings.parents)]
    unseen = (genome for genome in space.enumerate() if genome not in seen)  # left off where the last slot stopped
    children: list[Child] = []
    for slot in range(settings.population):
        random = random_for("search", seed, generation, slot)
        draws = (_breed(space, settings, parents, random) if parents else _drawn(space, random) for _ in range(TRIES))
        child = next((child for child in draws if child.genome not in seen), None)
        if child is None:
            genome = next(unseen, None)
            if genome is None:
                break
            child = Child(genome, "unseen")
        seen.add(child.genome)
        children.append(child)
    return children


def _drawn(space: SearchSpace, random: Random) -> Child:
    return Child(space.draw(random), "random")


def _breed(space: SearchSpace, settings: EvolutionSettings, parents: Sequence[Genome], random: Random) -> Child:
    """A child of one or two parents, with at least one gene drawn anew where it has one parent."""
    crossed = len(parents) > 1 and random.random() < settings.crossover_rate
    if crossed:
        mother, father = random.sample(parents, 2)
        genome = tuple(random.choice(pair) for pair in zip(mother, father, strict=True))
    else:
        genome = random.choice(parents)
    mutated = {gene for gene in range(space.genes) if random.random() < settings.mutation_rate}
    if not crossed:
        mutated.add(random.randrange(space.genes))
    genome = tuple(random.choice(space.ratios) if i in mutated else ratio for i, ratio in enumerate(genome))
    return Child(space.fit(genome, random), "crossover" if crossed else "mutation")
