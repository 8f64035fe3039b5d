"""Tables and prose as text, for terminals, Markdown and LaTeX."""

import textwrap
from collections.abc import Callable
from typing import NamedTuple

#: Characters in a line of Markdown prose, which is read in terminals too.
LINE_WIDTH = 110


class Grid(NamedTuple):
    """A table as text: its headers and lines. ``words`` of the first columns stand left, numbers right."""

    headers: list[str]
    lines: list[list[str]]
    words: int = 1

    def keep(self, wanted: Callable[[str, list[str]], bool]) -> "Grid":
        """Returns the table with those columns for which ``wanted``, given header and cells, says so."""
        cells = [[line[i] for line in self.lines] for i in range(len(self.headers))]
        kept = [i for i, header in enumerate(self.headers) if wanted(header, cells[i])]
        words = sum(i < self.words for i in kept)
        return Grid([self.headers[i] for i in kept], [[line[i] for i in kept] for line in self.lines], words)


def markdown(grid: Grid) -> str:
    """Returns the table for Markdown, its columns aligned for a terminal."""
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


def latex(grid: Grid) -> str:
    """Returns the table as a tabular environment with booktabs' rules."""
    import pandas

    columns = "l" * grid.words + "r" * (len(grid.headers) - grid.words)
    frame = pandas.DataFrame(grid.lines, columns=grid.headers)
    text: str = frame.to_latex(index=False, escape=True, column_format=columns).rstrip("\n")
    return text.replace("±", r"$\pm$").replace("×", r"$\times$")


def wrap(text: str, indent: str = "") -> str:
    """Returns prose in lines; a number stays with its ± and %."""
    tied = text.replace(" ± ", "\u00a0±\u00a0").replace(" %", "\u00a0%")
    filled = textwrap.fill(tied, LINE_WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return filled.replace("\u00a0", " ")
