"""Proposes the genomes of one generation from the search's earlier generations."""

import argparse

from pipeline.networks.genome import RATIOS
from pipeline.search.settings import EvolutionSettings
from pipeline.steps.options import add_cost_width, add_network, add_settings, network_for, output, path, read_settings


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
    parser.add_argument("--ratios", type=float, nargs="+", default=RATIOS, help="values that a gene can take")
    parser.add_argument("--lambda", dest="penalty", type=float, default=4.0, help="weight of the cost, Eq. 4")
    add_network(parser)
    add_cost_width(parser)
    add_settings(parser, EvolutionSettings)
    output(parser, "--output", "the population to write (CSV)")


def run(arguments: argparse.Namespace) -> None:
    """Writes the population."""
    from pipeline.common.errors import UserError
    from pipeline.common.files import write_csv
    from pipeline.data.prepared import read_info
    from pipeline.networks.spec import uniform_genome
    from pipeline.search.algorithms import propose
    from pipeline.search.space import search_space
    from pipeline.search.tables import POPULATION, check_genome, population_row, read_individuals

    if len(arguments.earlier) != arguments.generation:
        raise UserError(f"generation {arguments.generation} needs the scores of {arguments.generation} earlier ones")
    settings = read_settings(arguments, EvolutionSettings)
    uniform = uniform_genome(arguments.network, 1)
    spec = network_for(arguments, read_info(arguments.images, "train"), uniform)
    counted = spec.at_width(arguments.cost_width)
    space = search_space(counted, arguments.ratios, settings.max_flops, settings.max_memory)
    history = [read_individuals(path) for path in arguments.earlier]
    for scores, individuals in zip(arguments.earlier, history, strict=True):
        for individual in individuals:
            check_genome(individual.genome, len(uniform), arguments.ratios, scores)
    children = propose(space, settings, history, arguments.seed, arguments.generation, arguments.penalty)
    rows = [
        population_row(slot, counted.with_genome(child.genome), child.origin) for slot, child in enumerate(children)
    ]
    write_csv(arguments.output, POPULATION, rows)
