"""Trains and scores the candidates of one generation, or of one shard of it, unless the archive knows them."""

import argparse
from pathlib import Path

from pipeline.search.early_stopping import EarlyStopping
from pipeline.steps.options import (
    add_asked,
    add_execution,
    add_network,
    add_ratios,
    add_setting,
    add_settings,
    output,
    path,
    read_settings,
)
from pipeline.training.settings import ExecutionSettings, TrainingSettings
from pipeline.workflow.settings import CandidateSettings, SearchSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    path(parser, "--population", "the proposed genomes (CSV)")
    path(parser, "--images", "prepared train set (HDF5)")
    path(parser, "--subset", "images that candidates learn from (CSV)")
    path(parser, "--validation", "images that they are scored on (CSV)")
    path(parser, "--supernet", "inherit first weights from here (HDF5); without it they are random", required=False)
    add_asked(parser, "--supernet-asked", "a supernet")
    path(parser, "--archive", "folder of evaluated candidates")
    parser.add_argument("--title", default="candidates", help="what to call them in messages")
    parser.add_argument("--shard", type=int, default=0, help="number of this shard")
    add_setting(parser, SearchSettings, "shards")
    parser.add_argument("--cores", type=int, default=1, help="to train candidates side by side on, --threads for each")
    add_setting(parser, CandidateSettings, "recalibrate")
    add_setting(parser, EarlyStopping, "early_stop_epochs")
    parser.add_argument("--seed", type=int, default=0, help="of the experiment")
    parser.add_argument(
        "--repetition",
        type=int,
        default=0,
        help="train them from other seeds than in the search, another for each number",
    )
    add_ratios(parser)
    add_network(parser)
    add_settings(parser, TrainingSettings)
    add_execution(parser)
    output(parser, "--output", "the evaluations to write (CSV)")
    output(parser, "--timing", "what each took, to write (CSV)")


def run(arguments: argparse.Namespace) -> None:
    """Writes the evaluations of the shard's candidates, in the order of their slots."""
    from pipeline import METHOD_VERSION
    from pipeline.common.digests import digest_of
    from pipeline.common.errors import UserError
    from pipeline.common.files import write_csv
    from pipeline.common.hdf5 import read_attributes
    from pipeline.common.randomness import seed_for
    from pipeline.data.prepared import read_info, verify_images
    from pipeline.data.splits import read_split
    from pipeline.networks.spec import uniform_genome
    from pipeline.networks.weights import check_supernet
    from pipeline.search.archive import Archive
    from pipeline.search.evaluate import Task, evaluate_all
    from pipeline.search.facts import candidate_facts
    from pipeline.search.shards import balance, predicted_cost
    from pipeline.search.tables import (
        EVALUATIONS,
        PARTIAL_TOP1,
        TIMINGS,
        evaluation_row,
        read_needed,
        read_population,
        timing_row,
    )
    from pipeline.steps.options import network_for
    from pipeline.training.arithmetic import settle
    from pipeline.training.identity import check_asked
    from pipeline.workflow.slurm.time_limit import stop_requests

    info = read_info(arguments.images, "train")
    verify_images(arguments.images)
    spec = network_for(arguments, info, uniform_genome(arguments.network, 1))
    population = read_population(arguments.population, len(spec.genome), arguments.ratios)
    subset, validation = read_split(arguments.subset, info), read_split(arguments.validation, info)
    supernet: Path | None = arguments.supernet
    if supernet is not None:
        check_supernet(supernet, spec)
        if arguments.supernet_asked:
            here = {"images": info.digest, "subset": digest_of(subset), "method": METHOD_VERSION}
            check_asked(read_attributes(supernet), {**arguments.supernet_asked, **here}, str(supernet))
    # The search's own trainings are repetition 0.
    repetition: int = arguments.repetition
    seed = seed_for("repetition", arguments.seed, repetition) if repetition else arguments.seed
    settings = read_settings(arguments, TrainingSettings)
    execution = settle(read_settings(arguments, ExecutionSettings), arguments.arithmetic)
    if not set(subset).isdisjoint(validation):
        raise UserError(
            f"{arguments.subset} and {arguments.validation} share images", "delete both, and they are drawn again"
        )
    task = Task(
        spec,
        settings,
        execution,
        arguments.images,
        subset,
        validation,
        supernet,
        arguments.recalibrate,
        seed,
        arguments.loaders,
        arguments.early_stop_epochs,
        read_needed(arguments.population),
    )
    facts = candidate_facts(
        spec,
        settings,
        seed=seed,
        images=info.digest,
        subset=digest_of(subset),
        execution=execution.identity,
        recalibrate=arguments.recalibrate,
        validation=digest_of(validation),
        partial_epochs=arguments.early_stop_epochs,
        supernet=read_attributes(supernet)["digest"] if supernet else None,
    )
    costs = [predicted_cost(spec.with_genome(row["genome"])) for row in population]
    slots = balance(costs, arguments.shards)[arguments.shard]
    genomes = [population[slot]["genome"] for slot in slots]
    workers = max(1, arguments.cores // execution.threads)
    results = evaluate_all(task, genomes, Archive(arguments.archive, facts), workers, arguments.title, stop_requests())
    ordered = sorted(zip(slots, results, strict=True), key=lambda pair: pair[0])
    timings = [
        timing_row(slot, r.evaluation.genome, r.timing, reused=r.reused, shard=arguments.shard) for slot, r in ordered
    ]
    write_csv(arguments.timing, TIMINGS, timings)
    columns = EVALUATIONS if arguments.early_stop_epochs is None else (*EVALUATIONS, PARTIAL_TOP1)
    write_csv(arguments.output, columns, [evaluation_row(slot, result.evaluation) for slot, result in ordered])
