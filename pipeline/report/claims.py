"""The paper's claims, each beside what the experiment has of it.

A claim compares two printed lines of a table: more accurate, at that many times the cost. Here the two rows with the
same genomes are compared, with an interval, where both were trained. All claims of a table share one error rate.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.networks.architectures import find_architecture
from pipeline.report.published import PublishedRow, find_table
from pipeline.report.rows import Row
from pipeline.report.statistics import Difference, compare


class ClaimHeld(NamedTuple):
    """A claim of the paper and what was measured of it.

    Attributes:
        words: what the paper says.
        ours, theirs: the two printed lines.
        rows: the two measured rows; None where one of them was not trained.
        difference: of their accuracies; None without both.
    """

    words: str
    ours: PublishedRow
    theirs: PublishedRow
    rows: tuple[Row, Row] | None
    difference: Difference | None

    @property
    def printed(self) -> str:
        """The paper's difference and ratio of costs, from its printed figures."""
        points = f"{self.ours.top1 - self.theirs.top1:+.2f}".replace("-", "−")
        return f"{points} points at {self.ours.flops / self.theirs.flops:.2f} times the FLOPs"

    @property
    def measured(self) -> str:
        """Returns what was measured here, in words."""
        if self.rows is None or self.difference is None:
            return "not trained here"
        ours, theirs = self.rows
        seeds = min(ours.top1.seeds, theirs.top1.seeds)
        return (
            f"{self.difference} at {ours.cost.flops / theirs.cost.flops:.2f} times the FLOPs"
            f"; {seeds} seed{'s' * (seeds != 1)}"
        )


def why_not_alike(rows: Sequence[Row], published: str) -> str:
    """Returns a sentence, a space before it, on why accuracies measured here are none to set beside those published, as
    far as the networks tell it: other widths, or other images; nothing where they tell nothing.

    Raises:
        UserError: there is no table of that name.
    """
    table = find_table(published)
    theirs = find_architecture(table.network)
    said = ""
    widths = ", ".join(f"{width:g}" for width in sorted({row.spec.base_width for row in rows} - {1.0}))
    if widths:
        said += f" The accuracies published are of base width 1, those measured here of {widths}: they do not compare."
    shapes = {(row.spec.channels, row.spec.size, row.spec.classes) for row in rows}
    if shapes - {(3, theirs.IMAGE_SIZE, theirs.CLASSES)}:
        said += f" The accuracies published are on {table.dataset}, those measured here on other images, or other sizes"
        said += " or classes of them: they do not compare."
    return said


def claims_held(rows: Sequence[Row], published: str) -> list[ClaimHeld]:
    """Returns the claims of a published table in its order.

    Args:
        rows: of the experiment, with the line of that table that each has the genome of.
        published: ``table1`` or ``table2``.

    Raises:
        UserError: there is no table of that name.
    """
    table = find_table(published)
    printed = {line.model: line for line in table.rows}
    trained = {row.published.model: row for row in reversed(rows) if row.published is not None}
    pairs = [(claim, trained.get(claim.ours), trained.get(claim.theirs)) for claim in table.claims]
    both = [(ours, theirs) for _, ours, theirs in pairs if ours is not None and theirs is not None]
    differences = iter(compare([(ours.sample, theirs.sample) for ours, theirs in both]))
    held = []
    for claim, ours, theirs in pairs:
        found = None if ours is None or theirs is None else (ours, theirs)
        difference = None if found is None else next(differences)
        held.append(ClaimHeld(claim.words, printed[claim.ours], printed[claim.theirs], found, difference))
    return held
