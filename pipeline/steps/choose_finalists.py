"""Chooses the best candidates of all runs of a search, to be trained once more and scored on other images."""

import argparse

from pipeline.steps.measurements import of_searches
from pipeline.steps.options import (
    add_cost,
    add_cost_width,
    add_network,
    add_objective,
    add_setting,
    counting_for,
    network_for,
    output,
    path,
    read_chosen,
)
from pipeline.workflow.settings import SearchSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    path(parser, "--images", "prepared train set (HDF5)")
    of_searches(parser, "--histories", "scored candidates of every run of the search (CSV)")
    add_objective(parser)
    add_setting(parser, SearchSettings, "finalists", required=True)
    add_setting(parser, SearchSettings, "chosen_by")
    add_network(parser)
    add_cost_width(parser, default=None)
    add_cost(parser)
    output(parser, "--output", "the population to write (CSV)")


def run(arguments: argparse.Namespace) -> None:
    """Writes the finalists, the best first."""
    from pipeline.common.files import write_csv
    from pipeline.data.prepared import read_info
    from pipeline.networks.spec import uniform_genome
    from pipeline.search.finalists import choose_finalists
    from pipeline.search.objectives import OBJECTIVES, Objective
    from pipeline.search.tables import POPULATION, columns_for, population_row, read_scored

    objective = Objective(arguments.objective, *read_chosen(arguments.others, OBJECTIVES[arguments.objective].Settings))
    runs = {run: read_scored(path) for run, path in arguments.histories}
    chosen = choose_finalists(runs, objective, arguments.finalists, arguments.chosen_by)
    uniform = uniform_genome(arguments.network, 1)
    spec = network_for(arguments, read_info(arguments.images, "train"), uniform).at_width(arguments.cost_width)
    counting = counting_for(arguments, spec)
    rows = [population_row(slot, spec.with_genome(genome), "finalist", counting) for slot, genome in enumerate(chosen)]
    write_csv(arguments.output, columns_for(POPULATION, counting.cost), rows)
