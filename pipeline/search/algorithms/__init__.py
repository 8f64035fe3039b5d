"""The search algorithms, one module each, and the registry of them.

Pure functions of the settings, the search's own earlier generations, the seed and the generation's number. Nothing
is carried from one call to the next, so a search continues from its files as if it had never stopped, and can be
extended by more generations later.

>>> space = SearchSpace(genes=2, ratios=(0.5, 1.0))
>>> [child.genome for child in propose(space, EvolutionSettings(population=3), [], seed=0, generation=0)]
[(0.5, 1.0), (1.0, 1.0), (1.0, 0.5)]
"""

from collections.abc import Sequence
from types import ModuleType

from pipeline.common.errors import UserError
from pipeline.search.algorithms import (
    evolution,
    exhaustive,
    local_search,
    nsga2,
    predictor,
    random_search,
    regularised_evolution,
)
from pipeline.search.algorithms.base import Child
from pipeline.search.fitness import Individual
from pipeline.search.settings import EvolutionSettings
from pipeline.search.space import SearchSpace

ALGORITHMS: dict[str, ModuleType] = {
    module.NAME: module
    for module in (evolution, random_search, local_search, regularised_evolution, nsga2, predictor, exhaustive)
}


def find_algorithm(name: str) -> ModuleType:
    """Returns the algorithm's module.

    Raises:
        UserError: there is no algorithm of that name.
    """
    if name not in ALGORITHMS:
        raise UserError(f"unknown algorithm '{name}'", f"choose one of {', '.join(ALGORITHMS)}")
    return ALGORITHMS[name]


def propose(
    space: SearchSpace,
    settings: EvolutionSettings,
    history: Sequence[Sequence[Individual]],
    seed: int,
    generation: int,
    penalty: float = 0.0,
) -> list[Child]:
    """Proposes the genomes of a generation, none of which is twice in it or anywhere in ``history``.

    Args:
        space: what may be proposed.
        settings: of the search.
        history: this search's generations 0 … generation − 1.
        seed: of the search. Draws are addressed by (seed, generation, slot).
        generation: number of the generation to propose.
        penalty: λ of the fitness by which parents are chosen.
    """
    children: list[Child] = find_algorithm(settings.algorithm).propose(
        space, settings, history, seed, generation, penalty
    )
    return children
