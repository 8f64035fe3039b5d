"""Figures as SVG inside a page: real text, and colours that follow the page's light and dark."""

import io
import re
from itertools import count

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

#: What is drawn in these colours takes its colour from the page.
_THEME = {
    "#000000": "var(--ink)",
    "#ffffff": "var(--card)",
    "#dddddd": "var(--grid)",
    "#cccccc": "var(--faint)",
    "#8c8c8c": "var(--muted)",
}
_NUMBERS = count()


def inline_svg(figure: Figure, title: str, description: str) -> Markup:
    """Returns a figure as an ``<svg>`` element for HTML, as wide as the page lets it be.

    Args:
        figure: of matplotlib.
        title: what it is, for those who do not see it.
        description: what it shows, likewise.
    """
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "pipeline"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue().decode()
    svg = text[text.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for colour, themed in _THEME.items():
        svg = re.sub(rf"(?<=[: \"]){colour}\b", themed, svg)
    # Text has no colour of its own in matplotlib's SVG, so that it would be black on black.
    svg = svg.replace("<text ", '<text fill="currentColor" ')
    # Names are unique in a file, not in a page of several.
    number = next(_NUMBERS)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="f{number}-\1"', svg)
    svg = re.sub(r'(xlink:href="#|url\(#)([^")]+)', rf"\1f{number}-\2", svg)
    width, height = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups()  # type: ignore[union-attr]
    head = (
        f'<svg class="figure" role="img" aria-labelledby="f{number}-t f{number}-d" viewBox="0 0 {width} {height}" '
        f'style="--own:{float(width) * 96 / 72:.0f}px" xmlns="http://www.w3.org/2000/svg" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink"><title id="f{number}-t">{Markup.escape(title)}</title>'
        f'<desc id="f{number}-d">{Markup.escape(description)}</desc>'
    )
    return Markup(head + svg[svg.index(">") + 1 :])
