"""Tries a search algorithm on a table of a whole search space, from many seeds, in seconds."""

import argparse

from pipeline.search.early_stopping import NEVER, EarlyStopping
from pipeline.steps.options import (
    add_algorithm,
    add_objective,
    add_setting,
    add_settings,
    path,
    read_chosen,
    read_settings,
)
from pipeline.workflow.settings import SearchSettings

#: Shares of a search's evaluations after which it is looked at.
_LOOKS = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("--table", required=True, help="a table that comes with the project, by name, or a file")
    parser.add_argument("--seeds", type=int, default=50, help="how many searches, each from a seed of its own")
    parser.add_argument("--generations", type=int, default=10, help="of each search")
    path(
        parser,
        "--csv",
        "also write what every search would choose after every evaluation (by a model: those that are printed)",
        required=False,
    )
    add_setting(parser, SearchSettings, "chosen_by", help="By what a search would choose: score, or model.")
    add_algorithm(parser)
    add_objective(parser)
    add_settings(parser, EarlyStopping)


def run(arguments: argparse.Namespace) -> None:
    """Prints what the searches would choose, by evaluations spent."""
    import numpy as np

    from pipeline.common.errors import UserError
    from pipeline.common.files import write_csv
    from pipeline.common.log import log, progress
    from pipeline.common.terminal import draw, fit
    from pipeline.common.text import counted
    from pipeline.report.statistics import mean_interval
    from pipeline.search.algorithms import ALGORITHMS, stops_early
    from pipeline.search.choice import SCORE
    from pipeline.search.objectives import OBJECTIVES, Objective
    from pipeline.search.tabular import find_table, read_table
    from pipeline.search.tabular.run import best_worth, chosen_worth, course, search_on, trainings_spent

    if arguments.seeds < 2 or arguments.generations < 1:
        raise UserError("at least two seeds and one generation are needed", "raise --seeds or --generations")
    algorithm, objective = ALGORITHMS[arguments.algorithm], OBJECTIVES[arguments.objective]
    settings, weights = read_chosen(arguments.others, algorithm.Settings, objective.Settings)
    sought = Objective(arguments.objective, weights)
    table = read_table(find_table(arguments.table))
    if table.unscored:
        some = f"{table.unscored:,} of {counted(len(table.genomes), 'genome')} of {arguments.table}"
        log(f"warning: {some} have no score, and count as diverged")
    best = best_worth(table, sought)
    if not table.trained_again:
        log(
            f"warning: no genome of {arguments.table} was trained in full from two seeds, so that a seed's part is not "
            "known and counts for nothing: the best there is may be the luckiest"
        )
    stopping = read_settings(arguments, EarlyStopping)
    if stopping.early_stop_epochs is not None and not stops_early(arguments.algorithm):
        log(f"note: {algorithm.TITLE} stops no candidate early: all are trained to their end")
        stopping = NEVER
    histories, trained = [], []
    with progress(arguments.algorithm, arguments.seeds, "searches") as bar:
        for seed in range(arguments.seeds):
            history = search_on(table, arguments.algorithm, settings, sought, seed, arguments.generations, stopping)
            histories.append(history)
            trained.append(trainings_spent(table, history, stopping))
            bar.advance()
    spent = min(map(len, trained))
    looks = sorted({max(1, round(share * spent)) for share in _LOOKS})
    by_score = arguments.chosen_by == SCORE
    marks = list(range(1, spent + 1)) if by_score else looks
    worths = []
    with progress(f"chosen by {arguments.chosen_by}", arguments.seeds, "searches") as bar:
        for history in histories:
            worths.append(
                course(table, history, sought)[:spent].tolist()
                if by_score
                else [chosen_worth(table, history, sought, mark, arguments.chosen_by) for mark in marks]
            )
            bar.advance()
    trainings = np.array([one[:spent] for one in trained]).mean(axis=0)
    if arguments.csv:
        columns = ("seed", "evaluations", "worth")
        lines = [
            dict(zip(columns, (seed, mark, round(value, 4)), strict=True))
            for seed, one in enumerate(worths)
            for mark, value in zip(marks, one, strict=True)
        ]
        write_csv(arguments.csv, columns, lines)
    over_seeds, about_model = table.noise
    how = "" if by_score else ", chosen by a model of the scores"
    about_search = f"{algorithm.TITLE}, {sought.title}{how}, {arguments.seeds} seeds on table {arguments.table}"
    print(fit(f"{about_search} ({len(table.genomes):,} genomes)"))
    print(
        fit(
            f"the best there is: {best:.2f}; a training's deviation over seeds is "
            f"{f'{over_seeds:.2f} points' if table.trained_again else 'not known'}, that of genomes about the model "
            f"{about_model:.2f}"
        ),
        end="\n\n",
    )
    rows = []
    for look in looks:
        reached = [one[marks.index(look)] for one in worths]
        found = mean_interval(reached)
        span = f"{found.low:.2f} to {found.high:.2f}"
        stopped = [] if stopping.early_stop_epochs is None else [f"{trainings[look - 1]:.1f}"]
        rows.append(
            [str(look), *stopped, f"{found.value:.2f}", span, f"{best - found.value:.2f}", f"{np.median(reached):.2f}"]
        )
    stopped = [] if stopping.early_stop_epochs is None else ["whole trainings"]
    print(draw(["evaluations", *stopped, "worth of what it would choose", "95 %", "below the best", "median"], rows))
