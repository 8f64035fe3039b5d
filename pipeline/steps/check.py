"""Checks a configuration and says what it would do, before any work."""

import argparse

from pipeline.steps.options import add_configuration, read_configuration


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    add_configuration(parser)


def run(arguments: argparse.Namespace) -> None:
    """Prints one line, or the first thing that is wrong."""
    config = read_configuration(arguments)
    search = config["search"]
    budget = search["generations"] * search["population"]
    print(
        f"experiment '{config['experiment']}': {len(config['searches'])} searches of {budget} candidates, "
        f"{len(config['models'])} rows of {config['retrain']['seeds']} seeds"
    )
