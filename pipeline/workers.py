"""Worker processes that share nothing, so that one that is killed holds up no other.

The workers of :mod:`concurrent.futures` share queues and their locks. One that is killed while it waits for work holds
such a lock, and the others, and whoever waits for them, may wait for ever. Here each has a pipe of its own.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection, wait
from typing import TypeVar

from pipeline.errors import UserError
from pipeline.lifeline import end_with
from pipeline.startup import collect_rarely

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_workers(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int, remedy: str
) -> Generator[tuple[Item, Result], None, None]:
    """Gives each item with its result as they are done. They are begun in their order, each by the next free worker.

    The workers end with the generator, in the middle of what they do: close it where not all results are asked for.

    Args:
        work: sent to each worker once and called there for one item after another, so that it can keep in itself what
            it needs for the next. What it raises is raised here.
        items: small things that can be sent to another process, as the results must be.
        workers: processes, at most one for each item.
        remedy: what the user can do where a worker was killed.

    Raises:
        UserError: a worker was killed.
    """
    waiting = list(reversed(items))
    busy: dict[Connection, Item] = {}
    try:
        with ExitStack() as alive:
            for _ in range(min(workers, len(items))):
                connection = alive.enter_context(_worker(work))
                _give(connection, waiting, busy)
            while busy:
                ready = wait(list(busy))
                for connection in [one for one in busy if one in ready]:
                    result, error = connection.recv()
                    if error is not None:
                        raise error
                    item = busy.pop(connection)
                    if waiting:
                        _give(connection, waiting, busy)
                    yield item, result
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise UserError("a worker was killed, perhaps for want of memory", remedy) from None


def _give(connection: Connection, waiting: list[Item], busy: dict[Connection, Item]) -> None:
    busy[connection] = waiting.pop()
    connection.send(busy[connection])


@contextmanager
def _worker(work: Callable[[Item], Result]) -> Iterator[Connection]:
    """A process that answers each item that it is sent, until the end of this context."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_answer, args=(theirs, work, os.getpid()))
    # Ctrl-C reaches every process of a terminal. Only this one answers to it, and ends its workers.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        process.start()
    finally:
        theirs.close()  # so that the pipe ends when the worker does
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        yield ours
    finally:
        process.terminate()
        process.join()
        ours.close()


def _answer(connection: Connection, work: Callable[[Item], Result], parent: int) -> None:
    collect_rarely()
    end_with(parent)
    while True:
        answer: tuple[Result | None, Exception | None]
        try:
            item = connection.recv()
        except (EOFError, ConnectionResetError):  # the process that asks is gone
            return
        try:
            answer = (work(item), None)
        except Exception as error:
            answer = (None, error)
        try:
            connection.send(answer)
        except BrokenPipeError:
            return
