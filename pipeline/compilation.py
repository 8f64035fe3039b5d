"""Compiles a C++ source for this processor and loads it, once for all processes of a user."""

import ctypes
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from pipeline.hardware import describe_processor

_FLAGS = ("-std=gnu++20", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC")
_SECONDS = 120


class CompilationError(Exception):
    """There is no compiler, or it failed; the text says which."""


def load(source: Path) -> ctypes.CDLL:
    """The library of a source, compiled if it has not been yet.

    It is kept in the user's cache folder under a name that stands for the source, the flags and the processor, so that
    a home folder can be shared by machines of several kinds. What failed is not tried again.

    Raises:
        CompilationError: see the class; or the folder cannot be written, or the library cannot be loaded.
    """
    try:
        library = _folder() / f"{source.stem}-{_key(source)}.so"
        if not library.exists():
            _compile(source, library)
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder
        raise CompilationError(f"no compiled file can be kept: {error}") from None
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise CompilationError(f"{error} (delete it to compile it again)") from None


def _folder() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "binary-nas"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _key(source: Path) -> str:
    parts = [source.read_text(), *_FLAGS, *_compiler(), describe_processor()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _compiler() -> list[str]:
    """The command, empty where there is none."""
    asked = shlex.split(os.environ.get("CXX", ""))
    if asked:
        return asked
    return next(([name] for name in ("g++", "c++") if shutil.which(name)), [])


def _compile(source: Path, library: Path) -> None:
    compiler = _compiler()
    if not compiler:
        raise CompilationError("there is no C++ compiler (g++)")
    failure = library.with_suffix(".failed")
    if failure.exists():
        raise CompilationError(f"the C++ compiler failed; {failure} has its words (delete it to try again)")
    with tempfile.TemporaryDirectory(dir=library.parent, prefix=f".{library.stem}.") as folder:
        made = Path(folder) / library.name
        command = [*compiler, *_FLAGS, str(source), "-o", str(made)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_SECONDS)
            words = done.stderr if done.returncode or not made.exists() else None
        except subprocess.TimeoutExpired:
            raise CompilationError(f"the C++ compiler took more than {_SECONDS} s") from None
        if words is not None:
            made.write_text(f"{shlex.join(command)}\n{words}")
            made.replace(failure)
            raise CompilationError(f"the C++ compiler failed; {failure} has its words (delete it to try again)")
        made.replace(library)
