"""Every benchmark runs; what it says of so short a run means nothing."""

import subprocess
import sys

import pytest

from tests.support.workflow import ROOT

PROGRAMS = (
    "training",
    "ablation",
    "overhead",
    "products",
    "generation",
    "growth",
    "exactness",
    "ties",
    "seeds",
    "proxy",
    "search",
    "inference",
    "gpu --device cpu",
)


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_it_prints_its_table(program):
    words = [sys.executable, "-m", *f"benchmarks.{program} --quick".split()]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "| --- |" in done.stdout
