"""Batch norm and Eq. 1 as thresholds: exactly what the trained network's own float32 arithmetic decides.

From one binary convolution to the next a network computes, for each channel, fl(scale · n) of an integer n, its batch
norm, and whether that lies above one half. Each of these steps is monotone in n, rounding included, so the whole is a
comparison with one integer. It is found by bisecting the expression itself, evaluated by torch's own kernels: no
algebra is done on the batch norm's numbers, and no rounding is guessed.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Thresholds of what is always and never true, of integers and of reals (nothing is ≥ NaN).
ALWAYS, NEVER = -(2**31), 2**31 - 1


class Thresholds(NamedTuple):
    """For each channel: a bit is 1 where a value is ≥ ``threshold``, or ≤ it where ``at_most``.

    ``threshold`` (C,) is int32 or float32, ``at_most`` (C,) is bool.
    """

    threshold: Tensor
    at_most: Tensor

    def bits(self, values: Tensor) -> Tensor:
        """Returns which of ``values`` (N, C, …) give a 1."""
        shape = (1, -1, *[1] * (values.dim() - 2))
        threshold, at_most = self.threshold.reshape(shape), self.at_most.reshape(shape)
        return torch.where(at_most, values <= threshold, values >= threshold)


class Affine(NamedTuple):
    """A batch norm in evaluation mode: x · ``factor`` + ``term`` for each channel, rounded once; both (C,) float32."""

    factor: Tensor
    term: Tensor


@torch.no_grad()
def normalised(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Returns what a batch norm makes of (N, C) values, in evaluation mode and float32, by torch's kernel."""
    return F.batch_norm(
        x.reshape(*x.shape, 1, 1), norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, norm.eps
    ).reshape(x.shape)


@torch.no_grad()
def affine(norm: nn.BatchNorm2d) -> Affine:
    """Returns the two numbers for each channel with which torch's kernel computes a batch norm.

    It computes a factor and a term first and x · factor + term by a fused multiply-add. Both are asked of the kernel
    itself, since how it rounds them is its own affair: with no mean and no shift 1 becomes the factor, and 0 becomes
    the term.
    """
    zeros = torch.zeros(norm.num_features)
    rows = torch.ones(1, norm.num_features), torch.zeros(1, norm.num_features)
    factor = F.batch_norm(rows[0][..., None, None], zeros, norm.running_var, norm.weight, zeros, False, 0.0, norm.eps)
    return Affine(factor.reshape(-1), normalised(norm, rows[1])[0])


def of_integers(norm: nn.BatchNorm2d, scale: float, most: int) -> Thresholds:
    """Returns the thresholds of norm(scale · n) > 0.5 for integers n from -most to most.

    Args:
        norm: with float32 numbers, which may be anything: a channel whose batch norm is NaN never gives a 1.
        scale: of the layer's weights, ≥ 0, a float32 number.
        most: the largest |n| that occurs: the weights of one output channel.
    """
    factor = torch.tensor(scale, dtype=torch.float32)

    def above(n: Tensor) -> Tensor:
        return normalised(norm, (n.float() * factor)[None])[0] > 0.5

    return _bisected(above, norm.num_features, -most, most, lambda keys: keys.to(torch.int32), ALWAYS, NEVER)


def of_reals(norm: nn.BatchNorm2d) -> Thresholds:
    """Returns the thresholds of norm(x) > 0.5 for every finite float32 x."""
    largest = _key(torch.tensor([torch.finfo(torch.float32).max])).item()

    def above(keys: Tensor) -> Tensor:
        return normalised(norm, _real(keys)[None])[0] > 0.5

    return _bisected(above, norm.num_features, -int(largest), int(largest), _real, float("-inf"), float("nan"))


def _key(x: Tensor) -> Tensor:
    """Returns integers in the order of the float32 numbers, neighbours next to each other, 0 for both zeros."""
    bits = x.view(torch.int32).long()
    return torch.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


def _real(keys: Tensor) -> Tensor:
    """Returns the float32 numbers of keys."""
    bits = torch.where(keys < 0, -keys | 0x80000000, keys)
    return torch.where(bits >= 2**31, bits - 2**32, bits).to(torch.int32).view(torch.float32)


def _bisected(
    above: Callable[[Tensor], Tensor],
    channels: int,
    low: int,
    high: int,
    value: Callable[[Tensor], Tensor],
    always: float,
    never: float,
) -> Thresholds:
    """Returns where ``above`` changes, for each channel, between the keys ``low`` and ``high``."""
    lows, highs = torch.full((channels,), low), torch.full((channels,), high)
    at_low, at_high = above(lows), above(highs)
    while (highs - lows > 1).any():
        middles = (lows + highs).div(2, rounding_mode="floor")
        as_low = above(middles) == at_low
        lows, highs = torch.where(as_low, middles, lows), torch.where(as_low, highs, middles)
    falls = at_low & ~at_high
    found = value(torch.where(falls, lows, highs))
    found = torch.where(at_low == at_high, torch.where(at_low, always, never).to(found.dtype), found)
    return Thresholds(found, falls)
