"""The table of results.

The same measurements give the same numbers and rounding, whenever and wherever they are made; times are accounted for
apart (:mod:`pipeline.report.timing`), since they are never twice the same.
"""

from collections.abc import Sequence
from typing import Any

from pipeline.networks.genome import format_genome
from pipeline.report.published import PublishedRow, find_table
from pipeline.report.rows import Interval, Row, pareto_front

RESULT_COLUMNS = (
    "model",
    "source",
    "genome",
    "binary",
    "seeds",
    "flops_m",
    "speedup_theoretical",
    "binary_macs_m",
    "memory_mbit",
    "memory_kib",
    "trained_flops_m",
    "trained_memory_kib",
    "top1_mean",
    "top1_std",
    "top5_mean",
    "top5_std",
    "pareto",
    "published_model",
    "published_flops_m",
    "published_speedup",
    "published_memory_mbit",
    "published_top1",
    "published_top5",
)


def results_columns(rows: Sequence[Row]) -> tuple[str, ...]:
    """Returns ``RESULT_COLUMNS``; the time of each row, if there is a table of latencies; and in what it was trained
    otherwise than most, if any was.
    """
    timed = any(row.milliseconds is not None for row in rows)
    own = any(row.recipe for row in rows)
    return (*RESULT_COLUMNS, *["latency_ms"] * timed, *["recipe"] * own)


def results_table(rows: Sequence[Row], published: str | None = None) -> list[dict[str, Any]]:
    """Returns the table of results with the columns ``results_columns``, rounded; None is an empty cell.

    Units: 10^6 operations, 10^6 bits, KiB, percent. Costs are counted at the rows' ``cost_width``; what is called
    'trained' is that of the network as it was trained. The lines of the published table that were not measured here
    follow the rows: networks of the paper as 'published only', methods that the paper quotes as 'quoted'.
    """
    front = pareto_front(rows)
    lines = [{**_measured_cells(row, row in front), **_published_cells(row.published)} for row in rows]
    for line, row in zip(lines, rows, strict=True):
        more = {"latency_ms": row.milliseconds, "recipe": "; ".join(row.recipe)}
        line |= {name: more[name] for name in results_columns(rows) if name in more}
    return lines + [_published_line(line) for line in published_only(rows, published)]


def published_only(rows: Sequence[Row], published: str | None) -> list[PublishedRow]:
    """Returns the lines of the published table that no row has measured, in printed order; none without a table."""
    if published is None:
        return []
    measured = [row.published for row in rows]
    return [line for line in find_table(published).rows if line not in measured]


def _measured_cells(row: Row, on_front: bool) -> dict[str, Any]:
    return {
        "model": row.model,
        "source": "measured",
        "genome": format_genome(row.spec.genome),
        "binary": int(row.spec.binary),
        "seeds": row.top1.seeds,
        "flops_m": round(row.cost.flops / 1e6, 6),
        "speedup_theoretical": round(row.speedup, 3),
        "binary_macs_m": round(row.cost.binary_macs / 1e6, 6),
        "memory_mbit": round(row.cost.bits / 1e6, 6),
        "memory_kib": round(row.cost.bytes / 1024, 3),
        "trained_flops_m": round(row.trained_cost.flops / 1e6, 6),
        "trained_memory_kib": round(row.trained_cost.bytes / 1024, 3),
        **interval_cells("top1", row.top1),
        **interval_cells("top5", row.top5),
        "pareto": int(on_front),
    }


def interval_cells(name: str, interval: Interval | None) -> dict[str, float | None]:
    """Returns the two cells of an interval in a table, rounded; ``name`` is that of their columns."""
    mean = None if interval is None else round(interval.mean, 4)
    std = None if interval is None or interval.std is None else round(interval.std, 4)
    return {f"{name}_mean": mean, f"{name}_std": std}


def _published_cells(line: PublishedRow | None) -> dict[str, Any]:
    return {
        "published_model": line and line.model,
        "published_flops_m": line and line.flops,
        "published_speedup": line and line.speedup,
        "published_memory_mbit": line and line.memory,
        "published_top1": line and line.top1,
        "published_top5": line and line.top5,
    }


def _published_line(line: PublishedRow) -> dict[str, Any]:
    cells: dict[str, Any] = dict.fromkeys(RESULT_COLUMNS)
    known = {
        "model": line.model,
        "source": "quoted" if line.quoted else "published only",
        "genome": None if line.genome is None else format_genome(line.genome),
        "binary": int(line.binary),
    }
    return {**cells, **known, **_published_cells(line)}
