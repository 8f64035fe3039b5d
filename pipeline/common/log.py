"""Progress of long steps: a bar on a terminal, plain and rare lines in a log, both with an estimate of the end."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from tqdm import tqdm

from pipeline.common.terminal import fit
from pipeline.common.text import printable

#: Seconds between two lines in a log; the first comes sooner, so that an estimate is seen early.
FIRST_LINE = 5.0
LINE_EVERY = 30.0
#: Seconds without a line in a log after which what the parts say of themselves stands for one, and the most of them.
QUIET = 60.0
QUIET_LATER = 300.0
_PARTS = 4
#: How a bar looks on a terminal, and how many columns of it are left to the bar itself.
_BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt}, {remaining} left{postfix}"
_LEFT = ", {remaining} left"
_BAR_COLUMNS = 20


_silent = False


def be_silent() -> None:
    """Silences this process from now on: another one of the same training shows progress."""
    global _silent
    _silent = True


class Progress:
    """Counts the parts of a step that are done.

    Args:
        task: what is being done, for the start of each line.
        total: how many parts there are.
        unit: the name of a part, in the plural.
        done: parts that an earlier, interrupted run had done.
        left: returns seconds until all is done, or None as long as that is not known; by default parts are taken to be
            of one length.
        patient: say nothing unless it takes ``FIRST_LINE`` seconds, as of what is mostly done at once.
    """

    def __init__(
        self,
        task: str,
        total: int,
        unit: str,
        done: int = 0,
        left: Callable[[], float | None] | None = None,
        patient: bool = False,
    ) -> None:
        self._task, self._total, self._unit, self._left = task, total, unit, left
        self._done = self._at_start = done
        self._start = time.monotonic()
        self._next_line = self._start + FIRST_LINE
        self._next_words = self._start + QUIET
        self._bar, self._patient = None, patient
        if _on_terminal():
            self._bar = tqdm(
                desc=task,
                total=total,
                initial=done,
                dynamic_ncols=True,
                bar_format=self._format(),
                delay=FIRST_LINE if patient else 0.0,
            )

    def advance(self, parts: int = 1, note: str = "") -> None:
        """Marks more parts as done; ``note`` (such as the current accuracy) is shown behind them."""
        self._done += parts
        if self._bar is not None:
            self._bar.bar_format = self._format()
            self._bar.set_postfix_str(self._fitting(note), refresh=False)
            self._bar.update(parts)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + LINE_EVERY
            self._say(note)

    def tell(self, full: Sequence[str], brief: Sequence[str]) -> None:
        """Passes on what the parts that are being done say of themselves, the latest first.

        Args:
            full: for a log, if that has had no line for long.
            brief: for behind the bar.
        """
        if self._bar is not None:
            self._bar.bar_format = self._format()
            if brief:
                self._bar.set_postfix_str(self._fitting(brief[0]), refresh=False)
            self._bar.refresh()
        elif full and time.monotonic() >= self._next_words:
            self._next_words = time.monotonic() + QUIET_LATER
            more = [f"and {len(full) - _PARTS} more"] if len(full) > _PARTS else []
            log("; ".join([f"{self._task}: {self._done} of {self._total} {self._unit}", *full[:_PARTS], *more]))

    def _format(self) -> str:
        """Returns how the bar looks now, with what is known of the time left."""
        if self._left is None:
            return _BAR
        seconds = self._left()
        return _BAR.replace(_LEFT, "" if seconds is None else f", {tqdm.format_interval(seconds)} left")

    def _fitting(self, note: str) -> str:
        """Returns as much of a note as leaves a bar that can be read."""
        others = len(f"{self._task}: 100%|| {self._total}/{self._total}, 00:00:00 left, ")
        room = shutil.get_terminal_size().columns - others - _BAR_COLUMNS
        return note if len(note) <= room else f"{note[: room - 1]}…" if room > 8 else ""

    def _say(self, note: str) -> None:
        self._next_words = time.monotonic() + QUIET_LATER
        elapsed = time.monotonic() - self._start
        text = f"{self._task}: {self._done} of {self._total} {self._unit}, {duration(elapsed)} so far"
        remaining = self._seconds_left(elapsed)
        if remaining is not None:
            end = datetime.now() + timedelta(seconds=remaining)
            text += f", about {duration(remaining)} left (until {end:%H:%M:%S})"
        log(text + (f", {note}" if note else ""))

    def _seconds_left(self, elapsed: float) -> float | None:
        if self._left is not None:
            return self._left()
        return elapsed / max(1, self._done - self._at_start) * (self._total - self._done)

    def close(self, how: str = "") -> None:
        """Ends the bar, or writes how long it took; ``how`` is said where it did not end well."""
        if self._bar is not None:
            self._bar.close()
        else:
            elapsed = time.monotonic() - self._start
            if self._patient and elapsed < FIRST_LINE and not how:
                return
            ending = f"{how} after" if how else "took"
            log(f"{self._task}: {self._done} of {self._total} {self._unit}, {ending} {duration(elapsed)}")


@contextmanager
def progress(task: str, total: int, unit: str, done: int = 0) -> Iterator[Progress]:
    """Gives a :class:`Progress` that is closed at the end of the block."""
    bar = Progress(task, total, unit, done)
    try:
        yield bar
    finally:
        bar.close()


def log(text: str) -> None:
    """Writes a line with the time of day, for a person who reads the step's log; fitted to a terminal."""
    line = f"{datetime.now():%Y-%m-%d %H:%M:%S}  {text}"
    say(fit(line, indent=len(line) - len(text)) if _on_terminal() else line)


def say(text: str) -> None:
    """Writes a line as it is, above a bar if there is one."""
    if _silent:
        return
    tqdm.write(printable(text, keep="\n\t"), file=sys.stderr)
    sys.stderr.flush()


def _on_terminal() -> bool:
    return sys.stderr.isatty() and not _silent


def duration(seconds: float) -> str:
    """Returns a time span as a person says it.

    >>> duration(3.2), duration(75), duration(7260)
    ('3 s', '1 min 15 s', '2 h 1 min')
    """
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
