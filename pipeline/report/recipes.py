"""Rows that were trained otherwise than the others: what their recipe gives, beside the same network by the usual one.

All these comparisons of a table share one error rate (:mod:`pipeline.report.statistics`), apart from the verdicts'.
"""

from collections.abc import Sequence

from pipeline.report.rows import Row
from pipeline.report.statistics import compare


def recipe_sentences(rows: Sequence[Row]) -> list[str]:
    """Returns a sentence for every row with a recipe of its own: what it is, and the difference that it makes."""
    own = [row for row in rows if row.recipe]
    usual = {row.model: other for row in own for other in rows if not other.recipe and other.spec == row.spec}
    pairs = [(row.sample, usual[row.model].sample) for row in own if row.model in usual]
    differences = iter(compare(pairs))
    return [
        f"{row.model} ({', '.join(row.recipe)}): "
        + (
            f"{row.top1} % beside {usual[row.model].top1} % of {usual[row.model].model}: {next(differences)}."
            if row.model in usual
            else f"{row.top1} %; no row has the same network by the usual recipe."
        )
        for row in own
    ]
