"""Proposes the genomes of one generation from the search's earlier generations."""

import argparse

from pipeline.search.early_stopping import EarlyStopping
from pipeline.search.space import Budget
from pipeline.steps.options import (
    add_algorithm,
    add_cost,
    add_cost_width,
    add_network,
    add_objective,
    add_ratios,
    add_settings,
    counted,
    counting_for,
    network_for,
    output,
    path,
    read_chosen,
    read_settings,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    path(parser, "--images", "prepared train set (HDF5)")
    path(
        parser,
        "--earlier",
        "scores of all earlier generations, the first one first",
        nargs="*",
        required=False,
        default=[],
    )
    parser.add_argument("--generation", type=int, required=True, help="number of the generation to propose")
    parser.add_argument("--seed", type=int, default=0, help="of the search")
    add_ratios(parser)
    add_network(parser)
    add_cost_width(parser, default=None)
    add_cost(parser)
    add_settings(parser, Budget)
    add_settings(parser, EarlyStopping)
    add_algorithm(parser)
    add_objective(parser)
    output(parser, "--output", "the population to write (CSV)")


def run(arguments: argparse.Namespace) -> None:
    """Writes the population."""
    from pipeline.common.errors import UserError
    from pipeline.common.files import write_csv
    from pipeline.data.prepared import read_info
    from pipeline.networks.spec import uniform_genome
    from pipeline.search.algorithms import ALGORITHMS, propose, stops_early
    from pipeline.search.early_stopping import Bar
    from pipeline.search.individual import Individual
    from pipeline.search.objectives import OBJECTIVES, Objective
    from pipeline.search.space import search_space
    from pipeline.search.tables import (
        NEEDED_TOP1,
        POPULATION,
        check_genome,
        columns_for,
        population_row,
        read_early,
        read_individuals,
    )

    if len(arguments.earlier) != arguments.generation:
        raise UserError(f"generation {arguments.generation} needs the scores of {arguments.generation} earlier ones")
    algorithm, objective = ALGORITHMS[arguments.algorithm], OBJECTIVES[arguments.objective]
    settings, weights = read_chosen(
        arguments.others,
        algorithm.Settings,
        objective.Settings,
        others=[ALGORITHMS[name].Settings for name in ALGORITHMS if name != arguments.algorithm],
    )
    uniform = uniform_genome(arguments.network, 1)
    spec = network_for(arguments, read_info(arguments.images, "train"), uniform)
    of_cost = counted(spec, arguments)
    counting = counting_for(arguments, of_cost, arguments.ratios)
    space = search_space(of_cost, arguments.ratios, read_settings(arguments, Budget), counting)
    history = [read_individuals(path) for path in arguments.earlier]
    for scores, individuals in zip(arguments.earlier, history, strict=True):
        for individual in individuals:
            check_genome(individual.genome, len(uniform), arguments.ratios, scores)
    judge = Objective(arguments.objective, weights)
    children = propose(arguments.algorithm, space, settings, history, arguments.seed, arguments.generation, judge)
    rows = [
        population_row(slot, of_cost.with_genome(child.genome), child.origin, counting)
        for slot, child in enumerate(children)
    ]
    columns = columns_for(POPULATION, counting.cost)
    stopping = read_settings(arguments, EarlyStopping)
    if stopping.early_stop_epochs is not None:
        columns += (NEEDED_TOP1,)
        looks = stops_early(arguments.algorithm)
        earlier = [early for path in arguments.earlier for early in read_early(path)] if looks else []
        bar = Bar.of(earlier, judge, stopping.early_stop_keep)
        for row, child in zip(rows, children, strict=True):
            needed = bar.needed_top1(Individual(child.genome, None, row[counting.column]))
            row[NEEDED_TOP1] = f"{needed:.4f}" if needed else ""
    write_csv(arguments.output, columns, rows)
