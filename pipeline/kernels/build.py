"""Compiles C++ sources for this processor, once for all processes of a user, and loads what was compiled.

What is loaded runs with all rights of the user. So it is taken only from a folder and a file that belong to the user
(or to root) and that nobody else can write, never through a link; whatever else lies in its place is deleted.
"""

import ctypes
import errno
import hashlib
import os
import shlex
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from pipeline.common.log import log
from pipeline.kernels import cpu

_FLAGS = {
    "training": ("-std=gnu++20", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC"),
    # Each instruction set is asked for where its kernels are, and chosen when they run.
    "inference": ("-std=c++17", "-O3", "-pthread", "-fvisibility=hidden", "-shared", "-fPIC"),
}
_PATIENCE = 300.0
#: Seconds for which a failure is remembered.
_DAY = 86400.0

_CPP = Path(__file__).with_name("cpp")
#: The sources of the training kernels. Here, since their modules import torch, which need not be paid to compile them.
SOURCES = _CPP / "training"
#: The sources of the runtime of packed networks.
INFERENCE = _CPP / "inference"
#: A program in C that classifies images with it.
CLASSIFY = _CPP / "classify"

#: What compilers, assemblers and linkers say when something around them failed: killed, or out of memory or room.
_PASSING = (
    "killed",
    "signal terminated program",  # SIGTERM, and limits of time and of file sizes
    "terminated with signal",
    "due to signal",
    "no space left",
    "quota exceeded",
    "out of memory",
    "cannot allocate memory",
    "virtual memory exhausted",
    "resource temporarily unavailable",
    "input/output error",
)
#: The same, as the system says it to this process.
_PASSING_NUMBERS = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EAGAIN, errno.EIO, errno.EMFILE, errno.ENFILE}


class CompilationError(Exception):
    """There is no compiler, or it failed, or its work cannot be kept; the text says which."""


class PassingCompilationError(CompilationError):
    """A compilation failed for a reason that can pass: the compiler was killed, or there was no room or time for it.

    It says nothing about what this machine computes with, so that nobody may settle for something else.
    """


def compiled(sources: Path) -> Path:
    """Returns the shared library of all sources in a folder, compiled if it has not been yet.

    It is kept in the user's cache folder under a name that stands for the sources, the flags (those behind the
    compiler's name in CXX as well) and the processor, so that machines of several kinds can share a home folder, and
    one without a compiler can use what an equal one compiled. What failed by the compiler's own judgement is not tried
    again by the same compiler for a day.

    Raises:
        CompilationError: see the class.
        PassingCompilationError: see the class.
    """
    try:
        folder, key = _place(sources)
        _secure(folder)
        library = folder / f"kernels-{key}.so"
        if not _whole(library):
            _keep(_compile(sources, folder, key), library)
        return library
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder
        raise _not_kept(error) from None


def check(sources: Path) -> None:
    """Asks, at once, whether :func:`compiled` has something to give or to try.

    Raises:
        CompilationError: it has not.
    """
    try:
        folder, key = _place(sources)
        if not (folder / f"kernels-{key}.so").exists():
            _recall(_failure(folder, key, _compiler()))
    except (OSError, RuntimeError) as error:
        raise _not_kept(error) from None


def open_library(sources: Path, functions: Iterable[str]) -> ctypes.CDLL:
    """Loads the library of all sources in a folder, compiled if it has not been yet.

    One that the system does not take, or that lacks a function, is deleted and compiled again, once.

    Args:
        sources: as of :func:`compiled`.
        functions: names that it must have.

    Raises:
        CompilationError: it cannot be had.
    """
    wanted = list(functions)
    problem = ""
    for _ in range(2):
        library = compiled(sources)
        try:
            loaded = load(library)
            missing = [name for name in wanted if not hasattr(loaded, name)]
            if not missing:
                return loaded
            problem = f"{library} has no function {missing[0]}"
        except CompilationError as error:
            problem = str(error)
        _delete(library)
        log(f"note: {problem}; it is deleted")
    raise CompilationError(problem)


def load(library: Path) -> ctypes.CDLL:
    """Loads what :func:`compiled` gave: the very file that is checked, whatever becomes of its name meanwhile.

    Raises:
        CompilationError: the system does not take it, or others than the user could have written it.
    """
    try:
        descriptor = _open(library)
        if not Path("/proc/self/fd").is_dir():
            os.close(descriptor)
            return ctypes.CDLL(str(library))
        # It stays open: the system takes two libraries of one name for the same, and this number is part of the name.
        return ctypes.CDLL(f"/proc/self/fd/{descriptor}")
    except OSError as error:
        raise CompilationError(f"{library} cannot be loaded: {error}") from None


def _not_kept(error: Exception) -> CompilationError:
    passing = isinstance(error, OSError) and error.errno in _PASSING_NUMBERS
    return (PassingCompilationError if passing else CompilationError)(f"no compiled file can be kept: {error}")


def _place(sources: Path) -> tuple[Path, str]:
    """Returns the folder of what is compiled, and what stands for these sources, the flags and the processor."""
    texts = [
        file.read_bytes()
        for part in (_CPP / "common", sources)
        for file in sorted(part.iterdir())
        if file.suffix in (".cpp", ".h")
    ]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "binary-nas"
    return folder, _digest(*texts, *flags_of(sources), cpu.kind(), *_asked_compiler()[1:])


def flags_of(sources: Path) -> tuple[str, ...]:
    """Returns what the compiler is told beside the sources of a folder and the name of the library."""
    return _FLAGS[sources.name]


def _secure(folder: Path) -> None:
    """Makes the folder, or makes sure that nobody else can write into it.

    Raises:
        OSError: it is a link, or belongs to somebody else, or cannot be made.
    """
    for part in reversed([folder, *folder.parents]):
        with suppress(FileExistsError):
            part.mkdir(0o700)
            part.chmod(0o700)  # whatever the umask
    if folder.is_symlink():
        raise PermissionError(f"{folder} is a link")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(descriptor)
        if found.st_uid not in (os.geteuid(), 0):
            raise PermissionError(f"{folder} belongs to another user")
        # Older versions left this to the umask. What lies in it is judged file by file.
        if found.st_mode & 0o022:
            os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def _open(file: Path) -> int:
    """Opens a file that only the user (or root) can have written. The caller closes it.

    Raises:
        FileNotFoundError: there is none.
        PermissionError: it is not such a file; it is deleted.
    """
    descriptor = -1
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_uid in (os.geteuid(), 0) and not found.st_mode & 0o022:
            return descriptor
        os.close(descriptor)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO, errno.EACCES):  # a link, a socket, somebody else's
            raise
    log(f"warning: {file} is no file that only you can write; deleted")
    _delete(file)
    raise PermissionError(errno.EPERM, "others could have written it", str(file))


def _read(file: Path) -> bytes | None:
    """Returns what a file holds that only the user (or root) can have written; None without one."""
    try:
        with open(_open(file), "rb") as opened:
            return opened.read()
    except (FileNotFoundError, PermissionError):
        return None


def _delete(path: Path) -> None:
    with suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _digest(*parts: bytes | str) -> str:
    whole = b"\0".join(part.encode() if isinstance(part, str) else part for part in parts)
    return hashlib.sha256(whole).hexdigest()[:16]


def _whole(library: Path) -> bool:
    """Returns whether a library is there, with its own digest at its end: the system kills who loads half of one."""
    content = _read(library)
    if content is None:
        return False
    if _digest(content[:-16]).encode() == content[-16:]:
        return True
    _delete(library)
    return False


def _keep(content: bytes, library: Path) -> None:
    """Writes a library beside its digest. The first of several processes wins: what it made may be in use already."""
    temporary = _written(library, content + _digest(content).encode())
    try:
        os.link(temporary, library)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        temporary.replace(library)
    finally:
        temporary.unlink(missing_ok=True)


def _written(file: Path, content: bytes) -> Path:
    """Returns a new file, of a name that nobody can guess, that holds this and that only the user can read. Raises
    OSError.
    """
    for left in file.parent.glob(f".{file.name}.*.partial"):  # by a process that was killed
        with suppress(FileNotFoundError):
            if time.time() - left.lstat().st_mtime > _DAY:
                left.unlink()
    descriptor, name = tempfile.mkstemp(".partial", f".{file.name}.", file.parent)
    temporary = Path(name)
    try:
        with open(descriptor, "wb") as opened:
            os.fchmod(descriptor, 0o600)
            opened.write(content)
            opened.flush()
            os.fsync(descriptor)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _compile(sources: Path, folder: Path, key: str) -> bytes:
    """Returns the library's bytes. Raises CompilationError."""
    compiler = _compiler()
    failure = _failure(folder, key, compiler)
    _recall(failure)
    log("compiling kernels for this kind of processor (some seconds, once)")
    words = ""
    for again in (False, True):
        if again:
            log(f"note: the C++ compiler did not get to its end ({_last_line(words)}); it is called once more")
        with tempfile.TemporaryDirectory() as made:
            library = Path(made) / "library.so"
            command, code, words = _build([*compiler, *flags_of(sources)], sorted(sources.glob("*.cpp")), library)
            if code == 0 and library.exists():
                return library.read_bytes()
        if not _passes(code, words):
            _written(failure, f"{shlex.join(command)}\n{words}".encode()).replace(failure)
            raise CompilationError(_failed(failure))
        if code is None:
            break
    raise PassingCompilationError(f"the C++ compiler did not get to its end ({_last_line(words)})")


def _build(compiler: list[str], sources: list[Path], library: Path) -> tuple[list[str], int | None, str]:
    """Compiles files side by side, and makes a library of them.

    Args:
        compiler: with the flags of a whole library.
        sources: of it.
        library: what is made. Other files are left beside it.

    Returns:
        The command that failed, or else the last one; its exit code, None if it took too long; and what it said.
    """
    objects = [str(library.with_name(f"{source.stem}.o")) for source in sources]
    alone = [word for word in compiler if word != "-shared"]
    commands = [[*alone, "-c", str(source), "-o", made] for source, made in zip(sources, objects, strict=True)]
    link = [*compiler, *objects, "-o", str(library)]
    for together in (commands, [link]):
        for command, (code, words) in zip(together, _run(together), strict=True):
            if code != 0:
                return command, code, words
    return link, code, words


def _passes(code: int | None, words: str) -> bool:
    """Returns whether a compiler failed for a reason that can pass. ``code`` is None for one that took too long."""
    return code is None or code < 0 or code > 128 or any(sign in words.lower() for sign in _PASSING)


def _last_line(words: str) -> str:
    telling = [line for line in words.splitlines() if any(sign in line.lower() for sign in _PASSING)]
    return (telling or words.strip().splitlines() or ["no word"])[-1].strip()[:200]


def _failure(folder: Path, key: str, compiler: list[str]) -> Path:
    """Returns where it is written down that this compiler failed."""
    return folder / f"kernels-{_digest(key, *compiler, *_identity(compiler[0]))}.failed"


def _recall(failure: Path) -> None:
    """Raises CompilationError where it is not long ago."""
    with suppress(FileNotFoundError):
        words = _read(failure)
        if words is not None and time.time() - failure.stat().st_mtime < _DAY:
            # Older versions wrote down every failure.
            if _passes(1, words.decode(errors="replace")):
                failure.unlink()
            else:
                raise CompilationError(_failed(failure))


def _failed(failure: Path) -> str:
    return f"the C++ compiler failed; {failure} has its words (delete it to try again)"


def _compiler() -> list[str]:
    """Returns the command. Raises CompilationError where there is none."""
    command = _asked_compiler() or ["g++" if shutil.which("g++") else "c++"]
    if not shutil.which(command[0]):
        raise CompilationError(f"there is no C++ compiler ({os.environ.get('CXX') or 'g++'})")
    return command


def _asked_compiler() -> list[str]:
    """Returns the command of the environment's CXX; nothing without one. Raises CompilationError if it is none."""
    asked = os.environ.get("CXX", "")
    try:
        return shlex.split(asked)
    except ValueError as error:
        raise CompilationError(f"CXX={asked} is no command: {error}") from None


def _identity(program: str) -> tuple[str, str]:
    """Returns where a program lies and when it was installed: another version is another try."""
    path = Path(shutil.which(program) or program).resolve()
    return str(path), str(path.stat().st_mtime_ns)


def _run(commands: list[list[str]]) -> list[tuple[int | None, str]]:
    """Runs compilers, as many at once as there are cores. Returns the exit code of each, None if it took too long, and
    what it had to say, in English.
    """
    waiting, running = list(enumerate(commands)), dict[int, _Running]()
    ended: dict[int, tuple[int | None, str]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < cpu.usable():
                number, command = waiting.pop(0)
                running[number] = _Running(command)
            time.sleep(0.01)
            for number in [number for number, compiler in running.items() if compiler.over]:
                ended[number] = running[number].result()
                running.pop(number).end()
    finally:
        # Also where this one is interrupted.
        for compiler in running.values():
            compiler.end()
    return [ended[number] for number in range(len(commands))]


def _scratch() -> TextIO:
    """Returns a file without a name for what a compiler says: in memory, where the system has such files.

    Else a full temporary folder, of which compilers complain, would keep their complaint out.
    """
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("compiler"), "w+", errors="replace")
    return tempfile.TemporaryFile("w+", errors="replace")


class _Running:
    """A compiler at work."""

    def __init__(self, command: list[str]) -> None:
        self._said = _scratch()
        self._until = time.monotonic() + _PATIENCE
        environment = {**os.environ, "LC_ALL": "C"}
        self._process = subprocess.Popen(
            command, stdout=self._said, stderr=subprocess.STDOUT, process_group=0, env=environment, umask=0o077
        )

    @property
    def over(self) -> bool:
        return self._process.poll() is not None or time.monotonic() > self._until

    def result(self) -> tuple[int | None, str]:
        code = self._process.poll()
        if code is None:
            return None, f"took more than {_PATIENCE:g} s"
        self._said.seek(0)
        return code, self._said.read() or f"it ended with code {code}"

    def end(self) -> None:
        """Ends it, with the processes that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._said.close()
