"""Checks of the network: that it and its binariser are known, and that every width has channels."""

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.common.errors import UserError
from pipeline.data.datasets import expect_images
from pipeline.networks.architectures import find_architecture
from pipeline.networks.binary.binarisers import BINARISERS
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.report.published import find_table


def spec_of(config: Mapping[str, Any]) -> NetworkSpec:
    """Returns the network that is trained, uniform-1x; of two classes where they have not been counted."""
    network = config["network"]
    images = expect_images(config["dataset"])
    genome = uniform_genome(network["name"], 1)
    return NetworkSpec(
        network["name"],
        genome,
        base_width=network["base_width"],
        channels=images.channels,
        size=config["dataset"]["image_size"],
        classes=images.classes or 2,
        binariser=network["binariser"],
    )


def check_network(config: Mapping[str, Any]) -> None:
    """Checks that the network and its binariser are known, and that what is measured can be."""
    find_architecture(config["network"]["name"])
    binariser = config["network"]["binariser"]
    if binariser not in BINARISERS:
        raise UserError(f"network.binariser is '{binariser}'", BINARISERS.choices)
    changed = BINARISERS.changed(binariser)  # it is there; importing it would need torch
    if changed and config["inference"]["measure"]:
        raise UserError(
            f"inference.measure is true, but packed networks do not know the binariser '{binariser}'",
            "set it to false",
        )


def check_widths(config: Mapping[str, Any]) -> None:
    """Checks that the narrowest network has channels, and that widths are those that commands are given."""
    spec = spec_of(config)
    smallest = uniform_genome(spec.network, min(config["search"]["ratios"]))
    _ = spec.with_genome(smallest).layers
    check_digits(spec, config, config["search"]["ratios"])


def check_digits(spec: NetworkSpec, config: Mapping[str, Any], ratios: Iterable[float]) -> None:
    """Refuses widths and ratios of which six digits, which commands are given, make other numbers of channels."""
    genomes = [uniform_genome(spec.network, ratio) for ratio in ratios]
    widths = {"network.base_width": spec.base_width, "search.cost_width": config["search"]["cost_width"]}
    for key, width in widths.items():
        for genome in genomes:
            meant = spec.at_width(width).with_genome(genome).widths
            made = spec.at_width(_six_digits(width)).with_genome(tuple(map(_six_digits, genome))).widths
            differ = [pair for pair in zip(meant, made, strict=True) if pair[0] != pair[1]]
            if differ:
                raise UserError(
                    f"{key} {width!r} with a ratio of {genome[0]!r} makes {differ[0][0]} channels, but six digits of "
                    f"both, which are what counts, make {differ[0][1]}",
                    "round the last of them up",
                )


def _six_digits(value: float) -> float:
    return float(f"{value:g}")


def check_published(config: Mapping[str, Any]) -> None:
    """Checks that published accuracies are of the same network."""
    published = config.get("published")
    if published is not None and find_table(published).network != config["network"]["name"]:
        raise UserError(
            f"published is '{published}', a table of another network than {config['network']['name']}",
            "set it to null or to the network's own table",
        )
