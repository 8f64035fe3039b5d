"""Starting Snakemake and its steps, and ending them when asked to."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from pipeline.common.processes import WORKFLOW_PID
from pipeline.workflow.console import Overview
from pipeline.workflow.interrupt import HEARD, interrupt, pass_on


def call(command: list[str]) -> int:
    """Runs a command in the foreground, its output as it is."""
    with _started(command) as (process, heard):
        return _wait_for(process, heard)


def follow(command: list[str], title: str) -> int:
    """Runs the workflow and shows its progress in one line, and what explains a failure."""
    overview = Overview(title)
    output: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with _started(command, **output, text=True, errors="replace") as (process, heard):
        assert process.stdout is not None
        reader = threading.Thread(target=overview.follow, args=(process.stdout,))
        reader.start()
        code = _wait_for(process, heard, overview.interrupt)
        reader.join()
    with suppress(OSError):  # nobody sees it any more
        overview.close(code)
    return code


@contextmanager
def _started(command: list[str], **how: Any) -> "Iterator[tuple[subprocess.Popen[Any], int]]":
    """Starts Snakemake. Gives its process, and a pipe through which it says that it has got a SIGINT."""
    heard, says = os.pipe()
    try:
        process = subprocess.Popen(command, pass_fds=[says], env={**os.environ, HEARD: str(says)}, **how)
    finally:
        os.close(says)
    try:
        yield process, heard
    finally:
        os.close(heard)


def _wait_for(process: "subprocess.Popen[Any]", heard: int, stopping: Callable[[], None] = lambda: None) -> int:
    """Waits for Snakemake to end, calling ``stopping`` when it is asked to. Returns the exit code.

    Ctrl-C in a terminal reaches Snakemake and its steps by itself, and they end in their own way. SIGTERM, and a
    SIGINT that somebody has sent, reach only us.
    """
    asked: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        stopping()
        if number not in asked:
            passing = (interrupt, process.pid) if number == signal.SIGTERM else (pass_on, process.pid, heard)
            threading.Thread(target=passing[0], args=passing[1:], daemon=True).start()
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
