"""Runs an experiment, or goes on with it after an interruption, and prints the results.

    python -m pipeline run mine.yaml search.population=4

FILE.yaml is laid over config.yaml, and KEY=VALUE over both. Also called 'resume'. All other words and flags go to
Snakemake; without --cores it gets all cores. Progress is shown in one line (with -p or --verbose:
all that Snakemake says); its full output is kept under .snakemake/log/.
"""

import argparse
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from pipeline.common.errors import UserError
from pipeline.common.files import check_writable
from pipeline.common.log import log
from pipeline.common.terminal import draw_markdown, shown_of
from pipeline.kernels import cpu
from pipeline.steps.options import add_overlays, read_configuration, take_words
from pipeline.training.execution import gpu_is_used, say_what_is_missing
from pipeline.workflow.forecast.remaining import Plan, plan_of
from pipeline.workflow.launch import call, follow
from pipeline.workflow.layout import Layout
from pipeline.workflow.lock import settle_earlier_run, unlock
from pipeline.workflow.slurm import queue as slurm
from pipeline.workflow.words import for_snakemake, read_settings_of, sort_words

#: Flags of Snakemake that ask for output, or for something else than a run: it is shown as it is, instead of one line
#: of progress and the table. Most run no job.
_LOOKING = {"-n", "--dry-run", "--dryrun", "--dag", "--rulegraph", "--filegraph", "--d3dag", "--lint", "--unlock"}
_LOOKING |= {"-S", "--summary", "-D", "--detailed-summary", "--report", "-h", "--help", "-v", "--version"}
_LOOKING |= {"-l", "--list-rules", "--list", "--lt", "--list-target-rules", "--lu", "--list-untracked"}
_LOOKING |= {"--lc", "--list-changes", "--li", "--list-input-changes", "--lp", "--list-params-changes"}
_LOOKING |= {"--list-conda-envs", "--print-compilation", "--generate-unit-tests", "--containerize", "--export-cwl"}
_LOOKING |= {"--archive", "--cm", "--cleanup-metadata", "--cleanup-shadow", "--container-cleanup-images"}
_LOOKING |= {"--conda-create-envs-only", "--conda-cleanup-envs", "--delete-all-output", "--delete-temp-output"}
_WORDY = _LOOKING | {"-p", "--printshellcmds", "--verbose", "--logger"}
#: Flags that say how much of the machine is used, or name a file that may.
_SIZES = {"--cores", "-c", "--jobs", "-j", "--profile", "--workflow-profile"}
#: Flags after which the tables in this folder may be those of something else.
_PARTIAL = {"--until", "-U", "--omit-from", "-O", "--batch"}
#: Columns of the table that a narrow terminal leaves out, the least wanted first; results.md has all.
_SPARE = ("Mbit", "top-5 %", "seeds", "memory, trained", "as trained: FLOPs (M)", "speedup (theoretical)", "memory")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    words = parser.add_argument_group("words")
    words.description = (
        "FILE.yaml: overlays of config.yaml, in order. KEY=VALUE: settings over them, such as seed=3 or "
        "search.population=4. Everything else goes to Snakemake: its flags (--cores 2, -n), and files to be made."
    )
    add_overlays(parser)
    parser.add_argument(
        "--cold",
        action="store_true",
        help="every step imports all that it needs by itself; else, on this machine, one process does it for all",
    )
    parser.set_defaults(others=[])


def run(arguments: argparse.Namespace) -> int:
    """Runs Snakemake, then prints the table. Returns Snakemake's exit code."""
    words = sort_words(arguments.others)
    take_words(arguments, words.configs, words.settings)
    arguments.configfile = [path.absolute() for path in arguments.configfile]
    extra, given, started_in = list(words.others), words.flags, Path.cwd()
    sends_to_slurm = slurm.asked_for(given)
    _enter(_value_of(given, "--directory", "-d"))
    config = read_configuration(arguments)
    check_writable(Path.cwd())
    names = {word.partition("=")[0] for word in given if word.startswith("-")}
    looking = not _LOOKING.isdisjoint(names)
    if sends_to_slurm:
        slurm.check_here(looking)
    elif not looking:
        say_what_is_missing(config["execution"]["device"], config["execution"]["kernels"])
    if "--unlock" in names:
        unlock(config["experiment"])
        return 0
    settle_earlier_run(config["experiment"], looking)
    if _SIZES.isdisjoint(names):
        extra = ["--cores", "all", *extra]
    wordy = not _WORDY.isdisjoint(names)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell sets it so for what it runs in the background. Snakemake would inherit it, and could not be ended.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cold = arguments.cold or sends_to_slurm or gpu_is_used(config["execution"]["device"])  # untried beside CUDA
    # Where it was called, as relative paths of profiles mean; it goes to --directory by itself.
    work = _snakemake(arguments, extra)
    cores = None if sends_to_slurm else _cores(extra)

    def find_plan() -> Plan | None:
        return None if cores is None else plan_of(config, cores)

    code = call(work, started_in) if wordy else follow(work, config["experiment"], started_in, cold, find_plan)
    layout = Layout.of(config["experiment"])
    partial = bool(words.targets) or not _PARTIAL.isdisjoint(names)
    if code != 0 or wordy or partial or not layout.tables.results.exists():
        return code
    if not _is_of(layout, config):
        log(
            f"note: {layout.tables.results} is not shown, since it is not of the settings that were given here: a "
            "profile may have given Snakemake others, or a flag that runs nothing"
        )
        return 0
    _show(layout)
    _tell_changed(config, layout)
    return 0


def _is_of(layout: Layout, config: Mapping[str, Any]) -> bool:
    """Returns whether the experiment that lies here was last run by a configuration, which a run to its end saves.

    A profile, which this command does not read, can hold settings, another configuration and flags.
    """
    from pipeline.workflow.saved_config import as_saved, read_saved_values

    return read_saved_values(layout) == as_saved(config)


def _tell_changed(config: Mapping[str, Any], layout: Layout) -> None:
    """Says so if images were changed while the run went on: it has learnt from those that it began with."""
    from pipeline.workflow.sources import about_changed, have_changed

    if have_changed(config, layout):
        log(f"warning: {about_changed(config)}")


def _show(layout: Layout) -> None:
    """Prints the table and what follows from it, and says where all the rest is."""
    from pipeline.report.brief import brief

    text, others = brief(layout.tables.results.read_text(encoding="utf-8"), lambda table: shown_of(table, _SPARE))
    also = f" (also: {', '.join(others)})" if others else ""
    print(f"\n{draw_markdown(text, spare=_SPARE)}\n")
    print(f"Report: {layout.report}\nTables: {layout.tables.results}{also}\nFigures: {layout.figures}")


def _snakemake(arguments: argparse.Namespace, extra: list[str]) -> list[str]:
    """Returns the call of Snakemake, with the words that are for it alone."""
    from pipeline.workflow.schema import ROOT

    # -P: a file in the working folder must not be taken for a module of the library, such as random.py.
    command = [sys.executable, "-P", "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    # In front of the flags that take as many words as follow: the first one may be a file to be made.
    command += extra
    if arguments.configfile:
        command += ["--configfile", *map(str, arguments.configfile)]
    return command + for_snakemake(read_settings_of(arguments.config))


def _value_of(words: Sequence[str], *flags: str) -> str | None:
    """Returns what a flag of Snakemake was given, the last time; None if it was not."""
    found = None
    for word, following in pairwise([*words, ""]):
        name, sign, value = word.partition("=")
        if name in flags:
            found = value if sign else following
    return found


def _cores(words: list[str]) -> int:
    """Returns how many cores Snakemake was given on this machine."""
    given = _value_of(words, "--cores", "-c", "--jobs", "-j") or ""
    attached = [word[2:] for word in words if re.fullmatch(r"-[cj]\d+", word)]
    number = attached[-1] if attached else given
    return int(number) if number.isdigit() and int(number) else cpu.usable()


def _enter(folder: str | None) -> None:
    """Goes where Snakemake is told to work: its locks, results and a relative dataset.path are there."""
    if folder is None:
        return
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        os.chdir(folder)
    except OSError as error:
        raise UserError(f"--directory {folder} cannot be used", error.strerror or str(error)) from None
