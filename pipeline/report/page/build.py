"""The report of an experiment: one page that needs no network, made from what was measured.

It tells what was asked and found first, then the table, then what each of its sentences rests on, and at last how it
was made and how to use what was found.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, NamedTuple

from markupsafe import Markup

import pipeline
from pipeline.common.text import counted
from pipeline.networks.architectures import find_architecture
from pipeline.networks.genome import format_genome
from pipeline.report.claims import claims_held, why_not_alike
from pipeline.report.figures import (
    Curve,
    accuracy_figure,
    channels_figure,
    curves_figure,
    fitness_figure,
    over_seeds,
    proxy_figure,
)
from pipeline.report.images import about_images
from pipeline.report.inference import times_shown
from pipeline.report.mixture import MEANING, MIXED
from pipeline.report.page.cloud import cloud_figure
from pipeline.report.page.grid import Cell, Heading, Line, PageGrid, grid, interval_cell, millions_cell, seconds_cell
from pipeline.report.page.inline import inline_svg
from pipeline.report.page.mistakes import mistakes_body
from pipeline.report.page.pieces import figure, load_template, paragraph, paragraphs, table
from pipeline.report.proxy import ProxyPoint, proxy_sentences
from pipeline.report.published import find_table
from pipeline.report.recipes import recipe_sentences
from pipeline.report.rows import Row, Search
from pipeline.report.tables import CLAIMS_NOTE
from pipeline.report.verdicts import verdicts, worth_it
from pipeline.search.algorithms import ALGORITHMS
from pipeline.search.costs import FLOPS, Counting
from pipeline.search.individual import Individual


class Part(NamedTuple):
    """A part of the page: its anchor, its heading, its body in HTML."""

    id: str
    title: str
    body: Markup


@dataclass(frozen=True)
class Findings:
    """Everything that a page is made from.

    Attributes:
        config: the configuration of the experiment.
        config_text: the same as YAML.
        rows: of the table; none while nothing has been trained in full.
        searches: by name.
        generations: scored candidates of each search, by generation.
        points: random genomes, scored as candidates and trained in full.
        diverged: further ones of which a training diverged.
        curves: of every training.
        times: lines of the account of time, with the columns ``TIMING``.
        inference: lines of what was measured of packed networks, with the columns ``INFERENCE_COLUMNS``; none without.
        commands: what it is for → command.
        versions: of the software.
        note: what the page lacks, while a run is in progress; else nothing.
        arithmetic: the kinds by which it was computed, if there were several.
        rows_arithmetic: those by which its rows were trained, as far as that is known.
        counting: what cost is.
    """

    config: Mapping[str, Any]
    config_text: str
    rows: Sequence[Row]
    searches: Mapping[str, Search]
    generations: Mapping[str, Sequence[Sequence[Individual]]]
    points: Sequence[ProxyPoint] = ()
    curves: Sequence[Curve] = ()
    times: Sequence[Mapping[str, Any]] = ()
    inference: Sequence[Mapping[str, Any]] = ()
    commands: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    arithmetic: Sequence[str] = ()
    counting: Counting = FLOPS
    diverged: int = 0
    rows_arithmetic: Sequence[str] = ()


def build_page(findings: Findings, refresh: int | None = None) -> str:
    """Returns the page as HTML.

    Args:
        findings: what it tells.
        refresh: seconds after which a browser loads it again, of a run in progress.
    """
    parts = [part for make in _PARTS for part in make(findings)]
    return load_template("template.html.j2").render(
        name=findings.config["experiment"],
        subtitle=subtitle(findings),
        parts=parts,
        version=pipeline.__version__,
        refresh=refresh,
    )


def subtitle(findings: Findings) -> str:
    """Returns which network was trained on what."""
    network, dataset = findings.config["network"], findings.config["dataset"]
    width = "" if network["base_width"] == 1 else f" at {network['base_width']:g} of its published width"
    title = find_architecture(network["name"]).TITLE
    return f"Binary {title}{width} on {dataset['name']}, {dataset['image_size']} × {dataset['image_size']} pixels"


# --- the parts, in their order ---


def _summary(findings: Findings) -> list[Part]:
    found = verdicts(findings.rows)
    body = _glance(findings)
    if findings.note:
        body += paragraph(findings.note, "lead")
    elif not found:
        body += paragraph("No row of the table comes from a search.")
    details = Markup()
    for verdict in found:
        details += Markup("<div><h3>{}</h3>").format(verdict.model) + paragraphs(*verdict.sentences)
        details += paragraph(verdict.headline, "muted") + Markup("</div>")
    if found:
        body += Markup('<div class="beside">{}</div>').format(details)
    if recipes := recipe_sentences(findings.rows):
        body += Markup("<h3>Recipes</h3>") + paragraphs(*recipes)
    return [Part("summary", "What was asked, what was found", body)]


def _glance(findings: Findings) -> Markup:
    """Returns question, find, worth and use, each in a line or two."""
    searches = findings.searches
    title = find_architecture(findings.config["network"]["name"]).TITLE
    asked = f"How accurate are these binary networks of the form {title}? {_BINARY}"
    if searches:
        asked = (
            f"Which width of every layer makes a binary {title} most accurate for its cost "
            f"({findings.counting.title})? {_BINARY} {_listed_searches(list(searches.values()))} looked at "
            f"{_looked_at(findings)}."
        )
    answers = [("Asked", [asked])]
    rows = {row.model: row for row in findings.rows}
    found = [rows[verdict.model] for verdict in verdicts(findings.rows)]
    if found:
        shown = [f"{one.model}: {one.top1} % of the test images right, {_costs(one)}." for one in found]
        answers += [("Found", shown), ("Worth it?", worth_it(findings.rows))]
    items = Markup().join(
        Markup("<dt>{}</dt><dd>{}</dd>").format(name, Markup("<br>").join(lines)) for name, lines in answers
    )
    if found and findings.commands:
        command = next(iter(findings.commands.values())).splitlines()[0]
        items += Markup('<dt>Use it</dt><dd><code>{}</code> (<a href="#made">more</a>)</dd>').format(command)
    return Markup('<dl class="glance">{}</dl>').format(items)


def _looked_at(findings: Findings) -> str:
    """Returns at how many candidates searches looked: as many as asked for, unless one had tried all that there are."""
    search = findings.config["search"]
    asked = search["generations"] * search["population"]
    totals = sorted({sum(map(len, one)) for one in findings.generations.values()})
    if findings.note or not totals or totals[0] >= asked:  # of a run in progress nobody knows
        return f"{search['generations']} generations of {search['population']} candidates each"
    several = f"{totals[0]:,} to {totals[-1]:,}" if len(totals) > 1 else f"{totals[0]:,}"
    return f"{several} candidates each, of {asked:,} asked for, since no more genomes can be proposed"


#: For whoever has never heard of one.
_BINARY = (
    "A binary network keeps weights and activations in one bit each: it is small and fast, but less accurate; wider "
    "layers make up for that at a cost."
)


def _costs(row: Row) -> str:
    """Returns the cost that the searches weighed, beside uniform-1x."""
    return f"{row.counting.shown(row.weighed_cost)}, {row.counting.relative(row.counted_spec):.2g} times uniform-1x"


def _listed_searches(searches: Sequence[Search]) -> str:
    """Returns what searched, and from how many seeds; a baseline that looks at no score has no objective."""
    runs = Counter((one.title, "" if _blind(one) else one.objective.title) for one in searches)
    parts = [
        f"{title}{f' ({objective})' if objective else ''}, {counted(seeds, 'run')}"
        for (title, objective), seeds in runs.items()
    ]
    listed = "; ".join(parts)
    return f"{counted(len(searches), 'search', 'searches')} ({listed})"


def _blind(search: Search) -> bool:
    return not ALGORITHMS[search.algorithm].LOOKS_AT_SCORES


def _results(findings: Findings) -> list[Part]:
    if not findings.rows:
        return []
    genes = find_architecture(findings.config["network"]["name"]).GENES
    headers = [
        *("network", "top-1 %", "top-5 %", "FLOPs (M)", "speedup (theoretical)", "weights (Mbit)", "latency (ms)"),
        "binary MACs (M)",
        *("FLOPs as trained (M)", "seeds", *genes),
    ]
    lines = [
        Line(
            [
                Cell(row.model),
                interval_cell(row.top1),
                interval_cell(row.top5),
                millions_cell(row.cost.flops),
                Cell(f"{row.speedup:.1f}×", row.speedup),
                millions_cell(row.cost.bits),
                Cell("" if row.milliseconds is None else f"{row.milliseconds:.4g}", row.milliseconds),
                millions_cell(row.cost.binary_macs),
                millions_cell(row.trained_cost.flops),
                Cell(str(row.top1.seeds), row.top1.seeds),
                *(Cell(f"{ratio:g}", ratio) for ratio in row.spec.genome),
            ],
            row.kind,
        )
        for row in findings.rows
    ]
    width = f"{findings.rows[0].cost_width:g}"
    note = (
        "Press a heading to sort by it. Accuracy: on the test images, mean ± standard deviation over trainings from "
        f"different seeds. Cost: for one image, counted at base width {width}; a binary multiply-accumulate counts as "
        "1/64. 'As trained' is the cost of the network that was trained. The last columns are the width ratios of the "
        "genes. The speedup is counted from operations, not measured."
    )
    body = table(grid(headers, lines), "Results") + paragraph(note, "muted")
    if images := about_images(findings.rows):
        body += paragraph(images)
    body += _mixture(findings.arithmetic)
    return [Part("table", "The networks", body)]


def _mixture(kinds: Sequence[str]) -> Markup:
    if not kinds:
        return Markup()
    listed = Markup().join(Markup("<li>{}</li>").format(kind) for kind in kinds)
    return Markup("<p><strong>{}</strong> {}</p><ul>{}</ul>").format(MIXED, MEANING, listed)


def _claims(findings: Findings) -> list[Part]:
    """Returns the paper's claims, where its table is asked for and any row was trained."""
    published = findings.config["published"]
    if not (published and findings.rows):
        return []
    lines = [
        Line(
            [
                Cell(f"{held.words}: {held.ours.model} to {held.theirs.model}", text=True),
                Cell(held.printed, text=True),
                Cell(held.measured, text=True),
            ]
        )
        for held in claims_held(findings.rows, published)
    ]
    printed = find_table(published)
    headers = [Heading(name, text=True) for name in ("the paper's claim", "the paper", "here")]
    note = CLAIMS_NOTE + why_not_alike(findings.rows, published)
    body = table(PageGrid(headers, lines), f"{printed.title} ({printed.dataset})", sortable=False)
    return [Part("claims", "The paper's claims", body + paragraph(note, "muted"))]


def _accuracy(findings: Findings) -> list[Part]:
    body = Markup()
    if any(findings.generations.values()):
        description = "Points: candidates, by cost relative to uniform-1x and score. A line joins those on the front."
        svg = inline_svg(
            cloud_figure(findings.generations, findings.counting, findings.rows),
            "Every evaluated candidate against its cost",
            description,
        )
        body += figure(
            svg,
            "Every candidate that was evaluated: its score on validation images after its short training, against its "
            "cost. Darker: later generations. The line is the front, which no candidate beats in both. Scores are of "
            "one short training each, so the highest are partly luck. Large markers: networks of the table, where the "
            "searches looked at them too.",
        )
    if findings.rows:
        svg = inline_svg(
            accuracy_figure(findings.rows),
            "Accuracy on the test images against cost",
            "; ".join(f"{row.model}: {row.cost.flops / 1e6:.4g}M FLOPs, {row.top1} %" for row in findings.rows),
        )
        body += figure(
            svg,
            "The networks of the table, trained in full. Bars: one standard deviation over seeds to each side. The "
            "broad line joins the binary networks than which none here is both cheaper and more accurate in the mean; "
            "which of two neighbours is truly the better is not tested.",
        )
    return [Part("cost", "Accuracy against cost", Markup('<div class="beside">{}</div>').format(body))] if body else []


def _channels(findings: Findings) -> list[Part]:
    if not any(row.search for row in findings.rows):
        return []
    found = [row for row in findings.rows if row.search]
    svg = inline_svg(
        channels_figure(findings.rows),
        "Output channels of every layer",
        "; ".join(f"{row.model}: ratios {format_genome(row.spec.genome)}" for row in found),
    )
    caption = (
        "Output channels of every convolution of a found network, beside the uniform network that the legend names."
    )
    return [Part("channels", "What the found networks look like", figure(svg, caption))]


def _course(findings: Findings) -> list[Part]:
    searches = [search for search in findings.searches.values() if findings.generations.get(search.name)]
    if not searches:
        return []
    values = {
        search.name: [
            search.objective.value(individual)
            for generation in findings.generations[search.name]
            for individual in generation
            if individual.top1 is not None
        ]
        for search in searches
    }
    description = "; ".join(
        f"{name}: a fitness of {max(found):.2f} at best, of {counted(len(found), 'candidate')}"
        for name, found in values.items()
        if found
    )
    svg = inline_svg(fitness_figure(searches, findings.generations), "Fitness over generations", description)
    caption = (
        "Fitness by generation (accuracy on the validation images in percent, less λ times the relative cost, Eq. 4; "
        "or what another objective says), a line for each run. Solid: the best so far. Dashed: the median of the "
        "generation. Triangles: the baseline."
    )
    return [Part("search", "How the searches went", figure(svg, caption))]


def _proxy(findings: Findings) -> list[Part]:
    if not findings.points:
        return []
    svg = inline_svg(
        proxy_figure(findings.points, findings.counting),
        "Score as a candidate against accuracy when trained in full",
        "; ".join(
            f"{format_genome(point.genome)}: score {point.scores[0]:.1f} %, trained {fmean(point.trained):.1f} %"
            for point in findings.points
        ),
    )
    asked = (
        "A search ranks candidates by the score of a short training. Does that score foretell how accurate a network "
        "is when trained in full? Kendall's tau is 1 if both give the same order, and 0 if the score says nothing."
    )
    body = paragraphs(asked, *proxy_sentences(findings.points, findings.diverged)) + figure(
        svg, "Each point is a genome: what its short training scored, and what its full training gave."
    )
    return [Part("proxy", "What a candidate's score is worth", body)]


def _curves(findings: Findings) -> list[Part]:
    if not findings.curves:
        return []
    drawn = [curve for curve in findings.curves if curve.seeds and all(curve.seeds)]
    svg = inline_svg(
        curves_figure(findings.curves, {row.model: row.top1.mean for row in findings.rows}),
        "Training curves",
        "; ".join(f"{curve.name} ends at {over_seeds(curve, fmean)[-1]:.1f} %" for curve in drawn),
    )
    caption = (
        "Top-1 on the training images by epoch: the mean over seeds, and from the lowest seed to the highest. Diamond: "
        "the mean on the test images, which are looked at once, after the last epoch."
    )
    return [Part("curves", "Training", figure(svg, caption))]


def _mistakes(findings: Findings) -> list[Part]:
    body = mistakes_body(findings.rows)
    return [Part("mistakes", "Right and wrong, by class", body)] if body else []


def _inference(findings: Findings) -> list[Part]:
    if not findings.inference:
        return []
    headers: list[str | Heading] = [
        "network",
        Heading("computed by", text=True),
        "bytes on disk",
        "ms for one image",
        "speedup (measured)",
    ]
    headers += ["speedup (theoretical, as trained)", "answers as evaluated"]
    lines = [
        Line(
            [
                Cell(str(line["model"])),
                Cell(str(line["engine"]), text=True),
                *(_counted(line["bytes"], "{:,.0f}"), _counted(line["milliseconds"], "{:.4g}")),
                *(_speedup(line[f"speedup_{kind}"]) for kind in ("measured", "theoretical")),
                _counted(line.get("answers_as_evaluated"), f"{{:.0f}} of {line.get('images')}"),
            ]
        )
        for line in findings.inference
    ]
    one = findings.inference[0]
    note = (
        f"One image at a time on {one['machine']}, threads: {one['threads']}; medians of rounds in which all took "
        "turns. A row is its packed network, at the width that was trained. The measured speedup is over the fastest "
        "full-precision network of width 1x there, the theoretical one compares FLOPs. 'Answers as evaluated': on how "
        "many test images the packed network gives the class that the trained one gave."
    )
    return [Part("inference", "How fast it is", table(grid(headers, lines), "Inference") + paragraph(note, "muted"))]


def _speedup(value: Any) -> Cell:
    number = _number(value)
    return Cell("") if number is None else Cell(times_shown(number), number)


def _counted(value: Any, shown: str) -> Cell:
    number = _number(value)
    return Cell("") if number is None else Cell(shown.format(number), number)


def _times(findings: Findings) -> list[Part]:
    if not findings.times:
        return []
    headers: list[str | Heading] = [
        "what",
        Heading("kind", text=True),
        "trainings",
        "wall time of one",
        "device-hours",
        "reused",
        "saved device-hours",
    ]
    lines = [
        Line(
            [
                Cell(str(time["name"])),
                Cell(str(time["kind"]), text=True),
                Cell(str(time["trainings"]), float(time["trainings"])),
                seconds_cell(_number(time["seconds_per_training"])),
                _decimal(time["device_hours"]),
                Cell("" if time["reused"] is None else str(time["reused"])),
                _decimal(time["saved_device_hours"]),
            ]
        )
        for time in findings.times
    ]
    machines = sorted({str(time["machine"]) for time in findings.times if time["machine"]})
    note = (
        f"On {', '.join(machines) or 'an unknown machine'}. A device-hour is an hour in which one process of a "
        "training has a GPU, or its threads of a CPU; trainings that share a GPU count it once each. 'Reused': "
        "candidates whose score was in the archive already, and what training them again would have taken."
    )
    return [Part("time", "What it took", table(grid(headers, lines), "Time") + paragraph(note, "muted"))]


def _number(value: Any) -> float | None:
    return None if value in (None, "") else float(value)


def _decimal(value: Any) -> Cell:
    number = _number(value)
    return Cell("") if number is None else Cell(f"{number:.4f}", number)


def _made(findings: Findings) -> list[Part]:
    body = Markup()
    for title, command in findings.commands.items():
        body += Markup("<h3>{}</h3><pre><code>{}</code></pre>").format(title, command)
    facts = Markup().join(Markup("<dt>{}</dt><dd>{}</dd>").format(*item) for item in findings.versions.items())
    body += Markup('<h3>Versions</h3><dl class="facts">{}</dl>').format(facts)
    body += Markup("<details><summary>The whole configuration</summary><pre><code>{}</code></pre></details>").format(
        findings.config_text
    )
    return [Part("made", "How to use it, how it was made", body)]


_PARTS = (
    _summary,
    _results,
    _claims,
    _accuracy,
    _channels,
    _course,
    _proxy,
    _curves,
    _mistakes,
    _inference,
    _times,
    _made,
)
