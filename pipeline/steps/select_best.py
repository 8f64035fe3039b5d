"""Selects the genome of highest fitness among all generations of a search, and writes the search's history."""

import argparse

from pipeline.steps.options import add_objective, output, path, read_chosen


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("--search", required=True, help="its name")
    path(parser, "--scores", "of all its generations, the first one first (CSV)", nargs="+")
    add_objective(parser)
    path(parser, "--timings", "what the candidates of each generation took (CSV)", nargs="+")
    output(parser, "--output", "what was found, to write (JSON)")
    output(parser, "--history", "all scores in one table, to write (CSV)")
    output(parser, "--timing", "all times in one table, to write (CSV)")


def run(arguments: argparse.Namespace) -> None:
    """Writes the best genome; of equals the cheaper one."""
    from pipeline.common.errors import UserError
    from pipeline.search.objectives import OBJECTIVES, Objective
    from pipeline.search.tables import (
        SCORES,
        TIMINGS,
        Best,
        join_generations,
        read_costed,
        read_individuals,
        read_micro_batch,
        write_best,
    )

    objective = Objective(arguments.objective, *read_chosen(arguments.others, OBJECTIVES[arguments.objective].Settings))
    generations = [read_individuals(path) for path in arguments.scores]
    place = {
        individual.genome: (generation, slot)
        for generation, individuals in enumerate(generations)
        for slot, individual in enumerate(individuals)
    }
    scored = [individual for individuals in generations for individual in individuals if individual.top1 is not None]
    if not scored:
        raise UserError(
            f"no candidate of search {arguments.search} has a score", f"the reasons stand in {arguments.scores[0]}"
        )
    best = objective.rank(scored, 1)[0]
    assert best.top1 is not None
    value = round(objective.value(best), 6)
    generation, slot = place[best.genome]
    found = Best(
        arguments.search,
        best.genome,
        best.top1,
        best.relative_cost,
        value,
        generation,
        slot,
        len(place),
        read_micro_batch(arguments.scores[generation], slot),
        cost=read_costed(arguments.scores[generation], SCORES)[1],
    )
    join_generations(arguments.scores, SCORES, arguments.history)
    join_generations(arguments.timings, TIMINGS, arguments.timing)
    write_best(arguments.output, found)
