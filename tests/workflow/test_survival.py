"""Whatever happens to a run, the same one command goes on, and the end is the same bytes.

    BINARY_NAS_KILLS=300 BINARY_NAS_SEED=7 python -m pytest -s tests/workflow/test_survival.py -k killed

kills longer, and from another seed. A failure prints the seed.
"""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
import yaml

from tests.support.workflow import (
    SECONDS,
    TINY,
    command,
    complete,
    kill_everything,
    outcome,
    planned,
    resume,
    run,
    start,
    wait_for,
)

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("BINARY_NAS_KILLS", "6"))
SEED = int(os.environ.get("BINARY_NAS_SEED", "0"))
#: When a run is killed, as a share of what an undisturbed one takes: soon enough for many, late enough to get on.
EARLIEST, LATEST = 0.03, 0.4


class Undisturbed(NamedTuple):
    """What the tiny experiment gives when nothing happens to it, and how many seconds it takes here and now."""

    outcome: dict[str, bytes]
    seconds: float


@pytest.fixture(scope="module")
def undisturbed(finished: Path) -> Undisturbed:
    return Undisturbed(outcome(finished), float((finished / SECONDS).read_text()))


# --- kills ---


def is_worker(words: list[str]) -> bool:
    return any("pipeline.common.workers" in word for word in words)


def is_step(*names: str) -> Callable[[list[str]], bool]:
    return lambda words: "pipeline" in words and any(name in words for name in names) and not is_worker(words)


#: What can be killed, and how its command is known.
VICTIMS: dict[str, Callable[[list[str]], bool]] = {
    "a worker": is_worker,
    "a shard": is_step("evaluate-generation"),
    "a training": is_step("pretrain-supernet", "retrain"),
    "snakemake": lambda words: "snakemake" in words and "-m" in words,
    "everything": lambda words: False,
}


def processes_of(process: subprocess.Popen[str]) -> Iterator[tuple[psutil.Process, list[str]]]:
    """All that a run has started, with their commands."""
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                yield child, child.cmdline()


def kill(process: subprocess.Popen[str], draw: random.Random) -> str | None:
    """Kills one of the kinds of victims that are alive; None where the run has ended."""
    if process.poll() is not None:
        return None
    alive = list(processes_of(process))
    found = {kind: [p for p, words in alive if matches(words)] for kind, matches in VICTIMS.items()}
    kind = draw.choice([kind for kind, victims in found.items() if victims or kind == "everything"])
    if kind == "everything":
        kill_everything(process)
        return kind
    with suppress(psutil.NoSuchProcess):
        draw.choice(found[kind]).send_signal(signal.SIGKILL)
    return kind


def test_killed_anywhere_again_and_again_it_ends_the_same(undisturbed, tmp_path):
    """-9 for a worker, a shard, a training, Snakemake or all of them, until there have been enough kills."""
    print(f"seed {SEED}: {KILLS} kills")
    draw = random.Random(SEED)
    kinds: Counter[str] = Counter()
    # Two shards of two workers, so that there is something of every kind to kill.
    config = tmp_path / "tiny.yaml"
    tiny = yaml.safe_load(TINY.read_text())
    config.write_text(yaml.safe_dump({**tiny, "search": {**tiny["search"], "shards": 2, "workers": 2}}))
    lives = 0
    while sum(kinds.values()) < KILLS:
        folder = tmp_path / f"life_{lives}"
        folder.mkdir()
        live_through(folder, config, draw, kinds, undisturbed.seconds)
        complete(resume("--cores", "2", config=config), folder)
        assert outcome(folder) == undisturbed.outcome, f"seed {SEED}"
        output = (folder / "output.txt").read_text()
        before, traceback, after = output.partition("Traceback")
        assert not traceback, f"seed {SEED}: …{before[-2000:]}{traceback}{after[:4000]}…"
        assert planned(folder, config=config) == {}, f"seed {SEED}: something would run again"
        lives += 1
    print(f"{dict(kinds)} in {lives} experiments")


def trainings(folder: Path) -> dict[str, bytes]:
    """What each finished candidate's training took, which is never twice the same."""
    entries = folder.glob("results/tiny/archive/*/*.json")
    return {path.stem: path.with_suffix(".timing").read_bytes() for path in entries}


def live_through(folder: Path, config: Path, draw: random.Random, kinds: Counter[str], seconds: float) -> None:
    """Starts, kills and starts an experiment again, until it is complete or there were enough kills."""
    trained: dict[str, bytes] = {}
    while sum(kinds.values()) < KILLS:
        process = start(resume("--cores", "2", config=config), folder)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds * draw.uniform(EARLIEST, LATEST))
        kind = kill(process, draw)
        if kind is not None:
            kinds[kind] += 1
            with suppress(subprocess.TimeoutExpired):  # Snakemake lets what else is running finish
                process.wait(seconds)
        kill_everything(process)
        now = trainings(folder)
        assert {name: now.get(name) for name in trained} == trained, f"seed {SEED}: a candidate was lost or repeated"
        trained = now
        if process.returncode == 0:
            return


# --- other misfortunes ---


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, too small for the experiment."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1100k", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


def test_a_full_disk(undisturbed, small_disk):
    done = run(resume("--cores", "2"), small_disk)
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "No space left on device" in said
    assert "Traceback" not in said
    remount(small_disk, "size=20m")
    complete(resume("--cores", "2"), small_disk)
    assert outcome(small_disk) == undisturbed.outcome


def test_a_folder_that_cannot_be_written(undisturbed, small_disk):
    remount(small_disk, "size=20m")
    process = start(resume("--cores", "2"), small_disk)
    wait_for("results/tiny/archive/*/*.json", small_disk, process)
    kill_everything(process)
    time.sleep(2)  # what outlived it ends, and writes no more
    remount(small_disk, "ro")
    for words in (resume("--cores", "2"), command("--cores", "2")):
        done = run(words, small_disk)
        assert done.returncode == 1
        said = done.stdout + done.stderr
        assert "Read-only file system" in said
        assert "Traceback" not in said, said
    remount(small_disk, "rw")
    complete(resume("--cores", "2"), small_disk)
    assert outcome(small_disk) == undisturbed.outcome


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_clock_that_jumps(undisturbed, tmp_path, hours):
    """Killed in the middle of the search; when it goes on, all that is there is from the future, or from long ago."""
    process = start(resume("--cores", "2"), tmp_path)
    wait_for("results/tiny/search/A/generation_000/scores.csv", tmp_path, process)
    kill_everything(process)
    time.sleep(2)
    trained = trainings(tmp_path)
    supernet = (tmp_path / "results/tiny/supernet/timing.json").read_bytes()
    set_clock(tmp_path, hours)
    if hours < 0:  # what is made now would be older than what it is made from
        done = run(resume("--cores", "2"), tmp_path)
        said = done.stdout + done.stderr
        assert done.returncode == 1
        assert "clock skew problem" in said
        assert "Traceback" not in said
        set_clock(tmp_path, -hours)
    complete(resume("--cores", "2"), tmp_path)
    assert outcome(tmp_path) == undisturbed.outcome
    after = trainings(tmp_path)
    assert {name: after[name] for name in trained} == trained
    assert (tmp_path / "results/tiny/supernet/timing.json").read_bytes() == supernet
    assert planned(tmp_path) == {}


def set_clock(folder: Path, hours: float) -> None:
    """Makes all files as much older as if the clock had been put forward since (or younger)."""
    for path in [*folder.rglob("results/**/*"), *folder.rglob(".snakemake/**/*")]:
        stamp = path.stat().st_mtime_ns - int(hours * 3600 * 10**9)
        os.utime(path, ns=(stamp, stamp))
