"""[[Max-pooling,] batch norm,] binary convolution in compiled kernels: what leads from one convolution to the next.

The feature maps in between are most of what a small network reads and writes. Here the batch norm's output is never
stored: its bits are, and the backward pass finds out again, from what was normalised, where Eq. 1 passes the gradient.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from pipeline.kernels import int8, normalise, winograd
from pipeline.networks.binary.convolution import BinaryConvolution, picked, skips_pixels, spread


def binarise_and_convolve(modules: Sequence[nn.Module], inputs: list[Tensor]) -> Tensor:
    """Returns the modules one after another, fused from the first one on from which kernels can do the rest.

    Hooks of modules that are fused do not run.

    Args:
        modules: [[MaxPool2d,] BatchNorm2d,] BinaryConvolution, or other modules in their place.
        inputs: (N, C, H, W), alone in a list. It is taken out, so that it is freed when it has been used.
    """
    x = inputs.pop()
    for i, module in enumerate(modules):
        chain = _chain(modules[i:], x)
        if chain is not None:
            norm = chain.norm
            affine = (None, None) if norm is None else (norm.weight, norm.bias)
            return _Fused.apply(x, *affine, chain.convolution.weight, chain)  # type: ignore[no-any-return]
        x = module(x)
    return x


class _Chain(NamedTuple):
    """The modules that are fused. ``learns``: a gradient will be asked for."""

    pool: bool
    norm: nn.BatchNorm2d | None
    convolution: BinaryConvolution
    learns: bool


def _chain(modules: Sequence[nn.Module], x: Tensor) -> _Chain | None:
    *before, convolution = modules
    norm = before.pop() if before else None
    if not (
        normalise.accepts(x)
        and type(convolution) is BinaryConvolution
        and convolution.compiled
        and _fits(convolution, x)
    ):
        return None
    learns = torch.is_grad_enabled()
    if norm is None:
        return _Chain(False, None, convolution, learns)
    if len(before) > 1 or not all(_halves(pool, x) for pool in before):
        return None
    values = x.numel() // x.shape[1] // 4 ** len(before)
    if type(norm) is nn.BatchNorm2d and norm.num_features == x.shape[1] and _can_normalise(norm, values, learns):
        return _Chain(bool(before), norm, convolution, learns)
    return None


def _fits(convolution: BinaryConvolution, x: Tensor) -> bool:
    weight = convolution.weight
    dense = weight.is_contiguous() or weight.is_contiguous(memory_format=torch.channels_last)
    same = weight.device == x.device and convolution.in_channels == x.shape[1]
    return dense and same and weight.dtype == torch.float32 and x.dtype == convolution.result_type(x)


def _can_normalise(norm: nn.BatchNorm2d, values: int, learns: bool) -> bool:
    for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        if tensor is None or tensor.dtype != torch.float32 or tensor.device.type != "cpu" or not tensor.is_contiguous():
            return False
    # Torch refuses to learn from one value, and says so. The moments of evaluation have another gradient: none.
    return values > 1 if norm.training else not learns


def _halves(pool: nn.Module, x: Tensor) -> bool:
    """Returns whether a pooling takes windows of 2×2, side by side, that cover the feature map."""
    if type(pool) is not nn.MaxPool2d:
        return False
    how = pool.kernel_size, pool.stride, pool.padding, pool.dilation, pool.return_indices
    return how == (2, 2, 0, 1, False) and x.shape[2] % 2 == 0 and x.shape[3] % 2 == 0


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gamma: Tensor | None, beta: Tensor | None, weight: Tensor, chain: _Chain
    ) -> Tensor:
        height, width = (x.shape[2] // 2, x.shape[3] // 2) if chain.pool else x.shape[2:]
        shape = (*x.shape[:2], height, width)
        minimal = _is_minimal(shape, chain.convolution)
        integers = not minimal and int8.worthwhile(shape, chain.convolution, x.dtype)
        wanted = {"bits": minimal or integers, "numbers": not minimal and (chain.learns or not integers)}
        made = (
            normalise.binarise(x, **wanted)
            if chain.norm is None
            else normalise.normalise_and_binarise(x, chain.norm, pool=chain.pool, **wanted)
        )
        signs, ones, scale = normalise.binarise_weight(weight, x.dtype, signs=minimal or integers, numbers=not minimal)
        ctx.minimal, ctx.convolution = minimal, chain.convolution
        ctx.geometry = chain.convolution.stride, chain.convolution.padding
        if skips_pixels(chain.convolution):
            bits, numbers = (None if part is None else picked(part, chain.convolution) for part in made[:2])
            made = made._replace(bits=bits, numbers=numbers)
            ctx.geometry = (1, 1), (0, 0)
        stride, padding = ctx.geometry
        factors = (made.bits, signs) if minimal else (made.numbers, ones)
        ctx.save_for_backward(made.x, made.winners, made.moments, *factors, scale)
        if made.bits is None or signs is None:
            assert made.numbers is not None and ones is not None
            return F.conv2d(made.numbers, ones, None, stride, padding)
        if minimal:
            return winograd.convolution(made.bits, signs, scale, x.dtype)
        return int8.convolution(made.bits, signs, scale, stride, padding, x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, winners, moments, inputs, weight, scale = ctx.saved_tensors
        if ctx.minimal:
            gradient = grads[0].contiguous(memory_format=torch.channels_last)
            of_bits = winograd.input_gradient(gradient, weight, scale)
            of_weight = winograd.filter_gradient(gradient, inputs)
        else:
            of_bits, of_weight, _ = torch.ops.aten.convolution_backward(
                grads[0], inputs, weight, None, *ctx.geometry, (1, 1), False, (0, 0), 1, (True, True, False)
            )
            if skips_pixels(ctx.convolution):
                of_bits = spread(of_bits, x.shape, ctx.convolution)
        if moments is None:
            return normalise.passed(of_bits, x), None, None, of_weight.float(), None
        of_x, of_gamma, of_beta = normalise.gradients(of_bits, x, winners, moments)
        return of_x, of_gamma, of_beta, of_weight.float(), None


def _is_minimal(shape: Sequence[int], convolution: BinaryConvolution) -> bool:
    """Returns whether its three products are computed by Winograd's filtering."""
    lies_so = convolution.weight.is_contiguous(memory_format=torch.channels_last)
    return lies_so and winograd.worthwhile(shape, convolution)
