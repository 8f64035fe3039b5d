"""A whole run in one line: how much of the workflow is done, and what it is doing, from what Snakemake says.

Snakemake tells of every job in a dozen lines. Here they become a bar, or in a log a line now and then; what explains a
failure is shown as it is, and so are the warnings in the log of a step.
"""

import re
from collections import deque
from collections.abc import Iterable
from contextlib import suppress

from pipeline.common.log import Progress, log, say
from pipeline.workflow.slurm.partition import DECISION

_STEPS = re.compile(r"(\d+) of (\d+) steps")
_TOTAL = re.compile(r"total +(\d+)$")
_RULE = re.compile(r"(?:local)?rule (\w+):")
_WILDCARDS = re.compile(r" +wildcards: (.*)")
_STEPS_LOG = re.compile(r"    log: (\S+)$")
_JOB = re.compile(r"    jobid: (\d+)$")
_FINISHED = re.compile(r"Finished jobid: (\d+) ")
_WARNING = re.compile(r"\S+ \S+ +(warning: .+)")  # behind day and time
_FENCE = "=" * 20
_LOG = re.compile(r"Logfile (.+:)$")
#: Why SLURM refused a job, or how it ended one: the step's own log knows nothing of it.
_SLURM = re.compile(r" +message: (SLURM.+)")
#: Warnings shown of one step; its log has all.
_WARNINGS = 3
#: Lines kept to explain a failure for which no step's log was shown.
_KEPT = 25


class Overview:
    """Reads Snakemake's output line by line.

    Args:
        title: for the progress line, such as the experiment's name.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._progress: Progress | None = None
        self._done = 0
        self._rule = self._log = ""
        self._logs: dict[str, str] = {}  # by job
        self._fences = 0  # of the log that is being shown
        self._failed = self._interrupted = False
        self._last: deque[str] = deque(maxlen=_KEPT)

    def follow(self, lines: Iterable[str]) -> None:
        """Shows progress until the output ends.

        It reads to the end even where nothing can be shown any more, such as on a terminal that is gone: Snakemake
        would wait for ever for somebody to read on.
        """
        for line in lines:
            with suppress(OSError):
                self._read(line.rstrip("\n"))

    def _read(self, line: str) -> None:
        self._last.append(line)
        if line.startswith(DECISION):
            log(line)
        elif self._fences:
            self._show_log(line)
        elif failed := _LOG.match(line) or _SLURM.match(line):
            self._show_failure(line, failed[1])
        elif total := _TOTAL.match(line):
            self._progress = Progress(self._title, int(total[1]), "steps")
        elif rule := _RULE.match(line):
            self._rule, self._log = rule[1], ""
        elif steps_log := _STEPS_LOG.match(line):
            self._log = steps_log[1]
        elif job := _JOB.match(line):
            self._logs[job[1]] = self._log
        elif finished := _FINISHED.match(line):
            self._show_warnings(self._logs.pop(finished[1], ""))
        elif wildcards := _WILDCARDS.match(line):
            self._rule = f"{self._rule.split(' ')[0]} {wildcards[1]}"
        elif steps := _STEPS.match(line):
            self._advance(int(steps[1]))

    def _advance(self, done: int) -> None:
        if self._progress is not None:
            self._progress.advance(done - self._done, f"last started: {self._rule}")
        self._done = done

    def interrupt(self) -> None:
        """From here on nothing fails any more; it is being stopped."""
        self._interrupted = True

    def _show_warnings(self, path: str) -> None:
        """What a step that did not fail had to say, which nobody would look for in its log."""
        try:
            with open(path, errors="replace") as file:
                warnings = [found[1] for line in file if (found := _WARNING.match(line))]
        except OSError:
            return
        for warning in warnings[:_WARNINGS]:
            log(warning)
        if len(warnings) > _WARNINGS:
            log(f"and {len(warnings) - _WARNINGS} more warnings in {path}")

    def _show_failure(self, line: str, what: str) -> None:
        if self._interrupted:
            return
        self._failed = True
        self._fences = int(line.startswith("Logfile "))
        log(f"failed: {what}")

    def _show_log(self, line: str) -> None:
        if line.startswith(_FENCE):
            self._fences = (self._fences + 1) % 3  # the heading, the fence above and the one below
        elif not self._interrupted:
            say(f"    {line}")

    def close(self, code: int) -> None:
        """Ends the line; where the run failed and nothing has said why, shows Snakemake's last words."""
        if self._progress is not None:
            self._progress.close("" if code == 0 else "stopped")
        if self._interrupted and code != 0:
            say("Interrupted. The same command goes on from here.")
        elif code == 0 and self._progress is None:
            say("Nothing to do: everything is up to date.")
        elif code != 0 and not self._failed:
            for line in self._last:
                say(line)
