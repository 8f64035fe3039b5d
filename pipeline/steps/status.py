"""Says how far an experiment is, from the files of its results folder alone, also while it runs elsewhere."""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.common.errors import UserError
from pipeline.common.terminal import draw, fit, width
from pipeline.common.text import counted, printable

if TYPE_CHECKING:
    from pipeline.workflow.layout import Layout
    from pipeline.workflow.status.pace import Pace
    from pipeline.workflow.status.reading import RepeatedState
    from pipeline.workflow.status.searches import BestSoFar, SearchSummary
    from pipeline.workflow.status.summary import Summary
    from pipeline.workflow.status.trainings import RowSummary, TrainingSummary

#: Seconds between two looks of --watch.
EVERY = 5.0
#: Stands for a space at which no line is broken.
_SPACE = "_"
#: Problems, and steps that have failed, that are printed; --json has all.
_PROBLEMS = 4
#: The column of the overview that says how good the best is.
_BEST = "best top-1 %"
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
    from pipeline.workflow.status.experiment import find_experiments

    # Each look takes one at every image: not every few seconds.
    once = arguments.watch is None

    def look() -> str:
        return _look(find_experiments(arguments.experiment), as_json=arguments.json, look_at_images=once)

    def look_or_wait() -> str:
        try:
            return look()
        except UserError as error:
            return _wrapped(f"waiting for a run to begin: {error}")

    if once:
        print(look())
        return
    try:
        _watch(look_or_wait, arguments.watch)
    except KeyboardInterrupt:
        return


def _look(layouts: "Sequence[Layout]", *, as_json: bool, look_at_images: bool) -> str:
    from pipeline.workflow.status.reader import read_experiment
    from pipeline.workflow.status.summary import summarise

    readings = [read_experiment(layout, look_at_images=look_at_images) for layout in layouts]
    summaries = [summarise(reading, time.time()) for reading in readings]
    if as_json:
        return json.dumps([as_record(summary) for summary in summaries], indent=2, allow_nan=False)
    if len(summaries) == 1:
        return full(summaries[0], layouts[0].folder, datetime.now())
    return several(summaries, datetime.now())


def _watch(look: Callable[[], str], seconds: float) -> None:
    """Shows the state again and again: in place of the one before on a terminal, below it elsewhere."""
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
    """Returns the lines that the terminal can show at once, none wrapped: the cursor finds its way back over them."""
    import shutil

    columns, rows = shutil.get_terminal_size()
    return [line[: max(1, columns - 1)] for line in text.splitlines()][: max(1, rows - 1)]


# --- for scripts ---


def as_record(summary: "Summary") -> dict[str, Any]:
    """Returns the summary as JSON values; genomes as text. Times left and ages are seconds, costs operations and
    bytes.
    """
    from dataclasses import asdict

    from pipeline.networks.genome import format_genome

    record = asdict(summary)
    for search in record["searches"]:
        if search["best"]:
            search["best"]["genome"] = format_genome(search["best"]["genome"])
    return record


# --- for people ---


def full(summary: "Summary", folder: Path, now: datetime) -> str:
    """Returns one experiment on about a screen."""
    lines = [_wrapped(f"{summary.name}  ({folder})  {now:%Y-%m-%d %H:%M:%S}"), ""]
    stages, *others = _head(summary, now)
    lines += [_wrapped(f"{stages[0]:<14}{stages[1]}", 14).replace(_SPACE, " ")]
    lines += [_wrapped(f"{name:<14}{value}", 14) for name, value in others]
    if any(search.generation or search.done or search.in_generation for search in summary.searches):
        lines += ["", *_searches(summary)]
    if any(training.started for row in summary.rows for training in row.trainings) or _scored(summary):
        lines += ["", *_rows(summary, now)]
    if summary.problems:
        lines += ["", *(_wrapped(f"cannot be read: {problem}", 16) for problem in summary.problems[:_PROBLEMS])]
        if len(summary.problems) > _PROBLEMS:
            lines.append(f"                and {len(summary.problems) - _PROBLEMS} more (--json names them)")
    return "\n".join(lines)


def several(summaries: Sequence["Summary"], now: datetime) -> str:
    """Returns one line for each experiment."""
    header = ("experiment", "stage", "generations", "candidates", "rows", _BEST, "left", "run")
    rows = []
    for summary in summaries:
        searches = summary.searches
        rows.append(
            (
                summary.name,
                summary.stage,
                " ".join(_of(s.generations if s.finished else s.generation, s.generations) for s in searches),
                _of(sum(s.done for s in searches), _sum([s.total for s in searches])) if searches else "",
                _of(sum(row.trained == row.seeds == row.scored for row in summary.rows), len(summary.rows)),
                _most_accurate(summary),
                _left(_seconds_left(summary, summary.stage), now, summary),
                _alive(summary, f"FAILED in {summary.failed[0].step}: status {summary.name} says why")
                if summary.failed
                else _alive(summary),
            )
        )
    text = {"stage", _BEST, "left", "run"}
    return draw(header, rows, left=text, spare=("rows", "candidates", "left", "generations"), columns=width() - 1)


def _most_accurate(summary: "Summary") -> str:
    """Returns the best accuracy and whose it is: a binary row's on the test images, or before there is one a
    candidate's score, which is another thing: it was trained briefly, and is judged by images held out.
    """
    rows = [(row.top1_mean, row.model) for row in summary.rows if row.binary and row.top1_mean is not None]
    if rows:
        top1, model = max(rows)
        return f"{top1:.2f} {model}"
    scores = [search.best.top1 for search in summary.searches if search.best]
    return f"{max(scores):.2f} a candidate's score" if scores else ""


def _head(summary: "Summary", now: datetime) -> list[Sequence[str]]:
    from pipeline.workflow.made_with import about_outdated, about_strange
    from pipeline.workflow.status.summary import STAGES

    repeated = _repeated_of(summary)
    stages = [stage for stage in STAGES if repeated.get(stage, True)]
    marks = {stage: "x" if stage in summary.finished_stages else _SPACE for stage in stages}
    if summary.stage in marks:
        marks[summary.stage] = ">"
    marks |= dict.fromkeys((stage for stage in summary.begun_stages if stage in marks), ">")
    lines: list[Sequence[str]] = [
        ("stage", "  ".join(f"[{mark}]{_SPACE}{stage}" for stage, mark in marks.items())),
        ("run", _alive(summary)),
        *(("failed", f"{failure.step}: {failure.sentence} ({failure.log})") for failure in summary.failed[:_PROBLEMS]),
    ]
    if len(summary.failed) > _PROBLEMS:
        lines.append(("", f"and {len(summary.failed) - _PROBLEMS} more (--json names them)"))
    noted = [file for file in summary.outdated if file not in summary.strange]
    if noted:
        lines.append(("outdated", about_outdated(noted)))
    if summary.strange:
        lines.append(("others", about_strange(summary.strange)))
    if summary.other_config:
        lines.append(("config", summary.other_config))
    if summary.other_images:
        lines.append(("images", summary.other_images))
    if not (summary.planned or any("config.yaml" in problem for problem in summary.problems)):
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
        lines.append(("archive", f"{counted(summary.archived, 'candidate')}{damaged}"))
    if summary.pace is not None:
        lines.append(("pace", _pace(summary.pace)))
    lines += [(stage, _repeated(states, now, summary)) for stage, states in repeated.items() if _is_begun(states)]
    if summary.stage != "finished":
        lines.append(("work left" if summary.alive is False else "expected end", _end(summary, now)))
    return lines


def _repeated_of(summary: "Summary") -> "dict[str, tuple[RepeatedState, ...]]":
    """Returns what is trained several times over, by its stage; nothing where it is not asked for."""
    return {"finalists": summary.finalists, "proxy": summary.sample}


def _is_begun(states: "Sequence[RepeatedState]") -> bool:
    """Returns whether some of their trainings are done, and not all."""
    return any(state.done for state in states) and not all(state.complete for state in states)


def _repeated(states: "Sequence[RepeatedState]", now: datetime, summary: "Summary") -> str:
    parts = []
    for state in states:
        left = "" if state.done == state.total else _left(state.seconds_left, now, summary)
        parts.append(f"{state.name} {_of(state.done, state.total)} trainings" + (f", {left}" if left else ""))
    return "; ".join(parts)


def _pace(pace: "Pace") -> str:
    each = f"{pace.seconds_each:.2g} s" if pace.seconds_each < 10 else _duration(pace.seconds_each)
    beside = f", {pace.side_by_side:.1f} side by side" if pace.side_by_side > 1 else ""
    return f"{pace.candidates_per_hour:,.0f} candidates an hour; one takes {each}{beside}"


def _end(summary: "Summary", now: datetime) -> str:
    """Returns when the trainings will be over, or those of which it is known."""
    trained = ("supernet", "search", "finalists", "proxy", "retraining")
    waiting = [stage for stage in trained if stage not in summary.finished_stages]
    waiting = [stage for stage in waiting if _repeated_of(summary).get(stage, True)]
    left = {stage: _seconds_left(summary, stage) for stage in waiting}
    known = {stage: seconds for stage, seconds in left.items() if seconds is not None}
    if not left:
        return "moments: all trainings are done"
    if len(known) == len(left):
        return _left(sum(known.values()), now, summary) or "not in years"
    parts, before = [], 0.0
    for stage in waiting:
        if stage in known:
            before += known[stage]
            parts.append(f"{stage} {_left(known[stage], now, summary, end=before) or 'not in years'}")
        else:
            before = math.inf  # when what comes after it begins is not known either
    parts.append(f"{', '.join(stage for stage in waiting if stage not in known)} not known yet")
    return "; ".join(parts)


def _searches(summary: "Summary") -> list[str]:
    stopping = any(search.stopped for search in summary.searches)
    early = ("stopped",) if stopping else ()
    header = ("search", "generation", "candidates", "in all", "failed", "left", *early, "diverged", "reused")
    table = []
    for search in summary.searches:
        table.append(
            (
                _title(search),
                _generation(search),
                _of(search.in_generation, search.of_generation),
                _of(search.done, search.total),
                str(search.failed),
                "finished" if search.finished else _about(search.seconds_left) or "not known yet",
                *([str(search.stopped)] if stopping else []),
                str(search.diverged),
                str(search.reused),
            )
        )
    named = ("best so far", "top-1 %", "fitness", "cost / 1x", "genome", "FLOPs", "memory", "generation")
    best = [_best(search.name, search.best) for search in summary.searches]
    return [
        draw(header, table, left={"left"}, spare=("reused", "diverged", *early, "failed"), columns=width() - 1),
        "",
        draw(named, best, left={"genome"}, spare=("memory", "FLOPs", "generation"), columns=width() - 1),
    ]


def _scored(summary: "Summary") -> bool:
    return any(row.scored for row in summary.rows)


def _generation(search: "SearchSummary") -> str:
    """Returns the generation in work, by the number that its folder has."""
    last = "" if search.generations is None else f" of 000–{search.generations - 1:03d}"
    return "finished" if search.finished else f"{search.generation:03d}{last}"


def _title(search: "SearchSummary") -> str:
    objective = "" if search.objective is None else search.objective.title.replace("= ", "")
    kind = ", ".join(filter(None, (_algorithm(search.algorithm), objective)))
    return f"{search.name} ({kind})" if kind else search.name


def _algorithm(name: str | None) -> str:
    """Returns what a search algorithm is called; its name if it is not to be had here."""
    from pipeline.search.algorithms import ALGORITHMS

    if name is None:
        return ""
    try:
        return str(ALGORITHMS[name].TITLE)
    except Exception:
        return name


def _best(name: str, best: "BestSoFar | None") -> tuple[str, ...]:
    from pipeline.networks.genome import format_genome

    if best is None:
        return (name, *["-"] * 7)
    return (
        name,
        f"{best.top1:.2f}",
        f"{best.fitness:.2f}",
        f"{best.relative_cost:.3f}",
        format_genome(best.genome),
        _millions(best.flops),
        "-" if best.memory_bytes is None else f"{best.memory_bytes / 1024:.1f} KiB",
        f"{best.generation:03d}",
    )


def _rows(summary: "Summary", now: datetime) -> list[str]:
    header = ("row", "trained", "scored", "test top-1 %", "training")
    table = []
    for row in summary.rows:
        table.append(
            (row.model, _of(row.trained, row.seeds), _of(row.scored, row.seeds), _accuracy(row), _current(row))
        )
    lines = [draw(header, table, left={"training"}, spare=("scored",), columns=width() - 1)]
    trainings = sum(row.seeds - row.trained for row in summary.rows)
    left = _left(summary.rows_seconds_left, now, summary)
    if trainings and left:
        lines.append(f"{counted(trainings, 'training')} left, {left}")
    return lines


def _accuracy(row: "RowSummary") -> str:
    if row.top1_mean is None:
        return "-"
    return f"{row.top1_mean:.2f}" + (f" ± {row.top1_std:.2f}" if row.top1_std is not None else "")


def _current(row: "RowSummary") -> str:
    """Returns the trainings of a row that have been started and are not done."""
    started = [training for training in row.trainings if training.started and not training.done]
    return "; ".join(f"seed {training.seed}: {_training(training)}" for training in started)


def _training(training: "TrainingSummary") -> str:
    if training.done:
        return "done" if training.seconds is None else f"done in {_duration(training.seconds)}"
    if not training.started:
        return "not started"
    if training.step is None or training.epoch is None:
        return "started" if training.step is None else f"step {_of(training.step, training.steps)}"
    return f"epoch {_of(training.epoch, training.epochs)}, step {_of(training.step, training.steps)}"


def _alive(summary: "Summary", failed: str = "FAILED") -> str:
    age = "no file yet" if summary.last_sign is None else f"newest file {_duration(summary.last_sign)} old"
    if summary.stage == "finished" and not summary.alive:
        return f"finished, {age}"
    where = "" if summary.run is None else f"process {summary.run.pid} on {summary.run.host}"
    if summary.alive:
        return f"running ({where}), {age}"
    if summary.alive is None:
        return f"cannot be asked from here ({where or 'no record of it'}), {age}"
    if summary.failed:
        return f"{failed}, {age}; when that is mended, the command that started it goes on from here"
    return f"not running, {age}; the command that started it goes on from here"


def _seconds_left(summary: "Summary", stage: str) -> float | None:
    """Returns seconds that a stage still takes; None where that is not known."""
    if stage == "supernet" and summary.supernet is not None:
        return summary.supernet.seconds_left
    if (states := _repeated_of(summary).get(stage)) is not None:
        known = [state.seconds_left for state in states if state.seconds_left is not None]
        return sum(known) if len(known) == len(states) else None
    return {"search": summary.searches_seconds_left, "retraining": summary.rows_seconds_left}.get(stage)


def _left(seconds: float | None, now: datetime, summary: "Summary", end: float | None = None) -> str:
    """Returns a time left, with the time of day when it is over unless the run is dead; '' where it is not known.

    Args:
        seconds: that are left.
        now: the time of day.
        summary: of the experiment.
        end: seconds from now when it is over, if other things have to be done before it.
    """
    about = _about(seconds)
    end = seconds if end is None else end
    if end is None or not about or end < 1 or end > _FAR or summary.alive is False:
        return about
    over = now + timedelta(seconds=end)
    day = "" if over.date() == now.date() else f"{over:%Y-%m-%d} "
    time_of_day = f"{over:%H:%M:%S}" if end < 3600 else f"{over:%H:%M}"
    return f"{about} (until {day}{time_of_day})"


def _about(seconds: float | None) -> str:
    """Returns a time left; '' where it is not known."""
    if seconds is None or seconds > _FAR:
        return ""
    return "moments" if seconds < 1 else f"about {_duration(seconds)}"


def _duration(seconds: float) -> str:
    from pipeline.common.log import duration

    return duration(seconds) if seconds < 2 * 86400 else f"{seconds / 86400:.1f} days"


def _of(part: int | None, whole: int | None) -> str:
    known = "?" if part is None else f"{part:,}"
    return known if whole is None else f"{known} of {whole:,}"


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _millions(operations: float | None) -> str:
    return "-" if operations is None else f"{operations / 1e6:.4g}M"


def _wrapped(text: str, indent: int = 0) -> str:
    """Returns a paragraph in the width of the terminal, its other lines indented."""
    return fit(printable(text), indent=indent, columns=width() - 1)
