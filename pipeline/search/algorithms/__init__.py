"""The search algorithms, one file each.

An algorithm is a module with

- ``NAME``, which a configuration calls it by, and ``TITLE`` for tables and figures;
- ``LOOKS_AT_SCORES``: whether a proposal depends on what earlier candidates scored. If it does, a generation waits
  for the one before; if it does not, all of them can be proposed at once;
- ``BASELINE``: whether other searches are compared with it;
- if it looks at scores but the objective plays no part, ``BY_OBJECTIVE = False``: no candidate of it is stopped early;
- ``Settings``: a dataclass, :class:`~pipeline.search.algorithms.base.SearchSettings` or one made from it, whose fields
  are made by :func:`pipeline.common.settings.setting` and are keys of the configuration's section ``search``, or of one
  search;
- ``propose(space, settings, history, seed, generation, objective)``: a pure function that returns a list of
  :class:`~pipeline.search.algorithms.base.Child`; the arguments are those that :func:`propose` here explains. Nothing
  is carried from one call to the next, so a search continues from its files as if it had never stopped, and can be
  extended by generations later. :mod:`pipeline.search.algorithms.base` has what most of them are made of.

To add one, put such a file into this folder, offer it from a package as an entry point of the group
``binary_nas.algorithms``, or name it as ``MODULE:NAME`` in ``searches.NAME.algorithm``. ``docs/extend.md`` has a whole
one.

>>> space, random = SearchSpace(genes=2, ratios=(0.5, 1.0)), ALGORITHMS["random"]
>>> proposed = propose("random", space, random.Settings(population=3), [], seed=0, generation=0)
>>> [child.genome for child in proposed]
[(0.5, 1.0), (1.0, 1.0), (1.0, 0.5)]
"""

import textwrap
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from pipeline.common.errors import UserError
from pipeline.common.registry import Registry
from pipeline.common.settings import from_mapping, key_of
from pipeline.networks.genome import format_genome
from pipeline.search.algorithms.base import Child
from pipeline.search.individual import Individual
from pipeline.search.objectives import Objective, configured
from pipeline.search.origins import PLAIN_WORD, is_plain_word
from pipeline.search.space import SearchSpace

ALGORITHMS = Registry(
    kind="search algorithm",
    package=__name__,
    group="binary_nas.algorithms",
    needs=("TITLE", "LOOKS_AT_SCORES", "BASELINE", "Settings", "propose"),
    calls={"propose": "space, settings, history, seed, generation, objective"},
    founding={"evolution": "3aede5187a43df99", "random": "82f46c9d510f7d06"},
    also=(
        "pipeline.search.space",
        "pipeline.search.individual",
        "pipeline.search.posterior",
        "pipeline.search.cost_table",
    ),
)

#: The paper's objective, its λ at 0: what is proposed without one.
ACCURACY = configured({"lambda": 0.0})


def propose(
    algorithm: str,
    space: SearchSpace,
    settings: Any,
    history: Sequence[Sequence[Individual]],
    seed: int,
    generation: int,
    objective: Objective = ACCURACY,
) -> list[Child]:
    """Proposes the genomes of a generation, none of which is twice in it or anywhere in ``history``.

    Args:
        algorithm: its name.
        space: what may be proposed.
        settings: an instance of the algorithm's ``Settings``.
        history: this search's generations 0 … generation − 1.
        seed: of the search. Draws are addressed by (seed, generation, slot).
        generation: number of the generation to propose.
        objective: what makes a candidate a good one.

    Raises:
        UserError: there is no such algorithm; or it proposed what is no child, a genome that is not in the space or was
            seen before, or one that came about by no plain word.
    """
    proposed = ALGORITHMS[algorithm].propose(space, settings, history, seed, generation, objective)
    if not isinstance(proposed, (list, tuple)):
        raise UserError(f"search algorithm '{algorithm}' proposed {_shown(proposed)}", "return a list of Child")
    children: list[Child] = list(proposed)
    seen = {individual.genome for individuals in history for individual in individuals}
    for child in children:
        if not _is_child(child):
            raise UserError(
                f"search algorithm '{algorithm}' proposed {_shown(child)}, which is no Child",
                "return each as Child(genome, origin), the genome a tuple of numbers",
            )
        if not is_plain_word(child.origin):
            raise UserError(
                f"search algorithm '{algorithm}' proposed {format_genome(child.genome)} with the origin "
                f"{_shown(child.origin)}",
                f"how a child came about is {PLAIN_WORD}",
            )
        if child.genome not in space or child.genome in seen:
            known = "was proposed before" if child.genome in seen else "is not in the search's space"
            raise UserError(f"search algorithm '{algorithm}' proposed {format_genome(child.genome)}, which {known}")
        seen.add(child.genome)
    return children


def _is_child(value: Any) -> bool:
    """Returns whether a proposal is a child with a genome of numbers, be it of the space or not."""
    if not isinstance(value, Child) or not isinstance(value.genome, tuple):
        return False
    return all(isinstance(ratio, Real) for ratio in value.genome)


def _shown(value: Any) -> str:
    """Returns what a value looks like, in short."""
    return textwrap.shorten(repr(value), 60, placeholder=" …")


def stops_early(algorithm: str) -> bool:
    """Returns whether a search by this algorithm has what early stopping needs: scores, and one number to judge by."""
    module = ALGORITHMS[algorithm]
    return bool(module.LOOKS_AT_SCORES and getattr(module, "BY_OBJECTIVE", True))


def configured_settings(search: Mapping[str, Any], section: Mapping[str, Any]) -> Any:
    """Returns an algorithm's settings: from the section of all searches, and over it from the search's own.

    Raises:
        UserError: there is no algorithm of that name.
    """
    return from_mapping(ALGORITHMS[section["algorithm"]].Settings, {**search, **section})


def own_keys(algorithm: str) -> set[str]:
    """Returns the configuration's keys of an algorithm's settings."""
    return {key_of(f) for f in ALGORITHMS[algorithm].Settings.__dataclass_fields__.values()}
