"""Running the real workflow in a folder of its own, as a user would."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import h5py
import psutil
import yaml

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "tests" / "tiny.yaml"

#: Name of the file that says how long the tiny experiment took here and now.
SECONDS = "seconds"

#: Seconds after which a test gives up what must happen. It only keeps a failure from hanging: no test is about time.
PATIENCE = 600


def command(*words: object, config: Path = TINY) -> list[str]:
    """A call of Snakemake for an experiment."""
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    return [*snakemake, "--configfile", str(config), *map(str, words)]


def resume(*words: object, config: Path = TINY) -> list[str]:
    """The one command that goes on after an interruption."""
    return [sys.executable, "-m", "pipeline", "run", "--configfile", str(config), *map(str, words)]


def start(words: list[str], folder: Path) -> subprocess.Popen[str]:
    """Starts a command in a process group of its own, its output in FOLDER/output.txt."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open(folder / "output.txt", "a") as output:
        return subprocess.Popen(
            words, cwd=folder, env=environment, stdout=output, stderr=output, text=True, start_new_session=True
        )


def run(words: list[str], folder: Path, timeout: float = 1200) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end. Returns code and output."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout)


def complete(words: list[str], folder: Path) -> None:
    """Runs a command that must succeed."""
    done = run(words, folder)
    assert done.returncode == 0, done.stdout + done.stderr


def printed(folder: Path, *words: object) -> str:
    """What a subcommand that must succeed prints."""
    done = run([sys.executable, "-m", "pipeline", *map(str, words)], folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def planned(folder: Path, *words: object, config: Path = TINY) -> dict[str, int]:
    """How many jobs of each rule a dry run lists."""
    done = run(command("-n", *words, "--cores", 2, "--quiet", "rules", config=config), folder)
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE)
    return {rule: int(count) for rule, count in jobs if rule not in ("all", "total")}


def outcome(folder: Path) -> dict[str, bytes]:
    """The files that must not depend on how an experiment was run: genomes, scores, archive entries, results."""
    results = folder / "results" / "tiny"
    patterns = [
        "splits/*.csv",
        "search/*/generation_*/population.csv",
        "search/*/generation_*/scores.csv",
        "search/*/best.json",
        "proxy/population.csv",
        "proxy/scores_*.csv",
        "proxy/trained_?.csv",
        "finalists/*/population.csv",
        "finalists/*/evaluations_*.csv",
        "finalists/*/found.json",
        "controls/*.json",
        "archive/*/*.json",
        "evaluation/*/*.json",
        "retrain/*/*/history.csv",
        "tables/results.*",
        "tables/proxy.*",
        "figures/*.svg",
    ]
    found = (path for pattern in patterns for path in results.glob(pattern) if "timing" not in path.name)
    return {str(path.relative_to(results)): path.read_bytes() for path in found}


def agrees(folder: Path, whole: dict[str, bytes], *named: str) -> bool:
    """Whether what was made in a folder, the files that are named among it, is the same as in a whole experiment."""
    made = outcome(folder)
    assert set(named) <= set(made), f"made were {sorted(made)}"
    return made == {name: whole.get(name) for name in made}


def kill_everything(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> bool:
    """Kills a process and all that it started. Returns whether it was still running."""
    running = process.poll() is None
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    process.wait()
    return running


def wait_for(pattern: str, folder: Path, process: subprocess.Popen[str], timeout: float = PATIENCE) -> None:
    """Waits until a file matching ``pattern`` is there, or the process has ended."""
    end = time.monotonic() + timeout
    while time.monotonic() < end and process.poll() is None:
        if any(folder.glob(pattern)):
            return
        time.sleep(0.02)
    assert process.poll() is not None, f"no {pattern} after {timeout} s: {(folder / 'output.txt').read_text()}"


def wait_until(condition: Callable[[], bool], timeout: float = PATIENCE) -> None:
    """Waits for something to become true. Raises TimeoutError."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {timeout} s")
        time.sleep(0.2)


def overlay(folder: Path, changes: dict) -> Path:
    """The tiny experiment with changes of some sections' keys."""
    config = yaml.safe_load(TINY.read_text())
    for section, values in changes.items():
        config[section] = {**config.get(section, {}), **values} if isinstance(values, dict) else values
    path = folder / "overlay.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def catch_in_training(process: subprocess.Popen[str], state: Path) -> None:
    """Waits until a training, which saves its state all the time, has done so, or its run has ended."""
    before = state.stat().st_mtime_ns if state.exists() else 0
    wait_until(lambda: process.poll() is not None or (state.exists() and state.stat().st_mtime_ns != before))


def saved_at_the_end(state: Path, log: Path, epochs: int) -> bool:
    """Whether the state of a training that was asked to end is that after its last step, not one saved before."""
    done, steps = map(int, re.findall(r"(\d+) of (\d+) steps, took", log.read_text())[-1])
    with h5py.File(state) as file:
        epoch, step = map(int, file["position"][()])
    return epoch * steps // epochs + step == done


def steps_in(folder: Path) -> list[psutil.Process]:
    """What still runs there."""
    return [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == str(folder)]
