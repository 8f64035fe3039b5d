"""A process finds its own modules whatever lies around; leaving it quickly loses nothing."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from pipeline.common.startup import import_from_the_library_first
from tests.support.workflow import ROOT

PROGRAM = """
import atexit, sys
from pipeline.common.processes import leave
atexit.register(lambda: print("handler"))
print("output")
print("complaint", file=sys.stderr)
try:
    leave(3)
finally:
    print("not reached")
"""


@pytest.mark.parametrize(
    ("named", "end"),
    [
        ([], [str(ROOT)]),
        (["{here}"], [str(ROOT), "{here}"]),  # plug-ins lie there
        ([".", str(ROOT)], [str(ROOT), "{here}"]),
        (["elsewhere"], [str(ROOT)]),
    ],
)
def test_the_working_folder_comes_last_and_only_if_it_is_named(named, end, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(place.format(here=tmp_path) for place in named))
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), str(ROOT), "/library"])
    import_from_the_library_first()
    assert sys.path == ["/library", *(place.format(here=tmp_path) for place in end)]


def test_what_was_printed_and_what_was_to_be_done_at_the_end_is_not_lost():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (3, "output\nhandler\n", "complaint\n")


@pytest.mark.parametrize("at_work", [True, False])
def test_a_step_ends_with_its_code_at_work_and_by_hand(at_work):
    environment = {**os.environ, "BINARY_NAS_WORKFLOW_PID": str(os.getpid()) if at_work else ""}
    words = [sys.executable, "-m", "pipeline", "cost", "--network", "vgg_small", "--genome"]
    for genome, code in (("1,1,1,1,1,1", 0), ("1,1", 1)):
        done = subprocess.run([*words, genome], capture_output=True, text=True, cwd=ROOT, env=environment)
        assert done.returncode == code
        assert "13.19" in done.stdout if code == 0 else done.stderr.startswith("error: ")


@pytest.mark.parametrize(("output", "code"), [(">&-", 0), ("> /dev/full", 120)])
def test_output_that_cannot_be_written_is_no_trace(output, code):
    program = "from pipeline.common.processes import leave; import sys; sys.stdout and print(1); leave(0)"
    shell = f"{sys.executable} -c '{program}' {output}"
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}  # what is printed waits to be flushed
    done = subprocess.run(shell, shell=True, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_that_output_goes_to_is_said_in_a_sentence(unbuffered):
    shell = f"{sys.executable} -m pipeline cost --network vgg_small --genome 1,1,1,1,1,1 > /dev/full"
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(shell, shell=True, capture_output=True, text=True, cwd=ROOT, env=environment)
    sentence = "error: the output cannot be written (No space left on device): make room and call it again\n"
    assert (done.returncode, done.stderr) == (1, sentence)


def test_whoever_reads_no_further_sees_no_trace():
    """As head does, which has ended before the table is written."""
    shell = f"{sys.executable} -m pipeline cost --network vgg_small --genome 1,1,1,1,1,1 | true"
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run(shell, shell=True, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.stderr == ""


def test_a_python_without_the_packages_is_told_so(tmp_path):
    """Such as the system's own, after make run has installed them in .venv."""
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for words in ([], ["run"], ["plan"]):
        command = [bare / "bin" / "python", "-m", "pipeline", *words]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 1
        assert re.fullmatch(r"error: there is no package '\w+' for .*: .* \(\. \.venv/bin/activate\)\n", done.stderr)


def test_a_compiled_module_that_a_full_disk_cut_off(tmp_path):
    package = shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = kept | {"PYTHONPATH": str(tmp_path), "COLUMNS": "400"}

    def cost() -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "pipeline", "cost", "--network", "vgg_small"]
        return subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)

    whole = cost()
    assert whole.returncode == 0, whole.stderr
    (compiled,) = package.glob("networks/__pycache__/cost.*.pyc")
    compiled.write_bytes(compiled.read_bytes()[:1000])
    cut = cost()
    sentence = f"error: what Python compiled of a module was cut off: delete all folders __pycache__ in {package}"
    assert (cut.returncode, " ".join(cut.stderr.split())) == (1, sentence)
    compiled.unlink()
    assert cost().stdout == whole.stdout
