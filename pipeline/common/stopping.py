"""Requests to end: signals that ask this process to stop, and what to do when its time is nearly up.

Where there is a time limit, whoever starts the work knows it and hands in a :class:`StopRequests` that does.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from types import FrameType


@dataclass(frozen=True)
class StopRequests:
    """The requests that can end this process, beside SIGTERM and SIGINT.

    Attributes:
        warnings: signals that say that the time is nearly up; none where there is no limit.
        queue_again: asks for another job that goes on with the work. Returns whether there will be one.
    """

    warnings: tuple[signal.Signals, ...] = ()
    queue_again: Callable[[], bool] = lambda: False

    @contextmanager
    def noted(self) -> Iterator[list[int]]:
        """Gives a list that gets the number of a signal that asks to end, instead of ending the process in mid-step."""
        asked: list[int] = []

        def note(number: int, frame: FrameType | None) -> None:
            asked.append(number)

        before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT, *self.warnings)}
        try:
            yield asked
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def on_warning(self, action: Callable[[], object]) -> Iterator[None]:
        """Calls ``action`` when the time is nearly up, in a thread of its own: what this one is doing goes on."""
        inbox: SimpleQueue[bool] = SimpleQueue()  # made for being called by a signal handler, at any moment

        def wait() -> None:
            while inbox.get():
                action()

        thread = threading.Thread(target=wait, daemon=True, name="time limit")
        before = {number: signal.signal(number, lambda *_: inbox.put(True)) for number in self.warnings}
        thread.start()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            inbox.put(False)
            thread.join()


#: For what runs without a time limit.
NO_LIMIT = StopRequests()
