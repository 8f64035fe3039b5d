"""Streams of a GPU, lent so that no two works that are under way have the same one.

torch hands out a few streams in turns, and then the first one again. cuBLAS has a workspace for each: two works that
share a stream share it too, and one that is recorded goes on using it wherever it is replayed (pytorch/pytorch#193402).
"""

import weakref
from collections.abc import Callable, Hashable
from functools import cache
from typing import Generic, TypeVar

import torch

#: torch.cuda.Stream() hands out this many streams in turns, and then the first one again.
STREAMS = 32

Lent = TypeVar("Lent", bound=Hashable)


class Lender(Generic[Lent]):
    """Lends things so that no two borrowers have the same, and those that came back before new ones.

    Args:
        make: returns a thing; it may return one that it has returned before.
        most: calls of ``make`` after which there is no other thing to be had.
    """

    def __init__(self, make: Callable[[], Lent], most: int) -> None:
        self._make, self._most = make, most
        self._lent: set[Lent] = set()
        self._back: list[Lent] = []

    def borrow(self, borrower: object) -> Lent | None:
        """Returns what nobody has, until ``borrower`` is gone; None if all there is has been lent."""
        lent = self._back.pop() if self._back else self._new()
        if lent is not None:
            self._lent.add(lent)
            weakref.finalize(borrower, self._take_back, lent)
        return lent

    def _new(self) -> Lent | None:
        made = (self._make() for _ in range(self._most))
        return next((one for one in made if one not in self._lent), None)

    def _take_back(self, lent: Lent) -> None:
        self._lent.discard(lent)
        self._back.append(lent)


def borrow_stream(device: torch.device, borrower: object) -> torch.cuda.Stream | None:
    """Returns a stream that nobody else has, until ``borrower`` is gone; None if all there are have been lent.

    What had it before, and whatever else was begun on the device, is over there.
    """
    # By number: 'cuda' and 'cuda:0' are one device, as a rule.
    stream = _streams(torch.cuda.current_device() if device.index is None else device.index).borrow(borrower)
    torch.cuda.synchronize(device)
    return stream


@cache
def _streams(device: int) -> Lender[torch.cuda.Stream]:
    # cuBLAS keeps some 32 MiB of workspace for every stream it has ever seen: streams are used again.
    return Lender(lambda: torch.cuda.Stream(device), STREAMS)  # type: ignore[no-untyped-call]
