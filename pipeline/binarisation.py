"""Binarisation of weights and activations (Eq. 1 of the paper, after DoReFa-Net).

>>> binarise_weight(torch.tensor([-0.5, 0.0, 1.0])).tolist()
[-0.5, 0.5, 0.5]
>>> binarise_activation(torch.tensor([-0.2, 0.5, 0.6, 1.7])).tolist()
[0.0, 0.0, 1.0, 1.0]

Everything here is written in the kernels that torch has vectorised. A comparison that gives truth values is not one of
them: it takes ten times as long as one that writes numbers.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.kernels import int8
from pipeline.strides import picked, skips_pixels


def _ones_where_positive(weight: Tensor) -> Tensor:
    """1 where weight ≥ 0, else 0, in the weight's type. Not sign: sign(0) is 0, and a stored weight must be one bit."""
    return torch.ge(weight, 0, out=torch.empty_like(weight))


def _rounded(x: Tensor) -> Tensor:
    """round(clip(x, 0, 1)) in the type of x. Half to even: what rounds to 1 is exactly what lies above one half."""
    return torch.gt(x, 0.5, out=torch.empty_like(x))


def _inside(gradient: Tensor, x: Tensor) -> Tensor:
    """The gradient where 0 ≤ x ≤ 1, zero elsewhere."""
    # This kernel leaves out its borders, so they are the numbers next to 0 and 1. It computes bfloat16 in float32.
    below = math.nextafter(0, -1) if x.dtype == torch.float64 else -(2.0**-149)
    return torch.ops.aten.hardtanh_backward(gradient, x, below, 1 + torch.finfo(x.dtype).eps)  # type: ignore[no-any-return]


class _BinariseWeight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.dtype = weight.dtype
        return _ones_where_positive(weight).mul_(2).sub_(1).mul_(weight.abs().mean()).to(dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0].to(ctx.dtype), None


class _BinariseActivation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.save_for_backward(x)
        return _rounded(x).to(dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return _inside(grads[0].to(x.dtype), x), None


def binarise_weight(weight: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """sign(w) · E(|w|) with one scale for the whole tensor and sign(0) = +1; the gradient passes straight through.

    Args:
        weight: any shape.
        dtype: of the result; the weight's own by default.
    """
    return _BinariseWeight.apply(weight, dtype or weight.dtype)  # type: ignore[no-any-return]


def binarise_activation(x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """round(clip(x, 0, 1)), values {0, 1}; the gradient passes where 0 ≤ x ≤ 1 and is zero outside.

    A NaN gives 0, so a training watches its parameters and not only its loss.

    Args:
        x: any shape.
        dtype: of the result; the input's own by default.
    """
    return _BinariseActivation.apply(x, dtype or x.dtype)  # type: ignore[no-any-return]


class _IntegerConvolution(torch.autograd.Function):
    """The convolution of binarised tensors, forward in integers; gradients are real numbers and stay floats."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int], dtype: torch.dtype
    ) -> Tensor:
        # A byte for each activation and weight, from which the backward pass makes floats again.
        bits = _rounded(x).to(torch.int8).view(torch.uint8)
        signs = _ones_where_positive(weight).to(torch.int8).mul_(2).sub_(1)
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
        return _inside(of_input.to(x.dtype), x), of_weight.to(scale.dtype), None, None, None


class BinaryConvolution(nn.Conv2d):
    """A convolution without bias that binarises its input and its weight.

    Input (N, C, H, W), weight (O, C, K, K) kept real-valued for the gradient. Where the processor multiplies bytes
    fast, the forward product is computed in integers, without rounding, whatever the precision. Else, under autocast,
    it is computed in the autocast precision, in which ±scale and {0, 1} lose next to nothing. Inside a network
    :mod:`pipeline.fusion` computes it together with what leads to it, where there are compiled kernels.
    """

    def result_type(self, x: Tensor) -> torch.dtype:
        """The autocast precision, or the weight's own."""
        device = x.device.type
        return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else self.weight.dtype

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of the binarised input, (N, O, H', W')."""
        dtype = self.result_type(x)
        integers = int8.worthwhile(x.shape, self, dtype)
        stride = self.stride
        if skips_pixels(self):
            x, stride = picked(x, self), (1, 1)
        if integers:
            return _IntegerConvolution.apply(x, self.weight, stride, self.padding, dtype)  # type: ignore[no-any-return]
        return F.conv2d(binarise_activation(x, dtype), binarise_weight(self.weight, dtype), None, stride, self.padding)
