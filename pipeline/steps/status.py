"""Says how far an experiment is, from the files of its results folder alone, also while it runs elsewhere."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.status.searches import Best, SearchSummary
    from pipeline.status.summary import Summary
    from pipeline.status.trainings import RowSummary, TrainingSummary

#: Seconds between two looks of --watch.
EVERY = 5.0
#: Columns of a screen that is not a terminal.
_WIDTH = 120
#: Problems that are printed; --json has all.
_PROBLEMS = 4
#: Longest time left for which an end is given.
_FAR = 10 * 365 * 86400.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument(
        "experiment", nargs="?", help="an experiment's name or its results folder; all under results/ if left out"
    )
    parser.add_argument(
        "--watch",
        type=_seconds,
        nargs="?",
        const=EVERY,
        metavar="SECONDS",
        help=f"look again every so many seconds ({EVERY:g} if left out) until Ctrl-C",
    )
    parser.add_argument("--json", action="store_true", help="print a list with all that is known of each experiment")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 86400:
        raise argparse.ArgumentTypeError(f"{text} is not between 0.1 and 86400")
    return value


def run(arguments: argparse.Namespace) -> None:
    """Prints the status once, or again and again."""
    from pipeline.status.experiment import find_experiments

    folders = find_experiments(arguments.experiment)

    def look() -> str:
        return _look(folders, as_json=arguments.json)

    if arguments.watch is None:
        print(look())
        return
    try:
        _watch(look, arguments.watch)
    except KeyboardInterrupt:
        return


def _look(folders: Sequence[Path], *, as_json: bool) -> str:
    from pipeline.status.reader import read_experiment
    from pipeline.status.summary import summarise

    summaries = [summarise(read_experiment(folder), time.time()) for folder in folders]
    if as_json:
        return json.dumps([as_record(summary) for summary in summaries], indent=2, allow_nan=False)
    if len(summaries) == 1:
        return full(summaries[0], folders[0], datetime.now())
    return several(summaries, datetime.now())


def _watch(look: Callable[[], str], seconds: float) -> None:
    """On a terminal each look takes the place of the one before; elsewhere they follow one another."""
    shown = 0
    while True:
        text = look()
        if sys.stdout.isatty():
            lines = _fitting(text)
            # Up to where the last look began, and from there on everything is cleared.
            sys.stdout.write((f"\033[{shown}F" if shown else "") + "\033[J" + "\n".join(lines) + "\n")
            shown = len(lines)
        else:
            sys.stdout.write(f"{text}\n\n")
        sys.stdout.flush()
        time.sleep(seconds)


def _fitting(text: str) -> list[str]:
    """The lines that the terminal can show at once, none wrapped: the cursor finds its way back over them."""
    import shutil

    columns, rows = shutil.get_terminal_size()
    return [line[: max(1, columns - 1)] for line in text.splitlines()][: max(1, rows - 1)]


# --- for scripts ---


def as_record(summary: "Summary") -> dict[str, Any]:
    """The summary as JSON values; genomes as text. Times left and ages are seconds, costs operations and bytes."""
    from dataclasses import asdict

    from pipeline.genome import format_genome

    record = asdict(summary)
    for search in record["searches"]:
        if search["best"]:
            search["best"]["genome"] = format_genome(search["best"]["genome"])
    return record


# --- for people ---


def full(summary: "Summary", folder: Path, now: datetime) -> str:
    """One experiment on about a screen."""
    lines = [f"{summary.name}  ({folder})  {now:%Y-%m-%d %H:%M:%S}", ""]
    lines += _aligned([*_head(summary, now)])
    if summary.searches:
        lines += ["", *_searches(summary, now)]
    if summary.rows:
        lines += ["", *_rows(summary)]
    if summary.problems:
        lines += ["", *(f"cannot be read: {problem}" for problem in summary.problems[:_PROBLEMS])]
        if len(summary.problems) > _PROBLEMS:
            lines.append(f"                and {len(summary.problems) - _PROBLEMS} more (--json names them)")
    return "\n".join(lines)


def several(summaries: Sequence["Summary"], now: datetime) -> str:
    """One line for each experiment."""
    rows = [("experiment", "stage", "generations", "candidates", "rows", "best top-1 %", "left", "run")]
    for summary in summaries:
        searches = summary.searches
        scores = [search.best.top1 for search in searches if search.best]
        rows.append(
            (
                summary.name,
                summary.stage,
                " ".join(_of(s.generations if s.finished else s.generation - 1, s.generations) for s in searches),
                _of(sum(s.done for s in searches), _sum([s.total for s in searches])) if searches else "",
                _of(sum(row.trained == row.seeds == row.scored for row in summary.rows), len(summary.rows)),
                f"{max(scores):.2f}" if scores else "",
                _left(_left_of_stage(summary), now, summary),
                _alive(summary),
            )
        )
    return "\n".join(_aligned(rows))


def _head(summary: "Summary", now: datetime) -> list[Sequence[str]]:
    from pipeline.status.summary import STAGES

    marks = {stage: "x" if stage in summary.finished_stages else " " for stage in STAGES}
    if summary.stage in marks:
        marks[summary.stage] = ">"
    lines: list[Sequence[str]] = [
        ("stage", "  ".join(f"[{mark}] {stage}" for stage, mark in marks.items())),
        ("run", _alive(summary)),
    ]
    if not summary.planned:
        lines.append(("plan", "unknown: the workflow has left no config.yaml here yet"))
    if summary.clock_ahead is not None:
        lines.append(("clock", f"the newest file is {_duration(summary.clock_ahead)} ahead of this machine's clock"))
    if summary.stage == "data" and summary.images_total:
        lines.append(("data", f"{summary.images_done:,} of {summary.images_total:,} images"))
    if summary.supernet is not None:
        left = "" if summary.supernet.done else _left(summary.supernet.seconds_left, now, summary)
        lines.append(("supernet", _training(summary.supernet) + (f", {left}" if left else "")))
    if summary.archived or summary.damaged:
        damaged = f", {summary.damaged:,} set aside as damaged" if summary.damaged else ""
        lines.append(("archive", f"{summary.archived:,} candidates{damaged}"))
    if summary.pace is not None:
        pace = summary.pace
        lines.append(
            (
                "pace",
                f"{pace.candidates_per_hour:,.0f} candidates an hour, {pace.seconds_each:.1f} s each, "
                f"{pace.side_by_side:.1f} side by side",
            )
        )
    return lines


def _searches(summary: "Summary", now: datetime) -> list[str]:
    header = ("search", "generation", "in it", "candidates", "reused", "diverged", "failed", "left")
    table = [header]
    for search in summary.searches:
        table.append(
            (
                _title(search),
                _of(search.generation, search.generations),
                _of(search.in_generation, search.of_generation),
                _of(search.done, search.total),
                str(search.reused),
                str(search.diverged),
                str(search.failed),
                "finished" if search.finished else _left(search.seconds_left, now, summary) or "not known yet",
            )
        )
    best: list[Sequence[str]] = [
        ("best so far", "top-1 %", "fitness", "FLOPs / 1x", "FLOPs", "memory", "found in", "genome")
    ]
    best += [_best(search.name, search.best) for search in summary.searches]
    return [*_aligned(table), "", *_aligned(best)]


def _title(search: "SearchSummary") -> str:
    penalty = "" if search.penalty is None else f"λ {search.penalty:g}"
    kind = ", ".join(filter(None, (search.algorithm, penalty)))
    return f"{search.name} ({kind})" if kind else search.name


def _best(name: str, best: "Best | None") -> tuple[str, ...]:
    from pipeline.genome import format_genome

    if best is None:
        return (name, *["-"] * 7)
    return (
        name,
        f"{best.top1:.2f}",
        f"{best.fitness:.2f}",
        f"{best.relative_flops:.3f}",
        _millions(best.flops),
        "-" if best.memory_bytes is None else f"{best.memory_bytes / 1024:.1f} KiB",
        f"generation {best.generation}",
        format_genome(best.genome),
    )


def _rows(summary: "Summary") -> list[str]:
    table = [("row", "trained", "scored", "test top-1 %", "training")]
    for row in summary.rows:
        table.append(
            (row.model, _of(row.trained, row.seeds), _of(row.scored, row.seeds), _accuracy(row), _current(row))
        )
    lines = _aligned(table)
    trainings = sum(row.seeds - row.trained for row in summary.rows)
    if trainings and summary.rows_seconds_left is not None:
        lines.append(
            f"{trainings} training{'s' * (trainings > 1)} left, about {_duration(summary.rows_seconds_left)} of work"
        )
    return lines


def _accuracy(row: "RowSummary") -> str:
    if row.top1_mean is None:
        return "-"
    return f"{row.top1_mean:.2f}" + (f" ± {row.top1_std:.2f}" if row.top1_std is not None else "")


def _current(row: "RowSummary") -> str:
    """The trainings of a row that have been started and are not done."""
    started = [
        (seed, training) for seed, training in enumerate(row.trainings) if training.started and not training.done
    ]
    return "; ".join(f"seed {seed}: {_training(training)}" for seed, training in started)


def _training(training: "TrainingSummary") -> str:
    if training.done:
        return "done" if training.seconds is None else f"done in {_duration(training.seconds)}"
    if not training.started:
        return "not started"
    if training.step is None or training.epoch is None:
        return "started" if training.step is None else f"step {_of(training.step, training.steps)}"
    return f"epoch {_of(training.epoch, training.epochs)}, step {_of(training.step, training.steps)}"


def _alive(summary: "Summary") -> str:
    age = "no file yet" if summary.last_sign is None else f"newest file {_duration(summary.last_sign)} old"
    if summary.stage == "finished" and not summary.alive:
        return f"finished, {age}"
    where = "" if summary.run is None else f"process {summary.run.pid} on {summary.run.host}"
    if summary.alive:
        return f"running ({where}), {age}"
    if summary.alive is None:
        return f"cannot be asked from here ({where or 'no record of it'}), {age}"
    return f"not running, {age}"


def _left_of_stage(summary: "Summary") -> float | None:
    """Seconds until the present stage ends."""
    if summary.stage == "supernet" and summary.supernet is not None:
        return summary.supernet.seconds_left
    return {"search": summary.searches_seconds_left, "retraining": summary.rows_seconds_left}.get(summary.stage)


def _left(seconds: float | None, now: datetime, summary: "Summary") -> str:
    """A time left, with the time of day when it is over unless the run is dead; '' where it is not known."""
    if seconds is None or seconds > _FAR:
        return ""
    if seconds < 1:
        return "moments"
    if summary.alive is False:
        return f"about {_duration(seconds)}"
    end = now + timedelta(seconds=seconds)
    day = "" if end.date() == now.date() else f"{end:%Y-%m-%d} "
    return f"about {_duration(seconds)} (until {day}{end:%H:%M})"


def _duration(seconds: float) -> str:
    from pipeline.progress import duration

    return duration(seconds) if seconds < 2 * 86400 else f"{seconds / 86400:.1f} days"


def _of(part: int | None, whole: int | None) -> str:
    known = "?" if part is None else f"{part:,}"
    return known if whole is None else f"{known} of {whole:,}"


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _millions(operations: float | None) -> str:
    return "-" if operations is None else f"{operations / 1e6:.4g}M"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The cells of a table one below the other, two spaces between columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
