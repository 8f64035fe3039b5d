"""Puts a generation's shards together and gives every candidate its fitness."""

import argparse

from pipeline.steps.options import add_objective, add_ratios, output, path, read_chosen


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    path(parser, "--population", "the proposed genomes (CSV)")
    path(parser, "--evaluations", "of all shards (CSV)", nargs="+")
    add_ratios(parser)
    add_objective(parser)
    path(parser, "--timings", "what each candidate took, of all shards (CSV)", nargs="+")
    output(parser, "--output", "the scores to write (CSV)")
    output(parser, "--timing", "the times put together, to write (CSV)")


def run(arguments: argparse.Namespace) -> None:
    """Writes the scores in the order of the slots."""
    from pipeline.common.errors import UserError
    from pipeline.common.files import read_csv, write_csv
    from pipeline.common.log import log
    from pipeline.networks.genome import format_genome
    from pipeline.search.costs import DEFAULT, cost_of_column, relative_column
    from pipeline.search.individual import Individual
    from pipeline.search.objectives import OBJECTIVES, Objective
    from pipeline.search.shards import longest_over_mean
    from pipeline.search.tables import (
        PARTIAL_TOP1,
        SCORES,
        TIMINGS,
        columns_for,
        needed,
        read_evaluations,
        read_population,
    )

    objective = Objective(arguments.objective, *read_chosen(arguments.others, OBJECTIVES[arguments.objective].Settings))
    population = read_population(arguments.population, None, arguments.ratios)
    evaluations = read_evaluations(arguments.evaluations)
    cost = (cost_of_column(population[0]) if population else None) or DEFAULT
    partial = any(PARTIAL_TOP1 in row for row in evaluations.values())
    columns = columns_for((*SCORES, PARTIAL_TOP1) if partial else SCORES, cost)
    rows = []
    for slot, candidate in enumerate(population):
        evaluated = evaluations.get(slot)
        genome = format_genome(candidate["genome"])
        if evaluated is None or evaluated["genome"] != genome:
            raise UserError(
                f"the evaluations do not fit {arguments.population}: slot {slot} should be {genome}",
                f"delete {arguments.evaluations[0].parent}, and the generation is evaluated again",
            )
        top1 = float(evaluated["top1"]) if evaluated["top1"] else None
        relative = candidate[relative_column(cost)]
        row = {key: evaluated.get(key, candidate.get(key)) for key in columns}
        value = objective.value(Individual(candidate["genome"], top1, relative))
        rows.append({**row, relative_column(cost): relative, "fitness": round(value, 6)})
    shards = [read_csv(path, needed(TIMINGS)) for path in arguments.timings]
    times = [row for shard in shards for row in shard]
    if len(shards) > 1:
        seconds = [sum(float(row["seconds"]) for row in shard if row["reused"] == "0") for shard in shards]
        log(f"{len(shards)} shards: the longest trained {longest_over_mean(seconds):.2f} times the mean")
    write_csv(arguments.timing, TIMINGS, sorted(times, key=lambda row: int(row["slot"])))
    write_csv(arguments.output, columns, rows)
