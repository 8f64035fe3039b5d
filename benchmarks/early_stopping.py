"""What early stopping loses and what it saves: a study on a table of a whole space.

    python -m benchmarks.early_stopping --table digits-4096 --seeds 200
    python -m benchmarks.early_stopping --quick

First, what candidates' accuracy after their first epochs, their moments computed anew, knows of the accuracy of full
trainings: Kendall's tau-b, and the partial tau given FLOPs, beside those of the score after all epochs.

Then searches, each from many seeds, with several rules of stopping. 'Trainings' are whole ones to which the epochs
of all candidates amount, what is scored early included. *Of as many candidates*: what the search would choose, against
the same search without stopping, and which part of its trainings it took. *For as many trainings*: the searches that
stop go on until they have spent what the other one has. Worth is the objective of the chosen genome's quality
(:mod:`pipeline.search.tabular`); differences are paired by seed, with Student's 95 % interval.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.search import BUDGETS, made_up, paired, read_arguments, some_trained
from benchmarks.timing import table as drawn
from pipeline.common.log import progress
from pipeline.networks.cost import network_cost
from pipeline.report.proxy import tau_intervals
from pipeline.search.algorithms import ALGORITHMS
from pipeline.search.early_stopping import NEVER, EarlyStopping
from pipeline.search.objectives import Objective, configured
from pipeline.search.tabular import Table, find_table, read_table
from pipeline.search.tabular.run import course, search_on, trainings_spent

#: Shares of the earlier candidates among whose best one has to be.
KEPT = (0.5, 0.25)
#: Most generations that a search goes on for, over those of one without stopping.
_LONGER = 20


def judges(table: Table) -> str:
    """Returns the table of what candidates know after so many epochs."""
    trained = some_trained(table)
    accuracy = np.nanmean(table.trained[trained], axis=1).tolist()
    flops = [network_cost(table.spec.with_genome(table.genomes[place])).flops for place in trained]
    columns = [(str(epochs), table.partial[trained, place]) for place, epochs in enumerate(table.partial_epochs)]
    rows = []
    for name, values in (*columns, (f"{table.epochs}, running moments: the score", table.scores[trained, 0])):
        whole, given = tau_intervals(values.tolist(), accuracy, flops)
        rows.append([name, f"{np.nanmean(values):.1f}", str(whole), str(given)])
    return drawn(["epochs", "mean accuracy", "tau with the trained accuracy", "partial tau given FLOPs"], rows)


def search(
    table: Table, algorithm: str, objective: Objective, seed: int, budget: tuple[int, int], stopping: EarlyStopping
) -> tuple[np.ndarray, np.ndarray]:
    """Returns, after each evaluation, the true worth of what a search would choose, and the trainings spent."""
    generations, population = budget
    settings = ALGORITHMS[algorithm].Settings(population=population)
    most = generations if stopping is NEVER else _LONGER * generations
    history = search_on(table, algorithm, settings, objective, seed, most, stopping, trainings=generations * population)
    return course(table, history, objective), trainings_spent(table, history, stopping)


def study(table: Table, algorithm: str, penalty: float, seeds: int, budget: tuple[int, int]) -> list[list[str]]:
    """Returns the rows of one algorithm, λ and budget."""
    objective = configured({"lambda": penalty})
    generations, population = budget
    known = [epochs for place, epochs in enumerate(table.partial_epochs) if not np.isnan(table.partial[:, place]).any()]
    rules = [NEVER, *(EarlyStopping(epochs, keep) for epochs in known for keep in KEPT)]
    plain: list[float] = []
    rows = []
    with progress(f"{algorithm}, λ = {penalty:g}", seeds * len(rules), "searches") as bar:
        for rule in rules:
            ends, shares, longer = [], [], []
            for seed in range(seeds):
                worths, spent = search(table, algorithm, objective, seed, budget, rule)
                candidates = generations * population
                ends.append(float(worths[:candidates][-1]))
                shares.append(float(spent[:candidates][-1]) / candidates)
                longer.append(float(worths[max(np.searchsorted(spent, candidates, side="right") - 1, 0)]))
                bar.advance()
            if rule is NEVER:
                plain = ends
                rows.append([algorithm, f"{penalty:g}", "none", "", "100 %", f"{np.mean(ends):.2f}", "", ""])
                continue
            words = [str(rule.early_stop_epochs), f"{rule.early_stop_keep:g}", f"{100 * np.mean(shares):.0f} %"]
            found = [f"{np.mean(ends):.2f}", paired(ends, plain), paired(longer, plain)]
            rows.append([algorithm, f"{penalty:g}", *words, *found])
    return rows


def main() -> None:
    """Prints what candidates know early, and a table for each budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", default="digits-4096", help="its name or file")
    arguments = read_arguments(parser, ["evolution", "local_search"], BUDGETS[:2])
    with TemporaryDirectory() as folder:
        if arguments.quick:
            arguments.table = str(made_up(Path(folder) / "made-up.npz"))
        table = read_table(find_table(arguments.table))
        print(f"table {Path(arguments.table).stem}\n\n{judges(table)}\n", flush=True)
        heading = ["algorithm", "λ", "after epochs", "kept", "trainings", "worth"]
        heading += ["of as many candidates", "for as many trainings"]
        for budget in arguments.budgets:
            generations, population = map(int, budget.split("x"))
            rows = []
            for penalty in arguments.lambdas:
                for algorithm in arguments.algorithms:
                    rows += study(table, algorithm, penalty, arguments.seeds, (generations, population))
            print(f"{generations} generations of {population}:\n\n{drawn(heading, rows)}\n", flush=True)


if __name__ == "__main__":
    main()
