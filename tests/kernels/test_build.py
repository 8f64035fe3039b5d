"""What is compiled, kept and loaded: only what nobody but the user can have written."""

import ctypes
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pipeline.kernels import build
from pipeline.kernels.build import CompilationError, PassingCompilationError

ANSWER = 'extern "C" int answer() { return 42; }\n'


@pytest.fixture
def sources(tmp_path, monkeypatch) -> Path:
    """A small library's sources, and a cache folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "training"
    folder.mkdir()
    (folder / "answer.cpp").write_text(ANSWER)
    try:
        build._compiler()
    except CompilationError as error:
        pytest.skip(str(error))
    return folder


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache" / "binary-nas"


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o777


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o777])
def test_folder_and_file_are_the_users_alone_whatever_the_umask(sources, cache, umask):
    before = os.umask(umask)
    try:
        library = build.compiled(sources)
    finally:
        os.umask(before)
    assert (mode(cache.parent), mode(cache), mode(library)) == (0o700, 0o700, 0o600)
    assert build.load(library).answer() == 42


def test_a_folder_of_an_older_version_is_closed(sources, cache):
    cache.mkdir(parents=True)
    cache.chmod(0o775)
    assert build.load(build.compiled(sources)).answer() == 42
    assert mode(cache) == 0o700


def test_a_folder_that_is_a_link_is_not_followed(sources, cache, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    cache.parent.mkdir()
    cache.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CompilationError, match="is a link"):
        build.compiled(sources)
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file another user's")
def test_a_folder_or_file_of_another_user_is_not_taken(sources, cache):
    library = build.compiled(sources)
    os.chown(library, 12345, -1)
    with pytest.raises(CompilationError, match="others could have written it"):
        build.load(library)
    assert not library.exists()
    assert build.load(build.compiled(sources)).answer() == 42
    os.chown(cache, 12345, -1)
    with pytest.raises(CompilationError, match="belongs to another user"):
        build.compiled(sources)


@pytest.mark.parametrize("plant", ["link", "writable", "socket", "folder"])
def test_what_others_could_have_planted_is_deleted_and_compiled_anew(sources, cache, tmp_path, plant):
    library = build.compiled(sources)
    good = library.read_bytes()
    target = tmp_path / "target.so"
    library.rename(target)
    if plant == "link":
        library.symlink_to(target)
    elif plant == "writable":
        library.write_bytes(good)
        library.chmod(0o660)
    elif plant == "socket":
        with socket.socket(socket.AF_UNIX) as planted:
            here = Path.cwd()
            os.chdir(cache)  # a socket's path is short
            planted.bind(library.name)
            os.chdir(here)
    else:
        library.mkdir()
        (library / "file").touch()
    with pytest.raises(CompilationError, match="others could have written it"):
        build.load(library)
    assert not library.exists()
    again = build.compiled(sources)
    assert not again.is_symlink()
    assert mode(again) == 0o600
    assert target.read_bytes() == good, "what a link names stays"


def test_what_other_flags_compiled_is_not_taken(sources, cache, monkeypatch):
    """CXX="g++ -ffast-math" would otherwise compute for everybody who comes later."""
    plain = build.compiled(sources)
    compiler = build._compiler()[0]
    monkeypatch.setenv("CXX", compiler)
    assert build.compiled(sources) == plain
    monkeypatch.setenv("CXX", f"{compiler} -DOTHER")
    assert build.compiled(sources) != plain
    monkeypatch.setenv("CXX", '"')
    with pytest.raises(CompilationError, match="is no command"):
        build.compiled(sources)


def test_a_planted_link_at_a_failures_name_is_not_written_through(sources, cache, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(CompilationError):
        build.compiled(sources)
    [failure] = cache.glob("*.failed")
    assert mode(failure) == 0o600
    failure.unlink()
    victim = tmp_path / "victim"
    victim.write_text("mine")
    failure.symlink_to(victim)
    with pytest.raises(CompilationError):
        build.compiled(sources)
    assert victim.read_text() == "mine"
    assert not failure.is_symlink()


def test_a_library_without_the_functions_is_compiled_again(sources, cache):
    library = build.compiled(sources)
    (sources / "answer.cpp").write_text(ANSWER.replace("answer", "question"))
    build.compiled(sources).replace(library)
    (sources / "answer.cpp").write_text(ANSWER)
    assert build.open_library(sources, ["answer"]).answer() == 42
    with pytest.raises(CompilationError, match="has no function question"):
        build.open_library(sources, ["question"])
    assert not library.exists()


def test_files_are_compiled_side_by_side_and_linked(sources, cache, tmp_path, monkeypatch):
    (sources / "caller.cpp").write_text('extern "C" int answer(); extern "C" int twice() { return 2 * answer(); }')
    monkeypatch.setattr("pipeline.kernels.cpu.usable", lambda: 2)
    compiler, calls = build._compiler()[0], tmp_path / "calls"
    program = tmp_path / "compiler"
    # Each waits for the other, so that one after the other they would never end.
    program.write_text(
        f"""#!/bin/sh
        case " $* " in
        *" -c "*) touch {tmp_path}/begun-$$; until [ $(ls {tmp_path} | grep -c begun-) = 2 ]; do sleep 0.01; done;;
        esac
        echo "$*" >> {calls}
        exec {compiler} "$@"
        """
    )
    program.chmod(0o755)
    monkeypatch.setenv("CXX", str(program))
    assert build.load(build.compiled(sources)).twice() == 84
    last = calls.read_text().splitlines()[-1].split()
    assert len(calls.read_text().splitlines()) == 3
    assert "-shared" in last and [Path(word).name for word in last if word.endswith(".o")] == ["answer.o", "caller.o"]


def test_the_file_that_fails_is_told(sources, cache):
    (sources / "broken.cpp").write_text("no C++")
    with pytest.raises(CompilationError, match="has its words"):
        build.compiled(sources)
    [failure] = cache.glob("*.failed")
    command, words = failure.read_text().split("\n", 1)
    assert "broken.cpp" in command and "answer.cpp" not in command and "error" in words


def test_an_interrupt_ends_every_compiler(sources, tmp_path, monkeypatch):
    (sources / "other.cpp").write_text("")
    program = tmp_path / "compiler"
    program.write_text(f"#!/bin/sh\necho $$ >> {tmp_path}/begun\nsleep 600\n")
    program.chmod(0o755)
    monkeypatch.setenv("CXX", str(program))
    monkeypatch.setattr("pipeline.kernels.cpu.usable", lambda: 2)
    begun = tmp_path / "begun"

    def interrupted(_: float) -> None:
        if begun.exists() and len(begun.read_text().split()) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build.compiled(sources)
    assert not any(Path(f"/proc/{number}").exists() for number in begun.read_text().split())


def test_two_libraries_at_once_are_two(sources, tmp_path):
    """The system takes libraries of one name for the same."""
    other = tmp_path / "others" / "training"
    other.mkdir(parents=True)
    (other / "answer.cpp").write_text(ANSWER.replace("42", "43"))
    first, second = (build.open_library(folder, ["answer"]) for folder in (sources, other))
    assert (first.answer(), second.answer()) == (42, 43)
    assert isinstance(first, ctypes.CDLL)


@pytest.mark.parametrize(
    "script",
    [
        "kill -KILL $$",
        "kill -TERM $$",
        "exit 137",
        "echo 'g++: fatal error: Killed signal terminated program cc1plus'; exit 1",
        "echo 'g++: fatal error: Terminated signal terminated program cc1plus'; exit 1",
        "echo 'g++: internal compiler error: File size limit exceeded signal terminated program as'; exit 4",
        "echo 'collect2: fatal error: ld terminated with signal 7 [Bus error]'; exit 1",
        "echo '/tmp/x.s: fatal error: error writing to /tmp/x.s: No space left on device'; exit 1",
        "echo 'cc1plus: out of memory allocating 65536 bytes'; exit 1",
        "echo 'clang: error: clang frontend command failed due to signal'; exit 1",
    ],
)
def test_a_failure_that_can_pass_is_not_remembered(sources, cache, tmp_path, monkeypatch, script):
    program = tmp_path / "compiler"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("CXX", str(program))
    with pytest.raises(PassingCompilationError):
        build.compiled(sources)
    assert not list(cache.iterdir())
    build.check(sources)  # it may be tried
    monkeypatch.delenv("CXX")
    assert build.load(build.compiled(sources)).answer() == 42


def test_a_full_temporary_folder_can_pass(sources, cache, tmp_path, monkeypatch):
    """A compiler says so, which has to be heard though nothing can be written there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        monkeypatch.setenv("TMPDIR", str(folder))
        with pytest.raises(PassingCompilationError, match="No space left"):
            build.compiled(sources)
        assert not list(cache.iterdir())
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk_can_pass(sources, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PassingCompilationError, match="No space left"):
        build.compiled(sources)


def test_a_mark_that_an_older_version_left_for_a_killed_compiler_is_not_believed(sources, cache, monkeypatch):
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(CompilationError):
        build.compiled(sources)
    [failure] = cache.glob("*.failed")
    failure.write_text("g++ ...\ng++: fatal error: Killed signal terminated program cc1plus")
    build.check(sources)
    assert not failure.exists()


def test_names_cannot_be_guessed_and_what_was_left_is_cleared(sources, cache, monkeypatch):
    names: list[str] = []
    monkeypatch.setattr(os, "link", lambda made, name: names.append(Path(made).name) or Path(made).rename(name))
    library = build.compiled(sources)
    left = library.with_name(f".{library.name}.abc.partial")
    left.touch()
    os.utime(left, (0, 0))
    library.unlink()
    build.compiled(sources)
    assert names[0] != names[1]
    assert str(os.getpid()) not in names[0].split(".")
    assert not left.exists()


def test_it_is_loaded_by_the_file_that_was_checked(sources, cache, tmp_path):
    """In a process of its own, whose name for the file is changed between check and load."""
    program = (
        "import sys, ctypes; from pathlib import Path; from pipeline.kernels import build\n"
        "library = build.compiled(Path(sys.argv[1])); real = ctypes.CDLL\n"
        "def late(name):\n"
        "    library.unlink(); library.write_bytes(b'planted')\n"
        "    return real(name)\n"
        "build.ctypes.CDLL = late\n"
        "print(build.load(library).answer())\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(sources)], capture_output=True, text=True)
    assert done.stdout == "42\n", done.stderr


@pytest.mark.parametrize("name", ["cache", "cache/binary-nas"])
def test_a_cache_folder_that_is_a_file_keeps_nothing_and_is_left_alone(sources, tmp_path, name):
    """Told in a sentence, upon which torch's own operators are taken."""
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    for ask in build.compiled, build.check, lambda folder: build.open_library(folder, ["answer"]):
        with pytest.raises(CompilationError, match=r"no compiled file can be kept: .*Not a directory") as caught:
            ask(sources)
        assert not isinstance(caught.value, PassingCompilationError)
    assert file.read_text() == "mine"
