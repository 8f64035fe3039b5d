"""Makes the tables of an experiment: results with verdicts, time, and what the proxy is worth."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.steps.measurements import (
    OfSearch,
    OfTraining,
    add_measurements,
    count_diverged,
    of_searches,
    of_trainings,
    read_generations,
    read_rows,
    read_sample,
    read_scores,
    several,
)
from pipeline.steps.options import path
from pipeline.workflow.layout import TableFiles

if TYPE_CHECKING:
    from pipeline.report.timing import CandidateTime, TrainingTime


#: What finalists, and the random genomes on which the proxy is judged, are called beside the searches.
_FINALISTS, _SAMPLE = "finalists", "proxy"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    add_measurements(parser)
    of_trainings(parser, "--timings", "what every training of every row took (JSON)")
    path(parser, "--supernet-timing", "what the supernet took (JSON); none without a supernet", required=False)
    of_searches(parser, "--candidate-timings", "what the candidates of every search took (CSV)")
    add_further_timings(parser)
    names = ", ".join(table.name for table in TableFiles(Path()).all)
    path(parser, "--output-folder", f"where to write {names}")


def add_further_timings(parser: argparse.ArgumentParser) -> None:
    """Declares the flags that name what candidates took which are trained beside the searches."""
    several(parser, "--finalist-timings", "what the finalists of every search took when they were scored anew (CSV)")
    several(parser, "--sample-timings", "what the random genomes took on which the proxy is judged (CSV)")


def run(arguments: argparse.Namespace) -> None:
    """Writes the tables. All but those of time hold the same bytes whenever they are made from the same inputs."""
    from itertools import chain

    from pipeline.common.files import write_csv, write_text
    from pipeline.report.classes import CLASSES, class_table
    from pipeline.report.fronts import candidate_columns, candidate_table
    from pipeline.report.mixture import mixed_arithmetic
    from pipeline.report.proxy import PROXY, proxy_table
    from pipeline.report.results import results_columns, results_table
    from pipeline.report.tables import proxy_markdown, results_latex, results_markdown, timing_markdown
    from pipeline.report.timing import BALANCE, TIMING, balance_table, timing_table
    from pipeline.search.tables import columns_for

    rows, scores = read_rows(arguments), read_scores(arguments)
    counting = rows[0].counting
    points, diverged = read_sample(arguments, rows), count_diverged(arguments)
    candidates = read_all_candidate_times(arguments)
    trainings = {row.model: read_training_times(arguments.timings, row.model) for row in rows}
    supernet = read_training_time(arguments.supernet_timing) if arguments.supernet_timing else None
    times = timing_table(trainings, candidates, supernet)
    mixture = mixed_arithmetic([*trainings.values(), [supernet] if supernet else []], candidates)
    written = TableFiles(arguments.output_folder)
    write_csv(written.results_csv, results_columns(rows), results_table(rows, arguments.published))
    searched = {name: list(chain(*runs)) for name, runs in read_generations(arguments.scores).items()}
    write_text(written.results, results_markdown(rows, points, arguments.published, searched, diverged) + mixture)
    write_text(written.results_tex, results_latex(rows, arguments.published))
    write_csv(written.classes, CLASSES, class_table(rows))
    columns = candidate_columns(timed=counting.table is not None)
    write_csv(written.candidates, columns, candidate_table(rows[0].counted_spec, scores, counting))
    write_csv(written.proxy_csv, columns_for(PROXY, counting.cost), proxy_table(points, counting.cost))
    write_text(written.proxy, proxy_markdown(points, counting, diverged))
    write_csv(written.timing_csv, TIMING, times)
    balance = balance_table(candidates)
    write_csv(written.balance, BALANCE, balance)
    write_text(written.timing, timing_markdown(times, balance))


def read_training_times(files: Sequence[OfTraining], model: str) -> "list[TrainingTime]":
    """Reads what the seeds of a model took."""
    return [read_training_time(file.path) for file in files if file.model == model]


def read_training_time(path: Path) -> "TrainingTime":
    """Reads what one training took. Raises UserError where the file does not say that."""
    from pipeline.common.errors import UserError, made_again
    from pipeline.common.files import read_record
    from pipeline.report.timing import TrainingTime

    record = read_record(path)
    try:
        return TrainingTime(
            float(record["seconds"]),
            str(record["device"]),
            int(record["threads"]),
            str(record["machine"]),
            int(record.get("processes", 1)),
            f"{record['ended']}: {record['command']}" if "ended" in record else "",
            tuple(str(words) for words in record.get("arithmetic", ())),
        )
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path} does not say what a training took", made_again("its training is done again")) from None


def read_all_candidate_times(arguments: argparse.Namespace) -> "list[CandidateTime]":
    """Reads what the candidates of all searches took, the finalists and the proxy's sample."""
    times = _read_candidate_times(arguments.candidate_timings or [], "search")
    for name, files in ((_FINALISTS, arguments.finalist_timings), (_SAMPLE, arguments.sample_timings)):
        times += _read_candidate_times([OfSearch(name, path) for path in files], name)
    return times


def _read_candidate_times(files: Sequence[OfSearch], kind: str) -> "list[CandidateTime]":
    """Reads what every candidate took."""
    from pipeline.common.errors import UserError, made_again
    from pipeline.common.files import read_csv
    from pipeline.networks.genome import parse_genome
    from pipeline.report.timing import CandidateTime
    from pipeline.search.tables import TIMINGS, needed

    times = []
    for search, timing in files:
        for row in read_csv(timing, needed(TIMINGS)):
            try:
                seconds, reused = float(row["seconds"]), bool(int(row["reused"]))
                place = int(row.get("generation", 0)), int(row["shard"])
            except ValueError:
                raise UserError(f"{timing} does not say what candidates took", made_again()) from None
            how = row["machine"], *place, row.get("arithmetic", ""), kind
            times.append(CandidateTime(search, parse_genome(row["genome"]), seconds, reused, *how))
    return times
