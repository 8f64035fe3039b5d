"""Prints what a network costs, layer by layer, without training anything."""

import argparse

from pipeline.steps.options import count, genome, width_fraction


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("words", nargs="?", type=genome, metavar="GENOME", help="the same as --genome")
    parser.add_argument("--network", default="vgg_small", help="vgg_small or resnet18")
    parser.add_argument(
        "--genome", type=genome, help="ratios with commas between, or one for a uniform network; by default 1"
    )
    parser.add_argument("--full-precision", action="store_true", help="the real-valued counterpart")
    parser.add_argument("--base-width", type=width_fraction, default=1.0, help="fraction of the published base widths")
    parser.add_argument("--channels", type=count, default=3, help="of the images")
    parser.add_argument("--image-size", type=count, help="side in pixels; by default the published one")
    parser.add_argument("--classes", type=count, help="by default the published number")
    parser.add_argument("--convention", help="which operations are FLOPs: table1, table2, macs, everything")


def run(arguments: argparse.Namespace) -> None:
    """Prints the account and the totals."""
    from pipeline.common.errors import UserError
    from pipeline.common.terminal import draw
    from pipeline.networks.architectures import find_architecture
    from pipeline.networks.cost import BINARY_MAC, layer_cost, network_cost, speedup
    from pipeline.networks.spec import NetworkSpec, uniform_genome

    if arguments.words is not None and arguments.genome is not None:
        raise UserError("the genome is given twice", "leave out --genome, or the word")
    module = find_architecture(arguments.network)
    chosen = arguments.words or arguments.genome or (1.0,)
    spec = NetworkSpec(
        arguments.network,
        chosen if len(chosen) > 1 else uniform_genome(arguments.network, chosen[0]),
        base_width=arguments.base_width,
        channels=arguments.channels,
        size=arguments.image_size or module.IMAGE_SIZE,
        classes=arguments.classes or module.CLASSES,
        binary=not arguments.full_precision,
    )
    total = network_cost(spec, arguments.convention)
    print(f"{spec.title}, {spec.channels}x{spec.size}x{spec.size}, {spec.classes} classes\n")
    header = ("layer", "kind", "shape", "real MACs", "binary MACs", "other ops", "bits")
    rows: list[tuple[str, ...]] = [
        (
            cost.name,
            cost.kind,
            cost.shape,
            f"{cost.real_macs:,}",
            f"{cost.binary_macs:,}",
            f"{cost.other_operations:,}",
            f"{cost.bits:,}",
        )
        for cost in map(layer_cost, spec.layers)
    ]
    sums = (f"{number:,}" for number in (total.real_macs, total.binary_macs, total.other_operations, total.bits))
    rows.append(("total", "", "", *sums))
    print(draw(header, rows, left={"kind", "shape"}, spare=("kind", "shape", "other ops"), rule_above_last=True) + "\n")
    print(f"FLOPs    {total.flops / 1e6:#.4g}M (convention '{arguments.convention or module.CONVENTION}';")
    print(f"         a binary MAC counts {BINARY_MAC:g})")
    print(f"speedup  {speedup(spec, arguments.convention):.1f}x in theory, over the full-precision 1x network")
    print(f"memory   {total.bits / 1e6:#.4g}M bits, {total.bytes / 2**20:#.3g} MiB")
