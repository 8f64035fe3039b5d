"""Binarisation of weights and activations (Eq. 1 of the paper, after DoReFa-Net, Zhou et al. 2016).

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
from torch import Tensor

NAME = "dorefa"
#: The kernels of :mod:`pipeline.kernels` compute this.
COMPILED = True


def ones_where_positive(weight: Tensor) -> Tensor:
    """Returns 1 where weight ≥ 0, else 0, in the weight's type. Not sign: sign(0) is 0, and a stored weight must be
    one bit.
    """
    return torch.ge(weight, 0, out=torch.empty_like(weight))


def round_clipped(x: Tensor) -> Tensor:
    """Returns round(clip(x, 0, 1)) in the type of x, half to even: exactly what lies above one half becomes 1."""
    return torch.gt(x, 0.5, out=torch.empty_like(x))


def pass_inside(gradient: Tensor, x: Tensor) -> Tensor:
    """Returns the gradient where 0 ≤ x ≤ 1, zero elsewhere."""
    # This kernel leaves out its borders, so they are the numbers next to 0 and 1. It computes bfloat16 in float32.
    below = math.nextafter(0, -1) if x.dtype == torch.float64 else -(2.0**-149)
    return torch.ops.aten.hardtanh_backward(gradient, x, below, 1 + torch.finfo(x.dtype).eps)  # type: ignore[no-any-return]


class _BinariseWeight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.dtype = weight.dtype
        return ones_where_positive(weight).mul_(2).sub_(1).mul_(weight.abs().mean()).to(dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0].to(ctx.dtype), None


class _BinariseActivation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.save_for_backward(x)
        return round_clipped(x).to(dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return pass_inside(grads[0].to(x.dtype), x), None


def binarise_weight(weight: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Returns sign(w) · E(|w|), one scale for the whole tensor, sign(0) = +1; the gradient passes straight through.

    Args:
        weight: any shape.
        dtype: of the result; the weight's own by default.
    """
    return _BinariseWeight.apply(weight, dtype or weight.dtype)  # type: ignore[no-any-return]


def binarise_activation(x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Returns round(clip(x, 0, 1)), values {0, 1}; the gradient passes where 0 ≤ x ≤ 1 and is zero outside.

    A NaN gives 0, so a training watches its parameters and not only its loss.

    Args:
        x: any shape.
        dtype: of the result; the input's own by default.
    """
    return _BinariseActivation.apply(x, dtype or x.dtype)  # type: ignore[no-any-return]
