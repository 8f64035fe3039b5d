"""Measures how long every layer of a network takes on this machine: a table that a search can count cost by."""

import argparse

from pipeline.steps.options import add_ratios, count, output, width_fraction

#: Of each network in each turn.
_ROUNDS = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("--network", default="vgg_small", help="vgg_small or resnet18")
    parser.add_argument("--base-width", type=width_fraction, default=1.0, help="the search's cost_width")
    parser.add_argument("--channels", type=count, default=3, help="of the images")
    parser.add_argument("--image-size", type=count, help="side in pixels; by default the published one")
    parser.add_argument("--classes", type=count, help="by default the published number")
    add_ratios(parser)
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="of each network in each of several turns")
    output(parser, "--output", "the table to write (JSON)")


def run(arguments: argparse.Namespace) -> None:
    """Writes the table."""
    from pipeline.common.errors import UserError
    from pipeline.common.files import check_writable
    from pipeline.common.log import log
    from pipeline.export.latency import measure_latency
    from pipeline.kernels.build import CompilationError
    from pipeline.networks.architectures import find_architecture
    from pipeline.networks.latency import write_latency
    from pipeline.networks.spec import NetworkSpec, uniform_genome
    from pipeline.training.execution import describe_machine

    if arguments.rounds < 1:
        raise UserError(f"--rounds is {arguments.rounds}", "give at least 1")
    check_writable(arguments.output.parent)
    module = find_architecture(arguments.network)
    spec = NetworkSpec(
        arguments.network,
        uniform_genome(arguments.network, 1),
        base_width=arguments.base_width,
        channels=arguments.channels,
        size=arguments.image_size or module.IMAGE_SIZE,
        classes=arguments.classes or module.CLASSES,
    )
    try:
        table = measure_latency(spec, arguments.ratios, arguments.rounds, describe_machine())
    except CompilationError as error:
        raise UserError(f"latencies cannot be measured: {error}", "install a C++ compiler, such as g++") from None
    write_latency(arguments.output, table)
    log(f"{arguments.output}: uniform-1x takes {1000 * table.seconds(spec):.4g} ms here; digest {table.digest[:16]}")
