"""What the benchmarks train: networks by the engine, on random images that lie in memory."""

import torch
from torch import Tensor

from pipeline.data.batches import ImagesInMemory, Normalisation
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec
from pipeline.training.execution import Execution
from pipeline.training.loop import Training
from pipeline.training.settings import TrainingSettings

#: Mean and standard deviation of each channel.
MOMENTS = ((0.49, 0.48, 0.45), (0.25, 0.24, 0.26))
#: Of gradient descent.
RATE, MOMENTUM, DECAY = 0.05, 0.9, 5e-4


def recipe(batch: int) -> TrainingSettings:
    """A training without end."""
    return TrainingSettings(
        10**6, batch, RATE, "constant", momentum=MOMENTUM, weight_decay=DECAY, augmentation="crop-flip"
    )


def random_images(spec: NetworkSpec, count: int) -> tuple[Tensor, Tensor]:
    """Bytes (N, H, W, C) and labels (N,)."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (count, spec.size, spec.size, spec.channels), generator=generator).to(torch.uint8)
    return pixels, torch.randint(spec.classes, (count,), generator=generator)


def engine_training(
    spec: NetworkSpec, settings: TrainingSettings, images: tuple[Tensor, Tensor], execution: Execution
) -> Training:
    """The engine itself, augmentation included."""
    network = Network(spec)
    initialise(network, torch.Generator().manual_seed(0))
    moments = Normalisation(*(values[: spec.channels] for values in MOMENTS))
    return Training(network, ImagesInMemory(*images, moments, execution.device), settings, 0, execution)
