"""Where Python meets C++: one source of signatures, no crash whatever is given, nothing touched beside an array."""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.kernels import build, cpu, library
from pipeline.kernels.build import SOURCES, CompilationError
from pipeline.kernels.signatures import HEADER, signatures, statuses
from tests.support.fuzz_kernels import Arguments, Library
from tests.support.workflow import ROOT

CPP = SOURCES.parent
STRICT = ("-Wall", "-Wextra", "-Werror", "-Wno-psabi")  # psabi: no vector leaves its own translation unit


@pytest.fixture(scope="module")
def compiler() -> str:
    found = shutil.which("g++")
    if not found:
        pytest.skip("there is no g++")
    return found


def test_every_function_of_the_sources_is_declared_once(compiler, tmp_path):
    try:
        path = build.compiled(SOURCES)
    except CompilationError as error:
        pytest.skip(str(error))
    names = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True, check=True).stdout
    exported = {line.split()[-1] for line in names.splitlines() if " T " in line}
    assert {name for name in exported if not name.startswith("_")} == set(signatures())
    assert len(signatures()) == 17
    assert [p.name for p in signatures()["pass_float32"]] == ["gradient", "x", "rows", "channels", "out", "threads"]
    assert [p.type for p in signatures()["crop_images"]][:3] == [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]


def test_a_definition_that_differs_from_its_declaration_does_not_compile(compiler, tmp_path):
    copy = tmp_path / "cpp"
    shutil.copytree(CPP, copy)
    header = copy / "training" / HEADER.name
    header.write_text(header.read_text().replace("std::int64_t padding", "int padding"))
    command = [compiler, *build.flags_of(SOURCES), "-fsyntax-only", str(copy / "training" / "crop.cpp")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode
    assert "conflicting declaration" in done.stderr


def test_a_type_that_python_does_not_know_is_refused(monkeypatch, tmp_path):
    header = tmp_path / "kernels.h"
    header.write_text(HEADER.read_text().replace("double momentum", "long double momentum"))
    monkeypatch.setattr("pipeline.kernels.signatures.HEADER", header)
    signatures.cache_clear()
    try:
        with pytest.raises(ValueError, match="type 'long double' of momentum is not known"):
            signatures()
    finally:
        signatures.cache_clear()


@pytest.mark.parametrize("source", sorted(SOURCES.glob("*.cpp")), ids=lambda path: path.name)
def test_there_are_no_warnings(compiler, source, tmp_path):
    flags = [flag for flag in build.flags_of(SOURCES) if flag not in ("-shared", "-O3")]
    if "avx512f" in cpu.features():
        # In GCC 12's own headers of it what is undefined on purpose is said to be used (its bug 105593).
        flags += ["-Wno-uninitialized", "-Wno-maybe-uninitialized"]
    command = [compiler, *STRICT, *flags, "-O1", "-c", str(source), "-o", str(tmp_path / "out.o")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_is_wrong_is_an_error_in_python():
    try:
        library.load()
    except CompilationError as error:
        pytest.skip(str(error))
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(ValueError, match="binarise_float32: no array"):
        library.call("binarise_float32", None, 2, 3, None, None)
    with pytest.raises(ValueError, match="binarise_float32: bad size"):
        library.call("binarise_float32", x.ctypes.data, -2, 3, None, None)
    with pytest.raises(MemoryError):
        library.call(
            "winograd_forward_float32",
            x.ctypes.data,
            1,
            1,
            1,
            2**27,
            2**27,
            x.ctypes.data,
            x.ctypes.data,
            x.ctypes.data,
        )
    assert set(statuses().values()) == {"DONE", *library._ERRORS}


def test_nothing_is_read_or_written_beside_an_array(compiler, tmp_path):
    """Under the address and the undefined-behaviour sanitizer, which end a program at the first mistake."""
    runtime = subprocess.run([compiler, "-print-file-name=libasan.so"], capture_output=True, text=True).stdout.strip()
    if not Path(runtime).is_absolute():
        pytest.skip("g++ has no address sanitizer")
    sanitizing = tmp_path / "compiler"
    # Without the sanitizer in the compiler itself, and with less optimisation, which would take minutes.
    flags = "-g -fsanitize=address,undefined -fno-sanitize-recover=all"
    sanitizing.write_text(f'#!/bin/bash\nunset LD_PRELOAD\nexec {compiler} "${{@/-O3/-O1}}" {flags}\n')
    sanitizing.chmod(0o755)
    environment = {
        **os.environ,
        "CXX": str(sanitizing),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "LD_PRELOAD": runtime,
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        "OMP_NUM_THREADS": "2",
    }
    words = [sys.executable, "-m", "tests.support.fuzz_kernels", str(SOURCES), "0", "12"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[0]) > 300
    # The sanitizer is there: the same program, told of an array that is one element too short, does not survive it.
    program = (
        "import sys; from pathlib import Path; from random import Random; from tests.support.fuzz_kernels import *\n"
        "values = Arguments(Random(0)).of('pass_float32')\n"
        "values['out'] = np.empty(values['rows'] * values['channels'] - 1, np.float32)\n"
        "print(Library(Path(sys.argv[1]))('pass_float32', **values))"
    )
    words = [sys.executable, "-c", program, str(SOURCES)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode
    assert "heap-buffer-overflow" in done.stderr


def test_random_calls_give_what_they_promise(compiler):
    try:
        kernels = Library(SOURCES)
    except CompilationError as error:
        pytest.skip(str(error))
    from random import Random

    for seed in range(20):
        values = Arguments(Random(seed)).of("binarise_weight_float32")
        assert kernels("binarise_weight_float32", **values) == "DONE"
        finite = np.abs(values["weight"].astype(np.float64))
        if np.isfinite(finite).all():
            assert float(values["mean"]) == pytest.approx(finite.mean(), rel=1e-6)
