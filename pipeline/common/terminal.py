"""Tables drawn for the width that is there."""

import shutil
from collections.abc import Collection, Sequence
from io import StringIO

from pipeline.common.text import printable

#: Columns of a screen that is not a terminal.
USUAL = 100
_GAP = 2


def width() -> int:
    """Returns the columns of the terminal (or of $COLUMNS); ``USUAL`` if there is none."""
    return max(40, shutil.get_terminal_size((USUAL, 24)).columns)


def draw(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    left: Collection[str] = (),
    spare: Sequence[str] = (),
    columns: int | None = None,
) -> str:
    """Returns a table as lines of text.

    Args:
        header: names of columns.
        rows: cells, as many in each row as there are names.
        left: columns of text, aligned to the left as the first one is; others hold numbers.
        spare: columns that are left out where they do not fit, the first named first. If that is not enough, cells
            are broken into lines.
        columns: of the screen; :func:`width` if left out.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    columns = columns or width()
    cells = [[printable(cell) for cell in row] for row in rows]
    shown = list(range(len(header)))
    for name in spare:
        if _natural(header, cells, shown) <= columns:
            break
        shown = [number for number in shown if header[number] != name]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, _GAP, 0, 0), header_style="")
    for number in shown:
        is_text = number == 0 or header[number] in left
        table.add_column(header[number], justify="left" if is_text else "right", overflow="fold")
    for row in cells:
        table.add_row(*(row[number] for number in shown))
    screen = StringIO()
    console = Console(file=screen, width=columns, color_system=None, markup=False, highlight=False, emoji=False)
    console.print(table)
    return "\n".join(line.rstrip() for line in screen.getvalue().splitlines())


def _natural(header: Sequence[str], rows: Sequence[Sequence[str]], shown: Sequence[int]) -> int:
    """The width in which no cell is broken."""
    return sum(max(len(line[number]) for line in (header, *rows)) + _GAP for number in shown)
