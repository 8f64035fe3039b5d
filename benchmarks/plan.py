"""How long Snakemake takes to plan a search before anything runs.

    python -m benchmarks.plan

Plans one search of 50 generations of 32 candidates, whole, with 1, 8 and 32 shards, in an empty folder. Prints the
median of three runs each, and the number of jobs.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipeline.config import ROOT
from pipeline.hardware import describe_machine

OVERLAY = """
experiment: plan
search: {{generations: 50, population: 32, shards: {shards}}}
searches: {{B: null, random: null}}
models: {{found-B: null, random: null}}
"""


def main() -> None:
    """Prints the table."""
    print(f"snakemake -n, 50 generations of 32, {describe_machine()}\n")
    print(f"{'shards':>6} {'jobs':>6} {'seconds':>8}")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for shards in (1, 8, 32):
        with tempfile.TemporaryDirectory() as folder:
            overlay = Path(folder) / "overlay.yaml"
            overlay.write_text(OVERLAY.format(shards=shards))
            command = [
                sys.executable,
                "-m",
                "snakemake",
                "--snakefile",
                str(ROOT / "Snakefile"),
                "-n",
                "--quiet",
                "rules",
            ]
            times = []
            for _ in range(3):
                started = time.monotonic()
                words = [*command, "--configfile", str(overlay)]
                done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=True)
                times.append(time.monotonic() - started)
            jobs = re.search(r"^total +(\d+)$", done.stdout + done.stderr, re.MULTILINE)
            print(f"{shards:>6} {jobs[1] if jobs else '?':>6} {statistics.median(times):>8.1f}", flush=True)


if __name__ == "__main__":
    main()
