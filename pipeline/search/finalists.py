"""The search's own luck: the best few of all runs are trained once more from other seeds, on other images.

The best of many noisy scores is too high by as much as chance could give it. So a search's finalists are scored anew,
and what wins there is what the search has found, at the fitness that it has there.
"""

from collections.abc import Mapping, Sequence

from pipeline.common.errors import UserError
from pipeline.networks.genome import Genome
from pipeline.search.choice import SCORE, ChosenBy, believed
from pipeline.search.costs import DEFAULT, CostName
from pipeline.search.individual import Individual
from pipeline.search.objectives import Objective
from pipeline.search.tables import Best, RunBest, Scored, mean_top1

#: The scored candidates of each run of a search, by the run's name.
Runs = Mapping[str, Sequence[Scored]]


def choose_finalists(runs: Runs, objective: Objective, count: int, chosen_by: ChosenBy = SCORE) -> list[Genome]:
    """Returns the ``count`` best genomes of all runs, then each run's best by its scores if it is not among them.

    Raises:
        UserError: a run has no scored candidate, or there are too few for a model.
    """
    everyone = {one.individual.genome: one.individual for scored in runs.values() for one in scored}
    ranked = believed(list(everyone.values()), objective, chosen_by)
    best = [individual.genome for individual in objective.rank(ranked, count)]
    return list(dict.fromkeys([*best, *(_best(run, scored, objective).genome for run, scored in runs.items())]))


def _best(run: str, scored: Sequence[Scored], objective: Objective) -> Individual:
    if not scored:
        raise UserError(f"no candidate of search {run} has a score", "its table of scores says why")
    return objective.rank([one.individual for one in scored], 1)[0]


def select_found(
    search: str,
    runs: Runs,
    objective: Objective,
    evaluations: int,
    rescored: Sequence[Mapping[Genome, float | None]] = (),
    cost: CostName = DEFAULT,
    chosen_by: ChosenBy = SCORE,
) -> Best:
    """Returns what a search found: the finalist that is best by its mean new score, the cheaper one of equals.

    Args:
        search: its name.
        runs: its scored candidates.
        objective: what was looked for.
        evaluations: distinct candidates of each run, summed.
        rescored: for each repetition, the new top-1 of each finalist in percent, None where it diverged; empty if
            finalists are not scored anew, when the best candidate by ``chosen_by`` is taken.
        cost: what the candidates' relative costs are of.
        chosen_by: by what finalists were chosen, or by what the best is where there are none.

    Raises:
        UserError: a run has no scored candidate, every finalist diverged, none is what the objective asks for, or there
            are too few for a model.
    """
    everyone = {one.individual.genome: one for scored in reversed(list(runs.values())) for one in reversed(scored)}
    anew = {genome: _mean([scores[genome] for scores in rescored]) for genome in (rescored[0] if rescored else ())}

    def individual(genome: Genome) -> Individual:
        return Individual(genome, anew[genome], everyone[genome].individual.relative_cost)

    def value(one: Individual) -> float:
        return round(objective.value(one), 6)

    if rescored and not any(top1 is not None for top1 in anew.values()):
        raise UserError(f"every finalist of search {search} diverged", "lower candidate.learning_rate")
    candidates = [individual(genome) for genome in anew] or believed(
        [one.individual for one in everyone.values() if one.individual.top1 is not None], objective, chosen_by
    )
    winner = objective.rank([one for one in candidates if one.top1 is not None], 1)[0]
    found = everyone[winner.genome]
    assert winner.top1 is not None
    if not objective.admits(winner):
        raise UserError(
            f"search {search} has no candidate that is {objective.title}",
            "ask for what it has, or search with that objective",
        )
    bests = {run: _best(run, scored, objective) for run, scored in runs.items()}
    return Best(
        search,
        winner.genome,
        round(winner.top1, 4),
        winner.relative_cost,
        value(winner),
        found.generation,
        found.slot,
        evaluations,
        found.micro_batch,
        len(rescored),
        len(anew),
        value(found.individual) if rescored or chosen_by != SCORE else None,
        tuple(
            RunBest(run, best.genome, value(best), value(individual(best.genome)) if rescored else None)
            for run, best in bests.items()
        ),
        cost,
        chosen_by,
    )


def _mean(scores: Sequence[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return mean_top1(known) if len(known) == len(scores) else None
