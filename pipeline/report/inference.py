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
    "threads",
    "machine",
)

_KINDS = ("measured", "theoretical")

_NOTE = (
    "One image at a time, on {threads} thread{s}, {machine}: medians of {rounds} rounds in which all took turns. A row "
    "is its packed network (one bit for each binary weight) in this project's runtime. The measured speedup is over "
    "the fastest full-precision network of width 1x here ({fastest}), round by round; the theoretical one compares "
    "FLOPs, a binary multiply-accumulate counted as 1/64. They differ by what the count leaves out: memory, the start "
    "of each layer, and how well the kernels of each side fit this processor."
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
    """

    model: str
    engine: str
    milliseconds: Sequence[float]
    size: int | None = None
    speedup: float | None = None


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
                "threads": threads,
                "machine": machine,
            }
        )
    return lines


def _fastest(rows: Sequence[MeasuredInference]) -> MeasuredInference:
    beside = [row for row in rows if row.speedup is None]
    return min(beside, key=lambda row: statistics.median(row.milliseconds))


def _rounded(statistic: Callable[[Sequence[float]], float], values: Sequence[float]) -> float | None:
    return float(f"{statistic(values):.4g}") if values else None


def inference_markdown(
    rows: Sequence[MeasuredInference], threads: int, machine: str, rounds: int, missing: str = ""
) -> str:
    """Returns the table to read. ``missing`` says why the runtime could not be had, if so."""
    note = _NOTE.format(
        threads=threads, s="" if threads == 1 else "s", machine=machine, rounds=rounds, fastest=_fastest(rows).engine
    )
    parts = ["# Inference", markdown(inference_grid(inference_table(rows, threads, machine))), wrap(note)]
    if missing:
        parts.append(wrap(f"The rows were not timed: {missing}."))
    return "\n\n".join(parts) + "\n"


def inference_grid(lines: Sequence[Mapping[str, Any]]) -> Grid:
    """Returns the table's cells as text."""
    headers = ["model", "engine", "bytes", "ms", "least", "most", "speedup (measured)", "speedup (theoretical)"]
    cells = [
        [
            str(line["model"]),
            str(line["engine"]),
            "" if line["bytes"] is None else f"{line['bytes']:,}",
            *(_milliseconds(line[key]) for key in ("milliseconds", "least_milliseconds", "most_milliseconds")),
            *("" if line[f"speedup_{kind}"] is None else f"{line[f'speedup_{kind}']:.1f}×" for kind in _KINDS),
        ]
        for line in lines
    ]
    return Grid(headers, cells, words=2)


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}" if value < 1 else f"{value:.2f}"
