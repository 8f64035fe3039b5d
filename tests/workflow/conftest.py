"""The tiny experiment, run once for all tests that look at it or go on from it."""

import fcntl
import os
import shutil
import time
from pathlib import Path

import pytest

from tests.support.workflow import SECONDS, complete, resume


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny experiment, left alone. Where several processes run tests, the first one makes it for all."""
    folder = tmp_path_factory.mktemp("finished")
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return _make(folder)
    shared = tmp_path_factory.getbasetemp().parent / "shared"
    shared.mkdir(exist_ok=True)
    with open(shared / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = shared / "finished"
        if not made.exists():
            _make(folder)
            shutil.copytree(folder, made.with_name("partial"))
            made.with_name("partial").rename(made)
            return folder
    return Path(shutil.copytree(made, folder, dirs_exist_ok=True))


def _make(folder: Path) -> Path:
    started = time.monotonic()
    complete(resume("--cores", 2), folder)
    (folder / SECONDS).write_text(str(time.monotonic() - started))
    return folder


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished experiment, times of files included."""
    shutil.copytree(finished, tmp_path / "copy")
    return tmp_path / "copy"
