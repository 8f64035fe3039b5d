"""What the benchmarks train: networks by the engine, on random images that lie in memory."""

from functools import lru_cache
from pathlib import Path

import torch
import yaml
from torch import Tensor

from pipeline.common.settings import from_mapping
from pipeline.data.batches import ImagesInMemory, Normalisation
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec
from pipeline.training.execution import Execution
from pipeline.training.loop import Training
from pipeline.training.settings import TrainingSettings

_ROOT = Path(__file__).resolve().parent.parent
#: Mean and standard deviation of each channel.
MOMENTS = ((0.49, 0.48, 0.45), (0.25, 0.24, 0.26))
#: Of gradient descent.
RATE, MOMENTUM, DECAY = 0.05, 0.9, 5e-4


def recipe(batch: int) -> TrainingSettings:
    """A training without end."""
    return TrainingSettings(
        10**6, batch, RATE, "constant", momentum=MOMENTUM, weight_decay=DECAY, augmentation="crop-flip"
    )


def published_recipe(section: str) -> TrainingSettings:
    """That of configs/cifar10.yaml: ``retrain``, the paper's, or ``candidate``."""
    settings: dict[str, object] = {}
    for file in ("config.yaml", "configs/cifar10.yaml"):  # without the schema's library, which GPU machines may lack
        settings |= yaml.safe_load((_ROOT / file).read_text())[section]
    return from_mapping(TrainingSettings, settings)


def random_images(spec: NetworkSpec, count: int) -> tuple[Tensor, Tensor]:
    """Bytes (N, H, W, C) and labels (N,)."""
    return _random_images(count, spec.size, spec.channels, spec.classes)


@lru_cache(maxsize=1)
def _random_images(count: int, size: int, channels: int, classes: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.empty((count, size, size, channels), dtype=torch.uint8).random_(generator=generator)
    return pixels, torch.randint(classes, (count,), generator=generator)


def engine_training(
    spec: NetworkSpec,
    settings: TrainingSettings,
    images: tuple[Tensor, Tensor],
    execution: Execution,
    *,
    replayed: bool = True,
) -> Training:
    """The engine itself, augmentation included."""
    network = Network(spec)
    initialise(network, torch.Generator().manual_seed(0))
    moments = Normalisation(*(values[: spec.channels] for values in MOMENTS))
    source = ImagesInMemory(*images, moments, execution.device)
    return Training(network, source, settings, 0, execution, replayed=replayed)
