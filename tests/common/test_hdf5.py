"""HDF5 files that were changed by hand or planted: told in a sentence, and nothing outside of them is read."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.common.errors import UserError
from pipeline.common.hdf5 import read_attributes, read_tensors, write_tensors
from pipeline.data.loading import load_images
from pipeline.data.prepared import read_info, read_labels

Spoil = Callable[[h5py.File], object]


@pytest.fixture
def tensors(tmp_path: Path) -> Path:
    path = tmp_path / "tensors.h5"
    write_tensors(path, {"layer/weight": np.arange(12.0).reshape(3, 4), "count": np.array(7)}, {"seed": 1})
    write_tensors(tmp_path / "secret.h5", {"weight": np.arange(12.0).reshape(3, 4)}, {})
    (tmp_path / "secret.bin").write_bytes(bytes(range(96)))
    return path


def replaced(name: str, put: Callable[[h5py.File], object]) -> Spoil:
    """Puts something else in the place of a dataset."""

    def spoil(file: h5py.File) -> None:
        del file[name]
        put(file)

    return spoil


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((3, 4), "f8")
    layout[:] = h5py.VirtualSource("secret.h5", "weight", (3, 4))
    file.create_virtual_dataset("layer/weight", layout)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (
            replaced(
                "layer/weight",
                lambda file: file["layer"].__setitem__("weight", h5py.ExternalLink("secret.h5", "/weight")),
            ),
            "'layer/weight' is a link to somewhere else",
        ),
        (
            replaced("layer/weight", lambda file: file["layer"].__setitem__("weight", h5py.SoftLink("/count"))),
            "'layer/weight' is a link to somewhere else",
        ),
        (
            lambda file: file.__setitem__("unused", h5py.ExternalLink("/etc/passwd", "/")),
            "'unused' is a link to somewhere else",
        ),
        (
            replaced(
                "layer/weight",
                lambda file: file.create_dataset("layer/weight", (3, 4), "f8", external=[("secret.bin", 0, 96)]),
            ),
            "the values of 'layer/weight' lie in other files",
        ),
        (replaced("layer/weight", virtual), "the values of 'layer/weight' lie in other files"),
        (
            replaced("count", lambda file: file.create_dataset("count", (10**12,), "f8", chunks=(1000,))),
            "'count' claims 8000000000000 bytes, but holds 0",
        ),
        (replaced("count", lambda file: file.create_dataset("count", data="seven")), "'count' holds no numbers"),
        (
            replaced("count", lambda file: file.create_dataset("count", (2,), h5py.vlen_dtype(np.int64))),
            "'count' holds no numbers",
        ),
    ],
    ids=["external link", "soft link", "unused link", "external storage", "virtual", "sparse", "text", "ragged"],
)
@pytest.mark.parametrize("read", [read_attributes, read_tensors])
def test_what_does_not_lie_in_the_file_is_not_read(tensors, spoil, reason, read):
    with h5py.File(tensors, "a") as file:
        spoil(file)
    with pytest.raises(UserError) as caught:
        read(tensors)
    assert str(caught.value).startswith(f"{tensors} is damaged or no HDF5 file ({reason})")


def test_groups_in_a_circle_are_gone_through_once(tensors):
    with h5py.File(tensors, "a") as file:
        file["layer/again"] = file["layer"]
    assert set(read_tensors(tensors)) == {"layer/weight", "count"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no json", "its attribute 'seed' is no JSON"),
        ("[" * 100_000, "its attribute 'seed' is no JSON"),
        (7, "its attribute 'seed' is no text"),
        (np.zeros(3), "its attribute 'seed' is no text"),
        (b"\xff\xfe", "its attribute 'seed' is no"),
    ],
    ids=["words", "deep", "number", "array", "bytes"],
)
def test_attributes_that_are_no_json(tensors, value, reason):
    with h5py.File(tensors, "a", libver="latest") as file:
        file.attrs["seed"] = value
    with pytest.raises(UserError) as caught:
        read_attributes(tensors)
    assert str(caught.value).startswith(f"{tensors} is damaged or no HDF5 file ({reason}")


def test_a_pipe_is_no_file_to_wait_for(tmp_path):
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(UserError, match="is damaged or no HDF5 file|cannot be read"):
        read_attributes(tmp_path / "folder.h5")


# Prepared images


def number(name: str, value: object) -> Spoil:
    return lambda file: file.attrs.__setitem__(name, value)


def other(name: str, data: np.ndarray) -> Spoil:
    def spoil(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, data=data, fletcher32=True)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (number("count", 10**9), "'labels' is int64 of shape"),
        (number("count", -1), "it has no images"),
        (number("count", "many"), ""),
        (number("count", 1.5), ""),
        (number("size", 10**6), "'pixels' is uint8 of shape"),
        (number("channels", 4), "it has no images, or they have no size"),
        (number("channels", 3), "it has no mean and deviation of each channel"),
        (number("classes", "{"), "its attribute 'classes' is no JSON"),
        (number("classes", "7"), ""),
        (number("classes", "[]"), "it has no images"),
        (number("classes", "[1, 2]"), "a name in it is no text"),
        (number("mean", json.dumps(["a"])), ""),
        (number("mean", "[NaN]"), "it has no mean and deviation"),
        (number("std", "[0.0]"), "its images have no deviation"),
        (number("storage", "raw"), "it holds train images stored as raw"),
        (number("split", "validation"), "it holds validation images"),
        (lambda file: file.attrs.__delitem__("mean"), ""),
        (other("labels", np.zeros(3, np.int64)), "'labels' is int64 of shape (3,)"),
        (other("labels", np.zeros(1437, np.int32)), "'labels' is int32"),
        (other("pixels", np.zeros((1437, 8, 8, 1), np.float32)), "'pixels' is float32"),
        (other("pixels", np.zeros((1437, 8, 8), np.uint8)), "'pixels' is uint8 of shape"),
        (lambda file: file.__delitem__("labels"), ""),
        (lambda file: (file.__delitem__("pixels"), file.create_group("pixels")), "'pixels' is no array"),
    ],
)
@pytest.mark.parametrize("read", [read_info, read_labels, lambda path: load_images(path, "cpu")])
def test_prepared_images_changed_by_hand(prepared, tmp_path, spoil, reason, read):
    path = tmp_path / "train.h5"
    shutil.copy(prepared / "train.h5", path)
    with h5py.File(path, "a", libver="latest") as file:
        spoil(file)
    with pytest.raises(UserError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path} is damaged or no HDF5 file ({reason}")


@pytest.mark.parametrize("label", [-1, 10])
def test_labels_outside_the_classes(prepared, tmp_path, label):
    path = tmp_path / "train.h5"
    shutil.copy(prepared / "train.h5", path)
    labels = read_labels(path)
    labels[3] = label
    with h5py.File(path, "a") as file:
        other("labels", labels)(file)
    for read in (read_labels, lambda path: load_images(path, "cpu")):
        with pytest.raises(UserError, match="a label is outside of its 10 classes"):
            read(path)


def test_files_of_earlier_versions_have_no_census(prepared, tmp_path):
    path = tmp_path / "train.h5"
    shutil.copy(prepared / "train.h5", path)
    with h5py.File(path, "a") as file:
        del file.attrs["census"]
    assert read_info(path).census == "null"
