"""The table of measured inference: bytes on disk and milliseconds for one image, beside what is counted."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.report.text import Grid, markdown, wrap

INFERENCE_COLUMNS = (
    "model",
    "engine",
    "bytes",
    "milliseconds",
    "least_milliseconds",
    "most_milliseconds",
    "speedup_measured",
    "speedup_theoretical",
    "answers_as_evaluated",
    "images",
    "threads",
    "machine",
)

_KINDS = ("measured", "theoretical")
#: Share by which a speedup may differ from the ratio of the milliseconds beside it, as rounding and chance make it.
_AGREE = 0.1

_NOTE = (
    "One image at a time, on {threads} thread{s}, {machine}: medians of {rounds} rounds in which all took turns. A row "
    "is its packed network (one bit for each binary weight) in this project's runtime. The measured speedup is over "
    "the fastest full-precision network of width 1x here ({fastest}), round by round; the theoretical one compares "
    "FLOPs, a binary multiply-accumulate counted as 1/64, of the networks as they were trained, which may be narrower "
    "than those whose cost the table of results counts. Both differ by what the count leaves out: memory, the start of "
    "each layer, and how well the kernels of each side fit this processor."
)


@dataclass(frozen=True)
class MeasuredInference:
    """The measurements of a network.

    Attributes:
        model: a row, or what stands beside the rows.
        engine: what computed.
        milliseconds: for one image, in each round, in which all networks took turns; none where there was nothing to
            run it with.
        size: bytes on disk; None for what stands beside the rows.
        speedup: the theoretical one; None likewise.
        agreeing: on how many of how many test images it answers as the trained network did when that was evaluated;
            None where that is not known.
    """

    model: str
    engine: str
    milliseconds: Sequence[float]
    size: int | None = None
    speedup: float | None = None
    agreeing: tuple[int, int] | None = None


def inference_table(rows: Sequence[MeasuredInference], threads: int, machine: str) -> list[dict[str, Any]]:
    """Returns lines with the columns ``INFERENCE_COLUMNS``: medians, and the median of the ratio within a round."""
    fastest = _fastest(rows)
    lines = []
    for row in rows:
        times = row.milliseconds
        ratios = [theirs / ours for theirs, ours in zip(fastest.milliseconds, times, strict=bool(times))]
        lines.append(
            {
                "model": row.model,
                "engine": row.engine,
                "bytes": row.size,
                "milliseconds": _rounded(statistics.median, times),
                "least_milliseconds": _rounded(min, times),
                "most_milliseconds": _rounded(max, times),
                "speedup_measured": _rounded(statistics.median, ratios),
                "speedup_theoretical": _rounded(min, [] if row.speedup is None else [row.speedup]),
                "answers_as_evaluated": row.agreeing and row.agreeing[0],
                "images": row.agreeing and row.agreeing[1],
                "threads": threads,
                "machine": machine,
            }
        )
    return lines


def _fastest(rows: Sequence[MeasuredInference]) -> MeasuredInference:
    """Returns the fastest full-precision network of width 1x: beside the rows, or a row whose packed network is one."""
    alike = [row for row in rows if row.milliseconds and row.speedup in (None, 1.0)]
    return min(alike, key=lambda row: statistics.median(row.milliseconds))


def _rounded(statistic: Callable[[Sequence[float]], float], values: Sequence[float]) -> float | None:
    return float(f"{statistic(values):.4g}") if values else None


def inference_markdown(
    rows: Sequence[MeasuredInference], threads: int, machine: str, rounds: int, missing: str = ""
) -> str:
    """Returns the table to read. ``missing`` says why the runtime could not be had, if so."""
    note = _NOTE.format(
        threads=threads, s="" if threads == 1 else "s", machine=machine, rounds=rounds, fastest=_fastest(rows).engine
    )
    lines = inference_table(rows, threads, machine)
    parts = ["# Inference", markdown(inference_grid(lines)), wrap(note), *map(wrap, busy_sentences(lines))]
    parts += [wrap(sentence) for sentence in agreement_sentences(rows)]
    if missing:
        parts.append(wrap(f"The rows were not timed: {missing}."))
    return "\n\n".join(parts) + "\n"


def _disagreeing(line: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> float | None:
    """Returns the ratio of the milliseconds that stand in the table, if the speedup, the median over rounds, is clearly
    another one; None if they agree.
    """
    fastest = [other["milliseconds"] for other in lines if other["speedup_measured"] == 1.0]
    if not fastest or not line["milliseconds"] or not line["speedup_measured"]:
        return None
    ratio = float(min(fastest) / line["milliseconds"])
    return ratio if abs(line["speedup_measured"] / ratio - 1) > _AGREE else None


def busy_sentences(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns that the machine was busy, if times and speedups disagree; nothing if they do not."""
    unsteady = [str(line["model"]) for line in lines if _disagreeing(line, lines) is not None]
    if not unsteady:
        return []
    return [
        f"The machine was BUSY: of {', '.join(dict.fromkeys(unsteady))}, the ratio of the medians and the median of "
        "the ratios disagree, and the measured speedup is somewhere between the two that stand there. Measure again "
        "when nothing else runs."
    ]


def agreement_sentences(rows: Sequence[MeasuredInference]) -> list[str]:
    """Returns whether packed networks answer the test images as the trained ones did; nothing if it is not known."""
    compared = [(row.model, *row.agreeing) for row in rows if row.agreeing]
    others = [f"{model} ({images - same} of {images})" for model, same, images in compared if same < images]
    if not compared:
        return []
    if not others:
        return ["Every packed network gives each test image the class that the trained network gave it."]
    return [
        f"NOT every packed network answers as the trained one did: {', '.join(others)} test images differ. Networks "
        "that were evaluated in float32 may differ in ties alone, those in bfloat16 in more."
    ]


def inference_grid(lines: Sequence[Mapping[str, Any]]) -> Grid:
    """Returns the table's cells as text."""
    headers = [
        "model",
        "engine",
        "bytes",
        "ms",
        "least",
        "most",
        "speedup (measured)",
        "speedup (theoretical, as trained)",
    ]
    headers.append("answers as evaluated")
    cells = [
        [
            str(line["model"]),
            str(line["engine"]),
            "" if line["bytes"] is None else f"{line['bytes']:,}",
            *(_milliseconds(line[key]) for key in ("milliseconds", "least_milliseconds", "most_milliseconds")),
            *("" if line[f"speedup_{kind}"] is None else _speedup(line, kind, lines) for kind in _KINDS),
            "" if line["images"] is None else f"{line['answers_as_evaluated']} of {line['images']}",
        ]
        for line in lines
    ]
    return Grid(headers, cells, words=2).keep(lambda _, column: any(column))


def _speedup(line: Mapping[str, Any], kind: str, lines: Sequence[Mapping[str, Any]]) -> str:
    shown = times_shown(line[f"speedup_{kind}"])
    ratio = _disagreeing(line, lines) if kind == "measured" else None
    if ratio is None:
        return shown
    less, more = sorted((ratio, line["speedup_measured"]))
    return f"{times_shown(less).rstrip('×')} to {times_shown(more)}"


def times_shown(ratio: float) -> str:
    """Returns a speedup as text.

    >>> times_shown(46.12), times_shown(0.0477)
    ('46.1×', '0.048×')
    """
    return f"{ratio:.1f}×" if ratio >= 1 else f"{ratio:.2g}×"


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}" if value < 1 else f"{value:.2f}"
