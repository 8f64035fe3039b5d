"""The trainable network: a torch module built from a network's layers, binary or full precision.

>>> from pipeline.networks.spec import NetworkSpec
>>> network = Network(NetworkSpec("vgg_small", (1,) * 6, base_width=0.125))
>>> network(torch.zeros(2, 3, 32, 32)).shape
torch.Size([2, 10])
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from pipeline.networks.binary import fused
from pipeline.networks.binary.convolution import BinaryConvolution, Convolution
from pipeline.networks.graph import Layer
from pipeline.networks.spec import NetworkSpec


class _Add(nn.Module):
    def forward(self, x: Tensor, shortcut: Tensor) -> Tensor:
        return x + shortcut


class _Flatten(torch.autograd.Function):
    """Flattens (N, C, H, W); the gradient lies in memory as the input does, not as the flattened features."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.shape = x.shape
        ctx.layout = torch.contiguous_format if x.is_contiguous() else torch.channels_last
        return x.flatten(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0].reshape(ctx.shape).contiguous(memory_format=ctx.layout)


class _Classifier(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(_Flatten.apply(x))


def _module(layer: Layer, binariser: str) -> nn.Module:
    match layer.kind:
        case "convolution":
            shape = (layer.in_channels, layer.out_channels, layer.kernel, layer.stride, layer.padding)
            return BinaryConvolution(*shape, binariser=binariser) if layer.binary else Convolution(*shape, bias=False)
        case "batch_norm":
            return nn.BatchNorm2d(layer.out_channels)
        case "relu":
            return nn.ReLU()
        case "max_pool":
            return nn.MaxPool2d(layer.kernel, layer.stride, layer.padding)
        case "average_pool":
            return nn.AdaptiveAvgPool2d(1)
        case "add":
            return _Add()
        case "linear":
            return _Classifier(layer.in_features, layer.out_channels)


class Network(nn.Module):
    """Runs the layers of ``spec`` in order. Input (N, channels, size, size), output logits (N, classes).

    Each layer is a submodule under its own name, so tensors are called ``conv1.weight``, ``norm1.running_mean``, …
    The weights are torch's until :func:`initialise` or a load sets them.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        for layer in spec.layers:
            self.add_module(layer.name, _module(layer, spec.binariser))
        self.program = _program(spec.layers)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (N, classes)."""
        values = {"input": x}
        for step in self.program:
            arguments = [values[source] for source in step.sources]
            for source in step.done:  # frees feature maps that nothing needs any more
                del values[source]
            # By name each time: training on several processes replaces batch norms.
            modules = [self.get_submodule(name) for name in step.layers]
            values[step.layers[-1]] = (
                fused.binarise_and_convolve(modules, arguments) if step.binary else modules[0](*arguments)
            )
        return values[self.program[-1].layers[-1]]


class Step(NamedTuple):
    """Layers that run one after another, what the first of them reads, and which of that nothing reads later.

    ``binary``: it ends with a binary convolution. Else it is one layer.
    """

    layers: tuple[str, ...]
    sources: tuple[str, ...]
    done: tuple[str, ...]
    binary: bool


def _program(layers: Sequence[Layer]) -> list[Step]:
    """Returns the layers in order, every binary convolution in one step with what leads to it alone."""
    last_use = {source: i for i, layer in enumerate(layers) for source in layer.sources}
    steps = []
    for chain in _chains(layers):
        sources = chain[0].sources
        first = layers.index(chain[0])
        done = tuple(source for source in dict.fromkeys(sources) if last_use[source] == first)
        steps.append(Step(tuple(layer.name for layer in chain), sources, done, chain[-1].binary))
    return steps


def _chains(layers: Sequence[Layer]) -> list[list[Layer]]:
    """Yields layers one by one, but [max-pooling,] batch norm and binary convolution together."""
    uses = Counter(source for layer in layers for source in layer.sources)
    chains: list[list[Layer]] = []
    for layer in layers:
        chain = [layer]
        for kind in ("batch_norm", "max_pool") if layer.kind == "convolution" and layer.binary else ():
            before = chains[-1][-1] if chains else None
            if before is None or (before.kind, (before.name,)) != (kind, chain[0].sources) or uses[before.name] > 1:
                break
            chain = chains.pop() + chain
        chains.append(chain)
    return chains


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draws every convolution by He (normal, fan-out), the classifier uniformly within ±1/√inputs.

    Draws on the CPU in the order of the layers, so equal generators give equal weights on every device.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            deviation = (2.0 / (module.out_channels * module.kernel_size[0] * module.kernel_size[1])) ** 0.5
            _fill(module.weight, torch.randn(module.weight.shape, generator=generator) * deviation)
        elif isinstance(module, nn.Linear):
            bound = module.in_features**-0.5
            _fill(module.weight, (2 * torch.rand(module.weight.shape, generator=generator) - 1) * bound)
            _fill(module.bias, torch.zeros(module.bias.shape))
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()


@torch.no_grad()
def _fill(parameter: Tensor, values: Tensor) -> None:
    parameter.copy_(values)
