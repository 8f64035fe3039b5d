"""The tables of an experiment as a person reads them: Markdown and LaTeX, with what follows from them in sentences."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pipeline.common.log import duration
from pipeline.report.claims import claims_held, why_not_alike
from pipeline.report.classes import class_sentence, missing_classes
from pipeline.report.fronts import COSTS, hypervolumes
from pipeline.report.images import about_images
from pipeline.report.proxy import ProxyPoint, proxy_sentences
from pipeline.report.published import LATER, find_table
from pipeline.report.recipes import recipe_sentences
from pipeline.report.results import results_table
from pipeline.report.rows import Row, pareto_front
from pipeline.report.text import Grid, latex, markdown, wrap
from pipeline.report.verdicts import verdicts
from pipeline.search.costs import DEFAULT as COST
from pipeline.search.costs import FLOPS, Counting
from pipeline.search.individual import Individual

_Text = Callable[[float], str]

#: What the table's columns mean, each with the columns that it is about.
RESULT_NOTES = (
    (
        ("FLOPs (M)", "as trained: FLOPs (M)"),
        "FLOPs: millions of operations for one image, a binary multiply-accumulate counted as 1/64, batch norms and "
        "pooling as in the paper's table for this network.",
    ),
    (
        ("speedup (theoretical)",),
        "The speedup is theoretical: FLOPs of the full-precision 1x network over those of the row, not a measured "
        "time.",
    ),
    (
        ("Mbit", "memory", "memory, trained"),
        "Memory: weights of convolutions and classifier, in 10^6 bits and in bytes.",
    ),
    (
        ("top-1 %", "top-5 %"),
        "Accuracy: on the test set, mean ± sample standard deviation over seeds (a single seed has no ±).",
    ),
)
_RESULT_NOTE = " ".join(note for _, note in RESULT_NOTES)
_VERDICT_NOTE = (
    "Differences are in points of test accuracy, each with its interval over other seeds and other test images. The "
    "probability that any of these sentences tells two equal networks apart is held at 5 % (Holm), and each interval "
    "has the level at which its sentence is judged: 'no difference seen' says how large a difference could hide."
)
_RECIPES_NOTE = (
    "Rows that were trained otherwise than most, each beside the same network by the usual recipe. The probability "
    "that any of these sentences tells two equal recipes apart is held at 5 % (Holm)."
)
_FRONT_NOTE = (
    "Binary rows than which no other is both cheaper and more accurate, in the mean over seeds, by each measure of "
    "cost. Which of two neighbours is truly the better is not tested. candidates.csv has those over all candidates."
)
_CLASSES_NOTE = (
    "The class on which each row is least accurate, and the one on which it is most, over its seeds. classes.csv has "
    "every class."
)

CLAIMS_NOTE = (
    "The paper has one training of each network. Here the probability that any line tells two equal networks apart is "
    "held at 5 % (Holm). 'no difference seen' neither confirms nor refutes a claim: its interval says what it allows."
)

_TIMING_NOTE = (
    "A device-hour is an hour in which one process of a training has its device: a GPU, or on a CPU the process's "
    "threads. A training of several processes ('2 × cuda') takes several of them in an hour; trainings that share a "
    "GPU side by side count it once each. Wall time is that of the clock. 'reused' are evaluations that the archive "
    "had, 'saved' what they took when they were made; a candidate that the same search had trained before it was "
    "interrupted counts as reused. A row that was not trained again has what its training took when it was done. "
    "'finalists' are the best of all searches, trained again from other seeds; 'proxy' are random genomes, scored and "
    "trained in full. The last line counts every training once, whichever search or row it was for."
)


def results_markdown(
    rows: Sequence[Row],
    points: Sequence[ProxyPoint],
    published: str | None,
    searches: Mapping[str, Sequence[Individual]] = MappingProxyType({}),
    diverged: int = 0,
) -> str:
    """Returns the table of results and, below it, what follows from it in sentences.

    Args:
        rows: of the table.
        points: random genomes on which the proxy is judged.
        published: the paper's table to show beside, if any.
        searches: every search's scored candidates, by name.
        diverged: random genomes that are not among the points, see :func:`~pipeline.report.proxy.proxy_sentences`.
    """
    parts = ["# Results", markdown(_results_grid(rows)), wrap(_RESULT_NOTE + _width_note(rows) + _cost_note(rows))]
    parts += [wrap(images)] if (images := about_images(rows)) else []
    parts += _verdict_section(rows)
    parts += _recipes_section(rows)
    parts += [
        "## Pareto fronts",
        wrap(_FRONT_NOTE + _other_recipes(rows)),
        "\n".join(_front_lines(rows)),
        *_hypervolume_note(searches),
    ]
    parts += ["## Proxy", *map(wrap, proxy_sentences(points, diverged))]
    parts += _classes_section(rows)
    parts += _published_section(rows, published) if published else []
    return "\n\n".join(parts) + "\n"


def _cost_note(rows: Sequence[Row]) -> str:
    """Says what counted as cost if it was not FLOPs, and where latencies are from."""
    counting, note = rows[0].counting, ""
    if counting.cost != COST:
        controls = f", and controls have equal {counting.title}" * any(row.control_of for row in rows)
        note += f" Searches weighed {counting.title} against accuracy{controls}."
    if counting.table is not None:
        machine = counting.table.made_with.get("machine", "an unknown machine")
        note += (
            f" Latency: milliseconds for one image, summed from a table of layers measured on {machine} (digest "
            f"{counting.table.digest[:16]}); between measured widths it is interpolated."
        )
    return note


def _width_note(rows: Sequence[Row]) -> str:
    narrow = [row for row in rows if row.spec.base_width != row.cost_width]
    if not narrow:
        return ""
    return (
        f" Costs are counted at base width {narrow[0].cost_width:g}, for which the networks trained here stand; 'as "
        f"trained' is their own, at base width {narrow[0].spec.base_width:g}, where the real-valued first layer "
        "weighs more."
    )


def _other_recipes(rows: Sequence[Row]) -> str:
    """Says which binary rows owe their places on a front to a recipe as well."""
    own = [row.model for row in rows if row.recipe and row.spec.binary]
    return f" Trained by recipes of their own: {', '.join(own)}." if own else ""


def _front_lines(rows: Sequence[Row]) -> list[str]:
    names = {"flops": "FLOPs", "binary_macs": "binary multiply-accumulates", "memory_bytes": "memory"}
    lines = []
    for measure, read in COSTS.items():
        front = pareto_front(rows, lambda row, read=read: read(row.cost))  # type: ignore[misc]
        lines.append(wrap(f"- over {names[measure]}: {', '.join(row.model for row in front) or 'none'}", "  "))
    timed = [row for row in rows if row.milliseconds is not None]
    if timed:
        front = pareto_front(timed, lambda row: row.milliseconds or 0.0)
        lines.append(wrap(f"- over latency: {', '.join(row.model for row in front)}", "  "))
    return lines


def _hypervolume_note(searches: Mapping[str, Sequence[Individual]]) -> list[str]:
    """Returns how good each search's front is as a whole; nothing without a search."""
    shares = ", ".join(f"{name} {share:.1f} %" for name, share in hypervolumes(searches).items())
    if not shares:
        return []
    return [
        wrap(
            "Hypervolume, the share of the plane of cost (up to the dearest candidate) and accuracy that a search's "
            f"candidates dominate by their single scores, luck included: {shares}."
        )
    ]


def _verdict_section(rows: Sequence[Row]) -> list[str]:
    found = verdicts(rows)
    if not found:
        return []
    note = _VERDICT_NOTE
    if any(row.top1.seeds == 1 for row in rows):
        note += " A row with a single seed says nothing of another training, and no such sentence calls it better."
    parts = ["## Verdict", wrap(note)]
    for verdict in found:
        sentences = [wrap(f"  - {sentence}", "    ") for sentence in verdict.sentences]
        parts.append("\n".join([wrap(f"- **{verdict.model}** ({verdict.headline})", "  "), *sentences]))
    return parts


def _recipes_section(rows: Sequence[Row]) -> list[str]:
    sentences = [wrap(f"- {sentence}", "  ") for sentence in recipe_sentences(rows)]
    return ["## Recipes", wrap(_RECIPES_NOTE), "\n".join(sentences)] if sentences else []


def _classes_section(rows: Sequence[Row]) -> list[str]:
    sentences = [class_sentence(row) for row in rows if row.answered]
    missing = missing_classes(rows)
    listed = ["\n".join(wrap(f"- {sentence}", "  ") for sentence in sentences)] if sentences else []
    return ["## By class", wrap(_CLASSES_NOTE), *listed, *([wrap(missing)] if missing else [])]


def _published_section(rows: Sequence[Row], published: str) -> list[str]:
    table = find_table(published)
    note = (
        "'published only': a network of the paper that is no row of this experiment. 'quoted': another method, whose "
        "figures the paper quotes."
    )
    note += why_not_alike(rows, published)
    later = [
        f"- {result.method} ({result.network}{f', {result.flops:g}M FLOPs' if result.flops else ''}): "
        f"{result.top1:g} ({result.source})"
        for result in LATER
        if result.dataset == table.dataset
    ]
    return [
        f"## Beside {table.title} of the paper ({table.dataset})",
        markdown(_published_grid(rows, published)),
        wrap(note),
        "What the paper concludes from it, and what was measured here:",
        markdown(_claims_grid(rows, published)),
        wrap(CLAIMS_NOTE),
        wrap(f"For context, other published top-1 of binary networks on {table.dataset} (%):"),
        "\n".join(later),
    ]


def proxy_markdown(points: Sequence[ProxyPoint], counting: Counting = FLOPS, diverged: int = 0) -> str:
    """Returns the scores of candidates beside what became of them, and what that says."""
    return _document("Proxy", _proxy_grid(points, counting), *proxy_sentences(points, diverged))


def timing_markdown(times: Iterable[Mapping[str, Any]], balance: Sequence[Mapping[str, Any]]) -> str:
    """Returns the account of time, and how evenly the shards were loaded."""
    return _document("Time", _timing_grid(times), _TIMING_NOTE, _balance_sentence(balance))


def results_latex(rows: Sequence[Row], published: str | None) -> str:
    """Returns the same tables for LaTeX with the package booktabs, every special character escaped."""
    grids = [_results_grid(rows)] + ([_published_grid(rows, published)] if published else [])
    head = "% needs \\usepackage{booktabs}; the speedup is theoretical, not a measured time"
    return "\n\n".join([head, *map(latex, grids)]) + "\n"


def _results_grid(rows: Sequence[Row]) -> Grid:
    narrow = any(row.spec.base_width != row.cost_width for row in rows)
    headers = [
        "model",
        "FLOPs (M)",
        "speedup (theoretical)",
        "Mbit",
        "memory",
        "latency",
        "as trained: FLOPs (M)",
        "memory, trained",
    ]
    headers += ["top-1 %", "top-5 %", "seeds", "genome"]
    lines = [
        [
            row.model,
            _four_digits(row.cost.flops / 1e6),
            f"{row.speedup:.1f}×",
            _four_digits(row.cost.bits / 1e6),
            _memory(row.cost.bytes),
            "" if row.milliseconds is None else f"{row.milliseconds:.4g} ms",
            _four_digits(row.trained_cost.flops / 1e6) if narrow else "",
            _memory(row.trained_cost.bytes) if narrow else "",
            str(row.top1),
            "" if row.top5 is None else str(row.top5),
            str(row.top1.seeds),
            _short_genome(row.spec.genome),
        ]
        for row in rows
    ]
    return Grid(headers, lines).keep(lambda _, cells: any(cells))


def _published_grid(rows: Sequence[Row], published: str) -> Grid:
    """Returns measured and published figures side by side; a measure that the table does not print is left out."""
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


def _claims_grid(rows: Sequence[Row], published: str) -> Grid:
    headers = ["the paper's claim", "networks", "the paper", "here"]
    lines = [
        [held.words, f"{held.ours.model} to {held.theirs.model}", held.printed, held.measured]
        for held in claims_held(rows, published)
    ]
    return Grid(headers, lines, words=4)


def _proxy_grid(points: Sequence[ProxyPoint], counting: Counting) -> Grid:
    headers = ["genome", f"{counting.title} / 1x", "scores as a candidate, %", "trained in full, top-1 %"]
    lines = [
        [
            _short_genome(point.genome),
            f"{point.cost:.3f}",
            ", ".join(f"{score:.2f}" for score in point.scores),
            ", ".join(f"{accuracy:.2f}" for accuracy in point.trained),
        ]
        for point in points
    ]
    return Grid(headers, lines)


def _timing_grid(times: Iterable[Mapping[str, Any]]) -> Grid:
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
    if not balance:  # so it is, too, of shards that found all scores in the archive
        return "Every generation in which a candidate was trained was evaluated in one job."
    values = [line["longest_over_mean"] for line in balance]
    return (
        f"Shards: the longest trained {statistics.median(values):.2f} times as long as the mean of its generation "
        f"(median over {len(values)} generations; {max(values):.2f} in the worst); the table of balance has them all."
    )


def _short_genome(genome: Sequence[float]) -> str:
    """Returns the genome to read: the ratio of a uniform one, and no more than four digits of a control's."""
    if len(set(genome)) == 1:
        return f"all {genome[0]:g}"
    return ",".join(f"{ratio:.4g}" for ratio in genome)


def _memory(size: float) -> str:
    return f"{size / 2**10:.1f} KiB" if size < 2**20 else f"{size / 2**20:.2f} MiB"


def _four_digits(value: float) -> str:
    """Returns at least four significant digits, never a power of ten."""
    return f"{value:.{max(0, 3 - math.floor(math.log10(value)))}f}"


def _cell(value: float | None, text: _Text) -> str:
    return "" if value is None else text(value)


def _document(title: str, grid: Grid, *notes: str) -> str:
    return "\n\n".join([f"# {title}", *([markdown(grid)] if grid.lines else []), *map(wrap, notes)]) + "\n"
