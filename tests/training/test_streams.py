"""Who has which stream, when works take turns on a GPU and steps are recorded; the steps are tried in test_cuda."""

from contextlib import nullcontext
from itertools import count, cycle

import pytest
import torch

from pipeline.training import streams
from pipeline.training.execution import Execution
from pipeline.training.streams import STREAMS, Lender, borrow_stream
from pipeline.training.turns import in_turns


class Borrower:
    """Somebody."""


def test_no_two_borrowers_have_the_same_of_what_is_handed_out_in_turns():
    lender = Lender(cycle(range(3)).__next__, most=3)
    borrowers = [Borrower() for _ in range(4)]
    assert {lender.borrow(borrower) for borrower in borrowers[:3]} == {0, 1, 2}
    assert lender.borrow(borrowers[3]) is None


def test_what_comes_back_is_lent_before_anything_new_is_made():
    lender = Lender(count().__next__, most=3)
    first, second = Borrower(), Borrower()
    assert (lender.borrow(first), lender.borrow(second)) == (0, 1)
    del first
    assert lender.borrow(Borrower()) == 0
    third, fourth = Borrower(), Borrower()
    assert (lender.borrow(third), lender.borrow(fourth)) == (0, 2)


@pytest.fixture
def used(monkeypatch):
    """Returns the streams that were computed on, of a GPU that hands them out as torch does."""
    handed_out, entered = cycle(range(STREAMS)), []
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: next(handed_out))
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: entered.append(stream) or nullcontext())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    streams._streams.cache_clear()
    yield entered
    streams._streams.cache_clear()


def test_no_turn_has_the_stream_of_a_record(used):
    """What a candidate is scored with would write into the workspace that another one's record uses."""
    records = [Borrower() for _ in range(STREAMS - 3)]
    recorded = {borrow_stream(torch.device("cuda:0"), record) for record in records}
    works = [iter([None, None]) for _ in range(3)]
    for _ in in_turns(works, Execution("cuda", "float32", 1)):
        borrowed = borrow_stream(torch.device("cuda:0"), Borrower())
        assert borrowed is None, "all are lent"
    assert len(set(used)) == 3 and recorded.isdisjoint(used)
    assert borrow_stream(torch.device("cuda:0"), Borrower()) in used, "until the turns are over"


def test_turns_for_which_no_stream_is_left_are_taken_on_the_usual_one(used):
    records = [Borrower() for _ in range(STREAMS - 1)]
    lent = [borrow_stream(torch.device("cuda"), record) for record in records]
    assert len(list(in_turns([iter([None]) for _ in range(3)], Execution("cuda", "float32", 1)))) == 2
    assert len(set(used)) == 1 and used[0] not in lent
