"""A fork server: a process that has imported what steps need, and splits off a child for each of them.

For the length of a run on this machine, ``run`` keeps one. It begins as a light process that declines, and sees in
which circumstances steps are started (:func:`pipeline.common.handover.circumstances`). The first that it sees twice are
those of most steps: it starts anew in exactly these, imports torch, and from then on makes a child for every step that
comes from the same, with its arguments, environment, working folder and standard streams. All others are declined, and
so is everybody once a source file of this package or an installed package has changed: they start as they would without
a server.

A child ends with the server, and with the process that stands in for it; the server ends with the run, when its last
child has. See :mod:`pipeline.common.handover` for what they say to each other.
"""

import ctypes
import gc
import importlib
import io
import json
import marshal
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, BinaryIO, NoReturn, cast

from pipeline.common.handover import (
    ADDRESS,
    AGAIN,
    CARRIED,
    COLD,
    GO,
    HELLO,
    READY,
    circumstances,
    is_possible,
    peer,
    receive,
)

#: What a server runs, with the path of modules, its descriptors and its folder.
_PROGRAM = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from pipeline.workflow import forkserver; "
_GREET = _PROGRAM + "forkserver.greet()"
_SERVE = _PROGRAM + "forkserver.serve(); from pipeline.__main__ import start; start()"
#: What trainings import. What reads the working folder while it is imported must not be here, such as matplotlib.
PRELOADED = (
    "torch",
    "h5py",
    "PIL.Image",
    "tqdm",
    "pipeline.__main__",
    "pipeline.steps.evaluate",
    "pipeline.steps.evaluate_generation",
    "pipeline.steps.pretrain_supernet",
    "pipeline.steps.propose_generation",
    "pipeline.steps.retrain",
    "pipeline.data.loading",
    "pipeline.kernels.library",
    "pipeline.networks.weights",
    "pipeline.search.evaluate",
    "pipeline.search.facts",
    "pipeline.search.shards",
    "pipeline.training.arithmetic",
    "pipeline.training.checkpoint",
    "pipeline.training.full",
    "pipeline.training.kept",
    "pipeline.training.scoring",
    "pipeline.workflow.slurm.time_limit",
)
#: Circumstances that are seen as often as this are worth importing all for.
_OFTEN = 2
#: Seconds for a server to end when the run has. As a rule its children have ended by then.
_GRACE = 5.0
_PACKAGE = Path(__file__).parents[1]
_PR_SET_PDEATHSIG = 1


@contextmanager
def fork_server() -> Iterator[dict[str, str]]:
    """Keeps a fork server. Gives the environment in which steps find it; empty if there can be none here."""
    server = _start()
    if server is None:
        yield {}
        return
    process, folder, lifeline = server
    try:
        yield {ADDRESS: str(folder / "socket")}
    finally:
        os.close(lifeline)
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(subprocess.TimeoutExpired):  # steps that a killed Snakemake has left behind are still ending
            process.wait(_GRACE)


def _start() -> "tuple[subprocess.Popen[bytes], Path, int] | None":
    """Starts a server. Returns its process, its folder, and the descriptor whose closing ends it; None if it cannot."""
    if not is_possible():
        return None
    folder, reads, lifeline = None, None, None
    try:
        os.close(os.pidfd_open(os.getpid()))  # old kernels, and some containers, lack them
        folder = Path(mkdtemp(prefix="binary-nas-"))  # which nobody else may enter
        reads, lifeline = os.pipe()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(str(folder / "socket"))
            listener.listen(128)
            words = _words(_GREET, sys.path, listener.fileno(), reads, folder)
            process = subprocess.Popen(
                words,
                cwd="/",
                pass_fds=[listener.fileno(), reads],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,  # Ctrl-C is for the steps, which pass it on
            )
        return process, folder, lifeline
    except OSError:
        if lifeline is not None:
            os.close(lifeline)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        return None
    finally:
        if reads is not None:
            os.close(reads)


def _words(program: str, path: list[str], listener: int, lifeline: int, folder: Path | str) -> list[str]:
    return [sys.executable, "-P", "-c", program, json.dumps(path), str(listener), str(lifeline), str(folder)]


@dataclass(frozen=True)
class _Request:
    """A step that asks for a child.

    Attributes:
        connection: to the process that stands in for it.
        words: its ``argv``, ``orig_argv``, ``environment`` and ``circumstances``.
        folder: descriptor of its working folder.
        streams: descriptors of standard input, output and error.
    """

    connection: socket.socket
    words: dict[str, Any]
    folder: int
    streams: list[int]


class _Server:
    """The part that listens; what it answers is up to its subclasses."""

    def __init__(self, listener: int, lifeline: int, folder: str) -> None:
        self._listener = socket.socket(fileno=listener)
        self._lifeline, self._folder = lifeline, folder
        self._poll = select.poll()
        self._poll.register(lifeline, 0)  # its end is always told
        self._poll.register(listener, select.POLLIN)
        self._open = True
        self._guests: dict[int, socket.socket] = {}  # who has not said yet what they want

    def serve(self) -> _Request | None:
        """Answers until the run has ended. Returns None then; in a child, the request that it is for."""
        while self._open or self._busy():
            number, event = self._poll.poll()[0]  # one at a time: handling it can close and reuse the others
            if number == self._lifeline:
                self._close()
            elif self._open and number == self._listener.fileno():
                self._let_in()
            elif number in self._guests:
                found = self._hear(number)
                if found is not None:
                    return found
            else:
                self._notice(number)
        return None

    def _busy(self) -> bool:
        return False

    def _notice(self, number: int) -> None:
        raise NotImplementedError

    def _answer(self, request: _Request) -> _Request | None:
        raise NotImplementedError

    def _close(self) -> None:
        """Lets nobody in any more: the run has ended, or was killed and could not tidy up."""
        self._poll.unregister(self._lifeline)
        self._poll.unregister(self._listener)
        self._listener.close()
        self._open = False
        for number in list(self._guests):
            self._poll.unregister(number)
            self._guests.pop(number).close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _let_in(self) -> None:
        with suppress(OSError):
            guest, _ = self._listener.accept()
            if peer(guest) != os.getuid():
                guest.close()
                return
            self._guests[guest.fileno()] = guest
            self._poll.register(guest, select.POLLIN)

    def _hear(self, number: int) -> _Request | None:
        self._poll.unregister(number)
        guest = self._guests.pop(number)
        descriptors: list[int] = []
        try:
            message, descriptors = receive(guest, CARRIED)
            if message == HELLO and len(descriptors) == CARRIED:
                words = marshal.loads(os.pread(descriptors[0], os.fstat(descriptors[0]).st_size, 0))
                os.close(descriptors.pop(0))
                request = _Request(guest, words, descriptors[0], descriptors[1:])
                found = self._answer(request)
                if found is not None:
                    return found
        except (OSError, EOFError, ValueError, TypeError, KeyError):
            guest.close()
        for descriptor in descriptors:
            os.close(descriptor)
        return None

    def _decline(self, request: _Request) -> None:
        with suppress(OSError):
            request.connection.send(COLD)
        request.connection.close()


class _Greeter(_Server):
    """The light process: it declines until it has seen twice what most steps are started with."""

    def __init__(self, listener: int, lifeline: int, folder: str) -> None:
        super().__init__(listener, lifeline, folder)
        self._seen: Counter[str] = Counter()

    def _answer(self, request: _Request) -> None:
        found = request.words["circumstances"]
        key = repr(found)
        self._seen[key] += 1
        if self._seen[key] < _OFTEN or found["executable"] != sys.executable:
            self._decline(request)
            return
        request.connection.send(AGAIN)
        for descriptor in (self._listener.fileno(), self._lifeline):
            os.set_inheritable(descriptor, True)
        words = _words(_SERVE, found["path"], self._listener.fileno(), self._lifeline, self._folder)
        os.execve(sys.executable, words, request.words["environment"])


class _ForkServer(_Server):
    """The process that has imported all."""

    def __init__(self, listener: int, lifeline: int, folder: str) -> None:
        super().__init__(listener, lifeline, folder)
        self._sources = _sources()  # before anything is imported from them
        self._circumstances = circumstances()
        before = dict(os.environ)
        self._children: dict[int, tuple[int, socket.socket]] = {}  # by pidfd
        for name in PRELOADED:
            importlib.import_module(name)
        # What libraries have put into the environment.
        self._added = dict(os.environ.items() - before.items())
        if not _is_single():
            self._close()  # nobody can be served
        gc.collect()
        gc.freeze()  # so that no child copies these pages by looking for garbage there

    def _busy(self) -> bool:
        return bool(self._children)

    def _fits(self, request: _Request) -> bool:
        """Returns whether a child would be what the step would be by itself."""
        now = {**circumstances(), "environment": self._circumstances["environment"]}  # libraries may have changed it
        return bool(request.words["circumstances"] == now) and _sources() == self._sources and _is_single()

    def _answer(self, request: _Request) -> _Request | None:
        if not self._fits(request):
            self._decline(request)
            return None
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            self._decline(request)
            return None
        if pid == 0:
            try:
                self._begin(request, server)
            except BaseException:
                os._exit(1)  # never go on as a second server
            return request
        child = os.pidfd_open(pid)
        self._children[child] = pid, request.connection
        self._poll.register(child, select.POLLIN)
        self._poll.register(request.connection, select.POLLRDHUP)
        try:
            socket.send_fds(request.connection, [READY], [child])
        except OSError:
            os.kill(pid, signal.SIGKILL)
        return None

    def _begin(self, request: _Request, server: int) -> None:
        """Waits in a new child for the word to begin, with nothing left of what the server holds."""
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != server:
            os._exit(1)
        self._listener.close()
        os.close(self._lifeline)
        for child, (_, connection) in self._children.items():
            os.close(child)
            connection.close()
        for guest in self._guests.values():
            guest.close()
        if receive(request.connection, 0)[0] != GO:
            os._exit(1)
        request.connection.close()
        request.words["environment"].update(self._added)

    def _notice(self, number: int) -> None:
        """Tells how a child has ended, or ends one whose step is gone."""
        if number not in self._children:
            self._poll.unregister(number)
            pid = next(pid for pid, connection in self._children.values() if connection.fileno() == number)
            os.kill(pid, signal.SIGKILL)  # it cannot be another process: nobody has waited for it yet
            return
        pid, connection = self._children.pop(number)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with suppress(OSError):
            connection.send(str(code).encode())
        with suppress(KeyError):
            self._poll.unregister(connection)
        self._poll.unregister(number)
        connection.close()
        os.close(number)


def _is_single() -> bool:
    """Returns whether this process has one thread only. Locks of others would stay locked in a child for ever."""
    return len(list(Path("/proc/self/task").iterdir())) == 1


def _sources() -> list[tuple[str, int, int, int]]:
    """Returns what tells this package's modules and the folders of installed packages from changed ones."""
    folders = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    paths = [*sorted(_PACKAGE.rglob("*.py")), *map(Path, sorted(folders))]
    found = []
    for path in paths:
        with suppress(OSError):
            status = path.stat()
            found.append((str(path), status.st_ino, status.st_mtime_ns, status.st_size))
    return found


def greet() -> NoReturn:
    """Runs the light process."""
    _Greeter(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]).serve()
    os._exit(0)


def serve() -> None:
    """Runs the fork server. Returns in each of its children, as the step that the child is for."""
    request = _ForkServer(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]).serve()
    if request is None:
        os._exit(0)
    _become(request)


def _become(request: _Request) -> None:
    """Makes of this new child the process that the step would be."""
    for number, descriptor in enumerate(request.streams):
        os.dup2(descriptor, number)
    os.fchdir(request.folder)
    for descriptor in (request.folder, *request.streams):
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request.words["environment"])
    sys.argv[:] = request.words["argv"]
    sys.orig_argv[:] = request.words["orig_argv"]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = _reopened(getattr(sys, name), number)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    importlib.invalidate_caches()
    # Python seeds its own generator of random numbers anew in a child. Ours are all seeded by what they are for.
    sys.modules["numpy"].random.seed()
    sys.modules["torch"].default_generator.seed()


def _reopened(stream: Any, number: int) -> io.TextIOWrapper:
    """Returns a standard stream as Python opens it, for what its descriptor now is."""
    raw = io.FileIO(number, "r" if number == 0 else "w", closefd=False)
    raw.name = stream.name
    buffered = not stream.write_through  # see PYTHONUNBUFFERED
    made = io.TextIOWrapper(
        io.BufferedReader(raw) if number == 0 else io.BufferedWriter(raw) if buffered else cast("BinaryIO", raw),
        encoding=stream.encoding,
        errors=stream.errors,
        newline="\n",
        line_buffering=buffered and (raw.isatty() or number == 2),
        write_through=not buffered,
    )
    made.mode = "r" if number == 0 else "w"  # type: ignore[misc]
    return made
