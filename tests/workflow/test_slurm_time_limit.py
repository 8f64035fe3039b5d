"""The warning before a job's time limit, where no SLURM is asked; tests/workflow/test_slurm_cluster.py has the rest."""

import os
import signal
import threading

import pytest

from pipeline.common.errors import StoppedError
from pipeline.training.checkpoint import SavedState, train
from pipeline.workflow.slurm.time_limit import WARNING, queue_again, stop_requests
from tests.support.interruption import IDENTITY, stop_after
from tests.support.trainings import finish, same, start
from tests.support.workflow import PATIENCE


@pytest.fixture
def job(monkeypatch, tmp_path):
    """In a job of SLURM, on a node that lacks its programs."""
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("PATH", str(tmp_path))


def test_outside_a_job_the_signal_means_nothing(digits, tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    training = stop_after(start(digits), 6, WARNING)
    train(training, SavedState(tmp_path / "state.h5", IDENTITY), "training", 5, stop_requests())
    assert same(training, finish(start(digits)))


def test_a_training_that_cannot_be_queued_again_saves_and_says_so(job, digits, tmp_path, capsys):
    saved = SavedState(tmp_path / "state.h5", IDENTITY)
    with pytest.raises(StoppedError, match="SIGURG"):
        train(stop_after(start(digits), 6, WARNING), saved, "training", 5, stop_requests())
    assert "job 7 is nearly up, and SLURM does not queue it again" in capsys.readouterr().err
    resumed = start(digits)
    train(resumed, saved, "training", 5, stop_requests())
    assert same(resumed, finish(start(digits)))


def test_sigterm_first_is_no_reason_to_queue_again(job, digits, tmp_path, capsys):
    with pytest.raises(StoppedError, match="SIGTERM"):
        train(
            stop_after(start(digits), 6, signal.SIGTERM),
            SavedState(tmp_path / "state.h5", IDENTITY),
            "training",
            5,
            stop_requests(),
        )
    assert "job 7" not in capsys.readouterr().err


def test_every_warning_is_answered_beside_the_work(job):
    before = signal.getsignal(WARNING)
    answers = threading.Semaphore(0)
    with stop_requests().on_warning(answers.release):
        for _ in range(2):
            os.kill(os.getpid(), WARNING)
            assert answers.acquire(timeout=PATIENCE)
    assert signal.getsignal(WARNING) == before
    assert not any(thread.name == "time limit" for thread in threading.enumerate())


def test_no_scontrol_is_a_reason(job, capsys):
    assert not queue_again()
    assert "scontrol" in capsys.readouterr().err
