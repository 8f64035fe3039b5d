"""Selects what a search found: the finalist of highest fitness when scored anew, or the best of all candidates."""

import argparse

from pipeline.steps.measurements import of_searches
from pipeline.steps.options import add_objective, add_setting, output, path, read_chosen
from pipeline.workflow.settings import SearchSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("--search", required=True, help="its name")
    of_searches(parser, "--histories", "scored candidates of every run of the search (CSV)")
    add_objective(parser)
    path(
        parser,
        "--rescored",
        "the finalists' new scores, a file for each repetition (CSV); without any, the best of the search is taken",
        nargs="*",
        required=False,
        default=[],
    )
    add_setting(parser, SearchSettings, "chosen_by")
    output(parser, "--output", "what was found, to write (JSON)")


def run(arguments: argparse.Namespace) -> None:
    """Writes what was found; of equals the cheaper one."""
    from pipeline.search.finalists import select_found
    from pipeline.search.objectives import OBJECTIVES, Objective
    from pipeline.search.tables import read_costed, read_new_scores, read_scored, write_best

    objective = Objective(arguments.objective, *read_chosen(arguments.others, OBJECTIVES[arguments.objective].Settings))
    runs = {run: read_scored(path) for run, path in arguments.histories}
    tables = [read_costed(path, ("genome",)) for _, path in arguments.histories]
    evaluations = sum(len({row["genome"] for row in rows}) for rows, _ in tables)
    _, cost = tables[0]
    anew = [read_new_scores(path) for path in arguments.rescored]
    chosen_by = arguments.chosen_by
    found = select_found(arguments.search, runs, objective, evaluations, anew, cost, chosen_by)
    write_best(arguments.output, found)
