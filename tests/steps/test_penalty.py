"""λ and the seed on their way from a step's flags to what it writes."""

import csv
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.common.files import write_csv
from pipeline.common.hdf5 import read_attributes, read_tensors
from pipeline.search.tables import SCORES, TIMINGS, read_best
from tests.support.steps import call, retrain, supernet

CHEAP, DEAR = "0.25,0.25,0.25,0.25,0.25,0.25", "4,4,4,4,4,4"


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    """Prepared digits, and a scored generation: λ = 4 prefers its cheap genome, λ = 0 its accurate one."""
    for name in ("train.h5", "subset.csv", "validation.csv"):
        (tmp_path / name).symlink_to(prepared / name)
    rows = [
        {**dict.fromkeys(SCORES, ""), "slot": slot, "genome": genome, "origin": "random", "status": "ok"}
        | {"top1": top1, "relative_flops": relative, "fitness": 1}
        for slot, (genome, top1, relative) in enumerate([(CHEAP, 80.0, 0.1), (DEAR, 90.0, 14.0)])
    ]
    write_csv(tmp_path / "scores.csv", SCORES, rows)
    times = ({"slot": slot, "genome": g, "seconds": 1, "reused": 0, "shard": 0} for slot, g in enumerate((CHEAP, DEAR)))
    write_csv(tmp_path / "timings.csv", TIMINGS, ({**time, "machine": "EPYC"} for time in times))
    return tmp_path


@pytest.mark.parametrize(("penalty", "parent"), [(4, CHEAP), (0, DEAR)])
def test_the_step_that_proposes_takes_it(folder, penalty, parent):
    words = ["--generation", 1, "--population", 5, "--parents", 1, "--mutation-rate", 0, "--output", folder / "p.csv"]
    assert call("propose-generation", *words, "--earlier", folder / "scores.csv", "--lambda", penalty, at=folder) == 0
    with open(folder / "p.csv") as lines:
        genomes = [row["genome"] for row in csv.DictReader(lines)]
    differing = [sum(a != b for a, b in zip(g.split(","), parent.split(","), strict=True)) for g in genomes]
    assert differing == [1] * 5


@pytest.mark.parametrize(("penalty", "found", "fitness"), [(4, CHEAP, 79.6), (0, DEAR, 90.0)])
def test_the_step_that_selects_takes_it(folder, penalty, found, fitness):
    words = ["select-best", "--search", "A", "--scores", folder / "scores.csv", "--timings", folder / "timings.csv"]
    words += ["--lambda", penalty, "--output", folder / "best.json", "--history", folder / "h.csv"]
    assert main([*map(str, words), "--timing", f"{folder}/t.csv"]) == 0
    best = read_best(folder / "best.json")
    assert (best.genome, best.fitness) == (tuple(map(float, found.split(","))), fitness)


def first_weights(path: Path):
    """A tensor of a network that was trained by steps too small to be seen."""
    return read_tensors(path, None)["conv2.weight"]


def test_every_repetition_and_every_seed_starts_from_weights_of_its_own(folder):
    starts = []
    for number, words in enumerate([(0, 0), (0, 1), (1, 0), (0, 0)]):
        at = folder / f"w{number}.h5"
        seed, repetition = words
        more = ["--genome", "1,1,1,1,1,1", "--seed", seed, "--repetition", repetition, "--learning-rate", "1e-30"]
        assert retrain(folder, *more, "--batch-size", 500, "--weights", at) == 0
        starts.append(first_weights(at))
    same = [[bool((a == b).all()) for b in starts] for a in starts]
    assert same == [[i == j or {i, j} == {0, 3} for j in range(4)] for i in range(4)]


def test_the_supernet_is_as_wide_as_asked_for(folder):
    assert supernet(folder, "--ratio", "3", "--batch-size", "50") == 0
    assert read_attributes(folder / "supernet.h5")["network"]["genome"] == [3.0] * 6
    assert first_weights(folder / "supernet.h5").shape[0] == 3 * 128 // 16
