"""Starting Snakemake and its steps, and ending them when asked to."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any

from pipeline.common.errors import WORKFLOW_PID, UserError
from pipeline.common.files import check_writable
from pipeline.common.log import log
from pipeline.workflow.console import Overview
from pipeline.workflow.forecast.remaining import Plan
from pipeline.workflow.forkserver import fork_server
from pipeline.workflow.interrupt import HEARD, interrupt, pass_on

#: Names the descriptor through which the plugin tells events; said there too, which must not be imported here.
EVENTS = "BINARY_NAS_EVENTS_FD"
#: Python reads and writes UTF-8 whatever the locale, as all files of the workflow are, and escapes in its output what a
#: folder's name may hold that is none.
_TEXT = {"PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8:backslashreplace"}
#: The plugin, and the folder in which Snakemake finds its package.
_PLUGIN = "binary-nas"
PLUGINS = Path(__file__).parent / "plugins"


def call(command: list[str], folder: Path) -> int:
    """Runs a command in the foreground, started in a folder, its output as it is."""
    with _started(command, cwd=folder) as (process, heard):
        return _wait_for(process, heard)


def follow(
    command: list[str], title: str, folder: Path, cold: bool, find_plan: Callable[[], Plan | None] = lambda: None
) -> int:
    """Runs the workflow, started in a folder, and shows its progress in one line, and what explains a failure.

    Args:
        command: of Snakemake.
        title: of the experiment.
        folder: where Snakemake is started.
        cold: every step imports all that it needs by itself; else a fork server does it once for all.
        find_plan: returns what the run's jobs are foretold to take, or None as long as that cannot be known.

    Returns:
        the exit code.
    """
    with nullcontext(dict[str, str]()) if cold else fork_server() as variables:
        return _follow(command, Overview(title, not variables, find_plan), folder, variables)


def _follow(command: list[str], overview: Overview, folder: Path, variables: Mapping[str, str]) -> int:
    told, tells = os.pipe()
    output: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    output |= {"encoding": "utf-8", "errors": "replace", "cwd": folder, "also": {EVENTS: tells}}
    with (
        open(told, encoding="utf-8") as events,
        _started([*command, "--logger", _PLUGIN], variables=variables, **output) as (process, heard),
    ):
        assert process.stdout is not None
        readers = [
            threading.Thread(target=overview.follow, args=(events,)),
            threading.Thread(target=overview.listen, args=(process.stdout,)),
        ]
        over = threading.Event()
        watcher = threading.Thread(target=overview.watch, args=(over,))
        for thread in (*readers, watcher):
            thread.start()
        code = _wait_for(process, heard, overview.interrupt)
        over.set()
        for thread in (*readers, watcher):
            thread.join()
    with suppress(OSError):  # nobody sees it any more
        overview.close(code)
    return code


@contextmanager
def _started(
    command: list[str],
    also: Mapping[str, int] = MappingProxyType({}),
    variables: Mapping[str, str] = MappingProxyType({}),
    **how: Any,
) -> "Iterator[tuple[subprocess.Popen[Any], int]]":
    """Starts Snakemake. Gives its process, and a pipe through which it says that it has got a SIGINT.

    Args:
        command: of Snakemake.
        also: further descriptors for it to write to, by the name of the variable that tells them. They are closed here.
        variables: further ones of its environment.
        how: keywords of ``Popen``.
    """
    heard, says = os.pipe()
    written = {HEARD: says, **also}
    environment = {**os.environ, **_TEXT, **_caches(), **variables, "PYTHONPATH": _path(str(PLUGINS))}
    environment |= {name: str(number) for name, number in written.items()}
    try:
        process = subprocess.Popen(command, pass_fds=list(written.values()), env=environment, **how)
    finally:
        for number in written.values():
            os.close(number)
    try:
        yield process, heard
    finally:
        os.close(heard)


def _path(*folders: str) -> str:
    return os.pathsep.join(filter(None, [*folders, os.environ.get("PYTHONPATH", "")]))


def _caches() -> dict[str, str]:
    """Returns where Snakemake and the steps keep what can be made again, if the usual place cannot be written."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    try:
        check_writable(usual, "caches lie in .snakemake/cache instead")
        return {}
    except UserError as error:
        log(str(error))
        ours = Path(".snakemake/cache").absolute()
        return {"XDG_CACHE_HOME": str(ours), "XDG_CONFIG_HOME": str(ours)}


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
    """Returns what the workflow's steps find in their environment.

    Its own Python first, even if Snakemake was called without activating its environment (a conda environment that
    Snakemake activates comes before it), this package whatever the working folder and no other module from there, text
    in UTF-8, and whom they work for.
    """
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONPATH": _path(folder),
        "PYTHONSAFEPATH": "1",
        **_TEXT,
        WORKFLOW_PID: str(os.getpid()),
    }
