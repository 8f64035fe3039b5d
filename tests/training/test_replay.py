"""Who has which stream, when steps are recorded on a GPU; steps themselves are tried in test_cuda."""

from itertools import count, cycle

from pipeline.training.replay import Lender


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
