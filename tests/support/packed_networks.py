"""Random networks to pack, and what plain torch answers in their place."""

import random

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.export.packing import About
from pipeline.networks.architectures import find_architecture
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec

RATIOS = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0)


def about(spec: NetworkSpec) -> About:
    """Class names and moments for a network's images."""
    classes = tuple(f"class {i}" for i in range(spec.classes))
    return About(classes, (0.49, 0.48, 0.45)[: spec.channels], (0.25, 0.24, 0.26)[: spec.channels])


def random_spec(
    network: str, seed: int, *, base_width: float = 1 / 16, size: int = 32, classes: int = 7
) -> NetworkSpec:
    """A network of random widths."""
    draw = random.Random(seed)
    genome = tuple(draw.choice(RATIOS) for _ in find_architecture(network).GENES)
    return NetworkSpec(network, genome, base_width=base_width, size=size, classes=classes)


def random_network(spec: NetworkSpec, seed: int = 0) -> Network:
    """With batch norms that scale by both signs and by nothing, and that have channels without variance."""
    generator = torch.Generator().manual_seed(seed)
    network = Network(spec).eval()
    initialise(network, generator)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            count = module.num_features
            module.weight.data = torch.randn(count, generator=generator)
            module.bias.data = 0.4 + 0.5 * torch.randn(count, generator=generator)
            module.running_mean = torch.randn(count, generator=generator)
            module.running_var = 0.1 + 3 * torch.rand(count, generator=generator)
            chosen = torch.rand(count, generator=generator)
            module.weight.data[chosen < 0.05] = 0.0
            module.running_var[chosen > 0.95] = 0.0
            module.running_mean[chosen > 0.95] = 0.0
    return network


def random_pixels(spec: NetworkSpec, count: int, seed: int = 0) -> np.ndarray:
    """Bytes (count, size, size, channels)."""
    return np.random.default_rng(seed).integers(0, 256, (count, spec.size, spec.size, spec.channels), dtype=np.uint8)


@torch.no_grad()
def plain(network: Network, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits by torch's operators alone, and by name what each binary convolution reads: bits as float32.

    A binary convolution is the exact sum of ±1 times the layer's scale, in float32.
    """
    values, bits = {"input": x}, {}
    for layer in network.spec.layers:
        module = network.get_submodule(layer.name)
        sources = [values[name] for name in layer.sources]
        if layer.binary:
            bits[layer.name] = (sources[0] > 0.5).float()
            signs = (module.weight >= 0).float() * 2 - 1
            sums = F.conv2d(bits[layer.name], signs, None, layer.stride, layer.padding)
            values[layer.name] = sums * module.weight.abs().mean()
        else:
            values[layer.name] = module(*sources)
    return values[network.spec.layers[-1].name], bits
