"""The library compiled from ``cpp/training/``: loading it, and calling its functions with tensors."""

import ctypes

import torch
from torch import Tensor

from pipeline.kernels import build
from pipeline.kernels.build import SOURCES

#: Types of numbers for which there are functions, and how these are called.
TYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}

_pointer, _size, _real, _float, _int = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double, ctypes.c_float, ctypes.c_int
_OF_EACH_TYPE = {
    "forward": (*[_pointer] * 3, *[_size] * 4, *[_pointer] * 4, _real, _real, _int, *[_pointer] * 3, _int),
    "backward": (*[_pointer] * 3, *[_size] * 4, *[_pointer] * 4, _int),
    "binarise": (_pointer, *[_size] * 2, *[_pointer] * 2, _int),
    "pass": (*[_pointer] * 2, *[_size] * 2, _pointer, _int),
    "binarise_weight": (_pointer, _size, *[_pointer] * 3, _int),
    "winograd_forward": (_pointer, *[_size] * 5, _pointer, _float, _pointer, _int),
    "winograd_input_gradient": (_pointer, *[_size] * 5, _pointer, _float, _pointer, _int),
    "winograd_filter_gradient": (*[_pointer] * 2, *[_size] * 5, _pointer, _int),
}
_ARGUMENTS = {
    **{f"{name}_{kind}": types for name, types in _OF_EACH_TYPE.items() for kind in TYPES.values()},
    "crop_images": (_pointer, *[_size] * 4, _pointer, _size, *[_pointer] * 4, _int),
}

_library: ctypes.CDLL | None = None


def load() -> None:
    """Makes the library available to this process.

    Raises:
        CompilationError: it cannot be had.
    """
    global _library
    if _library is None:
        loading = build.open_library(SOURCES, _ARGUMENTS)
        for name, arguments in _ARGUMENTS.items():
            getattr(loading, name).argtypes = arguments
        _library = loading


def unload() -> None:
    """Goes back to torch's operators."""
    global _library
    _library = None


def loaded() -> bool:
    """Whether it is available."""
    return _library is not None


def call(name: str, *arguments: object) -> int:
    """What a function returns, 0 where all is well; it runs on as many threads as torch.

    Args:
        name: of the function. Those for a type of numbers end with its name.
        arguments: of the function but for the last, its number of threads.
    """
    return int(getattr(_library, name)(*arguments, torch.get_num_threads()))


def address(tensor: Tensor | None) -> int | None:
    """Where a tensor's elements lie."""
    return None if tensor is None else tensor.data_ptr()


def feature_map(shape: torch.Size | tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A new tensor (N, C, H, W), of any values, whose channels lie last in memory."""
    return torch.empty(shape, dtype=dtype, memory_format=torch.channels_last)
