"""Which search algorithm finds the best network for a given number of evaluations: a study on tables of whole spaces.

    python -m benchmarks.search --tables digits-4096 --seeds 200
    python -m benchmarks.search --quick

Each algorithm searches each table from many seeds, at the default experiment's budget and with larger ones. What a
search would choose is the genome of the best score. Its worth is the objective of that genome's *quality*, the accuracy
that a full training would have (:mod:`pipeline.search.tabular`). Differences from the paper's evolution are paired by
seed, with Student's 95 % interval. 'Evaluations to equal it' is the number after which the mean over seeds first
reaches what evolution has at its end. The hypervolume is that of the front that a search would hand over, by
qualities.

Before that, what would rank the genomes without a training: costs, each a number for every genome, beside one score.
"""

import argparse
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from scipy.stats import t as student

from benchmarks.timing import table as drawn
from pipeline.common.log import progress
from pipeline.networks.cost import network_cost
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.report.fronts import front, hypervolumes
from pipeline.report.proxy import tau_intervals
from pipeline.search.algorithms import ALGORITHMS
from pipeline.search.individual import Individual
from pipeline.search.objectives import Objective, configured
from pipeline.search.tabular import Table, find_table, read_table, tables, write_table
from pipeline.search.tabular.run import best_worth, course, search_on

#: The generations of a search.
History = list[list[Individual]]

#: Generations × population.
BUDGETS = ((4, 16), (10, 16), (50, 32))
#: What needs seconds for a search is tried from fewer seeds, and not at the largest budget.
SLOW = {"predictor": 40, "nsga2": 100}

#: Images of each class of the made-up table.
_SPLIT = {"subset_per_class": 45, "validation_per_class": 30}
#: Genomes that judges are tried on at most.
_RANKED = 200


def searches(
    table: Table,
    algorithm: str,
    objective: Objective,
    seeds: int,
    budget: tuple[int, int],
    given: Mapping[str, Any] | None = None,
) -> list[History]:
    """Returns a search from each seed, of so many generations of a population, with other settings where given."""
    generations, population = budget
    settings = ALGORITHMS[algorithm].Settings(**{**(given or {}), "population": population})
    found = []
    with progress(f"{algorithm} {generations} × {population}", seeds, "searches") as bar:
        for seed in range(seeds):
            found.append(search_on(table, algorithm, settings, objective, seed, generations))
            bar.advance()
    return found


def courses(table: Table, found: Sequence[History], objective: Objective) -> np.ndarray:
    """Returns the true worth of what each search would choose after each evaluation, (seeds, evaluations)."""
    worths = [course(table, history, objective) for history in found]
    spent = min(map(len, worths))
    return np.array([one[:spent] for one in worths])


def volumes(table: Table, found: Sequence[History]) -> list[float]:
    """Returns how much of the plane of cost and quality each search's front dominates, in percent, (seeds,).

    A front is what the search would hand over, by its scores; qualities say what that is worth. The plane ends at the
    table's dearest genome.
    """
    end = [Individual((), 0.0, float(table.costs.max()))]
    shares = []
    for history in found:
        scored = [one for generation in history for one in generation if one.top1 is not None]
        best = front(scored, lambda one: one.relative_cost, lambda one: one.top1 or 0.0)
        true = [one._replace(top1=table.quality_of(one.genome)) for one in best]
        shares.append(hypervolumes({"found": true, "end": end})["found"])
    return shares


def paired(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Returns the mean difference of as many seeds as both have, with its 95 % interval."""
    differences = [a - b for a, b in zip(ours, theirs, strict=False)]
    if len(differences) < 2:
        return ""
    half = float(student.ppf(0.975, len(differences) - 1)) * statistics.stdev(differences) / len(differences) ** 0.5
    return f"{statistics.mean(differences):+.2f} ± {half:.2f}"


def study(table: Table, penalty: float, seeds: int, budget: tuple[int, int], algorithms: Sequence[str]) -> str:
    """Returns the table of one budget and one λ."""
    objective = configured({"lambda": penalty})
    best = best_worth(table, objective)
    evolution = searches(table, "evolution", objective, seeds, budget)
    theirs, their_volumes = courses(table, evolution, objective), volumes(table, evolution)
    goal = float(theirs[:, -1].mean())
    rows = []
    for algorithm in algorithms:
        own = algorithm != "evolution"
        found, volume = theirs, their_volumes
        if own:
            histories = searches(table, algorithm, objective, min(seeds, SLOW.get(algorithm, seeds)), budget)
            found, volume = courses(table, histories, objective), volumes(table, histories)
        ends, means = found[:, -1], found.mean(axis=0)
        reached = np.flatnonzero(means >= goal - 1e-9)
        rows.append(
            [
                ALGORITHMS[algorithm].TITLE,
                len(found),
                f"{ends.mean():.2f}",
                f"{best - ends.mean():.2f}",
                f"{best - np.percentile(ends, 90):.2f} to {best - np.percentile(ends, 10):.2f}",
                paired(ends.tolist(), theirs[:, -1].tolist()) if own else "",
                str(reached[0] + 1) if len(reached) else f"more than {found.shape[1]}",
                f"{np.mean(volume):.2f}",
                paired(volume, their_volumes) if own else "",
            ]
        )
    heading = ["algorithm", "seeds", "worth", "regret", "80 % of searches", "against evolution"]
    heading += ["evaluations to equal it", "hypervolume %", "against evolution"]
    return drawn(heading, rows)


def some_trained(table: Table) -> np.ndarray:
    """Returns the places of genomes that were trained in full, int64 (genomes,); not of all where they are many."""
    trained = np.flatnonzero((~np.isnan(table.trained)).any(axis=1))
    return trained[:: -(-len(trained) // _RANKED)]  # resampling takes the square of them


def scorings(table: Table) -> np.ndarray:
    """Returns the table's scores without columns that repeat the first: older tables hold the search's own scores of
    the sample once more, since it was first trained from the same seed. Float64 (genomes, scorings).
    """
    first, *others = table.scores.T
    return np.column_stack([first, *(one for one in others if (one != first)[~np.isnan(one)].any())])


def judges(table: Table) -> str:
    """Returns the table of what ranks genomes: Kendall's tau-b with the mean of full trainings, and given FLOPs."""
    trained = some_trained(table)
    accuracy, scores = np.nanmean(table.trained[trained], axis=1).tolist(), scorings(table)[trained]
    costs = [network_cost(table.spec.with_genome(table.genomes[place])) for place in trained]
    flops = [cost.flops for cost in costs]
    means = {f"mean of {scores.shape[1]} scores": np.nanmean(scores, axis=1).tolist()} if scores.shape[1] > 1 else {}
    ranks: dict[str, list[float]] = {
        "one score": scores[:, 0].tolist(),
        **means,
        "FLOPs": flops,
        "binary multiply-accumulates": [float(cost.binary_macs) for cost in costs],
        "bits of weights": [float(cost.bits) for cost in costs],
        "logarithm of all channels' product": np.log([table.genomes[place] for place in trained]).sum(axis=1).tolist(),
        "narrowest layer": [min(table.genomes[place]) for place in trained],
    }
    rows = []
    for name, values in ranks.items():
        whole, given = tau_intervals(values, accuracy, flops)
        rows.append([name, str(whole), "" if name == "FLOPs" else str(given)])
    return drawn(["judge", "tau with the trained accuracy", "partial tau given FLOPs"], rows)


def read_arguments(
    parser: argparse.ArgumentParser, algorithms: Sequence[str], budgets: Sequence[tuple[int, int]]
) -> argparse.Namespace:
    """Adds what all studies on tables are asked, with these defaults, and returns what is given."""
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--lambdas", type=float, nargs="+", default=[4.0, 16.0])
    parser.add_argument("--algorithms", nargs="+", default=algorithms)
    parser.add_argument("--budgets", nargs="+", default=[f"{g}x{p}" for g, p in budgets], help="GENERATIONSxPOPULATION")
    parser.add_argument("--quick", action="store_true", help="a made-up table, few seeds, one small budget")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.budgets, arguments.lambdas = 3, ["3x8"], [4.0]
    return arguments


def main() -> None:
    """Prints a table for each space, λ and budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=tables(), help="names or files")
    arguments = read_arguments(parser, [name for name in ALGORITHMS if name != "exhaustive"], BUDGETS)
    with TemporaryDirectory() as folder:
        if arguments.quick:
            arguments.tables = [str(made_up(Path(folder) / "made-up.npz"))]
        for name in arguments.tables:
            table = read_table(find_table(name))
            over_seeds, about_model = table.noise
            scored, trained = (int((~np.isnan(one)).any(axis=1).sum()) for one in (table.scores, table.trained))
            print(
                f"table {Path(name).stem}: {len(table.genomes):,} genomes, {scored:,} scored, {trained:,} trained in "
                f"full; deviation of a training over seeds {over_seeds:.2f} points, of genomes about the model "
                f"{about_model:.2f}\n"
            )
            print(judges(table), "\n", flush=True)
            for penalty in arguments.lambdas:
                for budget in arguments.budgets:
                    generations, population = map(int, budget.split("x"))
                    slow = [a for a in arguments.algorithms if a != "predictor" or generations * population <= 400]
                    print(f"λ = {penalty:g}, {generations} generations of {population}:\n")
                    print(study(table, penalty, arguments.seeds, (generations, population), slow), "\n", flush=True)


def made_up(path: Path, count: int = 3) -> Path:
    """Writes a table of a smooth landscape with noise over so many ratios, to try a program on. Returns its path."""
    spec, ratios = NetworkSpec("vgg_small", uniform_genome("vgg_small", 1), size=8), (0.5, 1.0, 2.0)[:count]
    empty = np.full((len(ratios) ** 6, 1), np.nan)
    wide = np.log2(np.array(Table.of(spec, ratios, empty, empty, {}).genomes))
    random = np.random.default_rng(0)
    truth = 80 + wide @ np.array([4.0, 3, 2, 2, 1, 1]) - (wide**2).sum(axis=1) / 2
    scores, trained = (truth[:, None] + random.normal(0, 2, (len(truth), count)) for count in (1, 3))
    early = scores - 10 + random.normal(0, 3, scores.shape)
    table = Table.of(spec, ratios, scores, trained, {"candidate": {"epochs": 10}, "split": _SPLIT})
    write_table(path, replace(table, partial=early, partial_epochs=(2,)))
    return path


if __name__ == "__main__":
    main()
