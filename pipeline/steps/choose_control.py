"""Chooses the control of a found network: a network of the same cost that needs no search."""

import argparse

from pipeline.steps.options import (
    add_cost,
    add_cost_width,
    add_network,
    counted,
    counting_for,
    network_for,
    output,
    path,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    path(parser, "--images", "prepared train set (HDF5)")
    path(parser, "--found", "what the search found (JSON)")
    parser.add_argument(
        "--control",
        choices=("uniform", "first-layer"),
        required=True,
        help="the uniform network, or the one with the found first layer and uniform others",
    )
    add_network(parser)
    add_cost_width(parser, default=None)
    add_cost(parser)
    output(parser, "--output", "the control's genome to write (JSON)")


def run(arguments: argparse.Namespace) -> None:
    """Writes the genome of the widest such network that costs no more than the found one."""
    from pipeline.common.files import write_record
    from pipeline.common.log import log
    from pipeline.data.prepared import read_info
    from pipeline.networks.equal_cost import first_layer_control, uniform_control
    from pipeline.networks.genome import format_genome
    from pipeline.networks.spec import NetworkSpec
    from pipeline.search.tables import read_genome

    found = network_for(arguments, read_info(arguments.images, "train"), read_genome(arguments.found))
    counting = counting_for(arguments, counted(found, arguments))

    def cost(spec: NetworkSpec) -> float:
        return counting.value(counted(spec, arguments))

    choose = uniform_control if arguments.control == "uniform" else first_layer_control
    control = choose(found, cost)
    share = cost(control) / cost(found)
    log(f"{format_genome(control.genome)} has {share:.3f} times the {counting.title} of {format_genome(found.genome)}")
    write_record(arguments.output, {"genome": format_genome(control.genome), "cost_of_found": round(share, 6)})
