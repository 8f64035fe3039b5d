"""Several experiments side by side on one page."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup

import pipeline
from pipeline.common.text import counted
from pipeline.networks.architectures import find_architecture
from pipeline.networks.genome import format_genome
from pipeline.report.figures import accuracies_figure
from pipeline.report.page.build import Findings, Part, subtitle
from pipeline.report.page.grid import Cell, Heading, Line, grid, interval_cell, millions_cell
from pipeline.report.page.inline import inline_svg
from pipeline.report.page.pieces import figure, load_template, paragraph, paragraphs, table
from pipeline.report.rows import Row
from pipeline.report.verdicts import verdicts, worth_it

#: Settings that are listed.
_MOST_SETTINGS = 60

#: Settings of the data set that say which images are tested on, and at what size.
_IMAGES = ("name", "path", "image_size", "test_fraction", "damaged_images")


def build_comparison(experiments: Sequence[Findings], refresh: int | None = None) -> str:
    """Returns the page as HTML.

    Args:
        experiments: what is known of each.
        refresh: seconds after which a browser loads it again, of runs in progress.
    """
    experiments = _told_apart(experiments)
    parts = [part for make in (_summaries, _settings, _results, _accuracies) for part in make(experiments)]
    names = [_name(findings) for findings in experiments]
    return load_template("template.html.j2").render(
        name=" · ".join(names),
        subtitle=f"{counted(len(experiments), 'experiment')} side by side",
        parts=parts,
        version=pipeline.__version__,
        refresh=refresh,
    )


def _told_apart(experiments: Sequence[Findings]) -> list[Findings]:
    """Numbers experiments of the same name, such as those of two machines."""
    seen: Counter[str] = Counter()
    told = []
    for findings in experiments:
        name = _name(findings)
        seen[name] += 1
        title = name if seen[name] == 1 else f"{name} ({seen[name]})"
        told.append(replace(findings, config={**findings.config, "experiment": title}))
    return told


def _name(findings: Findings) -> str:
    return str(findings.config["experiment"])


def _summaries(experiments: Sequence[Findings]) -> list[Part]:
    body = Markup()
    for findings in experiments:
        body += Markup("<div><h3>{}</h3>").format(_name(findings)) + paragraph(subtitle(findings), "muted")
        found = verdicts(findings.rows)
        if found:
            body += Markup("<p><b>Worth it?</b><br>{}</p>").format(Markup("<br>").join(worth_it(findings.rows)))
        for verdict in found:
            body += Markup("<h4>{}</h4>").format(verdict.model) + paragraphs(*verdict.sentences)
            body += paragraph(verdict.headline, "muted")
        if findings.note:
            body += paragraph(findings.note)
        elif not found:
            body += paragraph("No row of its table comes from a search.")
        body += Markup("</div>")
    body = Markup('<div class="beside">{}</div>').format(body)
    body += paragraph(
        "Each sentence is about one experiment, and its error rate is that of the experiment's own table; nothing here "
        "tests one experiment against another.",
        "muted",
    )
    return [Part("summary", "What was found", body)]


def _settings(experiments: Sequence[Findings]) -> list[Part]:
    """Returns the settings that are not the same everywhere."""
    flat = [dict(_flat(findings.config)) for findings in experiments]
    keys = list(dict.fromkeys(key for settings in flat for key in settings if key != "experiment"))
    different = [key for key in keys if len({settings.get(key, "") for settings in flat}) > 1]
    if not different:
        return [Part("settings", "What differs", paragraph("Their configurations are the same."))]
    lines = [Line([Cell(key), *(Cell(one.get(key, ""), text=True) for one in flat)]) for key in different]
    body = table(
        grid(["setting", *(Heading(_name(one), text=True) for one in experiments)], lines[:_MOST_SETTINGS]),
        "Settings that differ",
    )
    if len(lines) > _MOST_SETTINGS:
        body += paragraph(f"{len(lines) - _MOST_SETTINGS} more differ.", "muted")
    return [Part("settings", "What differs", body)]


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}" if key else str(name))
    else:
        yield key, "" if value is None else str(value)


def _results(experiments: Sequence[Findings]) -> list[Part]:
    headers: list[str | Heading] = [
        "network",
        Heading("experiment", text=True),
        "top-1 %",
        "top-5 %",
        "FLOPs (M)",
        "weights (Mbit)",
        "binary MACs (M)",
    ]
    lines = [
        Line(
            [
                Cell(row.model),
                Cell(_name(findings), text=True),
                interval_cell(row.top1),
                interval_cell(row.top5),
                millions_cell(row.cost.flops),
                millions_cell(row.cost.bits),
                millions_cell(row.cost.binary_macs),
                Cell(str(row.top1.seeds), row.top1.seeds),
                Cell(format_genome(row.spec.genome), text=True),
            ],
            row.kind,
        )
        for findings in experiments
        for row in findings.rows
    ]
    if not lines:
        return []
    note = "Accuracy: on the test images, mean ± standard deviation over seeds. Cost: for one image."
    note += _caution(experiments)
    headers += ["seeds", Heading("genome", text=True)]
    return [Part("table", "All networks", table(grid(headers, lines), "All networks") + paragraph(note, "muted"))]


def _caution(experiments: Sequence[Findings]) -> str:
    """Says why figures of different experiments do not compare, if they do not."""
    images = {
        (*(str(findings.config["dataset"].get(key)) for key in _IMAGES), findings.config["seed"])
        for findings in experiments
    }
    rows = [row for findings in experiments for row in findings.rows]
    widths = {row.cost_width for row in rows}
    # The same settings can be of other images: a folder that has changed in between, or that of another machine. Others
    # can be of the same: another spelling of the folder, or a seed where the test images are apart.
    tested = {row.test_images for row in rows}
    said = ""
    if len(tested - {""}) > 1 or (len(images) > 1 and "" in tested):
        said += " The experiments are not of the same images: their accuracies do not compare."
    if len(widths) > 1:
        listed = ", ".join(f"{width:g}" for width in sorted(widths))
        said += f" Their costs are counted at different base widths ({listed}) and do not compare."
    said += _counted_otherwise(rows)
    ways = {findings.rows_arithmetic for findings in experiments if findings.rows_arithmetic}
    if len(ways) > 1:
        listed = "; ".join(f"{_name(one)}: {' and '.join(one.rows_arithmetic) or 'not known'}" for one in experiments)
        said += f" They were not computed in the same way ({listed}), and a difference can be one between these."
    return said


def _counted_otherwise(rows: Sequence[Row]) -> str:
    """Says that FLOPs of different networks are each counted as its own published table does it, if they are."""
    networks = [find_architecture(name) for name in dict.fromkeys(row.spec.network for row in rows)]
    if len({network.CONVENTION for network in networks}) < 2:
        return ""
    listed = ", ".join(f"{network.TITLE}: '{network.CONVENTION}'" for network in networks)
    return (
        f" Their FLOPs are counted by different conventions ({listed}), which take in other batch norms and poolings; "
        "`python -m pipeline cost --convention` counts any network by any of them."
    )


def _accuracies(experiments: Sequence[Findings]) -> list[Part]:
    with_rows = {_name(findings): findings.rows for findings in experiments if findings.rows}
    if not with_rows:
        return []
    svg = inline_svg(
        accuracies_figure(with_rows),
        "Accuracy on the test images against cost, experiment by experiment",
        "; ".join(
            f"{name}, {row.model}: {row.cost.flops / 1e6:.4g}M FLOPs, {row.top1} %"
            for name, rows in with_rows.items()
            for row in rows
        ),
    )
    caption = "All panels have the same axes. Bars: one standard deviation over seeds to each side." + _caution(
        experiments
    )
    return [Part("cost", "Accuracy against cost", figure(svg, caption))]
