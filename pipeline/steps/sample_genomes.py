"""Draws random genomes, spread over their cost, on which the worth of a candidate's score is judged."""

import argparse

from pipeline.search.space import Budget
from pipeline.steps.options import (
    add_cost,
    add_cost_width,
    add_network,
    add_ratios,
    add_settings,
    counting_for,
    network_for,
    output,
    path,
    read_settings,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    path(parser, "--images", "prepared train set (HDF5)")
    parser.add_argument("--genomes", type=int, required=True, help="how many; fewer if there are fewer")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    add_ratios(parser)
    add_settings(parser, Budget)
    add_network(parser)
    add_cost_width(parser, default=None)
    add_cost(parser)
    output(parser, "--output", "the population to write (CSV)")


def run(arguments: argparse.Namespace) -> None:
    """Writes each genome once, the cheapest first."""
    from pipeline.common.files import write_csv
    from pipeline.common.randomness import random_for
    from pipeline.data.prepared import read_info
    from pipeline.networks.spec import uniform_genome
    from pipeline.search.sample import spread_over_cost
    from pipeline.search.space import search_space
    from pipeline.search.tables import POPULATION, columns_for, population_row

    uniform = uniform_genome(arguments.network, 1)
    spec = network_for(arguments, read_info(arguments.images, "train"), uniform).at_width(arguments.cost_width)
    counting = counting_for(arguments, spec, arguments.ratios)
    space = search_space(spec, arguments.ratios, read_settings(arguments, Budget), counting)
    random = random_for("proxy", arguments.seed)
    genomes = spread_over_cost(
        space, arguments.genomes, lambda genome: counting.value(spec.with_genome(genome)), random
    )
    rows = [population_row(slot, spec.with_genome(genome), "sample", counting) for slot, genome in enumerate(genomes)]
    write_csv(arguments.output, columns_for(POPULATION, counting.cost), rows)
