"""Named tensors in an HDF5 file: the supernet, trained networks and saved states of trainings.

No pickle: any HDF5 tool reads them. A part of a tensor is read without the rest of it, which is how a candidate
inherits its weights from the supernet.
"""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pipeline.common.errors import UnreadableError, UserError, made_again
from pipeline.common.files import replacing

_FORMAT = "binary-nas tensors 1"
Arrays = dict[str, np.ndarray]


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray], attributes: Mapping[str, Any]) -> None:
    """Writes tensors with attributes (any JSON values) and a digest over the tensors, whole or not at all."""
    with replacing(path) as temporary, create_hdf5(temporary) as file:
        file.attrs["format"] = _FORMAT
        file.attrs["digest"] = digest(tensors)
        for key, value in attributes.items():
            file.attrs[key] = json.dumps(value)
        for name, tensor in tensors.items():
            # HDF5 checks the sum of whatever part is read later; a single number has no chunks to sum.
            file.create_dataset(name, data=tensor, fletcher32=tensor.size > 1)


def read_attributes(path: Path) -> dict[str, Any]:
    """Returns the attributes and the digest, without reading a tensor. Raises UserError like ``read_tensors``."""
    with open_hdf5(path, _FORMAT) as file:
        return {key: _text(file, key) if key in ("digest", "format") else read_json(file, key) for key in file.attrs}


def read_json(file: h5py.File, key: str) -> Any:
    """Returns a file's attribute that holds JSON. Raises ValueError if it holds none, KeyError if it is not there."""
    text = _text(file, key)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"its attribute '{key}' is no JSON") from None


def _text(file: h5py.File, key: str) -> str:
    value = file.attrs[key]
    if not isinstance(value, str):
        raise ValueError(f"its attribute '{key}' is no text")
    return value


def read_tensors(path: Path, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Arrays:
    """Reads all tensors, or of those named in ``shapes`` the first corresponding part: [:n, :m, …].

    Raises:
        UserError: the file is missing, damaged, of another kind, or a tensor is missing or smaller than its shape.
    """
    with open_hdf5(path, _FORMAT) as file:
        if shapes is None:
            names: list[str] = []
            file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
            return {name: np.asarray(file[name][()]) for name in names}
        return first_parts(file, shapes, path)


def first_parts(tensors: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], path: Path) -> Arrays:
    """Returns of each tensor that is named in ``shapes`` the first corresponding part: [:n, :m, …].

    Args:
        tensors: what has a shape and can be cut, by its name; more of them than are named.
        shapes: of the parts.
        path: the file that they are from.

    Raises:
        UserError: a tensor is missing or smaller than its shape.
    """
    parts = {}
    for name, shape in shapes.items():
        if name not in tensors:
            raise UserError(f"{path} has no tensor '{name}'", "it belongs to another network")
        have = tensors[name].shape
        if len(have) != len(shape) or any(part > whole for part, whole in zip(shape, have, strict=True)):
            raise UserError(f"tensor '{name}' of {path} has shape {have}, too small for {shape}")
        parts[name] = np.asarray(tensors[name][tuple(slice(part) for part in shape)])
    return parts


def verify_tensors(path: Path) -> None:
    """Compares all tensors with the digest that was written beside them, one tensor in memory at a time.

    Raises:
        UserError: like ``read_tensors``; or they are others than those that were written, or some are not finite.
    """
    again = made_again()
    with open_hdf5(path, _FORMAT) as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        total = hashlib.sha256()
        for name in sorted(names):
            tensor = np.asarray(file[name][()])
            _add(total, name, tensor)
            if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
                raise UserError(f"{path} is damaged: {name} holds numbers that no training leaves", again)
        if total.hexdigest() != _text(file, "digest"):
            raise UserError(f"{path} is damaged: its tensors are not those that were written", again)


def digest(tensors: Mapping[str, np.ndarray]) -> str:
    """Returns SHA-256 over names, types, shapes and values, independent of the file that holds them."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        _add(total, name, tensors[name])
    return total.hexdigest()


def _add(total: "hashlib._Hash", name: str, tensor: np.ndarray) -> None:
    contiguous = np.ascontiguousarray(tensor)
    total.update(f"{name} {contiguous.dtype.str} {contiguous.shape}\n".encode())
    total.update(contiguous.data)


class _Disk(io.FileIO):
    """A file that takes every write, and remembers why one did not reach the disk.

    HDF5 that meets a full disk by itself prints a page of traces and may end the process.
    """

    problem: OSError | None = None

    def write(self, data: Any) -> int:
        """Returns all of ``data``, or none of it once there was a problem."""
        view = memoryview(data).cast("B")
        done = 0
        try:
            while done < len(view) and self.problem is None:
                done += super().write(view[done:])
        except OSError as error:
            self.problem = error
        return len(view)


@contextmanager
def create_hdf5(path: Path) -> Iterator[h5py.File]:
    """Opens a new file to write. Raises OSError at the end if the disk did not take it."""
    with _Disk(path, "w+") as disk:
        with h5py.File(disk, "w", libver="latest") as file:
            yield file
        if disk.problem is not None:
            raise disk.problem


@contextmanager
def open_hdf5(path: Path, expected_format: str) -> Iterator[h5py.File]:
    """Opens one of this project's HDF5 files for reading, without locks, which network file systems often lack.

    Raises:
        UserError: the file is missing, damaged or of another kind, or what is read of it inside the block is damaged.
    """
    try:
        with keep_open(path, expected_format) as file:
            yield file
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> UserError:
    if isinstance(error, OSError) and error.errno is not None:
        return UnreadableError(path, error)
    reason = " ".join(str(error).split())[:120]
    return UserError(f"{path} is damaged or no HDF5 file ({reason})", made_again())


def keep_open(path: Path, expected_format: str) -> h5py.File:
    """Returns the same for as long as the caller likes. Raises UserError where the file is missing, damaged or another
    kind.
    """
    try:
        file = h5py.File(path, "r", locking=False)
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except OSError as error:
        raise _damaged(path, error) from None
    try:
        found = file.attrs.get("format")
        if not isinstance(found, str) or found != expected_format:
            raise UserError(f"{path} holds '{found}', but '{expected_format}' is needed here", "name the right file")
        _check_contained(file)
    except UserError:
        file.close()
        raise
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        file.close()
        raise _damaged(path, error) from None
    return file


def _check_contained(file: h5py.File) -> None:
    """Makes sure that whatever is read of a file is numbers that lie in it.

    An HDF5 file may name other files to read from, by a link or as the place of a dataset's bytes, and may claim to
    hold more than any machine can.

    Raises:
        ValueError: it does one of these.
    """

    # What a callback raises, HDF5 would turn into something else; what it returns ends the walk.
    def elsewhere(name: bytes, info: Any) -> str | None:
        if info.type == h5py.h5l.TYPE_HARD:
            return None
        return f"'{name.decode(errors='replace')}' is a link to somewhere else"

    def no_numbers(name: str, item: Any) -> str | None:
        if not isinstance(item, h5py.Dataset):
            return None
        if item.external or item.is_virtual:
            return f"the values of '{name}' lie in other files"
        if item.dtype.kind not in "biuf":
            return f"'{name}' holds no numbers"
        held = item.id.get_storage_size()
        return f"'{name}' claims {item.nbytes} bytes, but holds {held}" if item.nbytes > held else None

    fault = file.id.links.visit(elsewhere, info=True) or file.visititems(no_numbers)
    if fault:
        raise ValueError(fault)
