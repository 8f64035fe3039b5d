"""Some steps of small trainings, taken by however many processes torchrun started; writes their states to a file."""

import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn

from pipeline.common.hdf5 import Arrays, write_tensors
from pipeline.data.batches import ImagesInMemory, Normalisation
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec
from pipeline.training.distributed import World, joined
from pipeline.training.execution import resolve
from pipeline.training.loop import Training
from pipeline.training.settings import ExecutionSettings, TrainingSettings

GENES = {"vgg_small": 6, "resnet18": 12}
#: Enlarged, so that something is left of the feature maps.
ENLARGED = {"vgg_small": 1, "resnet18": 4}
SETTINGS = TrainingSettings(epochs=2, batch_size=20, learning_rate=0.05, weight_decay=5e-4, augmentation="crop-flip")
#: Torch's operators, as the batch norm of several processes has anyway. Compiled kernels leave exactly equal sums
#: equal, of which a max-pool takes the first, where rounding in a float32 convolution makes one of them the largest.
CPU = resolve(ExecutionSettings("cpu", "float32", 1, "torch"))


class Images(ImagesInMemory):
    """60 digits, as numbers of some precision."""

    def __init__(self, factor: int, dtype: torch.dtype) -> None:
        data = load_digits()
        pixels = torch.from_numpy((data.images[:60] * 15.9).astype("uint8"))[..., None]
        pixels = pixels.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
        super().__init__(pixels, torch.from_numpy(data.target[:60]), Normalisation((0.3,), (0.35,)), CPU.device)
        self._dtype = dtype

    def batches(self, *args, **kwargs):
        for x, y in super().batches(*args, **kwargs):
            yield x.to(self._dtype), y


def training(name: str, binary: bool, dtype: torch.dtype, world: World) -> Training:
    """A training before its first step, from weights that leave no two values exactly equal."""
    spec = NetworkSpec(
        name, (1,) * GENES[name], base_width=1 / 8, channels=1, size=8 * ENLARGED[name], classes=10, binary=binary
    )
    network = Network(spec)
    generator = torch.Generator().manual_seed(0)
    initialise(network, generator)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.bias, -0.5, 0.5, generator=generator)
    return Training(network.to(dtype), Images(ENLARGED[name], dtype), SETTINGS, 0, CPU, world)


def takes_an_epoch(binary: bool, dtype: torch.dtype) -> bool:
    """Whether several steps can be compared."""
    return not binary and dtype == torch.float64


def states(world: World) -> Arrays:
    """For each network, kind and precision the state after some steps.

    A binary network takes one step only: where it holds equal values (a max-pool's inputs, an activation on the edge of
    its range), rounding decides which way a gradient goes, and the next steps differ by more than rounding. So does a
    real one in float32, in which values near a kink of the ReLU are many.
    """
    CPU.apply()
    found: Arrays = {}
    for name in GENES:
        for binary in (True, False):
            for dtype in (torch.float32, torch.float64):
                run = training(name, binary, dtype, world)
                for _, _ in zip(range(4 if takes_an_epoch(binary, dtype) else 1), run.steps(), strict=False):
                    pass
                kind = f"{name}-{'binary' if binary else 'real'}-{str(dtype).removeprefix('torch.')}"
                found |= {f"{kind}/{key}": tensor.numpy() for key, tensor in run.state().items()}
    return found


if __name__ == "__main__":
    with joined() as world:
        arrays = states(world)
        if world.first:
            write_tensors(Path(sys.argv[1]), arrays, {"processes": world.size})
