"""The trainable network: a torch module built from a network's layers, binary or full precision.

>>> from pipeline.networks import NetworkSpec
>>> network = Network(NetworkSpec("vgg_small", (1,) * 6, base_width=0.125))
>>> network(torch.zeros(2, 3, 32, 32)).shape
torch.Size([2, 10])
"""

import torch
from torch import Tensor, nn

from pipeline.binarisation import BinaryConvolution
from pipeline.networks import NetworkSpec
from pipeline.networks.layers import Layer


class _Add(nn.Module):
    def forward(self, x: Tensor, shortcut: Tensor) -> Tensor:
        return x + shortcut


class _Classifier(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(1))


def _module(layer: Layer) -> nn.Module:
    match layer.kind:
        case "convolution":
            convolution = BinaryConvolution if layer.binary else nn.Conv2d
            return convolution(
                layer.in_channels, layer.out_channels, layer.kernel, layer.stride, layer.padding, bias=False
            )
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
        last_use = {source: i for i, layer in enumerate(spec.layers) for source in layer.sources}
        self._program: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = []
        for i, layer in enumerate(spec.layers):
            self.add_module(layer.name, _module(layer))
            done = tuple(source for source in dict.fromkeys(layer.sources) if last_use[source] == i)
            self._program.append((layer.name, layer.sources, done))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes)."""
        values = {"input": x}
        for name, sources, done in self._program:
            values[name] = self._modules[name](*[values[source] for source in sources])  # type: ignore[misc]
            for source in done:  # frees feature maps that nothing needs any more
                del values[source]
        return values[self._program[-1][0]]


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """He initialisation (normal, fan-out) of every convolution; the classifier uniform within ±1/√inputs.

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
