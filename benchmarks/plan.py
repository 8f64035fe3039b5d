"""How long Snakemake takes to plan a search before anything runs, and to find that nothing is left to do.

    python -m benchmarks.plan

Plans one search of 50 generations of 32 candidates, whole, with 1, 8 and 32 shards, in an empty folder; then again
with every file there, as after a finished run (`snakemake --touch` of empty files in their order), first as a dry run
and then as a real one that finds nothing to do. Prints the median of three runs each, and the number of jobs.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipeline.training.execution import describe_machine
from pipeline.workflow.schema import ROOT

OVERLAY = """
experiment: plan
search: {{generations: {generations}, population: 32, shards: {shards}}}
searches: {{B: null, random: null}}
models: {{found-B: null, random: null}}
"""
_SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generations", type=int, default=50)
    parser.add_argument("--shards", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    print(f"snakemake, {arguments.generations} generations of 32, {describe_machine()}, seconds\n")
    print(f"{'shards':>6} {'jobs':>6} {'-n':>8} {'-n, all done':>13} {'no-op run':>10}")
    for shards in arguments.shards:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            overlay = folder / "overlay.yaml"
            overlay.write_text(OVERLAY.format(shards=shards, generations=arguments.generations))
            dry = ["-n", "--quiet", "rules"]
            plan, text = _median(folder, overlay, dry, arguments.runs)
            jobs = re.search(r"^total +(\d+)$", text, re.MULTILINE)
            _pretend_all_done(folder, overlay)
            done, text = _median(folder, overlay, dry, arguments.runs)
            nothing, _ = _median(folder, overlay, ["--quiet", "all"], arguments.runs)
            if "Nothing to be done" not in text:
                raise SystemExit(f"error: a finished experiment would run again:\n{text}")
            print(f"{shards:>6} {jobs[1] if jobs else '?':>6} {plan:>8.1f} {done:>13.1f} {nothing:>10.1f}", flush=True)


def _call(folder: Path, overlay: Path, words: list[str]) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [*_SNAKEMAKE, "--configfile", str(overlay), *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout + done.stderr


def _median(folder: Path, overlay: Path, words: list[str], runs: int) -> tuple[float, str]:
    """Seconds of a call, and what it said."""
    times, text = [], ""
    for _ in range(runs):
        started = time.monotonic()
        text = _call(folder, overlay, words)
        times.append(time.monotonic() - started)
    return statistics.median(times), text


def _pretend_all_done(folder: Path, overlay: Path) -> None:
    """Makes every file of the experiment, empty, and has Snakemake record it as made."""
    summary = _call(folder, overlay, ["--summary"])
    for line in summary.splitlines():
        path = line.split("\t")[0]
        if path.startswith("results/"):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).touch()
    _call(folder, overlay, ["--touch", "--forceall", "--quiet", "all"])


if __name__ == "__main__":
    main()
