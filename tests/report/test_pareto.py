"""What lies on the Pareto front when costs or accuracies are equal."""

import pytest

from pipeline.networks.spec import NetworkSpec
from pipeline.report.rows import Interval, Row, pareto_front


def row(model, genome, *top1):
    return Row(model, NetworkSpec("vgg_small", genome), Interval.of(top1))


CHEAP, DEAR = (1.0,) * 6, (2.0,) * 6


@pytest.mark.parametrize(
    ("rows", "front"),
    [
        ([row("dear", DEAR, 90.0), row("cheap", CHEAP, 90.0)], ["cheap"]),  # as accurate, and cheaper
        ([row("worse", CHEAP, 89.0), row("better", CHEAP, 90.0)], ["better"]),  # as cheap, and more accurate
        ([row("one", CHEAP, 90.0), row("same", CHEAP, 90.0)], ["one", "same"]),
        ([row("dear", DEAR, 91.0), row("cheap", CHEAP, 90.0)], ["cheap", "dear"]),
        ([row("dear", DEAR, 89.0), row("cheap", CHEAP, 90.0)], ["cheap"]),
        # Of 18 images 5 and 7, or 6 and 6: in the mean as accurate, though four digits say otherwise.
        ([row("dear", DEAR, 27.7778, 38.8889), row("cheap", CHEAP, 33.3333, 33.3333)], ["cheap"]),
        ([], []),
    ],
)
def test_no_row_is_beaten_or_equalled_at_lower_cost(rows, front):
    assert [row.model for row in pareto_front(rows)] == front
