"""Convolutions of binary networks: binary ones (Eq. 1), real ones, and 1×1 ones with a stride.

A 1×1 convolution with a stride is computed as a dense one of the pixels that it reads. That is the same product with
less to binarise. And it keeps clear of torch's own backward pass of the strided one, which with channels last, fewer
than 16 input channels and several threads writes beyond its memory (seen with torch 2.14 and its oneDNN, in float32 and
bfloat16; the process dies).
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.kernels import int8
from pipeline.networks.binary.binarisers import BINARISERS, DEFAULT, is_compiled
from pipeline.networks.binary.binarisers.dorefa import (
    ones_where_positive,
    pass_inside,
    round_clipped,
)


class _IntegerConvolution(torch.autograd.Function):
    """The convolution of binarised tensors, forward in integers; gradients are real numbers and stay floats."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int], dtype: torch.dtype
    ) -> Tensor:
        # A byte for each activation and weight, from which the backward pass makes floats again.
        bits = round_clipped(x).to(torch.int8).view(torch.uint8)
        signs = ones_where_positive(weight).to(torch.int8).mul_(2).sub_(1)
        scale = weight.abs().mean()
        ctx.save_for_backward(x, bits, signs, scale)
        ctx.shape = stride, padding
        return int8.convolution(bits, signs, scale, stride, padding, dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        x, bits, signs, scale = ctx.saved_tensors
        stride, padding = ctx.shape
        gradient = grads[0]
        weight = signs.to(gradient.dtype).mul_(scale)
        of_input, of_weight, _ = torch.ops.aten.convolution_backward(
            gradient,
            bits.to(gradient.dtype),
            weight,
            None,
            stride,
            padding,
            (1, 1),
            False,
            (0, 0),
            1,
            (True, True, False),
        )
        return pass_inside(of_input.to(x.dtype), x), of_weight.to(scale.dtype), None, None, None


class BinaryConvolution(nn.Conv2d):
    """A convolution without bias that binarises its input and its weight.

    Input (N, C, H, W), weight (O, C, K, K) kept real-valued for the gradient. With the binariser that kernels were
    written for, where the processor multiplies bytes fast, the forward product is computed in integers, without
    rounding, whatever the precision. Else, under autocast, it is computed in the autocast precision, in which ±scale
    and {0, 1} lose next to nothing. Inside a network :mod:`pipeline.networks.binary.fused` computes it together with
    what leads to it, where there are compiled kernels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        *,
        bias: bool = False,
        binariser: str = DEFAULT,
    ) -> None:
        if bias:
            raise ValueError("a binary convolution has no bias")
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, bias=False)
        self.binariser = binariser  # by name: a module could be neither copied nor sent to another process
        #: Whether weights are taken as they are, and the input alone is binarised.
        self.real_weight = False
        self._compiled = is_compiled(binariser)

    @property
    def compiled(self) -> bool:
        """Returns whether compiled kernels may compute it."""
        return self._compiled and not self.real_weight

    def result_type(self, x: Tensor) -> torch.dtype:
        """Returns the autocast precision, or the weight's own."""
        device = x.device.type
        return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else self.weight.dtype

    def forward(self, x: Tensor) -> Tensor:
        """Returns the convolution of the binarised input, (N, O, H', W')."""
        dtype = self.result_type(x)
        integers = self.compiled and int8.worthwhile(x.shape, self, dtype)
        stride = self.stride
        if skips_pixels(self):
            x, stride = picked(x, self), (1, 1)
        if integers:
            return _IntegerConvolution.apply(x, self.weight, stride, self.padding, dtype)  # type: ignore[no-any-return]
        binariser = BINARISERS[self.binariser]
        bits = binariser.binarise_activation(x, dtype)
        weight = self.weight.to(dtype) if self.real_weight else binariser.binarise_weight(self.weight, dtype)
        return F.conv2d(bits, weight, None, stride, self.padding)


def skips_pixels(convolution: nn.Conv2d) -> bool:
    """Returns whether a convolution reads only every so many pixels of its input."""
    return convolution.kernel_size == (1, 1) and convolution.padding == (0, 0) and convolution.stride != (1, 1)


def picked(x: Tensor, convolution: nn.Conv2d) -> Tensor:
    """Returns the pixels of a feature map (N, C, H, W) that such a convolution reads, in the map's order in memory."""
    rows, columns = convolution.stride
    last = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if last else torch.contiguous_format
    return x[:, :, ::rows, ::columns].contiguous(memory_format=layout)


def spread(gradient: Tensor, shape: torch.Size, convolution: nn.Conv2d) -> Tensor:
    """Returns the gradient of the map (of ``shape``) from that of the picked pixels, channels last; the others have
    none.
    """
    rows, columns = convolution.stride
    whole = torch.empty(shape, dtype=gradient.dtype, device=gradient.device, memory_format=torch.channels_last).zero_()
    whole[:, :, ::rows, ::columns] = gradient
    return whole


class Convolution(nn.Conv2d):
    """A real-valued convolution without bias."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns the convolution of (N, C, H, W), (N, O, H', W')."""
        if skips_pixels(self):
            return F.conv2d(picked(x, self), self.weight)
        return super().forward(x)
