"""Compiles C++ sources for this processor, once for all processes of a user, and loads what was compiled."""

import ctypes
import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

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


class CompilationError(Exception):
    """There is no compiler, or it failed, or its work cannot be kept; the text says which."""


def compiled(sources: Path) -> Path:
    """The shared library of all sources in a folder, compiled if it has not been yet.

    It is kept in the user's cache folder under a name that stands for the sources, the flags and the processor, so that
    machines of several kinds can share a home folder, and one without a compiler can use what an equal one compiled.
    What failed is not tried again by the same compiler for a day.

    Raises:
        CompilationError: see the class.
    """
    try:
        folder, key = _place(sources)
        folder.mkdir(parents=True, exist_ok=True)
        library = folder / f"kernels-{key}.so"
        if not _whole(library):
            _keep(_compile(sources, folder, key), library)
        return library
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder
        raise CompilationError(f"no compiled file can be kept: {error}") from None


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
        raise CompilationError(f"no compiled file can be kept: {error}") from None


def _place(sources: Path) -> tuple[Path, str]:
    """The folder of what is compiled, and what stands for these sources, the flags and the processor."""
    texts = [
        file.read_bytes()
        for part in (_CPP / "common", sources)
        for file in sorted(part.iterdir())
        if file.suffix in (".cpp", ".h")
    ]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "binary-nas"
    return folder, _digest(*texts, *_FLAGS[sources.name], cpu.kind())


def load(library: Path) -> ctypes.CDLL:
    """Loads what :func:`compiled` gave.

    Raises:
        CompilationError: the system does not take it.
    """
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise CompilationError(f"{library} cannot be loaded: {error}") from None


def _digest(*parts: bytes | str) -> str:
    whole = b"\0".join(part.encode() if isinstance(part, str) else part for part in parts)
    return hashlib.sha256(whole).hexdigest()[:16]


def _whole(library: Path) -> bool:
    """Whether a library is there, with its own digest at its end: the system kills who loads half of one."""
    try:
        content = library.read_bytes()
    except FileNotFoundError:
        return False
    return _digest(content[:-16]).encode() == content[-16:]


def _keep(content: bytes, library: Path) -> None:
    content += _digest(content).encode()
    temporary = library.with_name(f".{library.name}.{os.uname().nodename}.{os.getpid()}.partial")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if library.exists() and not _whole(library):
            library.unlink()
        try:
            # The first of several processes wins: what it made may be in use already.
            os.link(temporary, library)
        except FileExistsError:
            return
        except OSError:  # a file system without links
            temporary.replace(library)
    finally:
        temporary.unlink(missing_ok=True)


def _compile(sources: Path, folder: Path, key: str) -> bytes:
    """The library's bytes. Raises CompilationError."""
    compiler = _compiler()
    failure = _failure(folder, key, compiler)
    _recall(failure)
    log("compiling kernels for this kind of processor (some seconds, once)")
    with tempfile.TemporaryDirectory() as made:
        library = Path(made) / "library.so"
        files = [str(file) for file in sorted(sources.glob("*.cpp"))]
        command = [*compiler, *_FLAGS[sources.name], *files, "-o", str(library)]
        words = _run(command)
        if words is None and library.exists():
            return library.read_bytes()
    failure.write_text(f"{shlex.join(command)}\n{words}", encoding="utf-8")
    raise CompilationError(_failed(failure))


def _failure(folder: Path, key: str, compiler: list[str]) -> Path:
    """Where it is written down that this compiler failed."""
    return folder / f"kernels-{_digest(key, *compiler, *_identity(compiler[0]))}.failed"


def _recall(failure: Path) -> None:
    """Raises CompilationError where it is not long ago."""
    with suppress(FileNotFoundError):
        if time.time() - failure.stat().st_mtime < _DAY:
            raise CompilationError(_failed(failure))


def _failed(failure: Path) -> str:
    return f"the C++ compiler failed; {failure} has its words (delete it to try again)"


def _compiler() -> list[str]:
    """The command. Raises CompilationError where there is none."""
    asked = os.environ.get("CXX", "")
    try:
        command = shlex.split(asked)
    except ValueError as error:
        raise CompilationError(f"CXX={asked} is no command: {error}") from None
    command = command or ["g++" if shutil.which("g++") else "c++"]
    if not shutil.which(command[0]):
        raise CompilationError(f"there is no C++ compiler ({asked or 'g++'})")
    return command


def _identity(program: str) -> tuple[str, str]:
    """Where a program lies and when it was installed: another version is another try."""
    path = Path(shutil.which(program) or program).resolve()
    return str(path), str(path.stat().st_mtime_ns)


def _run(command: list[str]) -> str | None:
    """What a compiler has to say if it fails; None if it does not."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", process_group=0
    )
    try:
        words, _ = process.communicate(timeout=_PATIENCE)
        return words if process.returncode else None
    except subprocess.TimeoutExpired:
        return f"took more than {_PATIENCE:g} s"
    finally:
        # With the processes that it has started, also where this one is interrupted.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
