"""Worker processes that share nothing, so that one that is killed holds up no other, and none outlives its parent.

The workers of :mod:`concurrent.futures` share queues and their locks. One that is killed while it waits for work holds
such a lock, and the others, and whoever waits for them, may wait for ever. Here each has a pipe of its own, and whoever
is at one end of it learns when the other has died.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection, Pipe, wait
from typing import TypeVar

from pipeline.common.errors import UserError
from pipeline.common.processes import collect_rarely, end_with, leave

#: What a worker runs, with a file descriptor and the process id of its parent.
PROGRAM = "from pipeline.common.workers import serve; serve()"

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
            # All start before one of them is told anything: it listens only when it has started.
            for connection in [alive.enter_context(_worker()) for _ in range(min(workers, len(items)))]:
                connection.send(work)
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
def _worker() -> Iterator[Connection]:
    """Starts a process that is sent a function, then answers each item, until the end of this context."""
    ours, theirs = Pipe()
    with ours:
        with theirs:  # closed here once it is theirs, so that it ends when they do
            process = _start(theirs.fileno())
        try:
            yield ours
        finally:
            process.terminate()
            process.wait()


def _start(descriptor: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", PROGRAM, str(descriptor), str(os.getpid())]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    # Ctrl-C reaches every process of a terminal. Only this one answers to it, and ends its workers.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        return subprocess.Popen(command, env=environment, pass_fds=[descriptor])
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve() -> None:
    """Answers what comes through the connection named on the command line, until nobody is there to ask."""
    descriptor, parent = map(int, sys.argv[1:])
    collect_rarely()
    end_with(parent)
    with Connection(descriptor) as connection, suppress(EOFError, BrokenPipeError, ConnectionResetError):
        work = connection.recv()
        while True:
            connection.send(_answer(work, connection.recv()))
    leave(0)


def _answer(work: Callable[[Item], Result], item: Item) -> tuple[Result | None, Exception | None]:
    try:
        return work(item), None
    except Exception as error:
        return None, error
