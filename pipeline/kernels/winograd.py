"""Binary convolutions of 3×3 by Winograd's minimal filtering: 16 multiplications for 2×2 outputs in place of 36.

Winograd's transformations of {0, 1} and of ±1 are small integers, so that nothing of a forward product is rounded
before its sum is multiplied by the scale: it is exact, in bytes where the processor multiplies them fast. Both
gradients are rounded once more than a plain product of the same type rounds: sums of up to four of them, to that type
(A. Lavin, S. Gray, *Fast Algorithms for Convolutional Neural Networks*, CVPR 2016; ``cpp/training/winograd.cpp``).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pipeline.kernels import library
from pipeline.kernels.arrays import Arrays, new
from pipeline.kernels.library import LAST, TYPES, address

#: Channels, the fewer of input and output, from which it is faster than plain convolutions.
LEAST_CHANNELS = 16

#: Output pixels of a batch up to which it is faster for fewer channels too, since it has less to prepare.
MOST_PIXELS_OF_FEW_CHANNELS = 4096

#: Output pixels of a batch from which it is. Each step transforms its weights anew.
LEAST_PIXELS = 32


def worthwhile(shape: Sequence[int], convolution: nn.Conv2d) -> bool:
    """Returns whether a binary convolution should be computed here. The library is loaded.

    Args:
        shape: of its input (N, C, H, W).
        convolution: on the CPU.
    """
    geometry = convolution.kernel_size, convolution.stride, convolution.padding, convolution.dilation
    if geometry != ((3, 3), (1, 1), (1, 1), (1, 1)) or convolution.groups != 1 or convolution.padding_mode != "zeros":
        return False
    pixels = shape[0] * shape[2] * shape[3]
    many = min(convolution.in_channels, convolution.out_channels) >= LEAST_CHANNELS
    return pixels >= LEAST_PIXELS and (many or pixels <= MOST_PIXELS_OF_FEW_CHANNELS)


def convolution(bits: Tensor, signs: Tensor, scale: Tensor, dtype: torch.dtype, arrays: Arrays = new) -> Tensor:
    """Returns scale · (bits * signs), stride 1, padding 1: exact sums, scaled in float32, rounded to the result's type.

    Args:
        bits: (N, C, H, W), uint8, of {0, 1}, channels last in memory.
        signs: (O, C, 3, 3), int8, of ±1, channels last in memory.
        scale: one float32 number.
        dtype: of the result (N, O, H, W): float32 or bfloat16.
        arrays: give what is written to.

    Raises:
        MemoryError: there is not enough.
    """
    count, inputs, height, width = bits.shape
    out = arrays("product", (count, len(signs), height, width), dtype, LAST)
    sizes = count, height, width, inputs, len(signs)
    _call("forward", dtype, address(bits), *sizes, address(signs), address(scale), address(out))
    return out


def input_gradient(gradient: Tensor, signs: Tensor, scale: Tensor, arrays: Arrays = new) -> Tensor:
    """Returns what flows back to the bits, (N, C, H, W), in the type of ``gradient``.

    Args:
        gradient: (N, O, H, W) of the convolution's result, channels last in memory.
        signs, scale: as of :func:`convolution`.
        arrays: give what is written to.

    Raises:
        MemoryError: there is not enough.
    """
    count, outputs, height, width = gradient.shape
    inputs = signs.shape[1]
    out = arrays("of_bits", (count, inputs, height, width), gradient.dtype, LAST)
    sizes = count, height, width, inputs, outputs
    _call("input_gradient", gradient.dtype, address(gradient), *sizes, address(signs), address(scale), address(out))
    return out


def filter_gradient(gradient: Tensor, bits: Tensor, arrays: Arrays = new) -> Tensor:
    """Returns what flows back to the binarised weight, (O, C, 3, 3), float32, channels last in memory.

    Args:
        gradient, bits: as of :func:`input_gradient` and :func:`convolution`.
        arrays: give what is written to.

    Raises:
        MemoryError: there is not enough.
    """
    count, inputs, height, width = bits.shape
    outputs = gradient.shape[1]
    out = arrays("of_weight", (outputs, inputs, 3, 3), torch.float32, LAST)
    sizes = count, height, width, inputs, outputs
    _call("filter_gradient", gradient.dtype, address(gradient), address(bits), *sizes, address(out))
    return out


def _call(name: str, dtype: torch.dtype, *arguments: object) -> None:
    library.call(f"winograd_{name}_{TYPES[dtype]}", *arguments)
