"""Checks a configuration and says what it would do, before any work."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("configs", type=Path, nargs="*", help="overlays of config.yaml, in order")
    parser.add_argument("--configfile", type=Path, nargs="+", default=[], help="the same, as Snakemake calls it")


def run(arguments: argparse.Namespace) -> None:
    """Prints one line, or the first thing that is wrong."""
    from pipeline.config import ROOT, read_config

    config = read_config([ROOT / "config.yaml", *arguments.configs, *arguments.configfile])
    search = config["search"]
    budget = search["generations"] * search["population"]
    print(
        f"experiment '{config['experiment']}': {len(config['searches'])} searches of {budget} candidates, "
        f"{len(config['models'])} rows of {config['retrain']['seeds']} seeds"
    )
