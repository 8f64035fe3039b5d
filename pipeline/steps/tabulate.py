"""Makes a table of a whole search space from an experiment that has scored every genome (algorithm: exhaustive)."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.steps.options import output, path

if TYPE_CHECKING:
    import numpy as np

    from pipeline.search.tabular import Table

#: What tables must have in common for one to go on where the other stopped; of older ones, what they say of it.
_SETTINGS = ("dataset", "trained base width", "candidate", "retrain", "split", "method")
_SAID_LATER = ("images", "seed", "supernet", "binariser")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("experiment", help="an experiment's name or results folder")
    output(parser, "--output", "the table to write (NPZ); `search` reads it")
    path(
        parser,
        "--earlier",
        "go on from a table of the same settings: take from it what this experiment has not measured (NPZ)",
        required=False,
    )


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
    from pipeline.search.costs import DEFAULT as FLOPS
    from pipeline.search.tables import read_early, read_individuals
    from pipeline.search.tabular import LEARNED_FROM, Table, read_table, write_table
    from pipeline.workflow.made_with import (
        about_config,
        about_outdated,
        about_strange,
        outdated_files,
        strange_files,
    )
    from pipeline.workflow.saved_config import read_saved_config
    from pipeline.workflow.status.experiment import find_experiment

    layout = find_experiment(arguments.experiment)
    saved = read_saved_config(layout)
    if saved is None:
        raise UserError(f"{layout.folder} has no configuration", "run the experiment first")
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

    noted = outdated_files(layout)
    strange = sorted(strange_files(layout) - set(noted))
    if other := about_config(layout):
        log(f"warning: {other}")
    for about in filter(None, (about_outdated(noted), about_strange(strange))):
        log(f"note: left out: {about}")
    outdated = {*noted, *strange}
    scores: dict[Genome, float] = {}
    partial: dict[Genome, float] = {}
    early = search["early_stop_epochs"]
    for number in range(search["generations"]):
        file = layout.generation(searches[0], number).scores
        if file.exists() and file not in outdated:
            scores |= {one.genome: one.top1 for one in read_individuals(file) if one.top1 is not None}
            if early is not None:
                partial |= {one.individual.genome: one.partial_top1 for one in read_early(file)}
    earlier = None if arguments.earlier is None else read_table(arguments.earlier)
    if not scores and earlier is None:
        raise UserError(f"{layout.folder} has no scores yet", "let its search run first; it may be stopped and goes on")
    proxy = config["proxy"]
    again, trained = (
        [{} if file(number) in outdated else _sampled(file(number)) for number in range(proxy[key])]
        for file, key in ((layout.sample.scores, "scores"), (layout.sample.trained, "trainings"))
    )
    split, classes = config["split"], len(info.classes)
    others = (split["validation_per_class"] + split["held_out_per_class"]) * classes
    subset = info.count - others if split["subset_per_class"] is None else split["subset_per_class"] * classes
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
        "split": split,
        LEARNED_FROM: subset,
        "images": info.digest,
        "seed": config["seed"],
        "supernet": config["supernet"],
        "binariser": network["binariser"],
    }
    # Each column is of a seed of its own. The sample is first trained from the search's, which is no other score.
    again[0] |= scores
    columns, whole = (np.column_stack([column(one) for one in found]) for found in (again, trained))
    if earlier is not None:
        _check_settings(earlier, replace(table, made=made), arguments.earlier)
        columns, whole = _completed(columns, earlier.scores), _completed(whole, earlier.trained)
        told = {*_SETTINGS, *_SAID_LATER}
        made["went on from"] = {name: earlier.made[name] for name in earlier.made if name not in told}
    table = replace(table, scores=_measured(columns), trained=_measured(whole), made=made)
    if search["cost"] != FLOPS:
        log(f"note: the experiment weighs {search['cost']}, but costs in tables of search spaces are of {FLOPS}")
    if early is not None:
        table = replace(table, partial=column(partial)[:, None], partial_epochs=(early,))
    write_table(arguments.output, table)
    log(
        f"{arguments.output}: {_rows(table.scores[:, :1]):,} of {len(places):,} genomes scored, "
        f"{_rows(whole):,} trained in full"
    )


def _rows(measured: "np.ndarray") -> int:
    """Returns for how many genomes there is a value."""
    import numpy as np

    return int((~np.isnan(measured)).any(axis=1).sum())


def _measured(columns: "np.ndarray") -> "np.ndarray":
    """Returns the columns without the last ones that hold nothing; the others stay in their places, by their seeds."""
    import numpy as np

    held = np.flatnonzero((~np.isnan(columns)).any(axis=0))
    return columns[:, : held.max(initial=0) + 1]


def _completed(columns: "np.ndarray", earlier: "np.ndarray") -> "np.ndarray":
    """Returns values with those of an earlier table where there are none; of a seed each, in both."""
    import numpy as np

    made = np.full((len(columns), max(columns.shape[1], earlier.shape[1])), np.nan)
    made[:, : columns.shape[1]] = columns
    before = np.full_like(made, np.nan)
    before[:, : earlier.shape[1]] = earlier
    return np.where(np.isnan(made), before, made)


def _check_settings(earlier: "Table", table: "Table", path: Path) -> None:
    from pipeline.common.errors import UserError
    from pipeline.common.log import log

    untold = [name for name in _SAID_LATER if name not in earlier.made]
    compared = (*_SETTINGS, *(name for name in _SAID_LATER if name in earlier.made))
    others = [name for name in compared if earlier.made.get(name) != table.made.get(name)]
    others += [name for name in ("spec", "ratios") if getattr(earlier, name) != getattr(table, name)]
    if others:
        raise UserError(
            f"{path} is a table of other settings than the experiment's ({', '.join(others)})",
            "name one that an experiment with the same settings has made",
        )
    if untold:
        log(f"note: {path} does not tell its {', '.join(untold)}; taken to be the experiment's")


def _sampled(path: Path) -> "dict[tuple[float, ...], float]":
    from pipeline.common.files import read_csv
    from pipeline.networks.genome import parse_genome
    from pipeline.search.tables import EVALUATIONS, needed

    if not path.exists():
        return {}
    rows = read_csv(path, needed(EVALUATIONS))
    return {parse_genome(row["genome"]): float(row["top1"]) for row in rows if row["top1"]}
