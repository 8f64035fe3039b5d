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
from pipeline.kernels.arrays import Arrays, new
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
        chain = find_chain(modules[i:], x, learns=torch.is_grad_enabled())
        if chain is not None:
            norm = chain.norm
            affine = (None, None) if norm is None else (norm.weight, norm.bias)
            return _Fused.apply(x, *affine, chain.convolution.weight, chain)  # type: ignore[no-any-return]
        x = module(x)
    return x


class Chain(NamedTuple):
    """The modules that are fused. ``learns``: a gradient will be asked for."""

    pool: bool
    norm: nn.BatchNorm2d | None
    convolution: BinaryConvolution
    learns: bool


def find_chain(modules: Sequence[nn.Module], x: Tensor, *, learns: bool) -> Chain | None:
    """Returns the modules as what kernels compute at once, or None where they do not.

    Args:
        modules: [[MaxPool2d,] BatchNorm2d,] BinaryConvolution, or others.
        x: what the first of them reads; of its numbers nothing is looked at.
        learns: a gradient will be asked for.
    """
    *before, convolution = modules
    norm = before.pop() if before else None
    if not (
        normalise.accepts(x)
        and type(convolution) is BinaryConvolution
        and convolution.compiled
        and _fits(convolution, x)
    ):
        return None
    if norm is None:
        return Chain(False, None, convolution, learns)
    if len(before) > 1 or not all(_halves(pool, x) for pool in before):
        return None
    values = x.numel() // x.shape[1] // 4 ** len(before)
    if type(norm) is nn.BatchNorm2d and norm.num_features == x.shape[1] and _can_normalise(norm, values, learns):
        return Chain(bool(before), norm, convolution, learns)
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


class Saved(NamedTuple):
    """Tensors that a chain's gradient needs: of :class:`Binarised`, and of the product of ``inputs`` and ``weight``."""

    x: Tensor
    winners: Tensor | None
    moments: Tensor | None
    inputs: Tensor
    weight: Tensor
    scale: Tensor


class Gradients(NamedTuple):
    """Tensors that flow back: to the input, to scale and shift of the batch norm, and to the convolution's weight."""

    x: Tensor
    gamma: Tensor | None
    beta: Tensor | None
    weight: Tensor


def forward(x: Tensor, chain: Chain, arrays: Arrays = new) -> tuple[Tensor, Saved]:
    """Returns the binary convolution of what leads to it (Eq. 1), (N, O, H', W'), and what its gradient needs.

    Args:
        x: (N, C, H, W), for which the chain was found.
        chain: its training mode moves the running moments.
        arrays: give what kernels write to. What is kept must not be asked for again before the gradient is there.
    """
    convolution = chain.convolution
    height, width = (x.shape[2] // 2, x.shape[3] // 2) if chain.pool else x.shape[2:]
    shape = (*x.shape[:2], height, width)
    minimal = _is_minimal(shape, convolution)
    integers = not minimal and int8.worthwhile(shape, convolution, x.dtype)
    bits, numbers = minimal or integers, not minimal and (chain.learns or not integers)
    made = (
        normalise.binarise(x, bits=bits, numbers=numbers, arrays=arrays)
        if chain.norm is None
        else normalise.normalise_and_binarise(x, chain.norm, pool=chain.pool, bits=bits, numbers=numbers, arrays=arrays)
    )
    signs, ones, scale = normalise.binarise_weight(
        convolution.weight, x.dtype, signs=bits, numbers=not minimal, arrays=arrays
    )
    if skips_pixels(convolution):
        as_bits, as_numbers = (None if part is None else picked(part, convolution) for part in made[:2])
        made = made._replace(bits=as_bits, numbers=as_numbers)
    inputs, weight = (made.bits, signs) if minimal else (made.numbers, ones)
    if made.bits is None or signs is None:
        assert made.numbers is not None and ones is not None
        product = F.conv2d(made.numbers, ones, None, *_geometry(convolution))
    elif minimal:
        product = winograd.convolution(made.bits, signs, scale, x.dtype, arrays)
    else:
        product = int8.convolution(made.bits, signs, scale, *_geometry(convolution), x.dtype)
    return product, Saved(made.x, made.winners, made.moments, inputs, weight, scale)  # type: ignore[arg-type]


def backward(gradient: Tensor, saved: Saved, chain: Chain, arrays: Arrays = new) -> Gradients:
    """Returns the gradients of a loss, given that of the chain's result.

    Args:
        gradient: (N, O, H', W').
        saved: what :func:`forward` returned.
        chain, arrays: as there.
    """
    convolution = chain.convolution
    x, winners, moments, inputs, weight, scale = saved
    if inputs.dtype == torch.uint8:
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        of_bits = winograd.input_gradient(gradient, weight, scale, arrays)
        of_weight = winograd.filter_gradient(gradient, inputs, arrays)
    else:
        of_bits, of_weight, _ = torch.ops.aten.convolution_backward(
            gradient, inputs, weight, None, *_geometry(convolution), (1, 1), False, (0, 0), 1, (True, True, False)
        )
        of_weight = of_weight.float()
        if skips_pixels(convolution):
            of_bits = spread(of_bits, x.shape, convolution)
    if moments is None:
        return Gradients(normalise.passed(of_bits, x), None, None, of_weight)
    return Gradients(*normalise.gradients(of_bits, x, winners, moments, arrays), of_weight)


def _geometry(convolution: BinaryConvolution) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns stride and padding of the product; pixels that are skipped have been left out of its input."""
    stride, padding = ((1, 1), (0, 0)) if skips_pixels(convolution) else (convolution.stride, convolution.padding)
    assert not isinstance(padding, str)
    return stride, padding


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        gamma: Tensor | None,  # in the chain too: autograd is to know of whom there are gradients
        beta: Tensor | None,
        weight: Tensor,
        chain: Chain,
    ) -> Tensor:
        product, saved = forward(x, chain)
        ctx.chain = chain
        ctx.save_for_backward(*saved)
        return product

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return *backward(grads[0], Saved(*ctx.saved_tensors), ctx.chain), None


def _is_minimal(shape: Sequence[int], convolution: BinaryConvolution) -> bool:
    """Returns whether its three products are computed by Winograd's filtering."""
    lies_so = convolution.weight.is_contiguous(memory_format=torch.channels_last)
    return lies_so and winograd.worthwhile(shape, convolution)
