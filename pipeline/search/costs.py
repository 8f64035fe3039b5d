"""The cost of a network as a search means it (Eq. 4): operations, bytes of weights, or time on a machine.

The paper counts FLOPs. Whoever wants a small file, or short answers on a certain machine, weighs that instead; time
comes from a table of latencies (:mod:`pipeline.networks.latency`), so that it is as reproducible as a count. Everything
that depends on a choice of cost asks a :class:`Counting`.

>>> wide = NetworkSpec("vgg_small", (2.0,) * 6)
>>> [round(Counting(cost).relative(wide), 2) for cost in ("flops", "memory")]
[3.43, 3.25]
"""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

from pipeline.common.settings import setting
from pipeline.networks.cost import network_cost
from pipeline.networks.latency import LatencyTable
from pipeline.networks.spec import NetworkSpec, uniform_genome

CostName = Literal["flops", "memory", "latency"]
COSTS: tuple[CostName, ...] = get_args(CostName)

#: The paper's.
DEFAULT: CostName = "flops"


@dataclass(frozen=True)
class CostSettings:
    """The cost that is weighed against accuracy."""

    cost: CostName = setting(
        "What Eq. 4 weighs against accuracy, relative to uniform-1x: flops (the paper's), memory (of weights), or "
        "latency (time for one image on the machine of latency_table).",
        default=DEFAULT,
    )
    latency_table: str | None = setting(
        "File with the time of each layer on some machine, made there by `python -m pipeline measure-latency`. With "
        "one, tables show latencies beside the other costs. null: none.",
        default=None,
    )


class _Measure(NamedTuple):
    """A measure of cost: how it is shown, and what it is of a network."""

    shown: Callable[[float], str]
    value: Callable[[NetworkSpec], float]


def _size(value: float) -> str:
    return f"{value / 2**10:.1f} KiB" if value < 2**20 else f"{value / 2**20:.2f} MiB"


_TITLES: Mapping[CostName, str] = {"flops": "FLOPs", "memory": "memory", "latency": "latency"}

_COUNTED: Mapping[str, _Measure] = {
    "flops": _Measure(lambda value: f"{value / 1e6:.4g}M FLOPs", lambda spec: network_cost(spec).flops),
    "memory": _Measure(_size, lambda spec: network_cost(spec).bytes),
}


@dataclass(frozen=True)
class Counting:
    """How the cost of a network is counted.

    Attributes:
        cost: what counts, a name in ``COSTS``.
        table: of latencies; it may be there for tables of results while something else counts.
    """

    cost: CostName = DEFAULT
    table: LatencyTable | None = None

    @property
    def title(self) -> str:
        """Its name in sentences: FLOPs, memory, latency."""
        return _TITLES[self.cost]

    def shown(self, value: float) -> str:
        """Returns a cost as text, with its unit."""
        return self._measure.shown(value)

    def value(self, spec: NetworkSpec) -> float:
        """Returns what a network costs for one image: operations, bytes or seconds.

        A network between those whose layers were measured, such as a control of equal cost, is interpolated.

        Raises:
            UserError: a layer is wider or narrower than any that was measured.
        """
        return self._measure.value(spec)

    def relative(self, spec: NetworkSpec) -> float:
        """Returns the cost over that of the uniform 1x binary network, the unit of the fitness (Eq. 4)."""
        reference = replace(spec, genome=uniform_genome(spec.network, 1), binary=True)
        return self.value(spec) / self.value(reference)

    def milliseconds(self, spec: NetworkSpec) -> float | None:
        """Returns the time of a network by the table; None without a table."""
        return None if self.table is None else round(1000 * self.table.seconds(spec, between=True), 6)

    @property
    def column(self) -> str:
        """The column of relative costs in tables, which says what they are of."""
        return relative_column(self.cost)

    @property
    def _measure(self) -> _Measure:
        if self.cost != "latency":
            return _COUNTED[self.cost]
        table = self.table
        assert table is not None
        return _Measure(lambda value: f"{1000 * value:.4g} ms", lambda spec: table.seconds(spec, between=True))


#: The paper's way.
FLOPS = Counting()


def relative_column(cost: str) -> str:
    """Returns the name of a column of costs relative to uniform-1x."""
    return f"relative_{cost}"


def cost_of_column(columns: Container[str]) -> CostName | None:
    """Returns which cost a table has a column of relative costs of; None if it has none.

    >>> cost_of_column(["genome", "relative_memory"])
    'memory'
    """
    return next((cost for cost in COSTS if relative_column(cost) in columns), None)
