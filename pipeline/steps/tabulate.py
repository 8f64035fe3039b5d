"""Makes a table of a whole search space from an experiment that has scored every genome (algorithm: exhaustive)."""

import argparse
from pathlib import Path

from pipeline.steps.options import output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("experiment", metavar="RESULTS/EXPERIMENT", type=Path, help="the experiment's folder")
    output(parser, "--output", "the table to write (NPZ); `search` reads it")


def run(arguments: argparse.Namespace) -> None:
    """Writes the table, and says what stands in it."""
    from dataclasses import replace

    import numpy as np

    import pipeline
    from pipeline.common.errors import UserError
    from pipeline.common.files import read_record
    from pipeline.common.log import log
    from pipeline.data.prepared import read_info
    from pipeline.networks.genome import Genome
    from pipeline.networks.spec import NetworkSpec, uniform_genome
    from pipeline.search.tables import read_early, read_individuals
    from pipeline.search.tabular import Table, write_table
    from pipeline.workflow.layout import Layout
    from pipeline.workflow.made_with import about_outdated, outdated_files
    from pipeline.workflow.saved_config import read_saved_config

    layout = Layout(arguments.experiment)
    saved = read_saved_config(layout)
    if saved is None:
        raise UserError(f"there is no experiment in {layout.folder}", "name a folder under results/")
    config = saved.config
    info = read_info(layout.train, "train")
    network, search = config["network"], config["search"]
    searches = [name for name, one in config["searches"].items() if one["algorithm"] == "exhaustive"]
    if len(searches) != 1:
        raise UserError(
            f"{layout.folder} has {len(searches)} exhaustive searches", "run an experiment that has one, and no other"
        )
    spec = NetworkSpec(
        network=network["name"],
        genome=uniform_genome(network["name"], 1),
        base_width=search["cost_width"],
        channels=info.channels,
        size=info.size,
        classes=len(info.classes),
    )
    empty = np.full((len(search["ratios"]) ** len(spec.genome), 0), np.nan)
    table = Table.of(spec, search["ratios"], empty, empty, {})
    places = {genome: place for place, genome in enumerate(table.genomes)}

    def column(found: dict[Genome, float]) -> np.ndarray:
        values = np.full(len(places), np.nan)
        for genome, top1 in found.items():
            values[places[genome]] = top1
        return values

    outdated = outdated_files(layout)
    if outdated:
        log(f"note: left out: {about_outdated(outdated)}")
    scores: dict[Genome, float] = {}
    partial: dict[Genome, float] = {}
    early = search["early_stop_epochs"]
    for number in range(search["generations"]):
        file = layout.generation(searches[0], number).scores
        if file.exists() and file not in outdated:
            scores |= {one.genome: one.top1 for one in read_individuals(file) if one.top1 is not None}
            if early is not None:
                partial |= {one.individual.genome: one.partial_top1 for one in read_early(file)}
    if not scores:
        raise UserError(f"{layout.folder} has no scores yet", "let its search run first; it may be stopped and goes on")
    proxy = config["proxy"]
    again, trained = (
        [{} if file(number) in outdated else _sampled(file(number)) for number in range(proxy[key])]
        for file, key in ((layout.sample.scores, "scores"), (layout.sample.trained, "trainings"))
    )
    arithmetic = read_record(layout.arithmetic) if layout.arithmetic.exists() else {"settled": {}, "on": {}}
    made = {
        **arithmetic["settled"],
        **arithmetic["on"],
        "version": pipeline.__version__,
        "method": pipeline.METHOD_VERSION,
        "dataset": config["dataset"]["name"],
        "trained base width": network["base_width"],
        "candidate": config["candidate"],
        "retrain": config["retrain"],
        "split": config["split"],
    }
    # The first column is the search's own; the sample's scores are from other seeds.
    columns = [column(one) for one in (scores, *again) if one]
    whole = np.column_stack([column(one) for one in trained if one] or [np.full(len(places), np.nan)])
    table = replace(table, scores=np.column_stack(columns), trained=whole, made=made)
    if early is not None:
        table = replace(table, partial=column(partial)[:, None], partial_epochs=(early,))
    write_table(arguments.output, table)
    log(
        f"{arguments.output}: {len(scores):,} of {len(places):,} genomes scored, "
        f"{int((~np.isnan(whole)).any(axis=1).sum()):,} trained in full"
    )


def _sampled(path: Path) -> "dict[tuple[float, ...], float]":
    from pipeline.common.files import read_csv
    from pipeline.networks.genome import parse_genome
    from pipeline.search.tables import EVALUATIONS, needed

    if not path.exists():
        return {}
    rows = read_csv(path, needed(EVALUATIONS))
    return {parse_genome(row["genome"]): float(row["top1"]) for row in rows if row["top1"]}
