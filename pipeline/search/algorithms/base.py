"""The parts that all search algorithms share: what they propose, and how no genome is proposed twice."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

from pipeline.common.randomness import random_for
from pipeline.common.settings import setting
from pipeline.networks.genome import Genome
from pipeline.search.individual import Individual
from pipeline.search.space import SearchSpace


@dataclass(frozen=True)
class SearchSettings:
    """The settings of all algorithms."""

    population: int = setting("Genomes in a generation.", limits={"minimum": 1}, default=32)


def rate_of_crossover() -> Any:
    """Returns the setting ``crossover_rate``, which several algorithms have."""
    return setting(
        "Probability that a child takes its genes from two parents; otherwise one parent is mutated.",
        limits={"minimum": 0, "maximum": 1},
        default=0.5,
    )


def rate_of_mutation() -> Any:
    """Returns the setting ``mutation_rate``, which several algorithms have."""
    return setting(
        "Probability that a gene of a child is drawn anew.", limits={"minimum": 0, "maximum": 1}, default=0.1
    )


def number_of_parents() -> Any:
    """Returns the setting ``parents``, which several algorithms have."""
    return setting(
        "How many of the best genomes so far may become parents (ours, like the next two).",
        limits={"minimum": 1},
        default=5,
    )


#: Draws of one child before the space is searched systematically for an unseen genome.
TRIES = 100


class Child(NamedTuple):
    """A proposed genome and how it came about, in one plain word (:mod:`pipeline.search.origins`)."""

    genome: Genome
    origin: str


def draw_unseen(
    space: SearchSpace,
    count: int,
    history: Sequence[Sequence[Individual]],
    seed: int,
    generation: int,
    draw: Callable[[Random], Child],
) -> list[Child]:
    """Draws a generation's genomes, none of which is twice in it or anywhere in ``history``.

    Where no unseen child is found, any unseen genome is taken; where the whole space has been seen, the population is
    shorter, at last empty.

    Args:
        space: what may be proposed.
        count: genomes wanted.
        history: this search's earlier generations.
        seed: of the search. Draws are addressed by (seed, generation, slot).
        generation: number of the generation to propose.
        draw: makes a child from random numbers.
    """
    seen = {individual.genome for individuals in history for individual in individuals}
    unseen = (genome for genome in space.enumerate() if genome not in seen)  # left off where the last slot stopped
    children: list[Child] = []
    for slot in range(count):
        random = random_for("search", seed, generation, slot)
        draws = (draw(random) for _ in range(TRIES))
        child = next((child for child in draws if child.genome not in seen), None)
        if child is None:
            genome = next(unseen, None)
            if genome is None:
                break
            child = Child(genome, "unseen")
        seen.add(child.genome)
        children.append(child)
    return children


def draw_random(space: SearchSpace, random: Random) -> Child:
    """Draws a genome at random."""
    return Child(space.draw(random), "random")


def cross(mother: Genome, father: Genome, random: Random) -> Genome:
    """Returns a child that has each gene from one of two parents, by chance."""
    return tuple(random.choice(pair) for pair in zip(mother, father, strict=True))


def mutate(space: SearchSpace, genome: Genome, rate: float, random: Random, *, at_least_one: bool) -> Genome:
    """Returns the genome with genes drawn anew, each with probability ``rate``, and one in any case if asked for."""
    mutated = {gene for gene in range(space.genes) if random.random() < rate}
    if at_least_one:
        mutated.add(random.randrange(space.genes))
    return tuple(random.choice(space.ratios) if i in mutated else ratio for i, ratio in enumerate(genome))
