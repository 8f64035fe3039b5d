"""Makes the tables of an experiment: results with verdicts, time, and what the proxy is worth."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.steps.measurements import add_measurements, read_rows, read_scores, several
from pipeline.steps.options import path

if TYPE_CHECKING:
    from pipeline.report.timing import CandidateTime, TrainingTime

#: What this step writes into its output folder.
OUTPUTS = (
    "results.csv",
    "results.md",
    "results.tex",
    "timing.csv",
    "timing.md",
    "balance.csv",
    "proxy.csv",
    "proxy.md",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    add_measurements(parser)
    path(parser, "--timings", "what every retraining took (retrain/MODEL/seed_N/timing.json)", nargs="+")
    path(parser, "--supernet-timing", "what the supernet took (JSON); none without a supernet", required=False)
    several(parser, "--candidate-timings", "what the candidates of every search took (search/SEARCH/timing.csv)")
    path(parser, "--output-folder", "where to write " + ", ".join(OUTPUTS))


def run(arguments: argparse.Namespace) -> None:
    """Writes the tables. All but those of time hold the same bytes whenever they are made from the same inputs."""
    from pipeline.common.files import write_csv, write_text
    from pipeline.report.proxy import PROXY, proxy_points, proxy_table
    from pipeline.report.results import RESULTS, results_table
    from pipeline.report.tables import proxy_markdown, results_latex, results_markdown, timing_markdown
    from pipeline.report.timing import BALANCE, TIMING, balance_table, timing_table

    rows = read_rows(arguments)
    points = proxy_points(rows, read_scores(arguments))
    candidates = read_candidate_times(arguments.candidate_timings)
    times = timing_table(
        {row.model: read_training_times(arguments.timings, row.model) for row in rows},
        candidates,
        _read_training_time(arguments.supernet_timing) if arguments.supernet_timing else None,
    )
    folder: Path = arguments.output_folder
    write_csv(folder / "results.csv", RESULTS, results_table(rows, arguments.published))
    write_text(folder / "results.md", results_markdown(rows, points, arguments.published))
    write_text(folder / "results.tex", results_latex(rows, arguments.published))
    write_csv(folder / "proxy.csv", PROXY, proxy_table(points))
    write_text(folder / "proxy.md", proxy_markdown(points))
    write_csv(folder / "timing.csv", TIMING, times)
    balance = balance_table(candidates)
    write_csv(folder / "balance.csv", BALANCE, balance)
    write_text(folder / "timing.md", timing_markdown(times, balance))


def read_training_times(paths: Sequence[Path], model: str) -> "list[TrainingTime]":
    """What the seeds of a model took, from retrain/MODEL/seed_N/timing.json."""
    return [_read_training_time(path) for path in paths if path.parent.parent.name == model]


def _read_training_time(path: Path) -> "TrainingTime":
    from pipeline.common.errors import UserError
    from pipeline.common.files import read_json
    from pipeline.report.timing import TrainingTime

    record = read_json(path)
    try:
        return TrainingTime(
            float(record["seconds"]),
            str(record["device"]),
            int(record["threads"]),
            str(record["machine"]),
            int(record.get("processes", 1)),
            f"{record['ended']}: {record['command']}" if "ended" in record else "",
        )
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"{path} does not say what a training took", "delete it and its network to train again"
        ) from None


def read_candidate_times(paths: Sequence[Path]) -> "list[CandidateTime]":
    """What every candidate took, from search/SEARCH/timing.csv."""
    from pipeline.common.errors import UserError
    from pipeline.common.files import read_csv
    from pipeline.networks.genome import parse_genome
    from pipeline.report.timing import CandidateTime
    from pipeline.search.tables import TIMINGS

    times = []
    for timing in paths:
        for row in read_csv(timing, TIMINGS):
            try:
                seconds, reused = float(row["seconds"]), bool(int(row["reused"]))
                place = int(row.get("generation", 0)), int(row["shard"])
            except ValueError:
                raise UserError(
                    f"{timing} does not say what candidates took", "delete it, and it is made again"
                ) from None
            search = timing.parent.name
            times.append(CandidateTime(search, parse_genome(row["genome"]), seconds, reused, row["machine"], *place))
    return times
