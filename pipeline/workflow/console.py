"""A whole run in one line: how much of the workflow is done, and what it is doing.

Snakemake tells of every job in a dozen lines. Here they become a bar, or in a log a line now and then; the log of a
step that failed is shown as it is, and so are the warnings of one that did not, and how far one is that takes long.
What happens is told by a logger plugin of Snakemake's, event by event (see
:mod:`pipeline.workflow.plugins.snakemake_logger_plugin_binary_nas`); of its text, only the last lines are shown if a
run fails without an event that says why.
"""

import json
import os
import re
import shutil
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.common.errors import UserError
from pipeline.common.files import replacing
from pipeline.common.log import Progress, log, say
from pipeline.workflow.forecast.remaining import Plan, Remaining
from pipeline.workflow.running import RunningSteps
from pipeline.workflow.slurm.partition import DECISION
from pipeline.workflow.status.failures import last_words

_WARNING = re.compile(r"\S+ \S+ +(warning: .+)")  # in our steps' logs, behind day and time
#: How a message of Snakemake's plugin for SLURM begins. The step's own log knows nothing of it.
_SLURM = "SLURM"
#: What is added to the log of a step that failed and ends with no error.
_WORDLESS = (
    "it ended without a word: perhaps it was killed, as a process is for want of memory; free some, or let fewer steps "
    "run side by side (--cores), and run the same command again"
)
#: Columns of a benchmark that a clock measures, and what stands for what is not known.
_CLOCK = ("s", "h:m:s")
_UNKNOWN = "NA"
#: Warnings shown of one step; its log has all.
_WARNINGS = 3
#: Lines kept to explain a failure for which no event said why, and lines shown of a failed step's log.
_KEPT = 25
_LOG = 40
#: Bytes that are free on a disk which is not full.
_ROOM = 2**16
#: Seconds between two looks at the logs of running steps.
LOOK_EVERY = 10.0


class Overview:
    """Reads what Snakemake tells, and what it writes.

    Args:
        title: for the progress line, such as the experiment's name.
        measured: Snakemake sees the processes in which steps are done. It measures the memory and the processor's time
            of those that it has started; where they only stand in for others, that is struck out.
        find_plan: returns what the run's jobs are foretold to take, as soon as that can be known; by default it never
            can.
    """

    def __init__(self, title: str, measured: bool = True, find_plan: Callable[[], Plan | None] = lambda: None) -> None:
        self._title, self._measured = title, measured
        self._remaining, self._lock = Remaining(find_plan), threading.RLock()
        self._benchmarks: dict[Any, str | None] = {}  # by job
        self._progress: Progress | None = None
        self._done = 0
        self._what = ""
        self._logs: dict[Any, list[str]] = {}  # by job
        self._running = RunningSteps()
        self._failed = self._interrupted = False
        self._last: deque[str] = deque(maxlen=_KEPT)

    def follow(self, events: Iterable[str]) -> None:
        """Shows progress until the events end, one JSON record in each line.

        It reads to the end even if nothing can be shown any more, such as on a terminal that is gone: Snakemake would
        wait for ever for somebody to read on.
        """
        for line in events:
            with suppress(OSError, ValueError, KeyError, TypeError, AttributeError), self._lock:
                self._take(json.loads(line))

    def listen(self, lines: Iterable[str]) -> None:
        """Keeps the last lines of Snakemake's text until it ends; shows what our own rules say there, and warn of."""
        for line in lines:
            self._last.append(line.rstrip("\n"))
            if line.startswith(DECISION):
                with suppress(OSError):
                    log(line.rstrip("\n"))
            elif found := _WARNING.match(line):  # of the rules' own beginning
                with suppress(OSError):
                    log(found[1])

    def watch(self, over: threading.Event) -> None:
        """Passes on how far long steps are, until the run is over."""
        while not over.wait(LOOK_EVERY):
            with suppress(OSError, ValueError):
                words = self._running.said()
                if self._progress is not None:
                    with self._lock:
                        self._progress.tell([said.full for said in words], [said.brief for said in words])

    def _take(self, event: Mapping[str, Any]) -> None:
        match event["event"]:
            case "run_info":
                if self._progress is None:
                    self._remaining.begin(event["stats"])
                    total = int(event["stats"]["total"])
                    self._progress = Progress(self._title, total, "steps", left=self._remaining.seconds)
            case "job_info":
                wildcards = event["wildcards"] or {}
                named = ", ".join(f"{name}={value}" for name, value in wildcards.items())
                self._what = f"{event['rule_name']} {named}".rstrip()
                of = wildcards.get("search") or wildcards.get("model") or ""
                self._remaining.start(event["jobid"], event["rule_name"], of)
                self._logs[event["jobid"]] = event["log"] or []
                self._running.begin(event["jobid"], self._what, event["log"] or [])
                self._benchmarks[event["jobid"]] = event.get("benchmark")
            case "job_finished":
                self._running.end(event["job_id"])
                self._remaining.end(event["job_id"])
                for path in self._logs.pop(event["job_id"], []):
                    self._show_warnings(Path(path))
                benchmark = self._benchmarks.pop(event["job_id"], None)
                if benchmark and not self._measured:
                    with suppress(UserError):  # the disk is full, as the next step will say
                        _strike_out(Path(benchmark))
            case "progress":
                self._advance(int(event["done"]))
            case "job_error":
                self._running.end(event["jobid"])
                self._show_failure(event["rule_name"], event["rule_msg"], event["log"] or [])
            case "group_error":
                self._show_failure("a group of jobs", event["msg"], event["aux_logs"] or [])

    def _advance(self, done: int) -> None:
        if self._progress is not None:
            self._progress.advance(done - self._done, self._what)
        self._done = done

    def interrupt(self) -> None:
        """Takes what fails from here on for stopped, not failed."""
        self._interrupted = True

    def _show_warnings(self, path: Path) -> None:
        """Shows what a step that did not fail had to say, which nobody would look for in its log."""
        warnings = [found[1] for line in _lines(path) if (found := _WARNING.match(line))]
        for warning in warnings[:_WARNINGS]:
            log(warning)
        if len(warnings) > _WARNINGS:
            log(f"and {len(warnings) - _WARNINGS} more warnings in {path}")

    def _show_failure(self, rule: str, message: str | None, logs: list[str]) -> None:
        if self._interrupted:
            return
        self._failed = True
        first = (message or "").strip().splitlines()[:1]
        by_slurm = first[0] if first and first[0].startswith(_SLURM) else ""
        words = f"error: {by_slurm or _WORDLESS}"
        for file in filter(Path.is_file, map(Path, logs)):
            # Who started a training's processes may have more to say after the error of one of them.
            if not last_words(file) and not any("error" in line.lower() for line in _lines(file)[-_LOG:]):
                _add(file, words)
        written = {
            path: lines for path in logs if (lines := _lines(Path(path))) and not (by_slurm and lines == [words])
        }
        if by_slurm:
            log(f"failed: {by_slurm}")
        elif not written:
            log(f"failed: {rule}, without a word in {', '.join(logs) or 'a log'}{_about_disk(logs)}")
        for path, lines in written.items():
            log(f"failed: {path}:")
            for line in lines[-_LOG:]:
                say(f"    {line}")

    def close(self, code: int) -> None:
        """Ends the line; if the run failed and nothing has said why, shows Snakemake's last words."""
        if self._progress is not None:
            self._progress.close("" if code == 0 else "stopped")
        if self._interrupted and code != 0:
            say("Interrupted. The same command goes on from here.")
        elif code == 0 and self._progress is None:
            say("Nothing to do: everything is up to date.")
        elif code != 0 and not self._failed:
            for line in self._last:
                say(line)


def _strike_out(path: Path) -> None:
    """Leaves of a benchmark's table how long the job took, and makes all else unknown as Snakemake itself writes it."""
    header, *rows = (line.split("\t") for line in _lines(path))
    known = [[cell if name in _CLOCK else _UNKNOWN for name, cell in zip(header, row, strict=True)] for row in rows]
    times = path.stat()
    with replacing(path) as partial:
        partial.write_text("".join("\t".join(line) + "\n" for line in (header, *known)), encoding="utf-8")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _about_disk(logs: Sequence[str]) -> str:
    """Says of a disk with no room for a step's words that it is full; '' if it is not."""
    with suppress(OSError, StopIteration):
        folder = next(parent for path in logs for parent in Path(path).absolute().parents if parent.is_dir())
        if shutil.disk_usage(folder).free < _ROOM:
            return f": the disk of {folder} is full; free some space and run the same command again"
    return ""


def _add(path: Path, line: str) -> None:
    """Adds a line to a log, if it can be written."""
    with suppress(OSError), path.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def _lines(path: Path) -> list[str]:
    """Returns the lines of a log; none if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
