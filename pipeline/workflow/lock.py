"""The lock of an experiment: the record of who runs it, and the removal of what a dead run leaves behind.

Several experiments can run in one folder at a time, each once. Snakemake has locks of its own, but whichever Snakemake
ends in a folder deletes all of them, those of another experiment's live run included. So each run notes which process
of which machine it is, and marks that note when it ends; a note without the mark holds the experiment for as long as
its process lives.

The folder of results can be shared, as by a link in two persons' working folders. So the note lies there as well. It
does not count in a copy of the folder, which may be made in the middle of a run.
"""

import atexit
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.common.errors import UserError
from pipeline.common.files import write_json
from pipeline.common.processes import alive, birth
from pipeline.workflow.layout import Layout, find_layouts
from pipeline.workflow.slurm import queue as slurm

#: The record of an experiment's newest run is here, under the experiment's name.
RECORDS = Path(".snakemake/binary-nas")
#: Where the folder's newest run, of whatever experiment, was noted by earlier versions.
OLD_RECORD = Path(".snakemake/binary-nas-run.json")
#: Snakemake's own.
LOCKS = Path(".snakemake/locks")


@dataclass(frozen=True)
class Run:
    """The newest workflow of an experiment.

    Attributes:
        host, pid: its machine and process.
        alive: None if it cannot be asked: it runs on another machine.
        began: in seconds of the clock that files have; None if it has not noted that.
    """

    host: str
    pid: int
    alive: bool | None
    began: float | None = None


@dataclass(frozen=True)
class _Record:
    """The note that a run makes of itself.

    Attributes:
        host, pid: its machine and process.
        birth: tells the process from a later one of the same number; None if that cannot be known.
        slurm: how its jobs in SLURM's queue are called.
        ended: it has let the experiment go.
        began: when, in seconds of the clock that files have.
    """

    host: str
    pid: int
    birth: str | None = None
    slurm: str | None = None
    ended: bool = False
    began: float | None = None

    @property
    def alive(self) -> bool | None:
        """Returns whether it runs; None if its machine is another one."""
        if self.ended:
            return False
        if self.host != os.uname().nodename:
            return None
        return self.pid > 0 and alive(self.pid, self.birth)

    @property
    def is_mine(self) -> bool:
        """True of this process itself, not of one of its number in another container or on another machine."""
        return self.host == os.uname().nodename and self.pid == os.getpid()


#: Folders that experiments may have in common: what lies there says itself what it was made with.
_SHARED = ("archive", "trainings")


def check_apart(layout: Layout) -> None:
    """Checks that no link leads from this experiment's folders into those of another one.

    Raises:
        UserError: one does.
    """
    places = [layout.folder, *(folder for folder in _folders(layout.folder) if folder.name not in _SHARED)]
    links = {place.resolve(): place for place in places if place.is_symlink()}
    if not links:
        return
    for other in find_layouts():
        if other.folder != layout.folder:
            for folder in (other.folder, *_folders(other.folder)):
                if folder.resolve() in links:
                    raise UserError(
                        f"{links[folder.resolve()]} is a link to what {folder} is, and each of the two experiments "
                        "would take for its own what the other makes",
                        "replace it by a folder or a copy (archive and trainings can be in common)",
                    )


def _folders(folder: Path) -> list[Path]:
    with suppress(OSError):
        return [path for path in folder.iterdir() if path.is_dir()]
    return []


def hold(workflow: Any, experiment: str) -> None:
    """Notes that this process runs the experiment, until it ends. Jobs that a dead run left in SLURM's queue are ended:
    of other settings, they would write the same files.

    Args:
        workflow: Snakemake's, which knows how its jobs in SLURM's queue are called.
        experiment: its name.

    Raises:
        UserError: another process runs it, here or on another machine; or SLURM cannot be asked.
    """
    before = _read(RECORDS / f"{experiment}.json")
    _check_dead(before, experiment)
    _check_free(Layout.of(experiment))
    _end_jobs(before)
    pid = os.getpid()
    record = _Record(os.uname().nodename, pid, birth(pid), slurm.run_name(workflow))
    path, shared = RECORDS / f"{experiment}.json", Layout.of(experiment).running
    write_json(path, asdict(record))
    write_json(shared, asdict(record))  # makes the folder, and tells what time it is there
    record = replace(record, began=shared.stat().st_mtime)
    write_json(path, asdict(record))
    write_json(shared, {**asdict(record), "folder": shared.parent.stat().st_ino, "from": str(Path.cwd())})
    for note in (path, shared):
        atexit.register(_let_go, note.absolute(), record)


def _check_free(layout: Layout) -> None:
    """Raises UserError unless whoever has left a note in an experiment's folder of results is surely dead."""
    record = _read(layout.running)
    if record is None or record.alive is False or record.is_mine:
        return
    with suppress(OSError, ValueError, KeyError):
        note = json.loads(layout.running.read_bytes())
        if note["folder"] == layout.folder.stat().st_ino:  # else it is a copy
            raise UserError(
                f"{layout.folder} is written by another run, process {record.pid} of the machine {record.host} in "
                f"{note['from']}",
                "wait for it, or end it; if it is surely dead, call: python -m pipeline run … --unlock",
            )


def _let_go(path: Path, record: _Record) -> None:
    # Not in a process that was split off from this one, nor what another run has noted since.
    if os.getpid() == record.pid and _read(path) == record:
        with suppress(UserError):
            write_json(path, asdict(replace(record, ended=True)))


def settle_earlier_run(experiment: str, looking: bool) -> None:
    """Clears away what a dead run left: its jobs in SLURM's queue, unless we only look, and Snakemake's lock.

    Raises:
        UserError: the experiment is being run here, or was started on another machine, where we cannot see.
    """
    record, locks = _newest(Path(), experiment), list(_locks(Path(), experiment))
    if record is None and locks:
        raise UserError(
            f"the experiment '{experiment}' is locked here by a run that left no record of itself",
            "make sure that none is running, then call: python -m pipeline run … --unlock",
        )
    _check_dead(record, experiment)
    _check_free(Layout.of(experiment))
    if not looking:
        _end_jobs(record)
    if locks:
        print("An earlier run was interrupted; going on from what it had finished.", file=sys.stderr)
        _delete(locks)


def _end_jobs(record: _Record | None) -> None:
    """Ends the jobs of a dead run that are still queued, for which nobody waits. Of a run that has let go none is left,
    or the user has said so, if SLURM cannot be asked.
    """
    if record is not None and record.slurm and (slurm.is_here() or not record.ended):
        slurm.cancel(record.slurm)


def unlock(experiment: str) -> None:
    """Takes an experiment from whoever holds it. What is left in SLURM's queue is ended by the next run."""
    for path in (RECORDS / f"{experiment}.json", Layout.of(experiment).running):
        record = _read(path)
        if record is not None:
            write_json(path, asdict(replace(record, ended=True)))
    _delete(list(_locks(Path(), experiment)))


def _check_dead(record: _Record | None, experiment: str) -> None:
    """Raises UserError unless whoever holds the experiment is surely dead."""
    if record is None or record.alive is False or record.is_mine:
        return
    if record.alive is None:
        raise UserError(
            f"the experiment '{experiment}' is being run in this folder by the machine {record.host}",
            "go on there, or, if that run is surely dead, call: python -m pipeline run … --unlock",
        )
    raise UserError(
        f"the experiment '{experiment}' is already running in this folder (process {record.pid})",
        "wait for it, or end it",
    )


def _newest(workplace: Path, experiment: str) -> _Record | None:
    """Returns the record of an experiment's newest run; None if there is none."""
    record = _read(workplace / RECORDS / f"{experiment}.json")
    if record is not None:
        return record
    old = _read(workplace / OLD_RECORD)
    if old is None:
        return None
    # It said nothing of the experiment nor of the process's birth, and stayed when the run had ended.
    gone = old.host == os.uname().nodename and not _is_snakemake(old.pid)
    return replace(old, ended=gone or not any(_locks(workplace, experiment)))


def _is_snakemake(pid: int) -> bool:
    import psutil

    with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return pid > 0 and any("snakemake" in word for word in psutil.Process(pid).cmdline())
    return False


def _read(path: Path) -> _Record | None:
    try:
        record = json.loads(path.read_bytes())
        born, name, began = record.get("birth"), record.get("slurm"), record.get("began")
        ended, began = bool(record.get("ended")), None if began is None else float(began)
        return _Record(str(record["host"]), int(record["pid"]), born, name, ended, began)
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None


def _locks(workplace: Path, experiment: str) -> Iterator[Path]:
    """Returns Snakemake's locks in which files of this experiment are listed."""
    wanted = f"{Layout.of(experiment).folder.as_posix()}/"
    for lock in (workplace / LOCKS).glob("*.lock"):
        with suppress(OSError), open(lock, errors="replace") as lines:
            if any(line.startswith(wanted) for line in lines):
                yield lock


def _delete(locks: list[Path]) -> None:
    for lock in locks:
        try:
            lock.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"the dead run's lock {lock} cannot be deleted", error.strerror or str(error)) from None


def last_run(layout: Layout) -> Run | None:
    """Returns the newest workflow of an experiment; None if there is no record."""
    record = _newest(layout.workplace, layout.experiment)
    return None if record is None else Run(record.host, record.pid, record.alive, record.began)
