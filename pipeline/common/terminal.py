"""Tables and sentences in the width that is there."""

import re
import shutil
import sys
import textwrap
from collections.abc import Collection, Mapping, Sequence
from io import StringIO
from itertools import groupby

from pipeline.common.text import printable

#: Columns of a screen that is not a terminal.
USUAL = 100
_GAP = 2
#: What is broken behind a comma, and nowhere else; and the columns that others must have where one is.
_GENOME = re.compile(r"(?!\d{1,3}(,\d{3})+$)[\d.]+(,[\d.]+)+")  # and not 13,573, which is one number
_LEAST = 4


def width() -> int:
    """Returns the columns of the terminal (or of $COLUMNS); ``USUAL`` if there is none."""
    return max(40, shutil.get_terminal_size((USUAL, 24)).columns)


def fit(text: str, *, first: str = "", indent: int = 0, columns: int | None = None) -> str:
    """Returns a line as several, no word of which is cut, be it a path or a flag: it could not be copied.

    Args:
        text: the line.
        first: what stands in front of it.
        indent: spaces with which lines after the first begin.
        columns: of the screen; :func:`width` if left out.
    """
    return textwrap.fill(
        text,
        columns or width(),
        initial_indent=first,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def complain(text: str) -> None:
    """Prints a sentence to the standard error: fitted to a terminal, in one line into a file, which programs read."""
    print(fit(text) if sys.stderr.isatty() else text, file=sys.stderr)


def draw(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    left: Collection[str] = (),
    spare: Sequence[str] = (),
    columns: int | None = None,
    rule_above_last: bool = False,
) -> str:
    """Returns a table as lines of text.

    Args:
        header: names of columns.
        rows: cells, as many in each row as there are names.
        left: columns of text, aligned to the left as the first one is; others hold numbers.
        spare: columns that are left out where they do not fit, the first named first, each with those behind it whose
            name says nothing by itself, since others have it too. If that is not enough, cells are broken into lines.
        columns: of the screen; :func:`width` if left out.
        rule_above_last: draw a line above the last row, such as one of sums.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    columns = columns or width()
    cells = [[printable(cell) for cell in row] for row in rows]
    shown = _fitting(header, cells, spare, columns)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, _GAP - 1, 0, 0), header_style="")
    # What a line is called is broken last: its width is set, and the others share what is left. A least width would not
    # do: a table that rich narrows to one is wider than the screen, and what stands beyond it is cut off.
    longest = [max(len(line[number]) for line in (header, *cells)) for number in shown]
    beside = sum(longest[1:]) + _GAP * (len(shown) - 1)
    first = min(longest[0], max(columns // 3, columns - beside))
    rest = columns - first - _GAP * (len(shown) - 1)
    genomes = {} if beside + first <= columns else _broken_genomes(cells, dict(zip(shown, longest, strict=True)), rest)
    for number, broken in genomes.items():
        for row, cell in zip(cells, broken, strict=True):
            row[number] = cell
    for number in shown:
        is_text = number == 0 or header[number] in left
        set_width = first if number == 0 else None
        if number in genomes:
            set_width = max(len(line) for cell in genomes[number] for line in cell.split("\n"))
        table.add_column(header[number], justify="left" if is_text else "right", overflow="fold", width=set_width)
    for place, row in enumerate(cells, start=1):
        ends = rule_above_last and place == len(cells) - 1
        table.add_row(*(row[number] for number in shown), end_section=ends)
    screen = StringIO()
    console = Console(file=screen, width=columns, color_system=None, markup=False, highlight=False, emoji=False)
    console.print(table)
    return "\n".join(line.rstrip() for line in screen.getvalue().splitlines())


def shown_of(table: str, spare: Sequence[str], columns: int | None = None) -> list[str]:
    """Returns the names of those columns of a Markdown table that :func:`draw_markdown` has room for."""
    header, _, *rows = (_cells(line) for line in table.splitlines())
    return [header[number] for number in _fitting(header, rows, spare, columns or width())]


def _fitting(header: Sequence[str], cells: Sequence[Sequence[str]], spare: Sequence[str], columns: int) -> list[int]:
    shown = list(range(len(header)))
    about: list[str] = []  # what each column is about: itself, or the last one before it whose name is its own
    for name in header:
        about.append(about[-1] if about and header.count(name) > 1 else name)
    for name in spare:
        if _natural(header, cells, shown) <= columns:
            break
        shown = [number for number in shown if about[number] != name]
    return shown


def _broken_genomes(cells: Sequence[Sequence[str]], longest: Mapping[int, int], room: int) -> dict[int, list[str]]:
    """Returns columns that hold genomes, their cells broken behind commas, never inside of a number.

    Args:
        cells: of the table.
        longest: of the columns that are shown, the first of which keeps its width, how wide each would be.
        room: for all columns but the first.
    """
    found: dict[int, list[str]] = {}
    others = list(longest)[1:]
    for number in others:
        if not any(_GENOME.fullmatch(row[number]) for row in cells):
            continue
        least = max(len(piece) + 1 for row in cells for piece in re.split("[, ]", row[number]))
        wanted = max(least, room - sum(longest[other] for other in others if other != number))
        if room - wanted >= _LEAST * (len(others) - 1):
            found[number] = [_at_commas(row[number], wanted) for row in cells]
    return found


def _at_commas(text: str, columns: int) -> str:
    lines = [""]
    for piece in re.findall(r"[^, ]+[, ]?", text):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > columns:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def _natural(header: Sequence[str], rows: Sequence[Sequence[str]], shown: Sequence[int]) -> int:
    """Returns the width in which no cell is broken."""
    return sum(max(len(line[number]) for line in (header, *rows)) + _GAP for number in shown)


def draw_markdown(text: str, *, spare: Sequence[str] = (), columns: int | None = None) -> str:
    """Returns a Markdown text as a terminal can show it: tables drawn, paragraphs and lists in its width.

    Args:
        text: as this project writes it, with headings, paragraphs, nested lists and tables.
        spare, columns: as for :func:`draw`.
    """
    columns = columns or width()
    blocks = []
    for kind, group in groupby(text.splitlines(), key=_kind):
        lines = list(group)
        if kind == "table":
            header, align, *rows = (_cells(line) for line in lines)
            left = [name for name, rule in zip(header, align, strict=True) if not rule.endswith(":")]
            blocks.append(draw(header, rows, left=left, spare=spare, columns=columns))
        elif kind == "text":
            blocks.append("\n".join(_filled(part, columns) for part in _items(lines)))
    return "\n\n".join(blocks)


def _kind(line: str) -> str:
    return "table" if line.startswith("|") else "text" if line.strip() else "gap"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _items(lines: Sequence[str]) -> list[str]:
    """Returns paragraphs, headings and items of lists, each in one line with its indent."""
    items: list[str] = []
    for line in lines:
        if not items or re.match(r"\s*[-*] |#", line) or items[-1].startswith("#"):
            items.append(line.rstrip())
        else:
            items[-1] += " " + line.strip()
    return items


def _filled(item: str, columns: int) -> str:
    plain = re.sub(r"\*\*(.+?)\*\*", r"\1", item)
    if plain.startswith("#"):
        return plain.lstrip("# ").upper()
    start = re.match(r"\s*([-*] )?", plain)
    indent = start.end() if start else 0
    return textwrap.fill(
        printable(plain[indent:]),
        columns,
        initial_indent=plain[:indent],
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
