"""Folders, homes and locales that break programs: the workflow runs in them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.workflow import ROOT, TINY, overlay

SUBSET = "results/tiny/splits/subset.csv"
#: A folder's name with what shells, formats, flags and encodings trip over.
NASTY = os.fsdecode(b"-d ~{braces} 'n\xef\xe9")
#: Neither UTF-8 nor told by Python's own coercion.
LOCALE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}


def run(*words: object, at: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line as a user calls it who has not installed it."""
    known = {name: value for name, value in os.environ.items() if name != "PYTHONUTF8"}
    command = [sys.executable, "-m", "pipeline", *map(os.fspath, words)]
    return subprocess.run(
        command,
        cwd=at,
        env={**known, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        errors="replace",
    )


@pytest.fixture
def nasty(tmp_path: Path) -> Path:
    """The folder, with files that Python would take for modules of its library."""
    folder = tmp_path / NASTY
    folder.mkdir()
    for name in ("random", "secrets", "tempfile", "statistics", "argparse", "yaml"):
        (folder / f"{name}.py").write_text("raise SystemExit('a file of the working folder was imported')\n")
    return folder


@pytest.mark.slow
def test_a_nasty_folder_without_a_home_or_a_locale(nasty):
    home = {"HOME": "/proc/no-home", "XDG_CACHE_HOME": "/proc/no-home"}
    done = run("run", TINY, "--cores", "1", SUBSET, at=nasty, **LOCALE, **home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (nasty / SUBSET).exists()
    assert "caches lie in .snakemake/cache instead" in done.stderr
    done = run("status", at=nasty, **LOCALE)
    assert done.returncode == 0 and "tiny" in done.stdout, done.stderr


@pytest.mark.slow
def test_relative_paths_with_a_directory(nasty, tmp_path):
    """The configuration is where the command is called, and a folder of images where it works."""
    images = nasty / "{my} images"
    for name in ("~cat", "-dog\n", "=1+1"):
        (images / name).mkdir(parents=True)
        for number in range(3):
            (images / name / f"{number}.pgm").write_bytes(b"P5 8 8 255\n" + bytes(range(number, 64 + number)))
    split = {"subset_per_class": 1, "validation_per_class": 1}
    overlay(tmp_path, {"dataset": {"name": "image_folder", "path": "{my} images"}, "split": split})
    done = run("run", "overlay.yaml", "--cores", "1", SUBSET, "--directory", nasty, at=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (nasty / SUBSET).exists() and not (tmp_path / "results").exists()
    done = run("run", "overlay.yaml", "--directory=" + str(nasty), "-n", "--quiet", "rules", at=tmp_path, **LOCALE)
    assert done.returncode == 0 and "retrain" in done.stdout + done.stderr, done.stderr


def test_no_module_comes_from_the_working_folder(nasty):
    done = run("cost", at=nasty)
    assert done.returncode == 0, done.stderr
    assert "total" in done.stdout
