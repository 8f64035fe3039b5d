"""The part of the results that a person wants to see at the end of a run: the table, and whether it was worth it."""

import re
from collections.abc import Callable, Collection

from pipeline.report.tables import RESULT_NOTES

#: Sections that say what follows from the table; of their notes, the first sentence. A warning stands at the end of
#: whatever section is the last, and begins with asterisks.
_WANTED = ("Verdict", "Recipes")
#: The part of a note that is about columns which a narrow terminal does not show.
_TRAINED = re.compile(r"; 'as trained' is .*?(?=\.$|\. )")


def brief(text: str, shown: Callable[[str], Collection[str]]) -> tuple[str, list[str]]:
    """Returns the results, shortened, and the titles of what was left out.

    Args:
        text: results in Markdown (see :func:`~pipeline.report.tables.results_markdown`).
        shown: returns the names of the columns that are shown of a table in Markdown.
    """
    head, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    parts, left_out = _without_notes(head, shown), []
    for section in sections:
        title, *blocks = section.strip().split("\n\n")
        if title in _WANTED:
            note, *others = blocks
            parts += [f"## {title}", _first_sentence(note), *others]
        else:
            left_out.append(title)
            warned = [number for number, block in enumerate(blocks) if block.startswith("**")]
            parts += blocks[warned[0] :] if warned else []
    return "\n\n".join(parts) + "\n", left_out


def _without_notes(head: str, shown: Callable[[str], Collection[str]]) -> list[str]:
    """Returns title, table and notes, without notes on columns that are not shown."""
    blocks = head.strip().split("\n\n")
    tables = [block for block in blocks if block.startswith("|")]
    columns = set(shown(tables[0])) if tables else set()
    kept = []
    for block in blocks:
        if block.startswith(("|", "#")):
            kept.append(block)
            continue
        words = " ".join(block.split())
        for about, note in RESULT_NOTES:
            if columns.isdisjoint(about):
                words = words.replace(note, "")
        if not any("trained" in column for column in columns):
            words = _TRAINED.sub("", words)
        kept += [" ".join(words.split())] * bool(words.strip())
    return kept


def _first_sentence(note: str) -> str:
    return re.split(r"(?<=\.) (?=[A-Z])", " ".join(note.split()), maxsplit=1)[0]
