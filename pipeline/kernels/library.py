"""The library compiled from ``cpp/training/``: loading it, and calling its functions with tensors."""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from pipeline.kernels import build
from pipeline.kernels.build import SOURCES
from pipeline.kernels.signatures import signatures, statuses

#: Types of numbers for which there are functions, and how these are called.
TYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}

#: How feature maps and filters lie in memory.
LAST = torch.channels_last

#: Functions with their arguments.
Record = list[tuple[Callable[..., int], tuple[object, ...]]]

_library: ctypes.CDLL | None = None
_record: Record | None = None


def load() -> None:
    """Makes the library available to this process.

    Raises:
        CompilationError: it cannot be had.
    """
    global _library
    if _library is None:
        loading = build.open_library(SOURCES, signatures())
        for name, parameters in signatures().items():
            getattr(loading, name).argtypes = [parameter.type for parameter in parameters]
        _library = loading


def unload() -> None:
    """Goes back to torch's operators."""
    global _library
    _library = None


def loaded() -> bool:
    """Returns whether it is available."""
    return _library is not None


def call(name: str, *arguments: object) -> None:
    """Calls a function, which runs on as many threads as torch.

    Args:
        name: of the function. Those for a type of numbers end with its name.
        arguments: of the function but for the last, its number of threads.

    Raises:
        MemoryError: there is not enough.
        IndexError: an image is asked for that is not there.
        ValueError: an array is missing, or sizes do not fit each other.
    """
    made = getattr(_library, name), (*arguments, torch.get_num_threads())
    _check(made[0](*made[1]), name)
    if _record is not None:
        _record.append(made)


@contextmanager
def recorded() -> Iterator[Record]:
    """Notes the calls that are made meanwhile. Not from several threads at once."""
    global _record
    before, _record = _record, []
    try:
        yield _record
    finally:
        _record = before


def replay(record: Record) -> None:
    """Makes the same calls once more, with the same numbers and addresses: what lies there may have changed.

    Raises:
        MemoryError: there is not enough.
    """
    for function, arguments in record:
        status = function(*arguments)
        if status:
            _check(status, function.__name__)


def _check(status: int, name: str) -> None:
    if status:
        raise _ERRORS[statuses()[status]](f"{name}: {statuses()[status].lower().replace('_', ' ')}")


_ERRORS: dict[str, type[Exception]] = {
    "OUT_OF_MEMORY": MemoryError,
    "NO_ARRAY": ValueError,
    "BAD_SIZE": ValueError,
    "BAD_INDEX": IndexError,
}


def address(tensor: Tensor | None) -> int | None:
    """Returns where a tensor's elements lie."""
    return None if tensor is None else tensor.data_ptr()
