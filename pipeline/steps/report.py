"""Writes the report of an experiment, or of several: one page for a browser, also of a run in progress.

It takes what the results folder holds: while a run is in progress, what is there so far.
"""

import argparse
import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from math import isclose
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.steps.measurements import (
    add_measurements,
    count_diverged,
    of_searches,
    of_trainings,
    read_generations,
    read_rows,
    read_sample,
    read_searches,
)
from pipeline.steps.options import path
from pipeline.steps.tables import add_further_timings

if TYPE_CHECKING:
    from pipeline.report.page.build import Findings
    from pipeline.report.rows import Row
    from pipeline.workflow.layout import Layout

#: What a page of a finished experiment is used for: title → command, of which {row} is a row's folder.
_COMMANDS = {
    "Use a network": "python -m pipeline predict {folder}/{row} photo.jpg\n"
    "python -m pipeline export {folder}/{row} --format packed --output network.bnn",
    "Go on, or make it again": "python -m pipeline run --configfile {config}",
    "Every evaluated candidate": "python -m pipeline archive {name}",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("experiment", nargs="?", help="its name or folder; by default the only one, or the newest")
    parser.add_argument("--experiments", nargs="+", metavar="EXPERIMENT", help="set several side by side on one page")
    path(parser, "--output", "the page to write; by default in the experiment's folder or results/", required=False)
    parser.add_argument(
        "--watch",
        type=_seconds,
        nargs="?",
        const=30.0,
        metavar="SECONDS",
        help="make it anew every so often, until Ctrl-C; the browser follows",
    )


def _seconds(text: str) -> float:
    seconds = float(text)
    if not seconds >= 1:
        raise argparse.ArgumentTypeError("at least one second")
    return seconds


def run(arguments: argparse.Namespace) -> None:
    """Writes the page, once or every so often."""
    from pipeline.common.files import write_text

    output, build = _page(arguments)
    while True:
        write_text(output, build(None if arguments.watch is None else round(arguments.watch)))
        if arguments.watch is None:
            print(f"{output} is written")
            return
        print(f"{output} (made anew every {arguments.watch:g} s; Ctrl-C ends)", flush=True)
        time.sleep(arguments.watch)


def _page(arguments: argparse.Namespace) -> tuple[Path, Callable[[int | None], str]]:
    """Returns where the page is to lie, and what makes it, given how often a browser loads it anew."""
    from pipeline.common.errors import UserError
    from pipeline.report.page.build import build_page
    from pipeline.report.page.comparison import build_comparison
    from pipeline.workflow.layout import COMPARISON
    from pipeline.workflow.status.experiment import find_experiments
    from pipeline.workflow.status.files import newest

    if arguments.experiments is None:
        layout = max(find_experiments(arguments.experiment), key=lambda one: newest(one.folder) or 0.0)
        return arguments.output or layout.report, lambda refresh: build_page(read_findings(layout), refresh)
    named = [*([arguments.experiment] if arguments.experiment else []), *arguments.experiments]
    layouts = list(dict.fromkeys(layout for name in named for layout in find_experiments(name)))
    if len(layouts) < 2:
        raise UserError("one experiment stands beside nothing", "name two or more after --experiments")
    return arguments.output or COMPARISON, lambda refresh: build_comparison(
        [read_findings(layout) for layout in layouts], refresh
    )


def read_findings(layout: "Layout") -> "Findings":
    """Reads what there is of an experiment.

    Raises:
        UserError: there is no configuration, or a file is damaged.
    """
    from pipeline.common.errors import UserError
    from pipeline.common.provenance import versions
    from pipeline.report.page.build import Findings
    from pipeline.workflow.counting import counting_of
    from pipeline.workflow.made_with import (
        about_config,
        about_outdated,
        about_strange,
        outdated_files,
        outlived_files,
        strange_files,
    )
    from pipeline.workflow.saved_config import read_saved_config
    from pipeline.workflow.sources import about_changed, have_changed

    saved = read_saved_config(layout)
    if saved is None:
        raise UserError(f"{layout.folder} has no configuration", "run the experiment first")
    arguments = _measured(layout, saved.config)
    rows = read_rows(arguments) if arguments.evaluations else []
    outdated, measured = outdated_files(layout), layout.tables.inference_csv
    strange = sorted(strange_files(layout) - set(outdated))
    notes = [about_config(layout), about_outdated(outdated), about_strange(strange), _about_latencies(rows)]
    # Not made again if measuring has been switched off since.
    timed = measured.exists() and measured not in {*outdated, *outlived_files(layout)}
    if measured.exists() and not timed:
        notes.append("How fast packed networks are was measured of other networks than these, and is left out.")
    if have_changed(saved.config, layout):
        notes.insert(0, about_changed(saved.config))
    notes.insert(0, _about_missing(saved.models, saved.seeds, rows))
    found = next((row.model for row in rows if row.search), rows[0].model if rows else None)
    folder = layout.retrainings
    times, arithmetic, of_rows = _read_times(rows, arguments)
    return Findings(
        config=saved.config,
        config_text=layout.config.read_text(encoding="utf-8"),
        rows=rows,
        searches=read_searches(arguments),
        counting=counting_of(saved.config),
        generations=read_generations(arguments.scores),
        points=read_sample(arguments, rows) if rows else [],
        diverged=count_diverged(arguments),
        curves=_read_curves(rows, arguments),
        times=times,
        inference=_read_inference(measured) if timed else [],
        commands={
            title: command.format(folder=folder, row=found, config=layout.config, name=layout.experiment)
            for title, command in _COMMANDS.items()
            if found or "{row}" not in command
        },
        versions=versions(),
        note=" ".join(filter(None, notes)),
        arithmetic=arithmetic,
        rows_arithmetic=of_rows,
    )


def _about_missing(models: "Sequence[str]", seeds: int, rows: "Sequence[Row]") -> str:
    """Says which rows have no accuracy yet, and which have those of some of their trainings only; nothing if none."""
    there = {row.model: row.top1.seeds for row in rows}
    parts = []
    if missing := [model for model in models if model not in there]:
        parts.append(f"there is no accuracy yet of {', '.join(missing)}")
    if some := [f"{model} ({count} of {seeds})" for model, count in there.items() if count < seeds]:
        parts.append(f"some trainings are not scored yet, of {', '.join(some)}, and what is said here is of the others")
    return f"The run is not finished: {'; '.join(parts)}." if parts else ""


def _about_latencies(rows: "Sequence[Row]") -> str:
    """Says that the table of latencies is not the one by which networks were found; nothing if it is."""
    found = [(row, row.search.best) for row in rows if row.search and row.search.best]
    timed = [(row, best) for row, best in found if row.counting.cost == best.cost == "latency"]
    if all(isclose(row.counting.relative(row.counted_spec), best.relative_cost, rel_tol=1e-6) for row, best in timed):
        return ""
    return (
        "The table of latencies is not the one that the searches looked at: latencies here are by another one than "
        "what was found; run the experiment again."
    )


def _measured(layout: "Layout", config: dict[str, Any]) -> argparse.Namespace:
    """Returns the flags that the workflow would give to tables and figures, of the files that are there."""
    from pipeline.workflow.made_with import outdated_files, strange_files
    from pipeline.workflow.rules import Files, Flags

    files, flags = Files(config), Flags(config)
    trainings = [name.split(":") for name in files.trainings]
    evaluated = {model for model, seed in trainings if layout.measurement(model, seed).exists()}
    found = dict(zip(files.searched, files.found, strict=True))
    chosen = {model: Path(file) for model, file in zip(*files.chosen, strict=True)}
    # While a search that has found something else is trained anew, or a row that is given something else, the old
    # evaluations are still there.
    genomes = {**found, **chosen}
    evaluated -= {model for model in evaluated if _is_stale(layout, config, model, genomes.get(model))}
    outdated = {*outdated_files(layout), *strange_files(layout)}  # maybe on other images, or another's
    evaluated -= {model for model, seed in trainings if layout.measurement(model, seed) in outdated}
    parser = argparse.ArgumentParser()
    add_measurements(parser, complete=False)
    of_trainings(parser, "--histories", "", complete=False)
    of_trainings(parser, "--timings", "", complete=False)
    path(parser, "--supernet-history", "", required=False)
    path(parser, "--supernet-timing", "", required=False)
    of_searches(parser, "--candidate-timings", "")
    add_further_timings(parser)

    def of_every_training(flag: str, place: str) -> list[str]:
        named = [(f"{model}:{seed}", getattr(layout.training(model, seed), place)) for model, seed in trainings]
        return _given(flag, ((f"{name}={file}", file) for name, file in named if name.split(":")[0] in evaluated))

    def of_every_search(flag: str, place: str) -> list[str]:
        named = ((search, getattr(layout.search(search), place)) for search in config["searches"])
        return _given(flag, ((f"{search}={file}", file) for search, file in named))

    missing = set(config["models"]) - evaluated
    words = []
    about = ""
    for word in shlex.split(flags.measurements()):
        about = word if word.startswith("--") else about
        if about not in ("--models", "--controls", "--given") or word.partition("=")[0] not in missing:
            words.append(word)
    if not evaluated:
        words.insert(words.index("--models") + 1, "none")
    words += _given(
        "--evaluations",
        ((f"{m}:{s}={layout.measurement(m, s)}", layout.measurement(m, s)) for m, s in trainings if m in evaluated),
    )
    words += of_every_training("--histories", "history") + of_every_training("--timings", "timing")
    words += of_every_search("--scores", "history") + of_every_search("--candidate-timings", "timing")
    for flag, of_rows in (("--found", found), ("--chosen", chosen)):
        words += _given(flag, ((f"{model}={file}", file) for model, file in of_rows.items() if model in evaluated))
    words += shlex.split(flags.asked_of_rows())
    for flag, several_files in (
        ("--sample-scores", files.sample_scores),
        ("--sample-trained", files.sample_trained),
        ("--finalist-timings", files.finalist_timings),
        ("--sample-timings", files.sample_timings),
    ):
        words += _given(flag, ((str(file), file) for file in several_files))
    for flag, file in (
        ("--supernet-history", layout.supernet.history),
        ("--supernet-timing", layout.supernet.timing),
    ):
        words += _given(flag, [(str(file), file)])
    return parser.parse_args(words)


def _is_stale(layout: "Layout", config: dict[str, Any], model: str, found: Path | None) -> bool:
    """Tells whether a row was evaluated as another network than the one that it is by now: given, found by its search
    or chosen, or trained otherwise than it is by now.
    """
    from pipeline.report.collect import unlike
    from pipeline.report.inputs import read_measurement
    from pipeline.search.tables import read_genome
    from pipeline.workflow.asked import asked_of_row
    from pipeline.workflow.models import genome_of

    row = config["models"][model]
    # Those of further seeds are left from when there were more, maybe of settings before.
    files = [(seed, layout.measurement(model, seed)) for seed in range(config["retrain"]["seeds"])]
    measured = [read_measurement(model, seed, file) for seed, file in files if file.exists()]
    if any(unlike(one, asked_of_row(config, model)) for one in measured):
        return True
    specs = [one.spec for one in measured]
    if "genome" in row:
        given = genome_of(config, model), row.get("binary", True)
        return any((spec.genome, spec.binary) != given for spec in specs)
    return found is not None and found.exists() and any(spec.genome != read_genome(found) for spec in specs)


def _given(flag: str, named: Iterable[tuple[str, Path]]) -> list[str]:
    """Returns a flag with the words of the files that exist; nothing where there are none."""
    words = [word for word, file in named if file.exists()]
    return [flag, *words] if words else []


def _read_curves(rows: Any, arguments: argparse.Namespace) -> Any:
    from pipeline.steps.figures import read_curves

    return read_curves([row.model for row in rows], arguments.histories or [], arguments.supernet_history)


def _read_times(rows: Any, arguments: argparse.Namespace) -> Any:
    """Reads the account of time, by which kinds of arithmetic all of it was computed, and by which the rows were."""
    from pipeline.report.mixture import arithmetic_of_rows, kinds_of_arithmetic
    from pipeline.report.timing import timing_table
    from pipeline.steps.tables import read_all_candidate_times, read_training_time, read_training_times

    candidates = read_all_candidate_times(arguments)
    supernet = read_training_time(arguments.supernet_timing) if arguments.supernet_timing else None
    trainings = {row.model: read_training_times(arguments.timings or [], row.model) for row in rows}
    kinds = kinds_of_arithmetic([*trainings.values(), [supernet] if supernet else []], candidates)
    times = timing_table(trainings, candidates, supernet) if rows else []
    return times, kinds, arithmetic_of_rows(trainings.values())


def _read_inference(table: Path) -> "list[dict[str, str]]":
    """Reads what was measured of packed networks."""
    from pipeline.common.files import read_csv
    from pipeline.report.inference import INFERENCE_COLUMNS

    added = ("answers_as_evaluated", "images")  # a table of an earlier version lacks them
    return read_csv(table, [column for column in INFERENCE_COLUMNS if column not in added])
