"""The answers of a network, packed into a record and back."""

import json

import numpy as np
import pytest

from pipeline.report.answers import (
    MOST_MISTAKES,
    Mistake,
    most_confident,
    pack_answers,
    pack_classes,
    unpack_answered,
    unpack_answers,
    unpack_right,
)


@pytest.mark.parametrize(("classes", "width"), [(10, 1), (256, 1), (257, 2), (1000, 2), (70000, 4)])
@pytest.mark.parametrize("images", [1, 7, 8, 719])
def test_comes_back(classes, width, images):
    random = np.random.default_rng(images)
    answers = random.integers(0, classes, images)
    answers[-1] = classes - 1
    right = random.random(images) < 0.7
    record = {"images": images, "top1": 100 * right.mean(), **pack_answers(answers, right)}
    record = json.loads(json.dumps(record))
    assert (unpack_right(record) == right).all()
    assert (unpack_answers(record) == answers).all()
    assert len(record["answers"]) <= 4 * (images * width // 3 + 1)


def test_older_records_have_none():
    assert unpack_right({"images": 10, "top1": 50.0}) is None
    assert unpack_answers({"images": 10, "top1": 50.0}) is None


@pytest.mark.parametrize("change", [{"images": 9}, {"images": 17}, {"top1": 60.0}, {"right": "?"}, {"right": ""}])
def test_a_record_that_contradicts_itself_is_refused(change):
    record = {"images": 16, "top1": 50.0, **pack_answers(np.zeros(16, int), np.arange(16) % 2 == 0)}
    with pytest.raises(ValueError):
        unpack_right({**record, **change})


def test_answers_of_another_length_are_refused():
    record = {"images": 15, "top1": 50.0, **pack_answers(np.zeros(16, int), np.arange(16) % 2 == 0)}
    with pytest.raises(ValueError):
        unpack_answers(record)


LABELS, GIVEN = np.array([0, 1, 2, 1]), np.array([0, 1, 1, 2])
MISTAKE = Mistake(2, 2, 1, 0.5, b"\x89PNG")


def full_record():
    packed = pack_answers(GIVEN, GIVEN == LABELS)
    packed |= pack_classes(("a", "b", "c"), LABELS, np.array([1.0, 0.5, 0.9, 0.0]), [MISTAKE])
    return json.loads(json.dumps({"images": 4, "top1": 50.0, **packed}))


def test_classes_and_mistakes_come_back():
    answered = unpack_answered(full_record())
    assert answered.classes == ("a", "b", "c")
    assert (answered.labels == LABELS).all() and (answered.answers == GIVEN).all()
    assert np.abs(answered.confidences - [1.0, 0.5, 0.9, 0.0]).max() <= 0.5 / 255
    assert answered.mistakes == (MISTAKE,)


@pytest.mark.parametrize("older", [("labels",), ("right",), ("answers",), ("answers", "right")])
def test_older_records_have_no_classes(older):
    assert unpack_answered({name: value for name, value in full_record().items() if name not in older}) is None


@pytest.mark.parametrize(
    "change",
    [
        {"labels": pack_answers(np.array([0, 1, 2, 2]), LABELS == 0)["answers"]},
        {"confidences": "AAAA"},
        {"classes": ["a", "b"]},
        {"classes": None},
        {"mistakes": [{"image": 2}]},
        {"mistakes": [{**MISTAKE._asdict(), "image": 9, "picture": ""}]},
        {"mistakes": [{**MISTAKE._asdict(), "answer": 0, "picture": ""}]},
    ],
)
def test_classes_that_contradict_the_answers_are_refused(change):
    with pytest.raises((KeyError, TypeError, ValueError)):
        unpack_answered({**full_record(), **change})


def test_only_the_surest_mistakes_are_kept():
    labels, confidences = np.zeros(100, int), np.linspace(0, 1, 100)
    found = most_confident(np.arange(100) % 2, labels, confidences)
    assert found.tolist() == list(range(99, 99 - 2 * MOST_MISTAKES, -2))
    assert most_confident(np.ones(3, int), np.zeros(3, int), np.ones(3)).tolist() == [0, 1, 2], "ties in their order"
