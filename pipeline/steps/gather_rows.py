"""Gathers the binary rows of the table as candidates, to be scored as the search would score them."""

import argparse

from pipeline.networks.genome import RATIOS
from pipeline.steps.options import add_cost_width, add_network, counted, genome, network_for, output, path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    path(parser, "--images", "prepared train set (HDF5)")
    parser.add_argument("--genomes", type=genome, nargs="*", default=[], help="that the configuration gives")
    path(parser, "--best", "what the searches found (JSON)", nargs="*", required=False, default=[])
    parser.add_argument("--ratios", type=float, nargs="+", default=RATIOS, help="values that a gene can take")
    add_network(parser)
    add_cost_width(parser, default=None)
    output(parser, "--output", "the population to write (CSV)")


def run(arguments: argparse.Namespace) -> None:
    """Writes each genome once. One outside the search space is left out: the search could not have scored it."""
    from pipeline.common.files import write_csv
    from pipeline.data.prepared import read_info
    from pipeline.networks.spec import uniform_genome
    from pipeline.search.tables import POPULATION, population_row, read_best

    uniform = uniform_genome(arguments.network, 1)
    spec = counted(network_for(arguments, read_info(arguments.images, "train"), uniform), arguments)
    genomes = [*arguments.genomes, *(read_best(path).genome for path in arguments.best)]
    known = [genome for genome in dict.fromkeys(genomes) if set(genome) <= set(arguments.ratios)]
    rows = [population_row(slot, spec.with_genome(genome), "row") for slot, genome in enumerate(known)]
    write_csv(arguments.output, POPULATION, rows)
