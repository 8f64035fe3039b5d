"""Worker processes: what they give, and that none of them holds up the others when it is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline.common.errors import UserError
from pipeline.common.workers import in_workers
from tests.support.examples import NIGHTLY
from tests.support.workflow import PATIENCE, ROOT, wait_for, wait_until


class Counted:
    """Tells which of the items of one worker an item is."""

    def __init__(self):
        self._done = 0

    def __call__(self, item):
        self._done += 1
        return os.getpid(), self._done


def test_each_item_is_answered_by_workers_that_remember():
    answers = dict(in_workers(Counted(), list("abcdefg"), 2, ""))
    assert set(answers) == set("abcdefg")
    pids = {pid for pid, _ in answers.values()}
    assert len(pids) == 2 and os.getpid() not in pids
    for pid in pids:
        numbers = sorted(number for other, number in answers.values() if other == pid)
        assert numbers == list(range(1, len(numbers) + 1))


def test_there_are_no_more_workers_than_items():
    assert len({pid for _, (pid, _) in in_workers(Counted(), [1, 2], 8, "")}) == 2
    assert list(in_workers(Counted(), [], 8, "")) == []


class Patient:
    """The item "last" takes until all others have been answered, which is when the caller leaves a file."""

    def __init__(self, file: Path):
        self._file = file

    def __call__(self, item):
        if item == "last":
            wait_until(self._file.exists)


def test_the_longest_item_holds_up_no_other(tmp_path):
    file, answers = tmp_path / "answered", []
    for item, _ in in_workers(Patient(file), ["last", "a", "b", "c"], 2, ""):
        answers.append(item)
        if len(answers) == 3:
            file.touch()
    assert answers == ["a", "b", "c", "last"]


def test_what_a_worker_raises_is_raised_here():
    with pytest.raises(ZeroDivisionError):
        list(in_workers(divide, [0, 1, 2], 2, ""))
    assert psutil.Process().children() == []


def divide(item):
    return 1 / item


def kill_itself(item):
    if item == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_a_killed_worker_is_named_once_the_others_have_answered():
    answers = in_workers(kill_itself, ["a", "killed", "b"], 1, "take another one")
    assert next(answers) == ("a", "a")
    with pytest.raises(UserError, match="^a worker was killed, perhaps for want of memory: take another one$"):
        next(answers)
    assert psutil.Process().children() == []


def nap(seconds):
    time.sleep(seconds)
    return os.getpid()


@pytest.mark.parametrize("after", [0.0, 0.03, 0.1])
def test_a_worker_killed_at_any_time_holds_up_nobody(after):
    answers = in_workers(nap, [0.05] * 20, 2, "")
    _, pid = next(answers)
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(UserError, match="a worker was killed"):
        list(answers)


def test_a_worker_that_is_no_longer_needed_may_be_killed():
    answers = in_workers(nap, [0.0, 3.0], 2, "")
    _, pid = next(answers)
    os.kill(pid, signal.SIGKILL)
    ((seconds, other),) = answers
    assert seconds == 3.0 and other != pid


CALLER = """
from pipeline.common.workers import in_workers
from tests.support.traces import leave_a_trace
list(in_workers(leave_a_trace, ["first", "second"], 2, ""))
"""


def call(folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", CALLER], cwd=folder, env=environment, stderr=subprocess.PIPE, start_new_session=True
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_whom_they_work_for(tmp_path, number):
    """However it ends, and without a word of their own: on Ctrl-C, which they get as well, only the caller speaks."""
    caller = call(tmp_path)
    wait_for("second", tmp_path, caller)
    workers = psutil.Process(caller.pid).children(recursive=True)
    if number == signal.SIGINT:
        os.killpg(caller.pid, number)
    else:
        caller.send_signal(number)
    _, said = caller.communicate(timeout=PATIENCE)
    assert said.decode().count("Traceback") == (number == signal.SIGINT)
    assert psutil.wait_procs(workers, timeout=PATIENCE)[1] == []


def test_workers_whose_parent_dies_while_they_start_say_nothing(tmp_path):
    delays = (0.0, 0.001, 0.002, 0.004, 0.008, 0.016, 0.03, 0.06, 0.1)
    for delay in delays if NIGHTLY else delays[::2]:
        caller = call(tmp_path)
        while not (workers := psutil.Process(caller.pid).children()):
            assert caller.poll() is None
        time.sleep(delay)
        caller.kill()
        _, said = caller.communicate(timeout=PATIENCE)
        assert said == b""
        assert psutil.wait_procs(workers, timeout=PATIENCE)[1] == []
