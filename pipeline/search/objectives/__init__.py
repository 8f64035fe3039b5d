"""The objectives of searches, one file each: an objective says what a candidate is worth.

An objective is a module with

- ``NAME``, which a configuration calls it by;
- ``Settings``: a dataclass of :func:`pipeline.common.settings.setting` fields, keys of the searches that have it;
- ``value(individual, settings)``: what an individual is worth, the more the better;
- ``title(settings)``: what to call it in tables and figures;
- if some individuals cannot be its answer however good they are, ``admits(individual, settings)``: whether one can.

To add one, put such a file into this folder, offer it from a package as an entry point of the group
``binary_nas.objectives``, or name it as ``MODULE:NAME`` in ``searches.NAME.objective``.

>>> objective = configured({"lambda": 4})
>>> objective.value(Individual((1.0,), 90.0, 0.5)), objective.title
(88.0, 'λ = 4')
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.common.errors import UserError
from pipeline.common.registry import Registry
from pipeline.common.settings import flags, from_mapping
from pipeline.networks.genome import Genome, format_genome
from pipeline.search.individual import Individual

OBJECTIVES = Registry(
    kind="objective",
    package=__name__,
    group="binary_nas.objectives",
    needs=("Settings", "value", "title"),
    calls={"value": "individual, settings", "title": "settings", "admits": "individual, settings"},
    founding={"fitness": "6999f97f2029db17"},
    also=("pipeline.search.individual",),
)

#: What searches look for unless they say otherwise: the paper's.
DEFAULT = "fitness"


@dataclass(frozen=True)
class Objective:
    """An objective with its settings."""

    name: str
    settings: Any

    def value(self, individual: Individual) -> float:
        """Returns what an individual is worth, the more the better.

        Raises:
            UserError: the objective gives no number, which cannot be ranked.
        """
        return self._checked(OBJECTIVES[self.name].value(individual, self.settings), individual)

    def _checked(self, value: Any, individual: Individual) -> float:
        number = float(value)
        if number != number:
            genome = format_genome(individual.genome)
            raise UserError(f"objective '{self.name}' gives no number for genome {genome}", "mend it or choose another")
        return number

    def admits(self, individual: Individual) -> bool:
        """Returns whether an individual can be the answer to what was asked."""
        admits = getattr(OBJECTIVES[self.name], "admits", None)
        return admits is None or bool(admits(individual, self.settings))

    @property
    def admits_some(self) -> bool:
        """Returns whether some individuals cannot be the answer, however good they are."""
        return hasattr(OBJECTIVES[self.name], "admits")

    @property
    def title(self) -> str:
        """Returns what to call it in tables and figures."""
        return str(OBJECTIVES[self.name].title(self.settings))

    def rank(self, individuals: Sequence[Individual], count: int | None = None) -> list[Individual]:
        """Returns the best ``count``; the cheaper of two equals first, then in the order of their genomes."""
        worth = OBJECTIVES[self.name].value

        def key(individual: Individual) -> tuple[float, float, Genome]:
            value = self._checked(worth(individual, self.settings), individual)
            return (-value, individual.relative_cost, individual.genome)

        return heapq.nsmallest(len(individuals) if count is None else count, individuals, key)


def configured(section: Mapping[str, Any]) -> Objective:
    """Returns the objective of a search, from its section of the configuration.

    Raises:
        UserError: there is no objective of that name.
        TypeError: a setting without a default is missing.
    """
    name = section.get("objective", DEFAULT)
    return Objective(name, from_mapping(OBJECTIVES[name].Settings, section))


def objective_flags(section: Mapping[str, Any]) -> str:
    """Returns the command-line flags that give a step the objective of a search."""
    name = section.get("objective", DEFAULT)
    named = "" if name == DEFAULT else f"--objective {name} "
    whole = {key: int(v) if isinstance(v, float) and v.is_integer() else v for key, v in section.items()}
    return (named + flags(OBJECTIVES[name].Settings, whole)).strip()
