"""Compiled pooling, batch norm and binarisation between two convolutions (``cpp/training/normalise.cpp``).

They exist after :func:`pipeline.kernels.library.load`, take float32 and bfloat16 tensors on the CPU whose channels lie
last in memory, and run on as many threads as torch.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pipeline.kernels import library
from pipeline.kernels.arrays import Arrays, new
from pipeline.kernels.library import LAST, TYPES, address


def accepts(x: Tensor) -> bool:
    """Returns whether there are kernels for a feature map (N, C, H, W)."""
    return (
        library.loaded()
        and x.device.type == "cpu"
        and x.dtype in TYPES
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


def normalise_and_binarise(
    x: Tensor, norm: nn.BatchNorm2d, *, pool: bool, bits: bool, numbers: bool, arrays: Arrays = new
) -> Binarised:
    """Computes Eq. 1 of the batch norm of ``x``, without rounding between; training mode moves the running moments.

    Args:
        x: (N, C, H, W), one that :func:`accepts` accepts.
        norm: with scale, shift and running moments in float32.
        pool: whether to take the maxima of 2×2 windows first. H and W are even then.
        bits: whether the result is wanted in bytes.
        numbers: whether it is wanted in the input's type.
        arrays: give what is written to.
    """
    count, channels, height, width = x.shape
    shape = (count, channels, height // 2, width // 2) if pool else x.shape
    pooled = arrays("pooled", shape, x.dtype, LAST) if pool else None
    winners = arrays("winners", shape, torch.uint8, LAST) if pool else None
    as_bits = arrays("bits", shape, torch.uint8, LAST) if bits else None
    as_numbers = arrays("numbers", shape, x.dtype, LAST) if numbers else None
    moments = arrays("moments", (4, channels), torch.float32)
    library.call(
        f"forward_{TYPES[x.dtype]}",
        *(address(x), address(pooled), address(winners), count, height, width, channels),
        *(address(norm.weight), address(norm.bias), address(norm.running_mean), address(norm.running_var)),
        *(_momentum(norm), norm.eps, norm.training),
        *(address(moments), address(as_bits), address(as_numbers)),
    )
    return Binarised(as_bits, as_numbers, x if pooled is None else pooled, winners, moments)


def _momentum(norm: nn.BatchNorm2d) -> float:
    """Returns the weight of this batch in the running moments; counts it, as torch does."""
    if not norm.training or norm.num_batches_tracked is None:
        return norm.momentum or 0.0
    norm.num_batches_tracked.add_(1)
    return 1 / norm.num_batches_tracked.item() if norm.momentum is None else norm.momentum


def gradients(
    gradient: Tensor, x: Tensor, winners: Tensor | None, moments: Tensor, arrays: Arrays = new
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns what flows back through :func:`normalise_and_binarise`, to its input and to scale and shift of the batch
    norm.

    Args:
        gradient: (N, C, H', W'), of the bits, in the type of ``x``. It is overwritten.
        x, winners, moments: of :class:`Binarised`.
        arrays: give what is written to.
    """
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    count, channels, height, width = x.shape
    if winners is not None:
        height, width = 2 * height, 2 * width
    of_x = gradient if winners is None else arrays("of_x", (count, channels, height, width), x.dtype, LAST)
    of_gamma, of_beta = (arrays(name, (channels,), torch.float32) for name in ("of_gamma", "of_beta"))
    library.call(
        f"backward_{TYPES[x.dtype]}",
        *(address(gradient), address(x), address(winners), count, height, width, channels),
        *(address(moments), address(of_gamma), address(of_beta), address(of_x)),
    )
    return of_x, of_gamma, of_beta


def binarise(x: Tensor, *, bits: bool, numbers: bool, arrays: Arrays = new) -> Binarised:
    """Computes Eq. 1 of ``x`` itself; arguments as of :func:`normalise_and_binarise`."""
    as_bits = arrays("bits", x.shape, torch.uint8, LAST) if bits else None
    as_numbers = arrays("numbers", x.shape, x.dtype, LAST) if numbers else None
    channels = x.shape[1]
    library.call(
        f"binarise_{TYPES[x.dtype]}", address(x), x.numel() // channels, channels, address(as_bits), address(as_numbers)
    )
    return Binarised(as_bits, as_numbers, x)


def passed(gradient: Tensor, x: Tensor) -> Tensor:
    """Returns the gradient where 0 ≤ x ≤ 1, zero elsewhere.

    Args:
        gradient: (N, C, H, W), in the type of ``x``. It is overwritten.
        x: what :func:`binarise` saw.
    """
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    channels = x.shape[1]
    rows = x.numel() // channels
    library.call(f"pass_{TYPES[x.dtype]}", address(gradient), address(x), rows, channels, address(gradient))
    return gradient


def binarise_weight(
    weight: Tensor, dtype: torch.dtype, *, signs: bool, numbers: bool, arrays: Arrays = new
) -> tuple[Tensor | None, Tensor | None, Tensor]:
    """Computes Eq. 1 of a weight: its signs in bytes, sign · E(|w|) in ``dtype``, each if it is wanted, and E(|w|).

    Args:
        weight: float32, without gaps in memory.
        dtype: float32 or bfloat16.
        signs, numbers: whether they are wanted.
        arrays: give what is written to.
    """
    layout = torch.contiguous_format if weight.is_contiguous() else LAST
    as_signs = arrays("signs", weight.shape, torch.int8, layout) if signs else None
    as_numbers = arrays("ones", weight.shape, dtype, layout) if numbers else None
    mean = arrays("scale", (), torch.float32)
    library.call(
        f"binarise_weight_{TYPES[dtype]}",
        *(address(weight), weight.numel(), address(as_signs), address(as_numbers), address(mean)),
    )
    return as_signs, as_numbers, mean
