"""Works that take turns: a step of each, as many at once as asked, and everything to its end."""

import pytest

from pipeline.training.turns import in_turns, to_the_end
from tests.support.execution import CPU


def counting(name, steps, said):
    said.append(f"{name} begins")
    for step in range(steps):
        said.append(f"{name}{step}")
        yield
    said.append(f"{name} ends")
    return name


def rounds(lengths, together=None):
    said = []
    works = (counting(name, steps, said) for name, steps in lengths.items())
    count = sum(1 for _ in in_turns(works, CPU, together))
    return said, count


def test_each_takes_a_step_in_turn():
    said, count = rounds({"a": 2, "b": 3})
    steps = ["a begins", "a0", "b begins", "b0", "a1", "b1", "a ends", "b2", "b ends"]
    assert said == steps and count == 4, "three steps and the end"


@pytest.mark.parametrize("together", [1, 2, 3, 9])
def test_no_more_are_under_way_than_asked(together):
    said, _ = rounds(dict.fromkeys("abcdefg", 3), together)
    under_way, most = 0, 0
    for word in said:
        under_way += word.endswith("begins") - word.endswith("ends")
        most = max(most, under_way)
    assert most == min(together, 7) and not under_way
    assert said.count("g2") == 1


def test_the_next_begins_in_the_round_after_one_has_ended():
    """So that what has come of it is seen, and kept, before."""
    said = []
    for _ in in_turns((counting(name, 1, said) for name in "ab"), CPU, 1):
        said.append("round")
    assert said == ["a begins", "a0", "round", "a ends", "round", "b begins", "b0", "round", "b ends", "round"]


def test_works_without_steps_and_no_works():
    assert rounds({"a": 0, "b": 0}, 2) == (["a begins", "a ends", "b begins", "b ends"], 1)
    assert rounds({}) == ([], 0)


def test_an_error_of_one_is_everybodys():
    def broken():
        yield
        raise ValueError("broken")

    said = []
    with pytest.raises(ValueError, match="broken"):
        list(in_turns([counting("a", 9, said), broken()], CPU))
    assert said == ["a begins", "a0", "a1"]


def test_what_a_work_returns_is_had_at_its_end():
    assert to_the_end(counting("a", 3, [])) == "a"
