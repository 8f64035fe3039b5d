"""The compiled kernels of ``kernels.cpp``: pooling, batch norm and binarisation between two convolutions.

They exist after :func:`load`, take float32 and bfloat16 tensors on the CPU whose channels lie last in memory, and run
on as many threads as torch.
"""

import ctypes
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pipeline import compilation
from pipeline.hardware import KERNELS

_TYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}

_pointer, _size, _real, _int = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double, ctypes.c_int
_OF_EACH_TYPE = {
    "forward": (*[_pointer] * 3, *[_size] * 4, *[_pointer] * 4, _real, _real, _int, *[_pointer] * 3, _int),
    "backward": (*[_pointer] * 3, *[_size] * 4, *[_pointer] * 4, _int),
    "binarise": (_pointer, *[_size] * 2, *[_pointer] * 2, _int),
    "pass": (*[_pointer] * 2, *[_size] * 2, _pointer, _int),
    "binarise_weight": (_pointer, _size, *[_pointer] * 3, _int),
}
_ARGUMENTS = {
    **{f"{name}_{kind}": types for name, types in _OF_EACH_TYPE.items() for kind in _TYPES.values()},
    "crop_images": (_pointer, *[_size] * 4, _pointer, _size, *[_pointer] * 4, _int),
}

_library: ctypes.CDLL | None = None


def load() -> None:
    """Makes the kernels available to this process.

    Raises:
        CompilationError: they cannot be had.
    """
    global _library
    if _library is None:
        library = compilation.load(compilation.compiled(KERNELS))
        for name, arguments in _ARGUMENTS.items():
            getattr(library, name).argtypes = arguments
        _library = library


def unload() -> None:
    """Goes back to torch's operators."""
    global _library
    _library = None


def loaded() -> bool:
    """Whether they are available."""
    return _library is not None


def accepts(x: Tensor) -> bool:
    """Whether there are kernels for a feature map (N, C, H, W)."""
    return (
        _library is not None
        and x.device.type == "cpu"
        and x.dtype in _TYPES
        and x.dim() == 4
        and x.numel() > 0
        and x.is_contiguous(memory_format=torch.channels_last)
    )


class Binarised(NamedTuple):
    """The result of Eq. 1, and what its gradient needs.

    Attributes:
        bits: (N, C, H', W') of {0, 1}, uint8; None where not asked for.
        numbers: the same in the input's type; None where not asked for.
        x: what was normalised or binarised: the input or, where it was pooled, its maxima.
        winners: (N, C, H', W'), uint8: which value of its window a maximum is; None where nothing was pooled.
        moments: (4, C): mean, inverse deviation, scale and shift of each channel; None without a batch norm.
    """

    bits: Tensor | None
    numbers: Tensor | None
    x: Tensor
    winners: Tensor | None = None
    moments: Tensor | None = None


def normalise_and_binarise(x: Tensor, norm: nn.BatchNorm2d, *, pool: bool, bits: bool, numbers: bool) -> Binarised:
    """Eq. 1 of the batch norm of ``x``, without rounding in between; in training mode the running moments move.

    Args:
        x: (N, C, H, W), one that :func:`accepts` accepts.
        norm: with scale, shift and running moments in float32.
        pool: whether to take the maxima of 2×2 windows first. H and W are even then.
        bits: whether the result is wanted in bytes.
        numbers: whether it is wanted in the input's type.
    """
    count, channels, height, width = x.shape
    shape = (count, channels, height // 2, width // 2) if pool else x.shape
    pooled = _map(shape, x.dtype) if pool else None
    winners = _map(shape, torch.uint8) if pool else None
    as_bits = _map(shape, torch.uint8) if bits else None
    as_numbers = _map(shape, x.dtype) if numbers else None
    moments = torch.empty(4, channels, dtype=torch.float32)
    _call(
        f"forward_{_TYPES[x.dtype]}",
        *(_at(x), _at(pooled), _at(winners), count, height, width, channels),
        *(_at(norm.weight), _at(norm.bias), _at(norm.running_mean), _at(norm.running_var)),
        *(_momentum(norm), norm.eps, norm.training),
        *(_at(moments), _at(as_bits), _at(as_numbers)),
    )
    return Binarised(as_bits, as_numbers, x if pooled is None else pooled, winners, moments)


def _momentum(norm: nn.BatchNorm2d) -> float:
    """The weight of this batch in the running moments; counts it, as torch does."""
    if not norm.training or norm.num_batches_tracked is None:
        return norm.momentum or 0.0
    norm.num_batches_tracked.add_(1)
    return 1 / norm.num_batches_tracked.item() if norm.momentum is None else norm.momentum


def gradients(gradient: Tensor, x: Tensor, winners: Tensor | None, moments: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What flows back through :func:`normalise_and_binarise`, to its input and to scale and shift of the batch norm.

    Args:
        gradient: (N, C, H', W'), of the bits, in the type of ``x``. It is overwritten.
        x, winners, moments: of :class:`Binarised`.
    """
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    count, channels, height, width = x.shape
    if winners is not None:
        height, width = 2 * height, 2 * width
    of_x = gradient if winners is None else _map((count, channels, height, width), x.dtype)
    of_gamma, of_beta = (torch.empty(channels, dtype=torch.float32) for _ in range(2))
    _call(
        f"backward_{_TYPES[x.dtype]}",
        *(_at(gradient), _at(x), _at(winners), count, height, width, channels),
        *(_at(moments), _at(of_gamma), _at(of_beta), _at(of_x)),
    )
    return of_x, of_gamma, of_beta


def binarise(x: Tensor, *, bits: bool, numbers: bool) -> Binarised:
    """Eq. 1 of ``x`` itself; arguments as of :func:`normalise_and_binarise`."""
    as_bits = _map(x.shape, torch.uint8) if bits else None
    as_numbers = _map(x.shape, x.dtype) if numbers else None
    channels = x.shape[1]
    _call(f"binarise_{_TYPES[x.dtype]}", _at(x), x.numel() // channels, channels, _at(as_bits), _at(as_numbers))
    return Binarised(as_bits, as_numbers, x)


def passed(gradient: Tensor, x: Tensor) -> Tensor:
    """The gradient where 0 ≤ x ≤ 1, zero elsewhere.

    Args:
        gradient: (N, C, H, W), in the type of ``x``. It is overwritten.
        x: what :func:`binarise` saw.
    """
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    channels = x.shape[1]
    rows = x.numel() // channels
    _call(f"pass_{_TYPES[x.dtype]}", _at(gradient), _at(x), rows, channels, _at(gradient))
    return gradient


def binarise_weight(weight: Tensor, dtype: torch.dtype, *, signs: bool) -> tuple[Tensor | None, Tensor, Tensor]:
    """Eq. 1 of a weight: its signs in bytes (where wanted), sign · E(|w|) in ``dtype``, and E(|w|).

    Args:
        weight: float32, without gaps in memory.
        dtype: float32 or bfloat16.
        signs: whether they are wanted.
    """
    as_signs = torch.empty_like(weight, dtype=torch.int8) if signs else None
    numbers = torch.empty_like(weight, dtype=dtype)
    mean = torch.empty((), dtype=torch.float32)
    _call(f"binarise_weight_{_TYPES[dtype]}", _at(weight), weight.numel(), _at(as_signs), _at(numbers), _at(mean))
    return as_signs, numbers, mean


def crop(pixels: Tensor, indices: Tensor, rows: Tensor, columns: Tensor, padding: int, table: Tensor) -> Tensor:
    """Crops of some images, (B, S, S, C), every byte replaced by what ``table`` says.

    Args:
        pixels: (N, S, S, C) bytes on the CPU, without gaps.
        indices: (B,) of the images, int64, from 0 on.
        rows, columns: (B, S), int64, that the crop takes, counted from the corner of the padding.
        padding: pixels of black around an image.
        table: (C, 256), float32.

    Raises:
        IndexError: there is no such image.
    """
    _, side, _, channels = pixels.shape
    crops = torch.empty(len(indices), side, side, channels, dtype=torch.float32)
    indices, rows, columns = (tensor.contiguous() for tensor in (indices, rows, columns))
    beyond = _call(
        "crop_images",
        *(_at(pixels), len(pixels), side, channels, padding, _at(indices), len(indices), _at(rows), _at(columns)),
        *(_at(table), _at(crops)),
    )
    if beyond:
        raise IndexError(f"of {len(pixels)} images, others are asked for")
    return crops


def _map(shape: torch.Size | tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, dtype=dtype, memory_format=torch.channels_last)


def _at(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _call(name: str, *arguments: object) -> int:
    return int(getattr(_library, name)(*arguments, torch.get_num_threads()))
