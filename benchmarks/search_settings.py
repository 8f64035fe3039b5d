"""Whether other settings of a search algorithm find better networks: studied on one table, judged on another.

    python -m benchmarks.search_settings --study digits-4096 --judge fashion-4096 --seeds 200
    python -m benchmarks.search_settings --quick

On the table of the study each algorithm searches with every combination of its settings below, for one number of
evaluations, so that a larger population has fewer generations. The combination of the best mean worth
(:mod:`benchmarks.search`) is then tried on the other table, against the algorithm's own defaults, paired by seed with
Student's 95 % interval. What it gains on the table of the study is too much by as much luck as the best of so many has;
what it gains on the other one is not.
"""

import argparse
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.search import courses, made_up, paired, searches
from benchmarks.timing import table as drawn
from pipeline.search.algorithms import ALGORITHMS
from pipeline.search.objectives import Objective, configured
from pipeline.search.tabular import Table, find_table, read_table

#: The population that the study of algorithms has, and default settings with it.
POPULATION = 16
#: What is tried of each algorithm; its defaults are among them.
CHOICES: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "evolution": {"population": (8, 16, 32), "parents": (3, 5, 10), "mutation_rate": (0.05, 0.1, 0.2)},
    "local_search": {"population": (4, 8, 16, 32)},
    "regularised_evolution": {"population": (8, 16, 32), "alive": (20, 40, 80), "tournament": (3, 10, 20)},
}


def combinations(algorithm: str) -> Iterator[dict[str, Any]]:
    """Yields every combination of what is tried of an algorithm."""
    names = list(CHOICES[algorithm])
    for values in itertools.product(*CHOICES[algorithm].values()):
        yield dict(zip(names, values, strict=True))


def ends(
    table: Table, algorithm: str, settings: Mapping[str, Any], objective: Objective, seeds: int, evaluations: int
) -> list[float]:
    """Returns the true worth of what each search would choose at its end, (seeds,)."""
    budget = (evaluations // settings["population"], settings["population"])
    found = searches(table, algorithm, objective, seeds, budget, settings)
    return courses(table, found, objective)[:, -1].tolist()


def study(studied: Table, judged: Table, algorithm: str, penalty: float, seeds: int, evaluations: int) -> list[str]:
    """Returns a row: what is best on one table, and what it gains there and on the other."""
    objective = configured({"lambda": penalty})

    def on(table: Table, settings: Mapping[str, Any]) -> list[float]:
        return ends(table, algorithm, settings, objective, seeds, evaluations)

    tried = {tuple(settings.items()): on(studied, settings) for settings in combinations(algorithm)}
    best = max(tried, key=lambda settings: np.mean(tried[settings]))
    default = {"population": POPULATION}
    return [
        ALGORITHMS[algorithm].TITLE,
        f"{penalty:g}",
        ", ".join(f"{name} {value}" for name, value in best),
        str(len(tried)),
        paired(tried[best], on(studied, default)),
        paired(on(judged, dict(best)), on(judged, default)),
    ]


def main() -> None:
    """Prints a row for each algorithm and λ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", default="digits-4096", help="table, by name or file")
    parser.add_argument("--judge", default="fashion-4096", help="table, by name or file")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--lambdas", type=float, nargs="+", default=[4.0, 16.0])
    parser.add_argument("--evaluations", type=int, default=160)
    parser.add_argument("--algorithms", nargs="+", choices=list(CHOICES), default=list(CHOICES))
    parser.add_argument("--quick", action="store_true", help="made-up tables, few seeds and evaluations")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        if arguments.quick:
            arguments.study, arguments.judge = (str(made_up(Path(folder) / f"{name}.npz", 2)) for name in "ab")
            arguments.seeds, arguments.evaluations, arguments.algorithms = 2, 32, ["local_search"]
        studied, judged = (read_table(find_table(name)) for name in (arguments.study, arguments.judge))
        rows = [
            study(studied, judged, algorithm, penalty, arguments.seeds, arguments.evaluations)
            for algorithm in arguments.algorithms
            for penalty in arguments.lambdas
        ]
    names = (Path(name).stem for name in (arguments.study, arguments.judge))
    print(f"{arguments.evaluations} evaluations, {arguments.seeds} seeds\n")
    print(drawn(["algorithm", "λ", "best settings", "of", *(f"against defaults on {name}" for name in names)], rows))


if __name__ == "__main__":
    main()
