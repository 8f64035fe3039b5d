"""Saved states: what stops a training costs nothing, and what does not belong to it is not taken up."""

import signal

import pytest
import torch

from pipeline.common.errors import StoppedError, UserError
from pipeline.common.hdf5 import read_attributes, read_tensors, write_tensors
from pipeline.training.checkpoint import SavedState, train
from pipeline.training.loop import Training
from tests.support.interruption import IDENTITY, stop_after
from tests.support.trainings import finish, same, start


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_training_saves_and_goes_on(digits, tmp_path, number):
    saved = SavedState(tmp_path / "state.h5", IDENTITY)
    handler = signal.getsignal(number)
    with pytest.raises(StoppedError, match=number.name):
        train(stop_after(start(digits), 6, number), saved, "training", 5)
    assert signal.getsignal(number) == handler
    resumed = start(digits)
    train(resumed, saved, "training", 5)
    assert same(resumed, finish(start(digits)))
    saved.remove()
    assert list(tmp_path.iterdir()) == []


def test_it_saves_every_so_often(digits, tmp_path, monkeypatch):
    saves = []
    monkeypatch.setattr(SavedState, "save", lambda self, training: saves.append(training.steps_done))
    train(start(digits), SavedState(tmp_path / "state.h5", IDENTITY), "training", 1e-9)
    assert saves == list(range(1, 16))


def interrupted(digits, path) -> Training:
    training = start(digits)
    next(training.steps())
    SavedState(path, IDENTITY).save(training)
    return training


def test_a_state_of_other_settings_is_set_aside(digits, tmp_path, capsys):
    interrupted(digits, tmp_path / "state.h5")
    fresh = start(digits)
    assert not SavedState(tmp_path / "state.h5", {**IDENTITY, "seed": 1}).restore(fresh)
    assert fresh.steps_done == 0
    assert "other settings" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["state.set-aside.h5"]


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.99])
def test_a_damaged_state_is_set_aside(digits, tmp_path, keep, capsys):
    path = tmp_path / "state.h5"
    interrupted(digits, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep) if isinstance(keep, float) else keep])
    fresh = start(digits)
    assert not SavedState(path, IDENTITY).restore(fresh)
    assert "set aside" in capsys.readouterr().err
    train(fresh, SavedState(path, IDENTITY), "training", 5)
    assert same(fresh, finish(start(digits)))


@pytest.mark.parametrize("left_out", ["momentum/classifier.weight", "network/classifier.bias", "position", "seconds"])
def test_a_state_that_lacks_something_leaves_nothing_of_itself(digits, tmp_path, left_out):
    """As another version may write it, whole as it is: what came before in it was taken up already."""
    path = tmp_path / "state.h5"
    interrupted(digits, path)
    tensors, attributes = read_tensors(path), read_attributes(path)
    assert (tensors.pop(left_out, None) is None) == (left_out == "seconds")
    write_tensors(path, tensors, {k: v for k, v in attributes.items() if k not in (left_out, "digest", "format")})
    fresh = start(digits)
    assert not SavedState(path, IDENTITY).restore(fresh)
    assert fresh.steps_done == 0
    assert same(finish(fresh), finish(start(digits)))


def test_flipped_bytes_in_a_state_are_noticed(digits, tmp_path, capsys):
    path = tmp_path / "state.h5"
    interrupted(digits, path)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(byte ^ 0xFF for byte in data[middle : middle + 64])
    path.write_bytes(data)
    fresh = start(digits)
    assert not SavedState(path, IDENTITY).restore(fresh)
    assert "set aside" in capsys.readouterr().err


def test_a_full_disk_is_a_clear_error(digits, tmp_path):
    (tmp_path / "file").write_text("")
    training = start(digits)
    with pytest.raises(UserError, match="cannot write"):
        SavedState(tmp_path / "file" / "state.h5", IDENTITY).save(training)


def test_a_restored_state_keeps_the_memory_format(digits, tmp_path):
    interrupted(digits, tmp_path / "state.h5")
    fresh = start(digits)
    assert SavedState(tmp_path / "state.h5", IDENTITY).restore(fresh)
    weight = fresh.network.get_submodule("conv3").weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert fresh._descent.state()["momentum/conv3.weight"].stride() == weight.stride()


def test_time_adds_up_over_interruptions(digits, tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("pipeline.training.checkpoint.time.monotonic", lambda: now[0])
    first = SavedState(tmp_path / "state.h5", IDENTITY)
    now[0] += 40
    first.save(start(digits))
    now[0] += 1000  # nothing runs
    second = SavedState(tmp_path / "state.h5", IDENTITY)
    assert second.restore(start(digits))
    now[0] += 2
    assert second.seconds() == 42.0
