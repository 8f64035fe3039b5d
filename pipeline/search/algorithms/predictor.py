"""Search by a model of the accuracy: a Gaussian process fitted to the search's own history proposes what promises most.

The process lives in the logarithms of the ratios, with a length scale for each gene and a variance of noise that are
fitted to the scores (C. E. Rasmussen, C. K. I. Williams, *Gaussian Processes for Machine Learning*, 2006). Each child
of a generation is the best genome of one function that is drawn from the posterior (W. R. Thompson, Biometrika 1933;
for batches K. Kandasamy et al., AISTATS 2018), so that a generation tries several beliefs at once. The model knows that
a score is noisy; the paper's evolution takes its luckiest score for its best.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.common.randomness import random_for, seed_for
from pipeline.networks.genome import Genome
from pipeline.search.algorithms.base import Child, SearchSettings, draw_random, draw_unseen, mutate, number_of_parents
from pipeline.search.individual import Individual
from pipeline.search.objectives import DEFAULT, Objective
from pipeline.search.space import SearchSpace

if TYPE_CHECKING:
    import numpy as np

    from pipeline.search.posterior import Posterior

    #: Of accuracies in percent (N,) of the genomes at these places (N,): what each is worth, (N,).
    Worth = Callable[[np.ndarray, np.ndarray], np.ndarray]

NAME = "predictor"
TITLE = "search by a Gaussian process"
LOOKS_AT_SCORES = True
BASELINE = False

#: Genomes of a space that can be listed; of a larger one a sample is taken: children of the best, and others.
LISTED = 100_000
#: Genomes of which functions are drawn: the most promising by mean plus two deviations.
POOL = 500


@dataclass(frozen=True)
class Settings(SearchSettings):
    """Around which genomes it looks, where they are too many to list."""

    parents: int = number_of_parents()


def propose(
    space: SearchSpace,
    settings: Settings,
    history: Sequence[Sequence[Individual]],
    seed: int,
    generation: int,
    objective: Objective,
) -> list[Child]:
    """Proposes the best genomes of functions drawn from the posterior.

    Arguments as of :func:`pipeline.search.algorithms.propose`. Genomes are drawn at random until there are two scores
    for each gene.
    """
    from threadpoolctl import threadpool_limits

    from pipeline.search.posterior import Posterior  # scikit-learn, which only this algorithm needs

    scored = [individual for individuals in history for individual in individuals if individual.top1 is not None]
    if len(scored) < 2 * space.genes:
        return draw_unseen(
            space, settings.population, history, seed, generation, lambda random: draw_random(space, random)
        )
    seen = {individual.genome for individuals in history for individual in individuals}
    genomes = _candidates(space, seen, objective.rank(scored, settings.parents), settings, seed, generation)
    with threadpool_limits(1):  # sums are the same, however many cores there are
        model = Posterior.of(scored, objective)
        worth = _worth(objective, genomes, space.costs(genomes))
        chosen = _thompson(model, genomes, worth, settings.population, seed_for("posterior", seed, generation))
    children = [Child(genomes[i], "model") for i in chosen]
    known = [*history, [Individual(child.genome, None, 0.0) for child in children]]
    missing = settings.population - len(children)
    return children + draw_unseen(space, missing, known, seed, generation, lambda random: draw_random(space, random))


def _candidates(
    space: SearchSpace,
    seen: Collection[Genome],
    parents: Sequence[Individual],
    settings: Settings,
    seed: int,
    generation: int,
) -> list[Genome]:
    """Returns all unseen genomes if they can be listed; else mutants of the best and genomes drawn at random, half of
    each.
    """
    if len(space.ratios) ** space.genes <= LISTED:
        return [genome for genome in space.enumerate() if genome not in seen]
    random = random_for("candidates", seed, generation)
    mutants = (
        space.fit(mutate(space, random.choice(parents).genome, 2 / space.genes, random, at_least_one=True), random)
        for _ in range(4 * POOL)
    )
    drawn = (space.draw(random) for _ in range(4 * POOL))
    return [genome for genome in dict.fromkeys((*mutants, *drawn)) if genome not in seen]


def _worth(objective: Objective, genomes: list[Genome], costs: "np.ndarray") -> "Worth":
    """Returns what the objective makes of accuracies that genomes are believed to have."""
    import numpy as np

    if objective.name == DEFAULT:  # Eq. 4 of many at once, and without its bound at 0, below which all would be equal
        penalties = objective.settings.penalty * costs
        return lambda top1, which: top1 - penalties[which]

    def one_by_one(top1: "np.ndarray", which: "np.ndarray") -> "np.ndarray":
        believed = zip(which.tolist(), np.clip(top1, 0, 100).tolist(), strict=True)
        return np.array([objective.value(Individual(genomes[i], value, float(costs[i]))) for i, value in believed])

    return one_by_one


def _thompson(model: "Posterior", genomes: list[Genome], worth: "Worth", count: int, seed: int) -> list[int]:
    """Returns which genomes are the best of functions drawn from the posterior, each once."""
    import numpy as np

    if not genomes:
        return []
    pool = np.argsort(-worth(model.expected(genomes, 2), np.arange(len(genomes))), kind="stable")[:POOL]
    chosen: list[int] = []
    for drawn in model.draw([genomes[i] for i in pool], count, seed):
        order = np.argsort(-worth(drawn, pool), kind="stable")
        best = next((int(pool[i]) for i in order if int(pool[i]) not in chosen), None)
        if best is not None:
            chosen.append(best)
    return chosen
