"""By what a search's network is chosen from its candidates: by their scores, or by a model of all of them.

The best of many noisy scores is a lucky one. And a score errs about a network's full training in much the same way when
it is measured anew: on tables of whole spaces, what a smooth model makes of one score of each network ranks them better
than the mean of two scores does (docs/tables.md).
"""

from collections.abc import Sequence
from typing import Literal, get_args

from pipeline.common.errors import UserError
from pipeline.search.individual import Individual
from pipeline.search.objectives import Objective

ChosenBy = Literal["score", "model"]
CHOICES: tuple[ChosenBy, ...] = get_args(ChosenBy)
SCORE, MODEL = CHOICES
#: That a model needs.
SCORES_PER_GENE = 2


def believed(scored: Sequence[Individual], objective: Objective, chosen_by: ChosenBy) -> list[Individual]:
    """Returns candidates with the top-1 by which they are to be ranked, in their order.

    Args:
        scored: distinct candidates, each with a score.
        objective: what is looked for; the model's scales are fitted to the best by it and to the latest.
        chosen_by: ``score``, as they are; ``model``, with what :mod:`pipeline.search.posterior` expects of them, from 0
            to 100, rounded to four places.

    Raises:
        UserError: there are too few scores for a model.
    """
    if chosen_by == SCORE or not scored:
        return list(scored)
    if len(scored) < (least := SCORES_PER_GENE * len(scored[0].genome)):
        raise UserError(
            f"a model of {len(scored)} scores was asked for (search.chosen_by), but it needs {least}",
            "search for longer, or choose by score",
        )
    from threadpoolctl import threadpool_limits

    from pipeline.search.posterior import Posterior  # scikit-learn takes a second to import

    with threadpool_limits(1):  # sums are the same, however many cores there are
        expected = Posterior.of(scored, objective).expected([one.genome for one in scored])
    return [
        one._replace(top1=round(min(max(float(top1), 0.0), 100.0), 4))
        for one, top1 in zip(scored, expected, strict=True)
    ]
