"""Convolutions of {0, 1} with ±1 in 8-bit integers: exact, and twice as fast as bfloat16 where the processor has VNNI.

Every product is 0 or ±1 and sums are 32 bits wide, so nothing is rounded before the sum is multiplied by the scale.

torch offers this through oneDNN as the operators that its own compiler uses for quantised networks. They are not
part of its documented interface, so a small product is compared with its known result before they are trusted.
"""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor, nn

from pipeline.kernels.cpu import multiplies_bytes

#: Multiply-accumulates of a batch from which integers are faster than the result's type. Preparing them takes some more
#: calls of torch than floats do, about 0.1 ms, in which float32 gets less far than bfloat16.
LEAST_MACS: dict[torch.dtype, float] = {torch.float32: 1.5e7, torch.bfloat16: 5e7}

#: The same for output pixels of a batch. Each step packs its weights anew, 1.4 ns for each weight on one thread.
LEAST_PIXELS: dict[torch.dtype, float] = {torch.float32: 128, torch.bfloat16: 400}


def worthwhile(shape: Sequence[int], convolution: nn.Conv2d, dtype: torch.dtype) -> bool:
    """Returns whether a binary convolution should be computed in integers.

    Args:
        shape: of its input (N, C, H, W).
        convolution: on the device where the input is.
        dtype: of its result.
    """
    if convolution.weight.device.type != "cpu" or dtype not in LEAST_MACS:
        return False
    # What is left of a stride by rounding does not matter here.
    pixels = shape[0] * shape[2] * shape[3] / (convolution.stride[0] * convolution.stride[1])
    enough = pixels >= LEAST_PIXELS[dtype] and pixels * convolution.weight.numel() >= LEAST_MACS[dtype]
    return enough and available()


def convolution(
    bits: Tensor, signs: Tensor, scale: Tensor, stride: Sequence[int], padding: Sequence[int], dtype: torch.dtype
) -> Tensor:
    """Returns scale · (bits * signs): exact sums, multiplied in float32 and rounded to the result's type.

    Args:
        bits: (N, C, H, W), uint8, of {0, 1}.
        signs: (O, C, K, K), int8, of ±1.
        scale: one float32 number.
        stride, padding: of the convolution.
        dtype: of the result (N, O, H', W'): float32 or bfloat16.

    Raises:
        RuntimeError, AttributeError, TypeError: this build of torch has no such operators.
    """
    # One scale for all channels: as many as there are channels would be read one by one, in every step.
    scales = scale.reshape(1)
    zeros = torch.zeros(1, dtype=torch.int32)
    geometry = [list(stride), list(padding), [1, 1], 1]  # dilation and groups last
    packed = torch.ops.onednn.qconv_prepack(signs, scales, 1.0, 0, *geometry, list(bits.shape))
    return torch.ops.onednn.qconv2d_pointwise(  # type: ignore[no-any-return]
        bits, 1.0, 0, packed, scales, zeros, None, *geometry, 1.0, 0, dtype, "none", [], ""
    )


@cache
def available() -> bool:
    """Returns whether the processor multiplies bytes fast and torch's operators give the known results of a small
    product.
    """
    if not multiplies_bytes():
        return False
    bits = (torch.arange(2 * 8 * 5 * 5) % 3 == 0).reshape(2, 8, 5, 5)
    signs = (torch.arange(16 * 8 * 3 * 3) % 5 < 2).reshape(16, 8, 3, 3).int() * 2 - 1
    expected = 0.25 * nn.functional.conv2d(bits.double(), signs.double(), None, 2, 1)
    bits = bits.to(torch.uint8).contiguous(memory_format=torch.channels_last)
    try:
        found = convolution(bits, signs.to(torch.int8), torch.tensor(0.25), (2, 2), (1, 1), torch.float32)
        return torch.equal(found.double(), expected)
    except (RuntimeError, AttributeError, TypeError):
        return False
