"""Starting Snakemake and its steps, and ending them when asked to."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from pipeline.common.processes import WORKFLOW_PID
from pipeline.workflow.console import Overview
from pipeline.workflow.interrupt import interrupt


def call(command: list[str]) -> int:
    """Runs a command in the foreground, its output as it is."""
    return _wait_for(subprocess.Popen(command))


def follow(command: list[str], title: str) -> int:
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
