"""Several trainings in one process that take turns, a step of each; on a GPU each on a stream of its own.

Kernels of small networks do not fill a GPU, and those of several streams run at once, where several processes take
turns on it. On a CPU it gains nothing.
"""

from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

    from pipeline.training.execution import Execution

Value = TypeVar("Value")


def in_turns(works: Iterable[Iterator[None]], execution: "Execution", together: int | None = None) -> Iterator[None]:
    """Takes a step of each of several works in turn, until all are over; yields after each round.

    Args:
        works: taken one by one as they are begun; what comes of them they keep themselves.
        execution: the device that they run on.
        together: how many are under way at once: where one is over, the next is begun in the next round. None for all
            of them.
    """
    if together is None:
        works = list(works)
        together = len(works)
    turns = [_Turn() for _ in range(together)]
    waiting, free = iter(works), [_stream(execution, turn) for turn in turns]
    going: list[tuple[Iterator[None], torch.cuda.Stream | None]] = []
    while True:
        while free and (work := next(waiting, None)) is not None:
            going.append((work, free.pop()))
        if not going:
            return
        still = []
        for work, stream in going:
            with _on(stream):
                over = next(work, _OVER) is _OVER
            if over:
                free.append(stream)
            else:
                still.append((work, stream))
        going = still
        yield


def to_the_end(work: Generator[None, None, Value]) -> Value:
    """Takes all steps of one work. Returns what it returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            value: Value = end.value
            return value


class _Turn:
    """A turn. While it is there, no other one has its stream, nor a step that is recorded."""


def _stream(execution: "Execution", turn: _Turn) -> "torch.cuda.Stream | None":
    if execution.device_type != "cuda":
        return None
    from pipeline.training.streams import borrow_stream

    # It waits for all that was begun: what the works share may not have arrived, and a stream waits for no other.
    return borrow_stream(execution.device, turn)


def _on(stream: "torch.cuda.Stream | None") -> "AbstractContextManager[object]":
    if stream is None:
        return nullcontext()
    import torch

    return torch.cuda.stream(stream)


_OVER = object()
