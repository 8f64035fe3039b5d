"""By what a search's network should be chosen: the best score, or what a model of all its scores expects.

    python -m benchmarks.choosing --budgets 4x16 10x16 --seeds 40
    python -m benchmarks.choosing --budgets 50x32 --seeds 15
    python -m benchmarks.choosing --quick

First, how each ranks networks: Kendall's tau-b with the accuracy of full trainings, over genomes that have one, and how
far it lies above one score's. The model has seen one score of each of these genomes and no accuracy. Intervals are
bootstrapped over genomes.

Then, on tables of whole spaces, what searches would choose by each after some of their evaluations, its true worth
(:mod:`benchmarks.search`) paired by seed with Student's 95 % interval, and after how many evaluations the mean over
seeds first reaches what evolution, chosen by score, has at its end (looked at after every eighth of a search).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy.stats import kendalltau

from benchmarks.search import SLOW, History, made_up, paired, read_arguments, scorings, searches, some_trained
from benchmarks.timing import table as drawn
from pipeline.common.log import progress
from pipeline.search.algorithms import ALGORITHMS
from pipeline.search.choice import MODEL, SCORE, ChosenBy, believed
from pipeline.search.objectives import Objective, configured
from pipeline.search.tabular import Table, find_table, read_table, tables
from pipeline.search.tabular.run import best_worth, chosen_worth

#: Searches and budgets; evolution first, for the others are set beside it.
ALGORITHMS_TRIED = ("evolution", "local_search", "predictor", "random")
BUDGETS = ((4, 16), (10, 16), (50, 32))
#: Parts of a search after which it is looked at.
PARTS = 8
HEADING = ["λ", "evaluations", "algorithm", "regret by score", "by model", "gain", "to equal it, by score", "by model"]
_RESAMPLES = 1000


def courses(table: Table, found: Sequence[History], objective: Objective, chosen_by: ChosenBy) -> np.ndarray:
    """Returns that worth for each search and each part of its evaluations, float64 (seeds, PARTS)."""
    spent = min(sum(map(len, history)) for history in found)
    marks = [spent * part // PARTS for part in range(1, PARTS + 1)]
    rows = []
    with progress(f"chosen by {chosen_by}", len(found), "searches") as bar:
        for history in found:
            rows.append([chosen_worth(table, history, objective, mark, chosen_by) for mark in marks])
            bar.advance()
    return np.array(rows)


def ranking(table: Table) -> str:
    """Returns the table of how scores and a model of them rank genomes."""
    trained = some_trained(table)
    accuracy = np.nanmean(table.trained[trained], axis=1)
    individuals = [table.individual(table.genomes[place]) for place in trained]
    scores = scorings(table)[trained]
    ranks = {"one score": scores[:, 0]}
    if scores.shape[1] > 1 and not np.isnan(scores).any():
        ranks[f"mean of {scores.shape[1]} scores"] = scores.mean(axis=1)
    expected = believed(individuals, configured({"lambda": 0.0}), MODEL)
    ranks["a model of one score of each"] = np.array([one.top1 for one in expected])
    generator = np.random.default_rng(0)
    places = [generator.integers(len(trained), size=len(trained)) for _ in range(_RESAMPLES)]
    taus = {
        name: np.array([_tau(values[sample], accuracy[sample]) for sample in places]) for name, values in ranks.items()
    }
    rows = [
        [
            name,
            f"{_tau(values, accuracy):.3f} ({_interval(taus[name])})",
            ""
            if name == "one score"
            else f"{_tau(values, accuracy) - _tau(ranks['one score'], accuracy):+.3f} "
            f"({_interval(taus[name] - taus['one score'])})",
        ]
        for name, values in ranks.items()
    ]
    return drawn(["judge", f"tau over {len(trained)} genomes", "above one score"], rows)


def _tau(values: np.ndarray, accuracy: np.ndarray) -> float:
    return float(kendalltau(values, accuracy)[0])


def _interval(values: np.ndarray) -> str:
    low, high = np.percentile(values, (2.5, 97.5))
    return f"{low:.3f} to {high:.3f}"


def study(
    table: Table, penalty: float, budget: tuple[int, int], seeds: int, algorithms: Sequence[str]
) -> list[list[str]]:
    """Returns a row for each algorithm, of one budget and one λ; columns as ``HEADING``."""
    objective = configured({"lambda": penalty})
    best, goal = best_worth(table, objective), None
    rows = []
    for algorithm in algorithms:
        found = searches(table, algorithm, objective, seeds, budget)
        spent = min(sum(map(len, history)) for history in found)
        by_score, by_model = (courses(table, found, objective, chosen_by) for chosen_by in (SCORE, MODEL))
        goal = float(by_score[:, -1].mean()) if goal is None else goal
        reached = [np.flatnonzero(one.mean(axis=0) >= goal - 1e-9) for one in (by_score, by_model)]
        rows.append(
            [
                f"{penalty:g}",
                str(spent),
                ALGORITHMS[algorithm].TITLE,
                f"{best - by_score[:, -1].mean():.2f}",
                f"{best - by_model[:, -1].mean():.2f}",
                paired(by_model[:, -1].tolist(), by_score[:, -1].tolist()),
                *(str(spent * int(one[0] + 1) // PARTS) if len(one) else f"more than {spent}" for one in reached),
            ]
        )
    return rows


def main() -> None:
    """Prints two tables for each space: how judges rank, and what searches choose."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=tables(), help="names or files")
    arguments = read_arguments(parser, ALGORITHMS_TRIED, BUDGETS)
    with TemporaryDirectory() as folder:
        if arguments.quick:
            arguments.tables = [str(made_up(Path(folder) / "made-up.npz"))]
        for name in arguments.tables:
            table = read_table(find_table(name))
            print(f"table {Path(name).stem}\n\n{ranking(table)}\n", flush=True)
            rows: list[list[str]] = []
            for penalty in arguments.lambdas:
                for budget in arguments.budgets:
                    generations, population = map(int, budget.split("x"))
                    some = [one for one in arguments.algorithms if one not in SLOW or generations * population < 1000]
                    rows += study(table, penalty, (generations, population), arguments.seeds, some)
            print(f"{drawn(HEADING, rows)}\n", flush=True)


if __name__ == "__main__":
    main()
