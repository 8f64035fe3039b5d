"""Accuracy class by class, from the answers of several seeds."""

from dataclasses import replace

import numpy as np

from pipeline.report.answers import Answered, Mistake
from pipeline.report.classes import (
    CLASSES,
    class_accuracies,
    class_sentence,
    class_table,
    confusion,
    hardest,
    largest_class,
    missing_classes,
    shared_mistakes,
)
from pipeline.report.collect import collect_rows
from pipeline.report.rows import Interval, Measurement, Row
from tests.support.measured import SPEC

LABELS = np.array([0, 0, 0, 0, 1, 1, 2, 2])
FIRST = Answered(
    ("ant", "bee", "cow", "none"),
    LABELS,
    np.array([0, 0, 1, 1, 1, 1, 2, 0]),
    np.ones(8),
    (Mistake(2, 0, 1, 0.9, b"a"), Mistake(7, 2, 0, 0.7, b"b")),
)
SECOND = FIRST._replace(answers=np.array([0, 0, 0, 1, 1, 1, 2, 2]), mistakes=(Mistake(3, 0, 1, 0.8, b"c"),))
ROW = Row("r", SPEC, Interval(75.0, 17.7, 2), answered=(FIRST, SECOND))
OLD = replace(ROW, model="old", answered=())


def test_accuracies_over_seeds():
    ant, bee, cow, none = class_accuracies(ROW)
    assert ant.images == 4 and ant.top1 == Interval.of([50.0, 75.0]) and (ant.taken_for, ant.share) == ("bee", 37.5)
    assert bee.top1 == Interval.of([100.0, 100.0]) and bee.taken_for is None
    assert (cow.taken_for, cow.share) == ("ant", 25.0)
    assert none.images == 0 and none.top1 is None
    assert confusion(ROW).tolist() == [[5, 3, 0, 0], [0, 4, 0, 0], [1, 0, 3, 0], [0, 0, 0, 0]]
    assert [line.name for line in hardest(class_accuracies(ROW), 2)] == ["ant", "cow"]


def test_the_table_and_the_sentence():
    lines = class_table([OLD, ROW])
    assert [line["class"] for line in lines] == ["ant", "bee", "cow", "none"] and set(lines[0]) == set(CLASSES)
    assert (lines[0]["top1_mean"], lines[0]["taken_for"], lines[0]["taken_for_share"]) == (62.5, "bee", 37.5)
    assert lines[1]["taken_for_share"] is None and lines[3]["top1_mean"] is None
    assert class_sentence(ROW) == (
        "r: worst on 'ant' (62.50 ± 17.68 %, taken for 'bee' in 37.5 % of cases), best on 'bee' (100.00 ± 0.00 %)"
    )
    half = Answered(("a", "b"), np.array([0, 0, 1, 1]), np.array([0, 1, 1, 0]), np.ones(4), ())
    assert class_sentence(replace(ROW, answered=(half, half))) == "r: 50.00 % on every class"
    always = [half._replace(answers=np.full(4, answer)) for answer in (0, 1)]
    sentence = class_sentence(replace(ROW, answered=tuple(always)))
    assert sentence == "r: 50.00 % on every class in the mean, not with each seed"
    assert missing_classes([ROW]) == "" and missing_classes([ROW, OLD]).startswith("Not known by class: old, ")


def test_each_image_is_shown_once_with_how_many_were_wrong():
    found = shared_mistakes(ROW, 8)
    assert [(one.mistake.image, one.wrong, one.seeds) for one in found] == [(2, 1, 2), (3, 2, 2), (7, 1, 2)]
    assert [one.mistake.image for one in shared_mistakes(ROW, 1)] == [2]


def test_seeds_of_which_not_all_answers_are_known_are_not_added_up():
    def row(second):
        seeds = (Measurement("r", seed, 75.0, None, SPEC, answered=one) for seed, one in enumerate((FIRST, second)))
        return collect_rows({"r": None}, seeds)[0]

    assert row(SECOND).answered == (FIRST, SECOND)
    assert row(None).answered == ()


def test_a_class_of_most_test_images_is_told():
    """Who names it for every image is right as often; with equal shares that goes without saying."""
    said = "50.00 % of the test images are of the class 'ant': so accurate is who says nothing else."
    assert largest_class([OLD, ROW]) == said
    assert largest_class([OLD]) == ""
    for most, told in ((36, True), (34, False)):  # ten points beyond a quarter
        labels = np.array([2] * most + [0, 1] * ((100 - most) // 2))
        assert bool(largest_class([replace(ROW, answered=(FIRST._replace(labels=labels),))])) == told
