"""The images that a table is about, in sentences: how many there are, and what was wrong with some of them."""

from collections.abc import Sequence

from pipeline.common.text import counted
from pipeline.report.classes import largest_class
from pipeline.report.rows import Row


def about_images(rows: Sequence[Row]) -> str:
    """Returns how many images there are, what was wrong with some of them, and what one answer to all test images would
    be right on where that is much; nothing where they were not counted.
    """
    census = next((row.census for row in rows if row.census is not None), None)
    if census is None:
        return ""
    counts = f"Images: {counted(census.train, 'train image')} and {counted(census.test, 'test image')}."
    return " ".join(filter(None, [counts, *census.sentences(), largest_class(rows)]))
