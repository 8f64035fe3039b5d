"""benchmarks/candidates.py: it scores rows as a search scores candidates, and says how scores agree with trainings."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.candidates import agreement
from pipeline.networks.spec import NetworkSpec
from pipeline.report.rows import Measurement
from tests.support.workflow import ROOT

WORDS = ("--supernet-images", "200", "--validation", "10", "--repeats", "2")


def called(experiment: Path, output: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.candidates", experiment, "--output", output, *WORDS, *words]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=ROOT)


@pytest.mark.slow
def test_the_experiments_own_way_gives_the_searchs_own_scores(finished, tmp_path):
    experiment = finished / "results" / "tiny"
    done = called(experiment, tmp_path, "--ways", "10x1", "20x1")
    assert done.returncode == 0, done.stderr
    head, _, trained, own, other = [line.split(" | ") for line in done.stdout.splitlines()]
    assert "full-precision" not in done.stdout and trained[0] == "| trained in full"
    assert own[:2] == ["| 10 × 1", "100"] and other[:2] == ["| 20 × 1", "200"]
    searched = pd.concat(map(pd.read_csv, sorted(experiment.glob("search/*/generation_*/evaluations_*.csv"))))
    expected = searched.drop_duplicates("genome").set_index("genome")["loss"]
    first, second = (pd.read_csv(tmp_path / f"10x1-{number}.csv").set_index("genome") for number in (0, 1))
    common = sorted(set(expected.index) & set(first.index))
    assert common and [first["loss"][genome] for genome in common] == [expected[genome] for genome in common]
    assert list(first["loss"]) != list(second["loss"]), "from another seed"
    row = head.index("uniform-1x")
    assert trained[row].startswith("1,1,1,1,1,1: ")
    assert own[row].startswith(f"{(first['top1']['1,1,1,1,1,1'] + second['top1']['1,1,1,1,1,1']) / 2:.2f} ± ")
    kept = {file: file.stat().st_mtime_ns for file in tmp_path.glob("supernet-*.h5")}
    assert len(kept) == 2
    resumed = called(experiment, tmp_path, "--ways", "10x1")
    assert resumed.returncode == 0 and "0 to train" in resumed.stderr
    assert {file: file.stat().st_mtime_ns for file in kept} == kept


@pytest.mark.slow
def test_ways_and_rows_that_are_none_are_refused(finished, tmp_path):
    experiment = finished / "results" / "tiny"
    assert "'10' is not IMAGESxEPOCHS" in called(experiment, tmp_path, "--ways", "10").stderr
    assert "two are the least" in called(experiment, tmp_path, "--ways", "10x1", "--rows", "uniform-1x").stderr
    assert "there is no experiment" in called(tmp_path / "none", tmp_path, "--ways", "10x1").stderr


def test_agreement_is_judged_by_pairs_that_trainings_tell_apart():
    tops = {"high": (80.0, 80.2), "near it": (80.0, 80.1), "low": (60.0, 60.1)}
    rows = {row: [_measured(row, seed, top1) for seed, top1 in enumerate(each)] for row, each in tops.items()}
    taus, right, pairs = agreement(rows, [[3, 2, 1], [3, 1, 2], [1, 2, 3]])
    assert (right, pairs) == (2 + 1 + 0, 2 * 3), "two pairs are told apart, and scored three times"
    assert taus == pytest.approx([1, 1 / 3, -1])


def _measured(row: str, seed: int, top1: float) -> Measurement:
    right = np.arange(1000) < 10 * top1
    return Measurement(row, seed, top1, None, NetworkSpec("vgg_small", (1.0,) * 6), right, 1000)
