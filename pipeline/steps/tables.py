"""Makes the tables of an experiment: results with verdicts, time, and what the proxy is worth."""

import argparse
import math
import re
import statistics
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.steps.options import path

if TYPE_CHECKING:
    from pipeline.evolution import Individual
    from pipeline.genome import Genome
    from pipeline.results import CandidateTime, Measurement, ProxyPoint, Row, Search, TrainingTime

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

#: Characters in a line of Markdown prose, which is read in terminals too.
LINE_WIDTH = 110

_ALGORITHMS = ("evolution", "random")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    add_measurements(parser)
    path(parser, "--timings", "what every retraining took (retrain/MODEL/seed_N/timing.json)", nargs="+")
    path(parser, "--supernet-timing", "what the supernet took (JSON); none without a supernet", required=False)
    several(parser, "--candidate-timings", "what the candidates of every search took (search/SEARCH/timing.csv)")
    path(parser, "--output-folder", "where to write " + ", ".join(OUTPUTS))


def add_measurements(parser: argparse.ArgumentParser) -> None:
    """The flags that tables and figures share: the rows, the searches, and what was measured of them."""
    models = "rows in their order: MODEL, or MODEL=SEARCH for the genome that a search found"
    parser.add_argument("--models", nargs="+", type=_model, required=True, metavar="MODEL[=SEARCH]", help=models)
    searches = "algorithm (evolution or random) and weight of the cost (Eq. 4) of every search"
    parser.add_argument(
        "--searches", nargs="*", type=_search, default=[], metavar="SEARCH=ALGORITHM:LAMBDA", help=searches
    )
    path(parser, "--evaluations", "accuracies on the test set (evaluation/MODEL/seed_N.json)", nargs="+")
    several(parser, "--scores", "scored candidates of every search (search/SEARCH/history.csv)")
    path(parser, "--row-scores", "rows scored as candidates (proxy/evaluations.csv)", required=False)
    several(parser, "--best", "what the searches found (search/SEARCH/best.json)")
    parser.add_argument("--published", help="put a published table beside it: table1 or table2")


def several(parser: argparse.ArgumentParser, flag: str, help: str) -> None:
    """A flag that takes any number of files, none included."""
    path(parser, flag, help, required=False, nargs="*", default=[])


def _model(text: str) -> tuple[str, str | None]:
    name, _, search = text.partition("=")
    return name, search or None


def _search(text: str) -> tuple[str, str, float]:
    name, _, how = text.partition("=")
    algorithm, _, penalty = how.partition(":")
    if algorithm not in _ALGORITHMS:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=ALGORITHM:LAMBDA, such as A=evolution:4")
    return name, algorithm, float(penalty)


def run(arguments: argparse.Namespace) -> None:
    """Writes the tables. All but those of time hold the same bytes whenever they are made from the same inputs."""
    from pipeline.files import write_csv, write_text
    from pipeline.results import (
        BALANCE,
        PROXY,
        RESULTS,
        TIMING,
        balance_table,
        proxy_points,
        proxy_sentence,
        proxy_table,
        results_table,
        timing_table,
    )

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
    write_text(folder / "proxy.md", _document("Proxy", _proxy_grid(points), proxy_sentence(points)))
    write_csv(folder / "timing.csv", TIMING, times)
    balance = balance_table(candidates)
    write_csv(folder / "balance.csv", BALANCE, balance)
    write_text(folder / "timing.md", _document("Time", _timing_grid(times), _TIMING_NOTE, _balance_sentence(balance)))


# --- reading ---


def read_rows(arguments: argparse.Namespace) -> "list[Row]":
    """The rows of the table, from the flags of ``add_measurements``.

    Raises:
        UserError: a file is missing or damaged, a row has no evaluation, or a row names an unknown search.
    """
    from pipeline.errors import UserError
    from pipeline.results import collect_rows

    searches = read_searches(arguments)
    unknown = next((search for _, search in arguments.models if search and search not in searches), None)
    if unknown:
        raise UserError(f"there is no search '{unknown}' for a row to come from", "name it with --searches")
    models = {model: searches[search] if search else None for model, search in arguments.models}
    return collect_rows(models, map(read_measurement, arguments.evaluations), arguments.published)


def read_searches(arguments: argparse.Namespace) -> "dict[str, Search]":
    """The searches by name, with what they found where ``--best`` says so."""
    from pipeline.populations import read_best
    from pipeline.results import Search

    found = {best.search: best for best in map(read_best, arguments.best)}
    return {name: Search(name, algorithm, penalty, found.get(name)) for name, algorithm, penalty in arguments.searches}


def read_measurement(path: Path) -> "Measurement":
    """One evaluation; its model and seed are in its path, evaluation/MODEL/seed_N.json.

    Raises:
        UserError: the file is missing, or it is not what the step 'evaluate' writes.
    """
    from pipeline.errors import UserError
    from pipeline.files import read_json
    from pipeline.networks import NetworkSpec
    from pipeline.results import Measurement

    record = read_json(path)
    try:
        values = record["network"]
        spec = NetworkSpec(**{**values, "genome": tuple(float(ratio) for ratio in values["genome"])})
        top5 = record["top5"]
        accuracies = float(record["top1"]), None if top5 is None else float(top5)
        return Measurement(path.parent.name, _seed_in(path.stem), *accuracies, spec)
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path} is no evaluation", "delete it, and it is made again") from None


def _seed_in(name: str) -> int:
    """The number in 'seed_3'. Raises ValueError where there is none."""
    found = re.search(r"_(\d+)$", name)
    if found is None:
        raise ValueError(f"'{name}' has no number")
    return int(found[1])


def read_generations(paths: Sequence[Path]) -> "dict[str, list[list[Individual]]]":
    """The scored candidates of each search, by generation, from search/SEARCH/history.csv.

    Raises:
        UserError: a file is missing, or it is no search's history.
    """
    return {path.parent.name: _read_history(path) for path in paths}


def read_scores(arguments: argparse.Namespace) -> "list[tuple[Genome, float]]":
    """What genomes scored as candidates, in a search or as rows of the table."""
    from pipeline.genome import parse_genome
    from pipeline.populations import read_evaluations

    generations = read_generations(arguments.scores)
    individuals = [individual for search in generations.values() for generation in search for individual in generation]
    scores = [(individual.genome, individual.top1) for individual in individuals if individual.top1 is not None]
    rows = read_evaluations([arguments.row_scores] if arguments.row_scores else []).values()
    return scores + [(parse_genome(row["genome"]), float(row["top1"])) for row in rows if row["top1"]]


def _read_history(path: Path) -> "list[list[Individual]]":
    from pipeline.errors import UserError
    from pipeline.files import read_csv
    from pipeline.populations import read_individuals

    generations: dict[int, list[Individual]] = {}
    for row, individual in zip(read_csv(path, ("generation",)), read_individuals(path), strict=True):
        if not row["generation"].isdecimal():
            raise UserError(f"{path} is no search's history", "delete it, and it is made again")
        generations.setdefault(int(row["generation"]), []).append(individual)
    return [generations[number] for number in sorted(generations)]


def read_training_times(paths: Sequence[Path], model: str) -> "list[TrainingTime]":
    """What the seeds of a model took, from retrain/MODEL/seed_N/timing.json."""
    return [_read_training_time(path) for path in paths if path.parent.parent.name == model]


def _read_training_time(path: Path) -> "TrainingTime":
    from pipeline.errors import UserError
    from pipeline.files import read_json
    from pipeline.results import TrainingTime

    record = read_json(path)
    try:
        return TrainingTime(
            float(record["seconds"]),
            str(record["device"]),
            int(record["threads"]),
            str(record["machine"]),
            int(record.get("processes", 1)),
        )
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"{path} does not say what a training took", "delete it and its network to train again"
        ) from None


def read_candidate_times(paths: Sequence[Path]) -> "list[CandidateTime]":
    """What every candidate took, from search/SEARCH/timing.csv."""
    from pipeline.errors import UserError
    from pipeline.files import read_csv
    from pipeline.genome import parse_genome
    from pipeline.populations import TIMINGS
    from pipeline.results import CandidateTime

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


# --- writing ---

_Text = Callable[[float], str]


class Grid(NamedTuple):
    """A table as text: its headers and lines. ``words`` of the first columns stand left, numbers right."""

    headers: list[str]
    lines: list[list[str]]
    words: int = 1

    def keep(self, wanted: Callable[[str, list[str]], bool]) -> "Grid":
        """The table with those columns for which ``wanted``, given header and cells, says so."""
        cells = [[line[i] for line in self.lines] for i in range(len(self.headers))]
        kept = [i for i, header in enumerate(self.headers) if wanted(header, cells[i])]
        words = sum(i < self.words for i in kept)
        return Grid([self.headers[i] for i in kept], [[line[i] for i in kept] for line in self.lines], words)


_RESULT_NOTE = (
    "*: on the Pareto front of the binary rows. FLOPs: millions of operations for one image, a binary "
    "multiply-accumulate counted as 1/64, batch norms and pooling as in the paper's table for this network. The "
    "speedup is theoretical: FLOPs of the full-precision 1x network over those of the row, not a measured time. "
    "Memory: weights of convolutions and classifier, in 10^6 bits and in bytes. Accuracy: on the test set, mean ± "
    "sample standard deviation over seeds (a single seed has no ±)."
)

_TIMING_NOTE = (
    "A device-hour is an hour in which one process of a training has its device: a GPU, or on a CPU the process's "
    "threads. A training of several processes ('2 × cuda') takes several of them in an hour; trainings that share a "
    "GPU side by side count it once each. Wall time is that of the clock. 'reused' are evaluations that the archive "
    "had, 'saved' what they took when they were made; a candidate that the same search had trained before it was "
    "interrupted counts as reused. The last line counts every distinct candidate once, whichever search trained it."
)


def results_markdown(rows: "Sequence[Row]", points: "Sequence[ProxyPoint]", published: str | None) -> str:
    """The table of results and, below it, what follows from it in sentences."""
    from pipeline.results import pareto_front, proxy_sentence

    front = ", ".join(row.model for row in pareto_front(rows))
    parts = ["# Results", _markdown(_results_grid(rows)), _wrap(_RESULT_NOTE)]
    parts += _verdict_section(rows)
    parts += ["## Pareto front", _wrap(f"Binary rows, cheapest first: {front or 'none'}.")]
    parts += ["## Proxy", _wrap(proxy_sentence(points))]
    parts += _published_section(rows, published) if published else []
    return "\n\n".join(parts) + "\n"


def _verdict_section(rows: "Sequence[Row]") -> list[str]:
    from pipeline.results import verdicts

    found = verdicts(rows)
    if not found:
        return []
    parts = ["## Verdict", _wrap(_verdict_note(rows))]
    for verdict in found:
        sentences = [_wrap(f"  - {sentence}", "    ") for sentence in verdict.sentences]
        parts.append("\n".join([_wrap(f"- **{verdict.model}** ({verdict.headline})", "  "), *sentences]))
    return parts


def _verdict_note(rows: "Sequence[Row]") -> str:
    if all(row.top1.seeds == 1 for row in rows):
        return (
            "There is one seed for each row, so there are no intervals: the sentences compare single trainings, and a "
            "small difference means nothing."
        )
    note = (
        "'More accurate' means that the whole interval, mean ± standard deviation, lies above the other's; "
        "'not told apart', that they overlap."
    )
    single = any(row.top1.seeds == 1 for row in rows)
    return f"{note} A row with a single seed has no interval, only its value." if single else note


def _published_section(rows: "Sequence[Row]", published: str) -> list[str]:
    from pipeline.published import LATER, find_table

    table = find_table(published)
    note = (
        "'published only': a network of the paper that is no row of this experiment. 'quoted': another method, whose "
        "figures the paper quotes."
    )
    narrow = sorted({row.spec.base_width for row in rows if row.spec.base_width != 1})
    if narrow:
        widths = ", ".join(f"{width:g}" for width in narrow)
        note += f" The published figures are of base width 1, those measured here of {widths}: they do not compare."
    later = [
        f"- {result.method} ({result.network}{f', {result.flops:g}M FLOPs' if result.flops else ''}): "
        f"{result.top1:g} ({result.source})"
        for result in LATER
        if result.dataset == table.dataset
    ]
    return [
        f"## Beside {table.title} of the paper ({table.dataset})",
        _markdown(_published_grid(rows, published)),
        _wrap(note),
        _wrap(f"For context, other published top-1 of binary networks on {table.dataset} (%):"),
        "\n".join(later),
    ]


def results_latex(rows: "Sequence[Row]", published: str | None) -> str:
    """The same tables for LaTeX with the package booktabs, every special character escaped."""
    grids = [_results_grid(rows)] + ([_published_grid(rows, published)] if published else [])
    head = "% needs \\usepackage{booktabs}; the speedup is theoretical, not a measured time; *: on the Pareto front"
    return "\n\n".join([head, *map(_latex, grids)]) + "\n"


def _results_grid(rows: "Sequence[Row]") -> Grid:
    from pipeline.results import pareto_front

    front = pareto_front(rows)
    headers = ["model", "FLOPs (M)", "speedup (theoretical)", "Mbit", "memory", "top-1 %", "top-5 %", "seeds", "genome"]
    lines = [
        [
            row.model + (" *" if row in front else ""),
            _four_digits(row.cost.flops / 1e6),
            f"{row.speedup:.1f}×",
            _four_digits(row.cost.bits / 1e6),
            _memory(row.cost.bytes),
            str(row.top1),
            "" if row.top5 is None else str(row.top5),
            str(row.top1.seeds),
            _short_genome(row.spec.genome),
        ]
        for row in rows
    ]
    return Grid(headers, lines).keep(lambda header, cells: header != "top-5 %" or any(cells))


def _published_grid(rows: "Sequence[Row]", published: str) -> Grid:
    """Measured and published figures side by side; a measure that the table does not print is left out."""
    from pipeline.results import results_table

    table = [line for line in results_table(rows, published) if line["published_model"]]
    measures: list[tuple[str, str, _Text, str, _Text]] = [
        ("FLOPs (M)", "flops_m", _four_digits, "published_flops_m", "{:g}".format),
        ("speedup (theoretical)", "speedup_theoretical", "{:.1f}×".format, "published_speedup", "{:.1f}×".format),
        ("Mbit", "memory_mbit", _four_digits, "published_memory_mbit", "{:g}".format),
        ("top-1 %", "top1_mean", "{:.2f}".format, "published_top1", "{:.2f}".format),
        ("top-5 %", "top5_mean", "{:.2f}".format, "published_top5", "{:.2f}".format),
    ]
    printed = [measure for measure in measures if any(line[measure[3]] is not None for line in table)]
    headers = ["model", *(header for name, *_ in printed for header in (name, "published"))]
    lines = []
    for line in table:
        cells = [line["model"] if line["source"] == "measured" else f"{line['model']} ({line['source']})"]
        for _, here, text_here, there, text_there in printed:
            cells += [_cell(line[here], text_here), _cell(line[there], text_there)]
        lines.append(cells)
    return Grid(headers, lines)


def _proxy_grid(points: "Sequence[ProxyPoint]") -> Grid:
    headers = ["model", "genome", "score as a candidate, %", "trained in full, top-1 %"]
    lines = [[point.model, _short_genome(point.genome), f"{point.score:.2f}", str(point.top1)] for point in points]
    return Grid(headers, lines, words=2)


def _timing_grid(times: Iterable[Mapping[str, Any]]) -> Grid:
    from pipeline.progress import duration

    headers = ["name", "kind", "device", "machine", "trainings", "wall time of one", "device-hours"]
    headers += ["reused", "saved device-hours"]
    lines = [
        [
            *(time[column] for column in ("name", "kind", "device", "machine")),
            str(time["trainings"]),
            "" if time["seconds_per_training"] is None else duration(time["seconds_per_training"]),
            f"{time['device_hours']:.4f}",
            "" if time["reused_share"] is None else f"{time['reused']} ({100 * time['reused_share']:.0f} %)",
            _cell(time["saved_device_hours"], "{:.4f}".format),
        ]
        for time in times
    ]
    return Grid(headers, lines, words=4).keep(lambda _, cells: any(cells))


def _balance_sentence(balance: Sequence[Mapping[str, Any]]) -> str:
    if not balance:
        return "Every generation was evaluated in one job."
    values = [line["longest_over_mean"] for line in balance]
    return (
        f"Shards: the longest trained {statistics.median(values):.2f} times as long as the mean of its generation "
        f"(median over {len(values)} generations; {max(values):.2f} in the worst); balance.csv has them all."
    )


def _short_genome(genome: Sequence[float]) -> str:
    from pipeline.genome import format_genome

    return f"all {genome[0]:g}" if len(set(genome)) == 1 else format_genome(genome)


def _memory(size: float) -> str:
    return f"{size / 2**10:.1f} KiB" if size < 2**20 else f"{size / 2**20:.2f} MiB"


def _four_digits(value: float) -> str:
    """At least four significant digits, never a power of ten."""
    return f"{value:.{max(0, 3 - math.floor(math.log10(value)))}f}"


def _cell(value: float | None, text: _Text) -> str:
    return "" if value is None else text(value)


def _document(title: str, grid: Grid, *notes: str) -> str:
    return "\n\n".join([f"# {title}", *([_markdown(grid)] if grid.lines else []), *map(_wrap, notes)]) + "\n"


def _markdown(grid: Grid) -> str:
    """The table for Markdown, its columns aligned for a terminal."""
    widths = [max(3, *map(len, column)) for column in zip(grid.headers, *grid.lines, strict=True)]
    rule = ["-" * width if i < grid.words else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    lines = [
        [
            cell.ljust(width) if i < grid.words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in (grid.headers, *grid.lines)
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))


def _latex(grid: Grid) -> str:
    """The table as a tabular environment with booktabs' rules."""
    import pandas

    columns = "l" * grid.words + "r" * (len(grid.headers) - grid.words)
    frame = pandas.DataFrame(grid.lines, columns=grid.headers)
    text: str = frame.to_latex(index=False, escape=True, column_format=columns).rstrip("\n")
    return text.replace("±", r"$\pm$").replace("×", r"$\times$")


def _wrap(text: str, indent: str = "") -> str:
    """Prose in lines; a number stays with its ± and %."""
    tied = text.replace(" ± ", "\u00a0±\u00a0").replace(" %", "\u00a0%")
    filled = textwrap.fill(tied, LINE_WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return filled.replace("\u00a0", " ")
