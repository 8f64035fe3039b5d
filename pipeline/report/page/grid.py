"""Tables of a page: what is shown in a cell, and what it is sorted by."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipeline.common.log import duration
from pipeline.report.rows import Interval


class Cell(NamedTuple):
    """One cell: what is shown, what it is sorted by (None: what is shown), and whether it is prose that may wrap."""

    shown: str
    key: float | None = None
    text: bool = False


class Line(NamedTuple):
    """A line of a table; ``kind`` is a class for its looks."""

    cells: Sequence[Cell]
    kind: str = ""


class Heading(NamedTuple):
    """A column's name, and whether it holds prose."""

    name: str
    text: bool = False


class PageGrid(NamedTuple):
    """A table."""

    headers: Sequence[Heading]
    lines: Sequence[Line]


def interval_cell(value: Interval | None) -> Cell:
    """Returns mean ± deviation, sorted by the mean."""
    return Cell("") if value is None else Cell(str(value), value.mean)


def millions_cell(value: float) -> Cell:
    """Returns a number of operations or bits in millions, with at least four digits and never a power of ten."""
    millions = value / 1e6
    return Cell(f"{millions:.4g}" if millions < 9999.5 else f"{millions:.0f}", value)


def seconds_cell(value: float | None) -> Cell:
    """Returns a duration, sorted by seconds."""
    return Cell("") if value is None else Cell(duration(value), value)


def without_empty_columns(grid: PageGrid) -> PageGrid:
    """Returns the table without the columns in which no line shows anything."""
    kept = [i for i in range(len(grid.headers)) if any(line.cells[i].shown for line in grid.lines)]
    return PageGrid(
        [grid.headers[i] for i in kept], [Line([line.cells[i] for i in kept], line.kind) for line in grid.lines]
    )


def grid(headers: Iterable[str | Heading], lines: Iterable[Line]) -> PageGrid:
    """Returns a table without empty columns."""
    named = [header if isinstance(header, Heading) else Heading(header) for header in headers]
    return without_empty_columns(PageGrid(named, list(lines)))
