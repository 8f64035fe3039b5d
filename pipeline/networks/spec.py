"""A network's shape: which architecture, how wide, for which images.

>>> spec = NetworkSpec("vgg_small", (0.5, 2, 1, 1, 1, 0.5))
>>> spec.widths
(64, 256, 256, 256, 512, 256)
"""

import hashlib
from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass, replace
from functools import cached_property
from typing import Any

from pipeline.common.errors import UserError
from pipeline.networks.architectures import find_architecture
from pipeline.networks.binary.binarisers import DEFAULT as BINARISER
from pipeline.networks.genome import RATIOS, Genome, format_genome
from pipeline.networks.graph import Layer

#: The base width of the published networks.
PUBLISHED_WIDTH = 1.0


@dataclass(frozen=True)
class NetworkSpec:
    """Everything that fixes a network's shape.

    Attributes:
        network: a name in ``ARCHITECTURES``.
        genome: one ratio for each gene; a layer is int(base width · ratio) channels wide.
        base_width: fraction of the published base widths, for smaller experiments.
        channels, size: of the input images; ``size`` is their side in pixels.
        classes: outputs of the classifier.
        binary: False for the full-precision counterpart.
        binariser: a name in ``BINARISERS``, of no influence on the full-precision network.
    """

    network: str
    genome: Genome
    _: KW_ONLY
    base_width: float = PUBLISHED_WIDTH
    channels: int = 3
    size: int = 32
    classes: int = 10
    binary: bool = True
    binariser: str = BINARISER

    def record(self) -> dict[str, Any]:
        """Returns the spec as JSON values, such as results carry.

        The paper's binariser is left out, as it was before there was a choice, and so is one without influence.
        """
        values = {**asdict(self), "genome": list(self.genome)}
        if self.binariser == BINARISER or not self.binary:
            del values["binariser"]
        return values

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "NetworkSpec":
        """Returns the spec of a record.

        Raises:
            KeyError, TypeError, ValueError: it is no such record.
        """
        return cls(**{**record, "genome": tuple(float(ratio) for ratio in record["genome"])})

    def with_genome(self, genome: Genome) -> "NetworkSpec":
        """Returns the same network with other ratios."""
        return replace(self, genome=genome)

    def at_width(self, base_width: float | None) -> "NetworkSpec":
        """Returns the same network at another base width; for None as it is."""
        return self if base_width is None else replace(self, base_width=base_width)

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Channels that each gene stands for.

        Raises:
            UserError: the genome's length does not fit the network, or a layer would have no channels.
        """
        module = find_architecture(self.network)
        if len(self.genome) != len(module.GENES):
            raise UserError(
                f"genome {format_genome(self.genome)} has {len(self.genome)} genes",
                f"{module.TITLE} takes {len(module.GENES)} ({', '.join(module.GENES)})",
            )
        widths = tuple(
            int(int(base * self.base_width) * ratio)
            for base, ratio in zip(module.BASE_WIDTHS, self.genome, strict=True)
        )
        if min(widths) < 1:
            gene = widths.index(min(widths))
            raise UserError(
                f"{module.GENES[gene]} of {module.TITLE} would have no channels "
                f"({module.BASE_WIDTHS[gene]} × base width {self.base_width:g} × ratio {self.genome[gene]:g})",
                "raise network.base_width or remove the smallest ratio",
            )
        return widths

    @cached_property
    def layers(self) -> list[Layer]:
        """The layers in the order of execution. Raises UserError as ``widths`` and the network's module do."""
        layers: list[Layer] = find_architecture(self.network).layers(
            self.widths, channels=self.channels, size=self.size, classes=self.classes, binary=self.binary
        )
        return layers

    @property
    def title(self) -> str:
        """For messages: the network's name, precision and genome."""
        kind = "binary" if self.binary else "full-precision"
        return f"{kind} {find_architecture(self.network).TITLE} {format_genome(self.genome)}"


def architecture(network: str) -> str:
    """Returns a digest of how a network's module lists its layers, so that what was made by another list is not taken
    for it.

    Raises:
        UserError: there is no network of that name.
    """
    genes = len(find_architecture(network).GENES)
    uneven = tuple(RATIOS[gene % len(RATIOS)] for gene in range(genes))  # no layer as wide as its neighbours
    lists = [NetworkSpec(network, uneven, size=224, binary=binary).layers for binary in (True, False)]
    return hashlib.sha256(repr(lists).encode()).hexdigest()[:16]


def uniform_genome(network: str, ratio: float) -> Genome:
    """Returns the genome that widens every layer by the same ratio."""
    return (float(ratio),) * len(find_architecture(network).GENES)
