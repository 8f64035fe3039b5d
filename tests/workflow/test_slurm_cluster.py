"""The shipped profile on a real SLURM of one node: kills, time limits, and what is left in the queue."""

import math
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
import yaml

from pipeline.common.errors import UserError
from pipeline.common.hdf5 import read_attributes
from pipeline.workflow.lock import RECORDS
from pipeline.workflow.slurm import partition
from pipeline.workflow.slurm import queue as slurm
from pipeline.workflow.slurm.time_limit import WARNING
from tests.support import workflow
from tests.support.slurm import Slurm, ask, missing
from tests.support.workflow import (
    ROOT,
    TINY,
    command,
    complete,
    kill_everything,
    outcome,
    resume,
    run,
    steps_in,
    wait_for,
    wait_until,
)

PROFILE = ("--workflow-profile", ROOT / "profiles" / "slurm", "--slurm-init-seconds-before-status-checks", 2)
#: Seconds after which something will not happen any more, on a machine that has much else to do.
LONG = 300

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=f"no SLURM: {missing()}")]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts commands, and ends them and their jobs where a test fails."""
    processes: list[subprocess.Popen[str]] = []

    def begin(words: list[str], folder: Path) -> "subprocess.Popen[str]":
        folder.mkdir(exist_ok=True)
        processes.append(workflow.start(words, folder))
        return processes[-1]

    yield begin
    for process in processes:
        if kill_everything(process):
            ask("scancel", "--partition=main")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    with Slurm(tmp_path_factory.mktemp("cluster") / "slurm") as running:
        yield running


def experiment(folder: Path, **sections: dict) -> Path:
    """The tiny experiment with one search of one generation in two shards, few rows, and other changes."""
    config = yaml.safe_load(TINY.read_text())
    config |= {"searches": {"B": None, "random": None}, "controls": []}
    config["search"] |= {"shards": 2, "workers": 1, "generations": 1, "finalists": 0}
    config["proxy"]["sample"] = 0
    config["retrain"] |= {"seeds": 1, "epochs": 120}  # long enough to be killed in, on a busy machine
    for name, values in sections.items():
        config[name] |= values
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


class Job:
    """A job of SLURM's, found by the rule (and a word of its wildcards) that it runs."""

    def __init__(self, rule: str, state: str = "RUNNING", but: str = "") -> None:
        self.number = ""

        def found() -> bool:
            for line in ask("squeue", "--noheader", "--states=all", "--format=%i|%T|%k").splitlines():
                number, now, comment = line.split("|", 2)
                if now == state and number != but and comment.startswith(f"rule_{rule}"):
                    self.number = number
            return bool(self.number)

        wait_until(found, LONG)

    def facts(self) -> dict[str, str]:
        """What ``scontrol show job`` says."""
        return dict(re.findall(r"(\S+?)=(\S*)", ask("scontrol", "show", "job", self.number)))

    def warn(self) -> None:
        """What SLURM does before the time limit, now."""
        ask("scancel", "--signal=URG", self.number)


def all_jobs(folder: Path) -> dict[str, list[tuple[str, str, str, str]]]:
    """What ran for a folder: for each rule and wildcards (start, end, state, GPUs) of its jobs in their order."""
    found: dict[str, list[tuple[str, str, str, str]]] = {}
    for line in ask("squeue", "--noheader", "--states=all", "--format=%Z|%k|%S|%e|%T|%b").splitlines():
        work, name, *facts = line.split("|")
        if work == str(folder):
            found.setdefault(name, []).append(tuple(facts))
    return {name: sorted(jobs) for name, jobs in found.items()}


def log_of(folder: Path, name: str) -> str:
    path = folder / "results" / "tiny" / "logs" / name
    return path.read_text() if path.exists() else ""


def output(folder: Path) -> str:
    return (folder / "output.txt").read_text()


def finish(process: "subprocess.Popen[str]", folder: Path) -> None:
    assert process.wait(timeout=3 * LONG) == 0, output(folder)


def says(folder: Path, name: str, sentence: str) -> Callable[[], bool]:
    """Whether a step's log has a sentence."""
    return lambda: sentence in log_of(folder, name)


def test_killed_in_every_way_it_ends_as_a_local_run(cluster, start, tmp_path):
    config = experiment(tmp_path)
    local, here = tmp_path / "local", tmp_path / "slurm"
    scores = [f"results/tiny/evaluation/{row}/seed_0.json" for row in ("uniform-1x", "found-A")]
    process = start(resume(*PROFILE, *scores, config=config), here)
    beside = start(resume("--cores", 1, *scores, config=config), local)

    # A job that is cancelled saves itself, and is tried again.
    wait_for("results/tiny/retrain/uniform-1x/*/*.state.h5", here, process, LONG)
    cancelled = Job("retrain_wildcards_uniform-1x")
    ask("scancel", cancelled.number)
    assert Job("retrain_wildcards_uniform-1x", but=cancelled.number).number
    wait_until(says(here, "retrain/uniform-1x_0.log", "going on from epoch"), LONG)

    # So is one that SLURM may not queue again.
    wait_for("results/tiny/retrain/found-A/*/*.state.h5", here, process, LONG)
    refused = Job("retrain_wildcards_found-A")
    ask("scontrol", "update", f"jobid={refused.number}", "requeue=0")
    refused.warn()
    wait_until(lambda: refused.facts()["JobState"] == "FAILED", LONG)
    assert "SLURM does not queue it again" in log_of(here, "retrain/found-A_0.log")

    # A Snakemake that is killed leaves its jobs behind: the next one ends them and sends them anew.
    left = Job("retrain_wildcards_found-A", but=refused.number)
    wait_until(says(here, "retrain/found-A_0.log", "going on from epoch"), LONG)
    assert kill_everything(process)
    assert left.facts()["JobState"] == "RUNNING"
    finish(start(resume(*PROFILE, *scores, config=config), here), here)
    assert left.facts()["JobState"] == "CANCELLED"
    assert "jobs that an earlier run left in SLURM's queue" in output(here)

    finish(beside, local)
    assert outcome(here) == outcome(local)
    assert {"evaluation/found-A/seed_0.json", "search/A/generation_000/scores.csv"} < set(outcome(here))
    jobs = all_jobs(here)
    assert {name.split("_wildcards")[0] for name in jobs} >= {"rule_prepare_dataset", "rule_evaluate_generation"}
    for name, runs in jobs.items():
        assert all(first[1] <= second[0] for first, second in pairwise(runs)), f"{name} ran beside itself: {runs}"
        assert all("gpu" not in run[3] for run in runs), f"{name} asked for a GPU"


def test_a_training_longer_than_its_time_limit_goes_on_in_further_jobs(cluster, start, tmp_path):
    """It stands still until SLURM has warned it: so its time passes on machines of any speed, and costs nothing."""
    local, here = tmp_path / "local", tmp_path / "slurm"
    weights = "results/tiny/retrain/uniform-1x/seed_0/weights.h5"
    config = experiment(tmp_path, execution={"device": "auto", "save_minutes": 5, "loaders": 2})
    finish(start(command(*PROFILE, "results/tiny/data/train.h5", config=config), here), here)
    # No retry: going on is not a failure.
    words = [weights, "--retries", 0, *time_limit(here)]
    process = start(command(*PROFILE, *words, config=config), here)
    job = Job("retrain")
    training = training_in(here)
    training.suspend()
    beside = start(resume("--cores", 1, weights, config=config), local)

    def queued_again() -> bool:
        if has_signal(training, "ShdPnd", WARNING):  # a SLURM that does not wake what it warns
            training.resume()
        return job.facts()["Restarts"] != "0"

    wait_until(queued_again, LONG)
    assert "is nearly up: it is queued again" in log_of(here, "retrain/uniform-1x_0.log"), output(here)
    finish(process, here)
    assert "rror" not in output(here)
    assert output(here).count("execution.device is auto: the default partition has GPUs, and jobs ask for them") == 2
    facts = job.facts()
    assert facts["JobState"] == "COMPLETED"
    assert "gpu:1" in facts["TresPerJob"] and facts["NumCPUs"] == "3"  # one to train on, two to decode images
    assert len(all_jobs(here)["rule_retrain_wildcards_uniform-1x_0"]) == 1
    finish(beside, local)
    assert "device is auto" not in output(local)
    assert read_attributes(here / weights)["digest"] == read_attributes(local / weights)["digest"]
    histories = [(tree / weights).with_name("history.csv").read_bytes() for tree in (here, local)]
    assert histories[0] == histories[1]
    assert not list(here.rglob("*.state.h5"))


def training_in(folder: Path) -> psutil.Process:
    """The training that takes steps there: the process that wants to be warned."""
    found: list[psutil.Process] = []

    def begun() -> bool:
        found[:] = [process for process in steps_in(folder) if has_signal(process, "SigCgt", WARNING)]
        return bool(found)

    wait_until(begun, LONG)
    (training,) = found
    return training


def has_signal(process: psutil.Process, kind: str, number: signal.Signals) -> bool:
    """Whether a signal is among those that a process handles (SigCgt) or that wait for it to go on (ShdPnd)."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    (mask,) = re.findall(rf"^{kind}:\s*(\w+)$", status, re.MULTILINE)
    return bool(int(mask, 16) >> (number - 1) & 1)


def time_limit(folder: Path) -> list[str]:
    """A limit of one minute, or of more where this machine has so much to do that starting a job takes long.

    SLURM looks at the time every 30 s. Told to warn 5 s before the limit, it warns up to 35 s before it.
    """
    ((began, ended, *_),) = all_jobs(folder)["rule_prepare_dataset"]
    seconds = (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()
    minutes = 1 + math.ceil(max(0, seconds - 15) / 30)
    return ["--default-resources", f"runtime={minutes}", "slurm_extra='--signal=URG@5 --open-mode=append'"]


def test_a_generation_is_queued_again_once_it_has_trained_a_candidate(cluster, start, tmp_path):
    """Without that it would never end."""
    config = experiment(tmp_path, candidate={"epochs": 200}, search={"shards": 1}, supernet={"enabled": False})
    target = "results/tiny/search/A/generation_000/evaluations_0-of-1.csv"
    log = "search/A/evaluate_000_0-of-1.log"
    process = start(command(*PROFILE, target, "--retries", 0, config=config), tmp_path)
    job = Job("evaluate_generation")
    wait_until(says(tmp_path, log, "candidates are in the archive"), LONG)

    def told() -> bool:
        job.warn()
        return "no candidate was trained in this job's time" in log_of(tmp_path, log)

    wait_until(told, LONG)
    assert job.facts()["Restarts"] == "0"
    wait_for("results/tiny/archive/*/*.json", tmp_path, process, LONG)
    first = {path: path.read_bytes() for path in tmp_path.glob("results/tiny/archive/*/*.timing")}
    job.warn()
    wait_until(lambda: job.facts()["Restarts"] == "1", LONG)
    finish(process, tmp_path)
    assert job.facts()["JobState"] == "COMPLETED"
    assert {path: path.read_bytes() for path in first} == first
    assert len(list(tmp_path.glob("results/tiny/archive/*/*.json"))) == 4
    assert int(re.search(r"(\d+) of 4 candidates are in the archive", log_of(tmp_path, log))[1]) >= 1


def test_looking_ends_no_job_and_a_queue_that_cannot_be_read_is_said(cluster, tmp_path, monkeypatch):
    job = subprocess.run(
        ["sbatch", "--parsable", "--job-name=left", "--output=/dev/null", "--wrap=sleep 6000"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    ).stdout.strip()
    record = tmp_path / RECORDS / "tiny.json"
    record.parent.mkdir(parents=True)
    record.write_text('{"host": "elsewhere", "pid": 1, "slurm": "left", "ended": true}')
    assert slurm.jobs_named("left") == [job]
    complete(resume("-n", "--quiet", "all", "--cores", "1"), tmp_path)
    assert slurm.jobs_named("left") == [job]
    slurm.cancel("left")
    assert slurm.jobs_named("left") == []
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="no squeue here"):
        slurm.cancel("left")


def test_gpus_are_asked_for_where_the_partition_has_them(cluster, tmp_path, monkeypatch):
    assert partition.has_gpus("") and partition.has_gpus("main") and partition.has_gpus("other,main")
    assert not partition.has_gpus("other")
    with pytest.raises(UserError, match="no such partition"):
        partition.has_gpus("nothing")
    config = experiment(tmp_path, execution={"device": "auto"})
    words = [*PROFILE, "-n", "--default-resources", "slurm_partition={}"]
    for name, said, asked in ("main", "has GPUs", "gpu=1"), ("other", "has no GPUs", "gpu=0"):
        done = run(command(*[str(word).format(name) for word in words], config=config), tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count(f"execution.device is auto: the partition {name} {said}") == 1
        assert set(re.findall(r"gpu=\d", done.stdout + done.stderr)) == {asked}
    (tmp_path / "slurm.conf").write_text("ClusterName=without-a-controller\n")
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
    with pytest.raises(UserError, match="SLURM cannot be asked"):
        partition.has_gpus("main")
