"""Whatever happens to a run, the same one command goes on, and the end is the same bytes.

    BINARY_NAS_KILLS=300 BINARY_NAS_SEED=7 python -m pytest -s tests/workflow/test_survival.py -k killed

kills longer, and from another seed. A failure prints the seed.
"""

import os
import random
import shutil
import signal
import subprocess
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
    agrees,
    command,
    complete,
    kill_everything,
    outcome,
    planned,
    resume,
    run,
    start,
    steps_in,
    wait_for,
    wait_until,
)

pytestmark = pytest.mark.slow

#: How often something is killed. Where nothing is said, a few times, in a run that makes the least that has every kind
#: of victim: it ends with a second generation and one trained row.
KILLS = int(os.environ.get("BINARY_NAS_KILLS", "4"))
SEED = int(os.environ.get("BINARY_NAS_SEED", "0"))
LEAST = ("search/A/generation_001/population.csv", "retrain/uniform-1x/seed_0/history.csv")
TARGETS = [] if "BINARY_NAS_KILLS" in os.environ else [f"results/tiny/{name}" for name in LEAST]
#: The least that shows that an interrupted search goes on.
FOUND = "search/A/best.json"
#: What such a run takes, as a share of a whole one.
SHARE = 0.4 if TARGETS else 1.0
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


def kill(process: subprocess.Popen[str], draw: random.Random, kinds: Counter[str]) -> str | None:
    """Kills one of the kinds of victims that are alive, one of those killed least; None where the run has ended."""
    if process.poll() is not None:
        return None
    alive = list(processes_of(process))
    found = {kind: [p for p, words in alive if matches(words)] for kind, matches in VICTIMS.items()}
    alive_kinds = [kind for kind, victims in found.items() if victims or kind == "everything"]
    least = min(kinds[kind] for kind in alive_kinds)
    kind = draw.choice([kind for kind in alive_kinds if kinds[kind] == least])
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
        live_through(folder, config, draw, kinds, SHARE * undisturbed.seconds)
        complete(resume("--cores", "2", *TARGETS, config=config), folder)
        assert agrees(folder, undisturbed.outcome, *LEAST), f"seed {SEED}"
        assert TARGETS or outcome(folder) == undisturbed.outcome, f"seed {SEED}"
        output = (folder / "output.txt").read_text()
        before, traceback, after = output.partition("Traceback")
        assert not traceback, f"seed {SEED}: …{before[-2000:]}{traceback}{after[:4000]}…"
        assert planned(folder, *TARGETS, config=config) == {}, f"seed {SEED}: something would run again"
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
        process = start(resume("--cores", "2", *TARGETS, config=config), folder)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds * draw.uniform(EARLIEST, LATEST))
        kind = kill(process, draw, kinds)
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

GO_ON = resume("--cores", "2", f"results/tiny/{FOUND}")


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment whose run was killed in the middle of the search, for copies of it to go on."""
    folder = tmp_path_factory.mktemp("killed")
    process = start(GO_ON, folder)
    wait_for("results/tiny/search/A/generation_000/scores.csv", folder, process)
    assert kill_everything(process)
    wait_until(lambda: not steps_in(folder))  # what outlives it ends, and writes no more
    return folder


def refused(words: list[str], folder: Path) -> str:
    """What a command says that cannot go on."""
    done = run(words, folder)
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "Traceback" not in said, said
    return said


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, too small for the experiment."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


def test_a_full_disk(undisturbed, small_disk):
    assert "No space left on device" in refused(GO_ON, small_disk)
    remount(small_disk, "size=20m")
    complete(GO_ON, small_disk)
    assert agrees(small_disk, undisturbed.outcome, FOUND)


def test_a_folder_that_cannot_be_written(undisturbed, killed, small_disk):
    remount(small_disk, "size=20m")
    shutil.copytree(killed, small_disk, dirs_exist_ok=True)
    remount(small_disk, "ro")
    for words in GO_ON, command("--cores", "2", f"results/tiny/{FOUND}"):
        assert "Read-only file system" in refused(words, small_disk)
    remount(small_disk, "rw")
    complete(GO_ON, small_disk)
    assert agrees(small_disk, undisturbed.outcome, FOUND)


def test_a_clock_that_jumps(undisturbed, killed, tmp_path):
    """When it goes on, all that is there is from the future, and after another jump, from long ago."""
    folder = shutil.copytree(killed, tmp_path / "copy")
    trained = trainings(folder)
    supernet = (folder / "results/tiny/supernet/timing.json").read_bytes()
    set_clock(folder, -3)  # what is made now would be older than what it is made from
    assert "clock skew problem" in refused(GO_ON, folder)
    set_clock(folder, 6)
    complete(GO_ON, folder)
    assert agrees(folder, undisturbed.outcome, FOUND)
    after = trainings(folder)
    assert trained and {name: after[name] for name in trained} == trained
    assert (folder / "results/tiny/supernet/timing.json").read_bytes() == supernet
    assert planned(folder, f"results/tiny/{FOUND}") == {}


def set_clock(folder: Path, hours: float) -> None:
    """Makes all files as much older as if the clock had been put forward since (or younger)."""
    for path in [*folder.rglob("results/**/*"), *folder.rglob(".snakemake/**/*")]:
        stamp = path.stat().st_mtime_ns - int(hours * 3600 * 10**9)
        os.utime(path, ns=(stamp, stamp))
