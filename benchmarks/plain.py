"""The networks as a competent user writes them: plain modules, plain autograd functions, float32, nothing tuned.

Formulas are those of Eq. 1, written out without a thought for speed. This is the reference that the engine is compared
with, for time (`benchmarks.training`) and for accuracy (`benchmarks.exactness`).
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.networks.graph import Layer
from pipeline.networks.spec import NetworkSpec
from pipeline.training.execution import Execution


class SignWeight(torch.autograd.Function):
    """sign(w) · E(|w|), straight through."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        """Eq. 1 for weights, with sign(0) = +1."""
        sign = torch.sign(weight)
        sign[sign == 0] = 1
        return sign * weight.abs().mean()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """The gradient as it is."""
        return grads[0]


class RoundActivation(torch.autograd.Function):
    """round(clip(x, 0, 1)), straight through inside."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Eq. 1 for activations."""
        ctx.save_for_backward(x)
        return torch.round(torch.clamp(x, 0, 1))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """The gradient where 0 ≤ x ≤ 1."""
        (x,) = ctx.saved_tensors
        gradient = grads[0].clone()
        gradient[(x < 0) | (x > 1)] = 0
        return gradient


class BinaryConv2d(nn.Conv2d):
    """A convolution of binarised input and weight."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, O, H', W')."""
        weight = SignWeight.apply(self.weight)
        return F.conv2d(RoundActivation.apply(x), weight, None, self.stride, self.padding)


class PlainNetwork(nn.Module):
    """The layers of a spec, one module each, under the engine's names."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.layers = spec.layers
        for layer in spec.layers:
            self.add_module(layer.name, _module(layer))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes)."""
        values = {"input": x}
        for layer in self.layers:
            inputs = [values[source] for source in layer.sources]
            if layer.kind == "add":
                values[layer.name] = inputs[0] + inputs[1]
            elif layer.kind == "linear":
                values[layer.name] = self._modules[layer.name](torch.flatten(inputs[0], 1))  # type: ignore[misc]
            else:
                values[layer.name] = self._modules[layer.name](inputs[0])  # type: ignore[misc]
        return values[self.layers[-1].name]


def _module(layer: Layer) -> nn.Module:
    if layer.kind == "convolution":
        kind = BinaryConv2d if layer.binary else nn.Conv2d
        return kind(layer.in_channels, layer.out_channels, layer.kernel, layer.stride, layer.padding, bias=False)
    if layer.kind == "max_pool":
        return nn.MaxPool2d(layer.kernel, layer.stride, layer.padding)
    return {
        "batch_norm": lambda: nn.BatchNorm2d(layer.out_channels),
        "relu": nn.ReLU,
        "average_pool": lambda: nn.AdaptiveAvgPool2d(1),
        "add": nn.Identity,
        "linear": lambda: nn.Linear(layer.in_features, layer.out_channels),
    }[layer.kind]()


def plain_steps(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    execution: Execution,
    forward: Callable[..., Any] | None = None,
) -> Iterator[None]:
    """Steps on one batch that lies ready, without the engine's loop, so that ways to compute can be compared."""
    forward = network if forward is None else forward
    parameters = list(network.parameters())
    optimiser = torch.optim.SGD(parameters, 0.01, 0.9, weight_decay=5e-4, fused=True)
    while True:
        optimiser.zero_grad(set_to_none=True)
        with execution.autocast:
            logits = forward(x)
        F.cross_entropy(logits.float(), y).backward()
        optimiser.step()
        yield
