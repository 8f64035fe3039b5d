"""Right and wrong by class: accuracies, confusion matrices and the most confident mistakes."""

import base64
from collections.abc import Sequence

from markupsafe import Markup

from pipeline.common.text import counted
from pipeline.report.classes import (
    class_accuracies,
    confidence_sentence,
    confusion,
    hardest,
    missing_classes,
    shared_mistakes,
)
from pipeline.report.page.grid import Cell, Heading, Line, PageGrid, interval_cell
from pipeline.report.page.pieces import confusion_table, paragraph, pictures, table
from pipeline.report.rows import Row

#: Classes up to which all are shown; of more, those on which a row is least accurate.
_ALL_CLASSES = 20
_MOST_MISTAKES = 8
#: Rows of which more than the accuracies is shown.
_CLOSER = 2


def mistakes_body(rows: Sequence[Row]) -> Markup:
    """Returns the part of the page in HTML; nothing if there are no rows."""
    body, known = Markup(), [row for row in rows if row.answered]
    if known:
        body += _accuracies(known)
    for row in _closer(known):
        body += Markup("<h3>{}</h3>").format(row.model)
        body += paragraph(confidence_sentence(row))
        body += _confusion(row)
        body += _pictures(row)
    missing = missing_classes(rows)
    return body + (paragraph(missing, "muted") if missing else Markup())


def _closer(rows: Sequence[Row]) -> list[Row]:
    """Returns the found rows; the most accurate one if none was found."""
    found = [row for row in rows if row.kind == "found"] or [row for row in rows if row.search]
    return found[:_CLOSER] or sorted(rows, key=lambda row: -row.top1.mean)[:1]


def _accuracies(rows: Sequence[Row]) -> Markup:
    accuracies = [class_accuracies(row) for row in rows]
    shown = accuracies[0]
    note = "Top-1 on the test images of each class, in percent: mean ± standard deviation over seeds."
    if len(shown) > _ALL_CLASSES:
        closer = _closer(rows)[0]
        note += f" Of {len(shown)} classes, the {_ALL_CLASSES} on which {closer.model} is least accurate."
        shown = hardest(class_accuracies(closer), _ALL_CLASSES)
    lines = [
        Line(
            [
                Cell(line.name),
                Cell(str(line.images), line.images),
                *(interval_cell(of_row[line.number].top1) for of_row in accuracies),
            ]
        )
        for line in shown
    ]
    headers = [Heading("class"), Heading("images"), *(Heading(row.model) for row in rows)]
    return table(PageGrid(headers, lines), "Accuracy by class") + paragraph(note, "muted")


def _confusion(row: Row) -> Markup:
    counts, classes = confusion(row), row.answered[0].classes
    if len(classes) <= _ALL_CLASSES:
        caption = (
            f"Answers of {row.model}, {counted(len(row.answered), 'seed')} together: a line for each true class, a "
            "column for each answer. Darker: a larger share of the line."
        )
        return confusion_table(caption, classes, counts.tolist())
    lines = [
        Line(
            [
                Cell(line.name),
                interval_cell(line.top1),
                Cell(line.taken_for or "", text=True),
                Cell(f"{line.share:.1f}", line.share) if line.taken_for else Cell(""),
            ]
        )
        for line in hardest(class_accuracies(row), _ALL_CLASSES)
    ]
    headers = [Heading("class"), Heading("top-1 %"), Heading("most often taken for", text=True), Heading("in %")]
    return table(PageGrid(headers, lines), f"The classes on which {row.model} is least accurate")


def _pictures(row: Row) -> Markup:
    classes, items = row.answered[0].classes, []
    for mistake, wrong, seeds in shared_mistakes(row, _MOST_MISTAKES):
        true, answer = classes[mistake.label], classes[mistake.answer]
        items.append(
            (
                base64.b64encode(mistake.picture).decode("ascii"),
                f"Test image {mistake.image}, of class {true}",
                f"{true} taken for {answer}",
                f"{100 * mistake.confidence:.1f} % sure; wrong with {wrong} of {counted(seeds, 'seed')}",
            )
        )
    if not items:
        return paragraph("It answers every test image rightly.")
    note = "The mistakes of which a network of the row was surest. Such an image may also be labelled wrongly."
    return Markup("<h4>{}</h4>").format("Surest mistakes") + pictures(items) + paragraph(note, "muted")
