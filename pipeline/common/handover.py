"""Handing this process's work over to a fork server, which has imported already what the work needs.

Importing torch takes seconds of every step, most of the time of a small one. A fork server
(:mod:`pipeline.workflow.forkserver`) is a process that has imported it and waits: a step asks it for a child, which is
the step in all that matters, and stands in for that child towards whoever has started the step. It passes signals on,
and ends as the child ends. Nothing is handed over that could come out differently there: the server compares what it
was started with and what this process was (:func:`circumstances`). Where there is no server, or it declines, is another
user's or does not answer, the step runs in this process as ever.

A message is a packet; descriptors travel with it. Who asks sends ``HELLO`` with its request. The server declines
(``COLD``), wants to be asked again when it has become the right one (``AGAIN``), or has made a child that waits
(``READY``, with the child's pidfd). Only ``GO`` starts it, so that a request that was given up is never carried out.
The last message is the child's exit code, negative for a signal.
"""

import marshal
import os
import select
import signal
import socket
import struct
import sys
from contextlib import suppress
from types import FrameType

from pipeline.common.errors import WORKFLOW_PID

#: Names the server's socket.
ADDRESS = "BINARY_NAS_FORK_SERVER"
HELLO, COLD, AGAIN, READY, GO = b"hello", b"cold", b"again", b"ready", b"go"
#: What travels with ``HELLO``: the request, the working folder, and standard input, output and error.
CARRIED = 5
#: Bytes that are enough for any message.
_LONGEST = 64
#: Seconds to wait for a child: longer than importing all takes on a machine that is much too busy.
PATIENCE = 180.0
#: How often a server may want to be asked again.
_TRIES = 3
#: Signals that end a process, or that it may wait for.
_PASSED = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGCONT")

#: Variables that no library looks at while it is imported; the child gets them as they are.
_LEFT_OUT = frozenset({ADDRESS, WORKFLOW_PID, "_", "SHLVL", "PWD", "OLDPWD"})
#: Lines of /proc/self/status, files and links in /proc/self that say what a process was started with.
_STATUS = {"Umask", "Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "SigBlk", "SigIgn"}
_STATUS |= {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "Cpus_allowed_list", "Mems_allowed_list"}
_FILES = ("limits", "cgroup", "oom_score_adj")
_LINKS = ("root", "ns/cgroup", "ns/ipc", "ns/mnt", "ns/net", "ns/pid", "ns/user", "ns/uts")


def circumstances() -> dict[str, object]:
    """Returns what a process was started with and cannot be given later, or only in part, as Linux says it.

    That is Python with its flags and path, the environment that libraries read while they are imported, user, limits,
    processors, niceness, ignored signals, control group and namespaces.
    """
    with open("/proc/self/status") as status:
        said = [line for line in status if line.partition(":")[0] in _STATUS]
    for name in _FILES:
        with open(f"/proc/self/{name}") as file:
            said.append(file.read())
    said += [os.readlink(f"/proc/self/{name}") for name in _LINKS]  # noqa: PTH115 - pathlib takes long to import
    return {
        "executable": sys.executable,
        "path": list(sys.path),
        "python": [sys.version, list(sys.flags), list(sys.warnoptions), sorted(sys._xoptions.items())],
        "environment": sorted(item for item in os.environ.items() if item[0] not in _LEFT_OUT),
        "process": said,
        "priority": [os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)],
    }


def peer(connection: socket.socket) -> int:
    """Returns the user at the other end of a connection."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
    user: int = struct.unpack("iII", credentials)[1]
    return user


def receive(connection: socket.socket, most: int) -> tuple[bytes, list[int]]:
    """Returns a message and the descriptors that came with it, ``most`` at most, which no other program inherits."""
    message, descriptors, _, _ = socket.recv_fds(connection, _LONGEST, most)
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return message, descriptors


def is_possible() -> bool:
    """Returns whether system and Python have what this takes: Linux, and a Python that was built for one after 5.3.

    Elsewhere a process that has imported torch cannot be split safely, or its child not be watched as well.
    """
    needed = ((os, "memfd_create"), (os, "pidfd_open"), (signal, "pidfd_send_signal"))
    return sys.platform.startswith("linux") and all(hasattr(module, name) for module, name in needed)


def hand_over() -> None:
    """Has a child of the fork server do what this process was called for, and ends as it has ended.

    Returns if this process has to do it itself.
    """
    address = os.environ.pop(ADDRESS, "")  # what this step starts are no steps
    # In another mode the step would start itself anew; see startup.speak_utf8.
    if not address or not sys.flags.utf8_mode or not is_possible():
        return
    code = None
    with suppress(OSError):
        code = _ask(address)
    if code is not None:
        _end(code)


def _ask(address: str) -> int | None:
    """Returns the exit code of the server's child; None if there was no child, or none that came to an end of its own.

    Raises:
        OSError: nobody is there, or not any more; no child runs.
    """
    here, request = os.open(".", os.O_PATH | os.O_DIRECTORY), _request()
    try:
        for _ in range(_TRIES):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
                server.settimeout(PATIENCE)
                server.connect(address)
                if peer(server) != os.getuid():
                    return None
                socket.send_fds(server, [HELLO], [request, here, 0, 1, 2])
                answer, descriptors = receive(server, 1)
                if answer == READY and descriptors:
                    return _stand_in(server, descriptors[0])
                if answer != AGAIN:
                    return None
        return None
    finally:
        os.close(here)
        os.close(request)


def _request() -> int:
    """Returns a descriptor from which the server reads what this process was called for."""
    words = {"argv": sys.argv, "orig_argv": sys.orig_argv, "environment": dict(os.environ)}
    text = marshal.dumps({**words, "circumstances": circumstances()})
    memory = os.memfd_create("request")
    while text:
        text = text[os.write(memory, text) :]
    return memory


def _stand_in(server: socket.socket, child: int) -> int | None:
    """Lets the child begin, passes signals on to it, and returns its exit code.

    Returns None if the server died; then the child is dead too, and whatever it did can be done again.
    """
    asked: list[int] = []

    def send(number: int) -> None:
        with suppress(OSError):  # it has ended
            signal.pidfd_send_signal(child, number)

    def pass_on(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        send(number)

    def pause(number: int, frame: FrameType | None) -> None:
        send(signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)

    handlers = {getattr(signal, name): pass_on for name in _PASSED} | {signal.SIGTSTP: pause}
    before = {
        number: signal.signal(number, handler)
        for number, handler in handlers.items()
        if signal.getsignal(number) != signal.SIG_IGN
    }
    answer = b""
    with suppress(OSError):
        server.settimeout(None)
        server.send(GO)
        answer = server.recv(_LONGEST)
    if answer:
        return int(answer)
    send(signal.SIGKILL)
    ended = select.poll()
    ended.register(child, select.POLLIN)
    ended.poll()
    for number, earlier in before.items():
        signal.signal(number, earlier)
    ending = [number for number in asked if number != signal.SIGCONT]
    return -ending[0] if ending else None


def _end(code: int) -> None:
    """Ends this process with an exit code, or by the signal that a negative one means."""
    if code < 0:
        import resource

        # What there is to see of a crash is in the child's core.
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        with suppress(OSError):  # what cannot be handled ends a process anyway
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
        code = 128 - code
    os._exit(code)
