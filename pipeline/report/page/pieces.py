"""The pieces of a page: paragraphs, tables, figures and what its templates hold."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup

from pipeline.report.page.grid import PageGrid


def load_template(name: str) -> Template:
    """Returns a template of the page, which takes all text for text and not for HTML."""
    loader = PackageLoader("pipeline.report.page", "")
    environment = Environment(loader=loader, undefined=StrictUndefined, autoescape=select_autoescape(["j2", "html"]))
    return environment.get_template(name)


def _macro(name: str, *values: Any) -> Markup:
    return Markup(getattr(load_template("macros.html.j2").module, name)(*values))


def table(grid: PageGrid, caption: str = "", *, sortable: bool = True) -> Markup:
    """Returns a table that can be sorted by pressing its headings."""
    return _macro("table", grid, caption, sortable)


def figure(svg: Markup, caption: str) -> Markup:
    """Returns a figure with its caption."""
    return _macro("figure", svg, caption)


def confusion_table(caption: str, classes: Any, counts: Any) -> Markup:
    """Returns a confusion matrix, shaded by the share of each line; ``counts`` (true, answered) are whole numbers."""
    return _macro("confusion", caption, classes, counts)


def pictures(items: Any) -> Markup:
    """Returns a list of small pictures; ``items`` are (PNG in base64, alternative text, lines below it)."""
    return _macro("pictures", items)


def paragraph(text: str, kind: str = "") -> Markup:
    """Returns a paragraph of the class ``kind``."""
    return Markup('<p class="{}">{}</p>' if kind else "{}<p>{}</p>").format(kind, text)


def paragraphs(*texts: str) -> Markup:
    """Returns a paragraph for each text."""
    return Markup("\n").join(paragraph(text) for text in texts)
