"""Adds to a table of a search space what its candidates scored after their first epochs.

    python -m benchmarks.partial_scores results/digits-4096 --table digits-4096.npz --of-trained 3 5

From the experiment that the table was made of: its supernet, its images and its recipe. With another processor or
another torch than the experiment's, last digits differ: then a candidate can take another course here than the one
whose score stands in the table. Every evaluation is kept in a folder beside the table; run it again to go on.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.common.digests import digest_of
from pipeline.common.hdf5 import read_attributes
from pipeline.common.log import log
from pipeline.common.settings import from_mapping
from pipeline.data.prepared import read_info
from pipeline.data.splits import read_split
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.search.archive import Archive
from pipeline.search.early_stopping import OUT_OF_REACH
from pipeline.search.evaluate import Task, evaluate_all
from pipeline.search.facts import candidate_facts
from pipeline.search.tabular import find_table, read_table, write_table
from pipeline.training.arithmetic import settle
from pipeline.training.settings import ExecutionSettings, TrainingSettings
from pipeline.workflow.layout import Layout
from pipeline.workflow.saved_config import read_saved_config


def main() -> None:
    """Writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path, help="the folder under results/ that the table was made of")
    parser.add_argument("--table", required=True, help="its name or file")
    parser.add_argument("--epochs", type=int, nargs="+", default=[0, 1, 2], help="after which all genomes are scored")
    parser.add_argument(
        "--of-trained", type=int, nargs="+", default=[], help="after which those are that were trained in full"
    )
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--output", type=Path, help="the table to write; the one read by default")
    arguments = parser.parse_args()
    source = find_table(arguments.table)
    output = arguments.output or source
    layout, table = Layout(arguments.experiment), read_table(source)
    saved = read_saved_config(layout)
    if saved is None:
        parser.error(f"there is no experiment in {layout.folder}")
    config = saved.config
    info = read_info(layout.train, "train")
    if table.made.get("images", info.digest) != info.digest:
        parser.error(f"{source} was made of other images than {layout.folder} has")
    subset, validation = (read_split(path, info) for path in (layout.subset, layout.validation))
    spec = NetworkSpec(
        network=config["network"]["name"],
        genome=uniform_genome(config["network"]["name"], 1),
        base_width=config["network"]["base_width"],
        channels=info.channels,
        size=info.size,
        classes=len(info.classes),
        binariser=config["network"]["binariser"],
    )
    settings = from_mapping(TrainingSettings, config["candidate"])
    execution = settle(from_mapping(ExecutionSettings, config["execution"]), layout.arithmetic)
    some = [table.genomes[place] for place in np.flatnonzero((~np.isnan(table.trained)).any(axis=1))]
    columns = []
    for epochs in (*arguments.epochs, *arguments.of_trained):
        genomes = table.genomes if epochs in arguments.epochs else some
        task = Task(
            spec,
            settings,
            execution,
            layout.train,
            subset,
            validation,
            layout.supernet.weights,
            config["candidate"]["recalibrate"],
            config["seed"],
            partial_epochs=epochs,
            needed_top1=dict.fromkeys(genomes, OUT_OF_REACH),
        )
        facts = candidate_facts(
            spec,
            settings,
            seed=config["seed"],
            images=info.digest,
            subset=digest_of(subset),
            execution=execution.identity,
            recalibrate=config["candidate"]["recalibrate"],
            validation=digest_of(validation),
            partial_epochs=epochs,
            supernet=read_attributes(layout.supernet.weights)["digest"],
        )
        archive = Archive(output.with_suffix(".archive"), facts)
        results = evaluate_all(task, genomes, archive, arguments.workers, f"after {epochs} epochs")
        scored = {genome: result.evaluation.partial_top1 for genome, result in zip(genomes, results, strict=True)}
        columns.append([scored.get(genome) for genome in table.genomes])
        seconds = [result.timing.seconds for result in results]
        log(f"after {epochs} epochs: {np.mean(seconds):.3f} s for each on average")
    partial = np.array(columns, dtype=float).T
    epochs = (*arguments.epochs, *arguments.of_trained)
    write_table(output, replace(table, partial=partial, partial_epochs=epochs))
    log(f"{output}: scores after {', '.join(map(str, epochs))} epochs")


if __name__ == "__main__":
    main()
