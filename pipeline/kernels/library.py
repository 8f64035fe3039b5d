"""The library compiled from ``cpp/training/``: loading it, and calling its functions with tensors."""

import ctypes

import torch
from torch import Tensor

from pipeline.kernels import build
from pipeline.kernels.build import SOURCES
from pipeline.kernels.signatures import signatures, statuses

#: Types of numbers for which there are functions, and how these are called.
TYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}

_library: ctypes.CDLL | None = None


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
    status = getattr(_library, name)(*arguments, torch.get_num_threads())
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


def feature_map(shape: torch.Size | tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Returns a new tensor (N, C, H, W), of any values, whose channels lie last in memory."""
    return torch.empty(shape, dtype=dtype, memory_format=torch.channels_last)
