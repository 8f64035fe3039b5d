"""Genomes: one width ratio for each gene of a network (Eq. 2 of the paper).

>>> parse_genome("0.5, 2,1,1,1,0.5")
(0.5, 2.0, 1.0, 1.0, 1.0, 0.5)
>>> format_genome((0.5, 2.0, 1.0))
'0.5,2,1'
"""

from collections.abc import Sequence

from pipeline.common.errors import UserError

Genome = tuple[float, ...]

#: The paper's ratios.
RATIOS = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0)


def parse_genome(text: str) -> Genome:
    """Reads ratios separated by commas.

    Raises:
        UserError: something between the commas is no positive number.
    """
    try:
        genome = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"'{text}' is no genome", "write its ratios with commas between, such as 0.5,2,1") from None
    if not all(0 < ratio < float("inf") for ratio in genome):
        raise UserError(f"'{text}' is no genome", "every ratio must be a positive number")
    return genome


def format_genome(genome: Sequence[float]) -> str:
    """Returns the shortest text that ``parse_genome`` reads back."""
    return ",".join(repr(float(ratio)).removesuffix(".0") for ratio in genome)


def check_ratios(genome: Genome, ratios: Sequence[float]) -> None:
    """Raises UserError where a gene is not one of the allowed ratios."""
    for gene, ratio in enumerate(genome, start=1):
        if ratio not in ratios:
            raise UserError(
                f"gene {gene} of genome {format_genome(genome)} is {ratio:g}",
                f"allowed ratios are {format_genome(ratios)}",
            )
