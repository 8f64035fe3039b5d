"""Candidates an hour of a whole generation, and where its time goes.

    python -m benchmarks.generation
    python -m benchmarks.generation --quick

Runs the workflow's own step evaluate-generation on one proposed generation, in fresh processes and with an empty
archive, for several workers × threads × shards (shards run at the same time, as Snakemake would run them), on the
embedded digits and on random images of CIFAR-10's shape. A worker's seconds are divided into the start of its process
and imports, reading images, building the network and inheriting its weights, training, scoring; what is left until the
last worker ends is waiting for the slowest. Shares are of all workers' time from the command to the end.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.timing import table
from pipeline.__main__ import main as step
from pipeline.common.settings import flags
from pipeline.data.prepared import ImagesInfo, write_images
from pipeline.training.execution import describe_machine
from pipeline.training.settings import TrainingSettings
from pipeline.workflow.config import read_config
from pipeline.workflow.schema import ROOT

PHASES = ("start", "images", "build", "train", "score")
#: Runs a step and notes what its parts took. It is put before the step's own arguments.
_TIMED = str(Path(__file__).parent / "timed_step.py")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--population", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--ways", nargs="+", default=["1x1x1", "2x1x1", "1x2x1", "1x1x2"], help="WORKERSxTHREADSxSHARDS"
    )
    parser.add_argument("--data", nargs="+", default=["digits", "cifar-shaped"], choices=("digits", "cifar-shaped"))
    parser.add_argument("--base-width", type=float, help="by default that of the experiment")
    parser.add_argument("--quick", action="store_true", help="two candidates, one epoch, one round, one way")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.population, arguments.rounds, arguments.ways = 2, 1, ["2x1x1"]
    print(f"{describe_machine()}, {os.cpu_count()} cores, medians of {arguments.rounds} runs in turns\n")
    rows = []
    for data in arguments.data:
        with tempfile.TemporaryDirectory() as name:
            rows += _measure(data, Path(name), arguments)
    columns = ["images", "workers × threads × shards", "seconds", "candidates/h"]
    print(table([*columns, *(f"{phase} %" for phase in PHASES), "waiting %"], rows))


def _measure(data: str, folder: Path, arguments: argparse.Namespace) -> list[list[object]]:
    overlay = [] if data == "digits" else [ROOT / "configs" / "cifar10-mini.yaml"]
    config = read_config([ROOT / "config.yaml", *overlay])
    if arguments.quick:
        config["candidate"]["epochs"] = config["supernet"]["epochs"] = 1
    width = arguments.base_width or config["network"]["base_width"]
    if data == "digits":
        _step("prepare-dataset", "--dataset", "digits", "--train", folder / "train.h5", "--test", folder / "test.h5")
    else:
        _random_images(folder / "train.h5", 200 if arguments.quick else 4000)
    split = config["split"]
    per_class = (5, 5) if arguments.quick else (split["subset_per_class"], split["validation_per_class"])
    words = [
        "--images",
        folder / "train.h5",
        "--subset-per-class",
        per_class[0],
        "--validation-per-class",
        per_class[1],
    ]
    _step("sample-subset", *words, "--subset", folder / "subset.csv", "--validation", folder / "validation.csv")
    network = ["--images", folder / "train.h5", "--network", "vgg_small", "--base-width", width]
    population = folder / "population.csv"
    propose = ["--generation", 0, "--population", arguments.population, "--output", population]
    if config["search"]["max_flops"] is not None:
        propose += ["--max-flops", config["search"]["max_flops"]]
    _step("propose-generation", *network, *propose)
    recipe = [
        *network,
        "--subset",
        folder / "subset.csv",
        *flags(TrainingSettings, {**config["supernet"], "epochs": 1}).split(),
    ]
    outputs = ["--supernet", folder / "supernet.h5", "--history", folder / "h.csv", "--timing", folder / "t.json"]
    _step("pretrain-supernet", *recipe, *outputs)  # its weights' values do not matter for the time
    candidate = flags(TrainingSettings, config["candidate"]).split()
    common = [*network, *candidate, "--subset", folder / "subset.csv", "--validation", folder / "validation.csv"]
    common += [
        "--population",
        population,
        "--supernet",
        folder / "supernet.h5",
        "--precision",
        config["execution"]["precision"],
    ]
    measured: dict[str, list[tuple[float, list[float]]]] = {way: [] for way in arguments.ways}
    for number in range(arguments.rounds):
        for way in arguments.ways:
            measured[way].append(_run(way, folder / f"{number}-{way}", [str(word) for word in common]))
    rows: list[list[object]] = []
    for way, runs in measured.items():
        seconds = statistics.median(run[0] for run in runs)
        shares = [statistics.median(run[1][i] for run in runs) for i in range(len(PHASES) + 1)]
        rate = arguments.population * 3600 / seconds
        rows.append(
            [data, way.replace("x", " × "), f"{seconds:.1f}", f"{rate:.0f}", *(f"{100 * s:.0f}" for s in shares)]
        )
    return rows


def _run(way: str, folder: Path, common: list[str]) -> tuple[float, list[float]]:
    """One generation. Returns its seconds and the share of each phase, and of waiting, in all workers' time."""
    workers, threads, shards = map(int, way.split("x"))
    folder.mkdir()
    started = time.time()
    jobs = []
    for shard in range(shards):
        words = ["--threads", threads, "--cores", workers * threads, "--shard", shard, "--shards", shards]
        words += [
            "--archive",
            folder / "archive",
            "--output",
            folder / f"e{shard}.csv",
            "--timing",
            folder / f"t{shard}.csv",
        ]
        command = [
            sys.executable,
            _TIMED,
            str(folder),
            str(time.time()),
            "evaluate-generation",
            *common,
            *map(str, words),
        ]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with open(folder / f"log{shard}.txt", "w") as log:
            jobs.append(subprocess.Popen(command, env=environment, stderr=log))
    codes = [job.wait() for job in jobs]
    if any(codes):
        logs = "\n".join(log.read_text() for log in sorted(folder.glob("log*.txt")))
        raise SystemExit(f"error: evaluate-generation failed:\n{logs}")
    seconds = time.time() - started
    with open(folder / "e0.csv", newline="") as file:
        assert all(row["status"] == "ok" for row in csv.DictReader(file))
    totals = dict.fromkeys(PHASES, 0.0)
    for record in folder.glob("phases-*.json"):
        for phase, value in json.loads(record.read_text()).items():
            totals[phase] += value
    whole = seconds * workers * shards
    shares = [totals[phase] / whole for phase in PHASES]
    return seconds, [*shares, max(0.0, 1 - sum(shares))]


def _step(name: str, *words: object) -> None:
    if step([name, *map(str, words)]):
        raise SystemExit(1)


def _random_images(path: Path, count: int) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (count, 32, 32, 3), np.uint8)
    labels = np.arange(count, dtype=np.int64) % 10
    info = ImagesInfo("random", "pixels", tuple("0123456789"), 3, 32, count, (0.5,) * 3, (0.3,) * 3)
    write_images(path, info, 0, [{"pixels": pixels, "labels": labels}])


if __name__ == "__main__":
    main()
