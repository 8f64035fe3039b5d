"""The answers of a network, packed into a record and back."""

import json

import numpy as np
import pytest

from pipeline.report.answers import pack_answers, unpack_answers, unpack_right


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
