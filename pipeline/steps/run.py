"""Runs the workflow, or goes on with it after an interruption, and prints the results. Also called 'resume'.

All other flags go to Snakemake; without --cores it gets all cores. Progress is shown in one line (with -p or --verbose:
all that Snakemake says); its full output is kept under .snakemake/log/.
"""

import argparse
import signal
import subprocess
import sys
from pathlib import Path

from pipeline.common.errors import UserError
from pipeline.common.files import check_writable
from pipeline.steps.options import add_overlays, read_configuration
from pipeline.training.execution import say_what_is_missing
from pipeline.workflow.launch import call, follow
from pipeline.workflow.layout import Layout
from pipeline.workflow.lock import settle_earlier_run, unlock
from pipeline.workflow.slurm import queue as slurm

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
    from pipeline.workflow.config import ROOT

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
    if "--unlock" in extra:
        unlock(config["experiment"])
        return 0
    settle_earlier_run(config["experiment"], looking)
    if not any(word.startswith(("--cores", "-c", "--profile", "--workflow-profile", "--jobs", "-j")) for word in extra):
        extra = ["--cores", "all", *extra]
    wordy = not _WORDY.isdisjoint(extra)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell sets it so for what it runs in the background. Snakemake would inherit it, and could not be ended.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    code = call([*command, *extra]) if wordy else follow([*command, *extra], config["experiment"])
    layout = Layout.of(config["experiment"])
    table, report = layout.tables.results, layout.report
    if code != 0 or wordy or not _PARTIAL.isdisjoint(extra) or not table.exists():
        return code
    if not report.exists() or report.stat().st_mtime < table.stat().st_mtime:
        report_command = [*command, "--report", str(report), "--quiet", "all"]
        done = subprocess.run(report_command, capture_output=True, text=True)
        if done.returncode != 0:
            # One that was killed has said nothing.
            reason = (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]
            raise UserError("the tables are made, but the report is not", f"{reason}; call again")
    print(f"\n{table.read_text()}\nFigures: {layout.figures}\nReport: {report}")
    return 0
