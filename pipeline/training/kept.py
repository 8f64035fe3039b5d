"""Finished trainings, kept under everything that determined them, so that none that is over is done again.

Snakemake deletes what a job has made before it runs the job again. A search that runs again and finds the genome that
it found before would have the same network trained once more. What is kept takes no room on the disk while the output
that it came from exists: it is the same file under another name.
"""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.common.digests import digest_of
from pipeline.common.errors import UnreadableError, UserError
from pipeline.common.files import copy_record, read_json, replacing, write_json
from pipeline.common.log import log
from pipeline.common.processes import alive

_RECORD = "record.json"


class FinishedTraining:
    """Where the files of one training are kept.

    Args:
        folder: of all kept trainings.
        identity: everything that determines the training, as JSON values.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self._identity = identity
        self._folder = folder / digest_of(dict(identity))[:32]

    def take(self, outputs: Sequence[Path]) -> bool:
        """Makes the outputs, the last one first, from what is kept. Returns whether all of it was there, undamaged.

        Raises:
            UserError: they cannot be written, or what is kept cannot be read, which is no damage.
        """
        if not self._folder.exists():
            return False
        problem = self._problem([path.name for path in outputs])
        if problem:
            log(f"warning: {self._folder} is damaged ({problem}); deleted, and trained again")
            _delete(self._folder)
            return False
        for output in reversed(outputs):
            kept = self._folder / output.name
            if output.suffix == ".json":  # says where it lies
                copy_record(kept, output)
                continue
            # A copy, with a time of its own: another row's output may be the same file as what is kept.
            with replacing(output, sealed=output.suffix == ".csv") as temporary:
                shutil.copyfile(kept, temporary)
            with suppress(UserError):  # then both take room
                _link(output, kept)
        return True

    def _problem(self, names: Sequence[str]) -> str:
        """Returns what is wrong with the files; nothing where they are as they were written."""
        if not self._folder.is_dir():
            return "it is no folder"
        try:
            record = read_json(self._folder / _RECORD)
            sums = record["files"]
            if digest_of(record["identity"])[:32] != self._folder.name:
                return "it is another training's"
            changed = [name for name in names if _checksum(self._folder / name) != sums[name]]
        except UnreadableError:
            raise
        except (UserError, FileNotFoundError, KeyError, TypeError) as error:
            return f"{type(error).__name__}: {error}"
        return f"{changed[0]} has changed" if changed else ""

    def keep(self, outputs: Sequence[Path]) -> None:
        """Keeps finished outputs, unless another job has done so. Where it cannot, a warning says so."""
        here = f".{self._folder.name}.{os.uname().nodename}"
        unfinished = self._folder.with_name(f"{here}.{os.getpid()}.partial")
        for left in self._folder.parent.glob(f"{here}.*.partial"):  # by a process that was killed
            if not alive(int(left.name.split(".")[-2])):
                _delete(left)
        try:
            for path in outputs:
                _link(path, unfinished / path.name)
            sums = {path.name: _checksum(path) for path in outputs}
            write_json(unfinished / _RECORD, {"identity": self._identity, "files": sums})
            unfinished.rename(self._folder)
        except (UserError, OSError) as error:
            if not self._folder.exists():
                log(f"warning: this training is not kept for the next time ({error})")
        finally:
            _delete(unfinished)


def _delete(path: Path) -> None:
    """Deletes a folder with all in it, or what lies in its place, as far as that can be done."""
    shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        path.unlink()


def _link(path: Path, name: Path) -> None:
    """Gives a file another name, or makes a copy where the file system has no such links."""
    with replacing(name) as temporary:
        try:
            os.link(path, temporary)
        except OSError:
            shutil.copyfile(path, temporary)


def _checksum(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreadableError(path, error) from None
