"""Runs the workflow, or goes on with it after an interruption, and prints the results. Also called 'resume'.

All other flags go to Snakemake; without --cores it gets all cores. Progress is shown in one line (with -p or --verbose:
all that Snakemake says); its full output is kept under .snakemake/log/.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from pipeline import slurm
from pipeline.common.errors import UserError
from pipeline.common.files import check_writable
from pipeline.common.processes import WORKFLOW_PID, alive
from pipeline.interruption import interrupt
from pipeline.overview import Overview
from pipeline.steps.options import add_overlays, read_configuration
from pipeline.training.execution import say_what_is_missing

#: Written when a workflow starts, so that a lock can be told from a lock that somebody left.
RUN_RECORD = Path(".snakemake/binary-nas-run.json")
LOCKS = Path(".snakemake/locks")
#: Flags of Snakemake that ask for output: it is shown as it is, instead of one line of progress. Most run no job.
_LOOKING = {"-n", "--dry-run", "--dryrun", "--dag", "--rulegraph", "--filegraph", "--summary", "--detailed-summary"}
_LOOKING |= {"--lint", "--unlock", "--report", "--help", "-h", "--list-rules"}
_WORDY = _LOOKING | {"-p", "--printshellcmds", "--verbose"}
#: Flags after which the tables in this folder may be those of something else.
_PARTIAL = {"--until", "-U", "--omit-from", "-O", "--directory", "-d"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    add_overlays(parser)
    parser.set_defaults(others=[])


def run(arguments: argparse.Namespace) -> int:
    """Runs Snakemake, then its report, then prints the table. Returns Snakemake's exit code."""
    from pipeline.config import ROOT

    config = read_configuration(arguments)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    if arguments.configfile:
        command += ["--configfile", *map(str, arguments.configfile)]
    if arguments.config:
        command += ["--config", *arguments.config]
    check_writable(Path.cwd())
    extra = arguments.others
    looking = not _LOOKING.isdisjoint(extra)
    if slurm.asked_for(extra):
        slurm.check_here(looking)
    elif not looking:
        say_what_is_missing(config["execution"]["device"], config["execution"].get("kernels", "auto"))
    _settle_earlier_run(command, looking)
    if not any(word.startswith(("--cores", "-c", "--profile", "--workflow-profile", "--jobs", "-j")) for word in extra):
        extra = ["--cores", "all", *extra]
    wordy = not _WORDY.isdisjoint(extra)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell sets it so for what it runs in the background. Snakemake would inherit it, and could not be ended.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    code = _call([*command, *extra]) if wordy else _follow([*command, *extra], config["experiment"])
    results = Path("results") / config["experiment"]
    table, report = results / "tables" / "results.md", results / "report.html"
    if code != 0 or wordy or not _PARTIAL.isdisjoint(extra) or not table.exists():
        return code
    if not report.exists() or report.stat().st_mtime < table.stat().st_mtime:
        report_command = [*command, "--report", str(report), "--quiet", "all"]
        done = subprocess.run(report_command, capture_output=True, text=True)
        if done.returncode != 0:
            # One that was killed has said nothing.
            reason = (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]
            raise UserError("the tables are made, but the report is not", f"{reason}; call again")
    print(f"\n{table.read_text()}\nFigures: {results / 'figures'}\nReport: {report}")
    return 0


def _call(command: list[str]) -> int:
    """Runs a command in the foreground, its output as it is."""
    return _wait_for(subprocess.Popen(command))


def _follow(command: list[str], title: str) -> int:
    """Runs the workflow and shows its progress in one line, and what explains a failure."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    overview = Overview(title)
    assert process.stdout is not None
    reader = threading.Thread(target=overview.follow, args=(process.stdout,))
    reader.start()
    code = _wait_for(process, overview.interrupt)
    reader.join()
    with suppress(OSError):  # nobody sees it any more
        overview.close(code)
    return code


def _wait_for(process: "subprocess.Popen[Any]", stopping: Callable[[], None] = lambda: None) -> int:
    """Waits for Snakemake to end, calling ``stopping`` when it is asked to. Returns the exit code.

    Ctrl-C reaches Snakemake and its steps by itself, and they end in their own way. SIGTERM reaches only us.
    """
    asked: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        stopping()
        if number == signal.SIGTERM and signal.SIGTERM not in asked:
            threading.Thread(target=interrupt, args=(process.pid,), daemon=True).start()
        asked.append(number)

    # A KeyboardInterrupt would come a quarter of a second late (see Popen.wait): steps have failed by then.
    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    code = process.wait()
    for number, handler in before.items():
        signal.signal(number, handler)
    return 128 + asked[0] if asked and code != 0 else code


def step_environment(folder: str) -> dict[str, str]:
    """What the workflow's steps find in their environment.

    Its own Python first, even where Snakemake was called without activating its environment (a conda environment that
    Snakemake activates comes before it), this package whatever the working directory, and whom they work for.
    """
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONPATH": os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH", "")])),
        WORKFLOW_PID: str(os.getpid()),
    }


def record_run(workflow: Any) -> None:
    """Notes which process of which machine runs the workflow in this folder, and how its SLURM jobs are called."""
    record = {"host": os.uname().nodename, "pid": os.getpid(), "slurm": slurm.run_name(workflow)}
    RUN_RECORD.parent.mkdir(exist_ok=True)
    RUN_RECORD.write_text(json.dumps(record))


def _settle_earlier_run(command: list[str], looking: bool) -> None:
    """Clears away what a dead run left: its jobs in SLURM's queue, unless we only look, and its lock.

    Raises:
        UserError: the workflow is running here, or was started on another machine, where we cannot see.
    """
    locked = LOCKS.is_dir() and any(LOCKS.iterdir())
    record = _read_record()
    if locked:
        _check_dead(record)
    # Where nothing is locked, nothing runs: whatever is still queued has nobody who waits for it.
    if record.get("slurm") and not looking:
        slurm.cancel(record["slurm"])
    if locked:
        print("An earlier run was interrupted; going on from what it had finished.", file=sys.stderr)
        done = subprocess.run([*command, "--unlock", "--quiet", "all"])
        if done.returncode != 0:
            raise UserError("the dead run's lock was not cleared", "call again, or call: snakemake --unlock")


def _read_record() -> dict[str, Any]:
    """Who ran the workflow last in this folder; empty where that is not known."""
    try:
        record = json.loads(RUN_RECORD.read_text())
        return {"host": str(record["host"]), "pid": int(record["pid"]), "slurm": record.get("slurm")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _check_dead(record: Mapping[str, Any]) -> None:
    """Raises UserError where whoever holds the lock is not surely dead."""
    if not record:
        raise UserError(
            "this folder is locked by a run that left no record of itself",
            "make sure that none is running, then call: snakemake --unlock",
        )
    if record["host"] != os.uname().nodename:
        raise UserError(
            f"this folder is locked by a run on the machine {record['host']}",
            "go on there, or, if it is surely dead, call: snakemake --unlock",
        )
    if alive(record["pid"]):
        raise UserError(
            f"the workflow is already running in this folder (process {record['pid']})", "wait for it, or end it"
        )
