"""benchmarks/candidates.py: it scores rows as a search scores candidates, and says how scores agree with trainings."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks.candidates import Measured, Sampled, agreement
from benchmarks.judges import synflow
from pipeline.networks.module import Network, initialise
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
    head, _, trained, own, other, untrained = [line.split(" | ") for line in done.stdout.splitlines()]
    assert "full-precision" not in done.stdout and trained[0] == "| trained in full"
    assert own[:2] == ["| 10 × 1", "100"] and other[:2] == ["| 20 × 1", "200"]
    assert untrained[:2] == ["| SynFlow, untrained", "0"]
    made = [Network(NetworkSpec("vgg_small", (1.0,) * 6, base_width=0.03125, channels=1, size=8)) for _ in range(2)]
    for seed, network in enumerate(made):
        initialise(network, torch.Generator().manual_seed(seed))
    expected = np.mean([synflow(network.train()) for network in made])
    assert untrained[head.index("uniform-1x")].startswith(f"{expected:.2f} ± ")
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
    two = called(experiment, tmp_path, "--ways", "10x1", "--supernets", "2")
    again, from_other = (pd.read_csv(tmp_path / f"10x1-{number}.csv").set_index("genome") for number in (0, 1))
    assert two.returncode == 0 and len(list(tmp_path.glob("supernet-10-*-1.h5"))) == 1
    assert list(again["loss"]) == list(first["loss"]) and list(from_other["loss"]) != list(second["loss"])
    next(tmp_path.glob("supernet-10-*-1.h5")).unlink()
    other = called(experiment, tmp_path, "--ways", "10x1", "--validation", "5", "--supernet-images", "100")
    assert other.returncode == 0 and "0 to train" not in other.stderr, "nothing is taken from other settings"
    assert len(list(tmp_path.glob("supernet-10-*.h5"))) == len(list(tmp_path.glob("validation-10-*.csv"))) == 2


@pytest.mark.slow
def test_ways_and_rows_that_are_none_are_refused(finished, tmp_path):
    experiment = finished / "results" / "tiny"
    assert "'10' is not IMAGESxEPOCHS" in called(experiment, tmp_path, "--ways", "10").stderr
    assert "two are the least" in called(experiment, tmp_path, "--ways", "10x1", "--rows", "uniform-1x").stderr
    assert "error: 3 supernets" in called(experiment, tmp_path, "--ways", "10x1", "--supernets", "3").stderr
    assert "there is no experiment" in called(tmp_path / "none", tmp_path, "--ways", "10x1").stderr


@pytest.mark.slow
def test_random_genomes_are_scored_as_the_proxy_scores_them(finished, tmp_path):
    experiment = finished / "results" / "tiny"
    done = called(experiment, tmp_path, "--sample", "--ways", "10x1", "20x1")
    assert done.returncode == 0, done.stderr
    head, _, cost, own, other, _ = [line.split(" | ") for line in done.stdout.splitlines()]
    assert cost[0] == "| cost alone" and own[:2] == ["| 10 × 1", "100"] and other[:2] == ["| 20 × 1", "200"]
    sample = pd.read_csv(experiment / "proxy" / "population.csv")
    scored = pd.read_csv(tmp_path / "20x1-0.csv")
    assert list(scored["genome"]) == list(sample["genome"])
    assert own[head.index("mean score")] == f"{_means(tmp_path, '10x1'):.1f}"


def _means(folder: Path, way: str) -> float:
    return float(np.mean([pd.read_csv(folder / f"{way}-{number}.csv")["top1"].mean() for number in (0, 1)]))


def test_a_way_that_ranks_genomes_better_stands_above_the_first_one():
    random = np.random.default_rng(0)
    truth, costs = random.normal(50, 5, 60), random.normal(1, 0.1, 60)
    networks = Sampled([(float(number),) for number in range(60)], costs.tolist(), truth.tolist())
    rough, fine = (truth + random.normal(0, noise, (2, 60)) for noise in (20, 1))
    measured = [Measured("1 × 1", 10, 1.0, rough), Measured("2 × 1", 20, 2.0, fine)]
    head, _, cost, one, other = [line.strip("| ").split(" | ") for line in networks.table(measured).splitlines()]
    taus = {line[0]: float(line[head.index("tau")].split()[0].replace("−", "-")) for line in (cost, one, other)}
    assert abs(taus["cost alone"]) < 0.25 < 0.8 < taus["2 × 1"] < 1 and taus["1 × 1"] < 0.5
    value, low, high = map(float, other[-1].replace("(", "").replace(")", "").replace("to ", "").split())
    assert low > 0.2 and low < value < high and value == pytest.approx(taus["2 × 1"] - taus["1 × 1"], abs=0.011)
    partial = float(other[head.index("tau given cost")].split()[0])
    assert partial == pytest.approx(taus["2 × 1"], abs=0.05), "these costs say nothing of accuracy"


def test_agreement_is_judged_by_pairs_that_trainings_tell_apart():
    tops = {"high": (80.0, 80.2), "near it": (80.0, 80.1), "low": (60.0, 60.1)}
    rows = {row: [_measured(row, seed, top1) for seed, top1 in enumerate(each)] for row, each in tops.items()}
    taus, right, pairs = agreement(rows, [[3, 2, 1], [3, 1, 2], [1, 2, 3]])
    assert (right, pairs) == (2 + 1 + 0, 2 * 3), "two pairs are told apart, and scored three times"
    assert taus == pytest.approx([1, 1 / 3, -1])


def _measured(row: str, seed: int, top1: float) -> Measurement:
    right = np.arange(1000) < 10 * top1
    return Measurement(row, seed, top1, None, NetworkSpec("vgg_small", (1.0,) * 6), right, 1000)
