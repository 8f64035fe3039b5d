"""Binarisation of weights and activations (Eq. 1 of the paper, after DoReFa-Net).

>>> binarise_weight(torch.tensor([-0.5, 0.0, 1.0])).tolist()
[-0.5, 0.5, 0.5]
>>> binarise_activation(torch.tensor([-0.2, 0.5, 0.6, 1.7])).tolist()
[0.0, 0.0, 1.0, 1.0]
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _BinariseWeight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.dtype = weight.dtype
        scale = weight.abs().mean()
        # where, not sign: sign(0) is 0, and a stored weight must be one bit.
        return torch.where(weight >= 0, scale, -scale).to(dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0].to(ctx.dtype), None


class _BinariseActivation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dtype: torch.dtype) -> Tensor:
        # One byte an element for the backward pass, in place of the input itself.
        ctx.save_for_backward(x == x.clamp(0, 1))
        ctx.dtype = x.dtype
        # Half to even: round(0.5) is 0, so what rounds to 1 is exactly what lies above one half.
        return (x > 0.5).to(dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (inside,) = ctx.saved_tensors
        return (grads[0] * inside).to(ctx.dtype), None


class _BinariseFloats(torch.autograd.Function):
    """The same from float32 to float32, in one pass over memory each way: a tenth less of a small network's step."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.gt(x, 0.5, out=torch.empty_like(x))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        # This kernel leaves out its borders, so they are the floats next to 0 and 1.
        return torch.ops.aten.hardtanh_backward(grads[0], x, -(2.0**-149), 1 + 2.0**-23)  # type: ignore[no-any-return]


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
    dtype = dtype or x.dtype
    if x.dtype == dtype == torch.float32:
        return _BinariseFloats.apply(x)  # type: ignore[no-any-return]
    return _BinariseActivation.apply(x, dtype)  # type: ignore[no-any-return]


class BinaryConvolution(nn.Conv2d):
    """A convolution without bias that binarises its input and its weight.

    Input (N, C, H, W), weight (O, C, K, K) kept real-valued for the gradient. Under autocast it computes in the
    autocast precision, in which ±scale and {0, 1} lose next to nothing.
    """

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of the binarised input, (N, O, H', W')."""
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else self.weight.dtype
        return F.conv2d(
            binarise_activation(x, dtype), binarise_weight(self.weight, dtype), None, self.stride, self.padding
        )
