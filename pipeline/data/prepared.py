"""Prepared images: one HDF5 file for the train images of a data set, one for its test images.

Small images are stored as bytes of equal size (storage 'pixels': ``pixels``, uint8 (N, H, W, C)), large ones as JPEG
files (storage 'jpeg': ``encoded``, uint8, all files one behind the other, and ``offsets``, int64 (N + 1), where each
begins and the last ends). ``labels`` is int64 (N,). The attributes are those of :class:`ImagesInfo`.
"""

import hashlib
import json
import math
import operator
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from pipeline.common.errors import UserError, made_again
from pipeline.common.files import replacing
from pipeline.common.hdf5 import Arrays, create_hdf5, open_hdf5, read_json

FORMAT = "binary-nas images 1"

Storage = Literal["pixels", "jpeg"]

#: Bytes that are read at once, and of encoded images that are verified.
_PART = 1 << 24
_MOST_ENCODED = 1 << 31


@dataclass(frozen=True)
class ImagesInfo:
    """The facts known about a file of prepared images without reading one.

    Attributes:
        dataset: name of the data set.
        storage: 'pixels' or 'jpeg'.
        classes: names, in the order of the class numbers.
        channels: 1 or 3.
        size: side in pixels; in storage 'jpeg' the side of the crop that a network sees.
        count: how many images there are.
        mean, std: of each channel of the train images as a network sees them, in units of the full brightness; a
            file of test images carries the train images' values.
        split: 'train' or 'test'.
        skipped: damaged images that were left out.
        digest: SHA-256 over everything that a training can see: images, labels, classes and the values above.
        made_with: settings of the preparation and versions of the software.
        census: record of a :class:`~pipeline.data.census.Census`; null in files of earlier versions.
    """

    dataset: str
    storage: Storage
    classes: tuple[str, ...]
    channels: int
    size: int
    count: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    split: str = "train"
    skipped: int = 0
    digest: str = ""
    made_with: str = "{}"
    census: str = "null"


def read_info(path: Path, split: str | None = None) -> ImagesInfo:
    """Returns the attributes of a file of prepared images.

    Args:
        path: the file.
        split: 'train' or 'test', where only one of them will do.

    Raises:
        UserError: the file is missing, damaged or of another kind, or holds the other split's images.
    """
    with open_hdf5(path, FORMAT) as file:
        info = _info(file)
        _check_shapes(file, info)
    if split not in (None, info.split):
        raise UserError(f"{path} holds {info.split} images, but {split} images are needed here", "name the other file")
    return info


def _info(file: h5py.File) -> ImagesInfo:
    """Returns the attributes. Raises KeyError, TypeError or ValueError if they make no sense."""
    missing = {"census"} - set(file.attrs)  # of files of earlier versions
    values = {key: file.attrs[key] for key in (field.name for field in fields(ImagesInfo)) if key not in missing}
    for key in ("channels", "size", "count", "skipped"):
        values[key] = operator.index(values[key])
    for key in ("classes", "mean", "std"):
        values[key] = tuple(read_json(file, key))
    info = ImagesInfo(**values)
    texts = (info.dataset, info.storage, info.split, info.digest, info.made_with, info.census, *info.classes)
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a name in it is no text")
    if info.storage not in ("pixels", "jpeg") or info.split not in ("train", "test"):
        raise ValueError(f"it holds {info.split} images stored as {info.storage}")
    if info.channels not in (1, 3) or min(info.size, info.count, len(info.classes)) < 1 or info.skipped < 0:
        raise ValueError("it has no images, or they have no size")
    moments = [float(value) for value in (*info.mean, *info.std)]
    if {len(info.mean), len(info.std)} != {info.channels} or not all(map(math.isfinite, moments)):
        raise ValueError("it has no mean and deviation of each channel")
    if min(info.std) <= 0:
        raise ValueError("its images have no deviation")
    return info


def _check_shapes(file: h5py.File, info: ImagesInfo) -> None:
    """Compares what the file holds with what its attributes say. Raises ValueError if they do not fit."""
    wanted: dict[str, tuple[type, tuple[int, ...]]] = {"labels": (np.int64, (info.count,))}
    if info.storage == "pixels":
        wanted["pixels"] = (np.uint8, (info.count, info.size, info.size, info.channels))
    else:
        wanted["offsets"] = (np.int64, (info.count + 1,))
        wanted["encoded"] = (np.uint8, (-1,))
    for name, (kind, shape) in wanted.items():
        dataset = file[name]
        if not isinstance(dataset, h5py.Dataset):
            raise ValueError(f"'{name}' is no array")
        known = shape if shape != (-1,) else (dataset.size,)
        if dataset.dtype != kind or dataset.shape != known:
            raise ValueError(f"'{name}' is {dataset.dtype} of shape {dataset.shape}")


def read_labels(path: Path) -> np.ndarray:
    """Returns (N,) int64 class numbers. Raises UserError like ``read_info``, and if one is of no class."""
    with open_hdf5(path, FORMAT) as file:
        info = _info(file)
        _check_shapes(file, info)
        return labels_of(file, len(info.classes))


def labels_of(file: h5py.File, classes: int) -> np.ndarray:
    """Returns (N,) int64 class numbers of an open file. Raises ValueError if one is of no class."""
    labels = np.asarray(file["labels"][()])
    if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(f"a label is outside of its {classes} classes")
    return labels


def offsets_of(file: h5py.File) -> np.ndarray:
    """Returns (N + 1,) int64 where each encoded image begins. Raises ValueError if they do not lie one behind the
    other.
    """
    offsets = np.asarray(file["offsets"][()])
    if offsets[0] != 0 or offsets[-1] != len(file["encoded"]) or (np.diff(offsets) <= 0).any():
        raise ValueError("its images do not lie one behind the other")
    return offsets


def verify_images(path: Path) -> None:
    """Compares the images with the digest that was written beside them, a part in memory at a time.

    Not of encoded images of more than ``_MOST_ENCODED`` bytes, which would take minutes: one of these that is damaged
    does not decode.

    Raises:
        UserError: like ``read_labels``; or they are others than those that were written.
    """
    with open_hdf5(path, FORMAT) as file:
        info = _info(file)
        _check_shapes(file, info)
        images = file["pixels" if info.storage == "pixels" else "encoded"]
        numbers = [labels_of(file, len(info.classes))]
        if info.storage == "jpeg":
            numbers.append(offsets_of(file))
            if images.size > _MOST_ENCODED:
                return
        digest = _digest_of_attributes(_attributes(info))
        step = max(1, _PART // math.prod(images.shape[1:]))
        for start in range(0, len(images), step):
            digest.update(np.ascontiguousarray(images[start : start + step]).data)
        for values in numbers:
            digest.update(values.data)
        if digest.hexdigest() != info.digest:
            raise UserError(f"{path} is damaged: its images are not those that were written", made_again())


def _digest_of_attributes(attributes: dict[str, Any]) -> "hashlib._Hash":
    seen = {key: attributes[key] for key in ("storage", "classes", "channels", "size", "count", "mean", "std")}
    return hashlib.sha256(json.dumps(seen).encode())


def write_images(path: Path, info: ImagesInfo, length: int, parts: Iterable[Arrays]) -> None:
    """Writes a file of prepared images, whole or not at all; equal input gives equal bytes.

    Args:
        path: the file.
        info: the attributes; its ``digest`` is computed here.
        length: bytes of all images together (storage 'jpeg').
        parts: the images, part by part: ``labels`` and either ``pixels``, or ``encoded`` and ``lengths`` (the bytes
            of each image).

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    attributes = _attributes(info)
    digest = _digest_of_attributes(attributes)
    name = "pixels" if info.storage == "pixels" else "encoded"
    shape = (info.count, info.size, info.size, info.channels) if info.storage == "pixels" else (length,)
    labels, lengths = [], []
    with replacing(path) as temporary, create_hdf5(temporary) as file:
        # HDF5 checks the sum of what is read. Not of encoded images, whose random reads would take in whole chunks; a
        # damaged one does not decode.
        images = file.create_dataset(name, shape, np.uint8, fletcher32=info.storage == "pixels")
        filled = 0
        for part in parts:
            images[filled : filled + len(part[name])] = part[name]
            filled += len(part[name])
            digest.update(part[name].data)
            labels.append(part["labels"])
            if info.storage == "jpeg":
                lengths.append(part["lengths"])
        numbers = {"labels": np.concatenate(labels)}
        if info.storage == "jpeg":
            numbers["offsets"] = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
        for key, values in numbers.items():
            file.create_dataset(key, data=values, fletcher32=True)
            digest.update(values.data)
        for key, value in {**attributes, "digest": digest.hexdigest(), "format": FORMAT}.items():
            file.attrs[key] = value


def _attributes(info: ImagesInfo) -> dict[str, Any]:
    return {key: json.dumps(value) if isinstance(value, tuple) else value for key, value in vars(info).items()}
