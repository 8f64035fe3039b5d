"""What is said of a file that cannot be used: only what is damaged, and the workflow's own, is to be deleted."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.common.errors import WORKFLOW_PID, UnreadableError, UserError, made_again
from pipeline.common.files import read_csv, read_json
from pipeline.common.hdf5 import open_hdf5, read_attributes, write_tensors
from pipeline.search.archive import read_entry

READERS = [read_json, lambda path: read_csv(path, ("a",)), read_attributes, read_entry]


@pytest.fixture
def within_the_workflow(monkeypatch):
    monkeypatch.setenv(WORKFLOW_PID, "1")


def test_a_file_named_by_hand_may_be_anybodys(monkeypatch):
    monkeypatch.delenv(WORKFLOW_PID, raising=False)
    assert made_again() == "if the workflow made it, delete it, and it is made again"
    monkeypatch.setenv(WORKFLOW_PID, "1")
    assert made_again("it is trained again") == "delete it, and it is trained again"


@pytest.mark.parametrize("read", READERS)
def test_what_the_system_does_not_let_us_read_is_not_damaged(tmp_path, read, within_the_workflow):
    """A folder in its place, and a disk that fails: ``/proc/self/mem`` gives an input/output error at its start."""
    (tmp_path / "failing").symlink_to("/proc/self/mem")
    (tmp_path / "folder").mkdir()
    for name in ("failing", "folder"):
        if (name, read) == ("failing", read_attributes):
            continue  # HDF5 asks for the file's size first, and finds it empty
        with pytest.raises(UnreadableError, match="cannot be read") as caught:
            read(tmp_path / name)
        assert "delete" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied"), "Permission denied; have yourself given permission to read it"),
        (BlockingIOError(11, "Resource temporarily unavailable"), "another program has locked it"),
        (OSError(5, "Input/output error"), "Input/output error"),
    ],
)
def test_reasons_of_the_system(tmp_path, monkeypatch, error, said, within_the_workflow):
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(h5py, "File", refuse)
    monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    monkeypatch.setattr("builtins.open", refuse)
    for read in READERS:
        with pytest.raises(UnreadableError) as caught:
            read(tmp_path / "file")
        assert str(caught.value) == f"{tmp_path / 'file'} cannot be read: {said}"


def test_what_is_damaged_is_to_be_deleted(tmp_path, within_the_workflow):
    path = tmp_path / "file"
    write_tensors(path, {"a": np.zeros(1000)}, {})
    whole = path.read_bytes()
    for damage in (b"", b"GIF89a", whole[: len(whole) // 2]):
        path.write_bytes(damage)
        with pytest.raises(UserError, match="delete it, and it is made again"), open_hdf5(path, "tensors"):
            pass
    path.write_text(json.dumps([1])[:-1])
    with pytest.raises(UserError, match="is no record .*: delete it, and it is made again"):
        read_json(path)
