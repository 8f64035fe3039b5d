"""Settings of a training, as plain values. The command line's flags and the configuration's keys are these fields.

>>> settings = TrainingSettings(epochs=4, batch_size=50, learning_rate=0.1, schedule="milestones", milestones=(2,))
>>> [round(settings.rate_at(epoch), 3) for epoch in range(4)]
[0.1, 0.1, 0.01, 0.01]
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from pipeline.common.settings import setting
from pipeline.data.augmentation import Augmentation

Schedule = Literal["milestones", "cosine", "constant"]
Optimizer = Literal["sgd", "adam"]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16"]
Kernels = Literal["auto", "torch"]


@dataclass(frozen=True)
class TrainingSettings:
    """One training by gradient descent."""

    epochs: int = setting("Passes over the images.", limits={"minimum": 1})
    batch_size: int = setting(
        "Images in a step (all there are, where there are fewer); the last, incomplete batch of an epoch is dropped.",
        limits={"minimum": 2},
    )
    learning_rate: float = setting("At the start of the schedule.", limits={"exclusiveMinimum": 0})
    schedule: Schedule = setting(
        "cosine (half a cosine down to 0), milestones (times gamma at each) or constant.", default="cosine"
    )
    milestones: tuple[int, ...] = setting(
        "Epochs after which the learning rate is multiplied by gamma, for `schedule: milestones`.",
        limits={"minimum": 1},
        default=(),
    )
    gamma: float = setting("Factor at a milestone.", limits={"exclusiveMinimum": 0, "maximum": 1}, default=0.1)
    momentum: float = setting(
        "Of stochastic gradient descent.", limits={"minimum": 0, "exclusiveMaximum": 1}, default=0.9
    )
    weight_decay: float = setting("L2 penalty on every parameter.", limits={"minimum": 0}, default=0.0)
    augmentation: Augmentation = setting(
        "none, crop (padded by an eighth of the side and cropped back at random), crop-flip, or resized-crop-flip (for "
        "photographs: a random part of random size and shape, mirrored by chance).",
        default="none",
    )

    optimizer: Optimizer = setting(
        "sgd (stochastic gradient descent, the paper's) or adam, whose decay of the mean gradient is momentum.",
        default="sgd",
    )
    binary_weight_decay: float | None = setting(
        "L2 penalty on the real values behind binary weights; null: weight_decay, as for every other parameter.",
        limits={"minimum": 0},
        default=None,
    )
    real_weight_epochs: int = setting(
        "Epochs at the start in which weights stay real and activations alone are binary. A cosine starts anew after "
        "them.",
        limits={"minimum": 0},
        default=0,
    )

    def rate_at(self, progress: float) -> float:
        """Returns the learning rate after ``progress`` epochs (a fraction inside an epoch counts for the cosine
        only).
        """
        if self.schedule == "cosine":
            real = self.real_weight_epochs
            start, end = (0, real) if progress < real else (real, self.epochs)
            return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (progress - start) / (end - start)))
        passed = sum(milestone <= progress for milestone in self.milestones) if self.schedule == "milestones" else 0
        return self.learning_rate * self.gamma**passed

    def decay_of(self, *, binary: bool) -> float:
        """Returns the L2 penalty on a parameter.

        Args:
            binary: whether it is the real values behind binary weights.
        """
        return self.weight_decay if self.binary_weight_decay is None or not binary else self.binary_weight_decay

    def record(self) -> dict[str, Any]:
        """Returns the settings as JSON values, as results carry them. What came later than the first results is left
        out where it is off, so that these stay what they are.

        >>> "optimizer" in TrainingSettings(epochs=1, batch_size=2, learning_rate=0.1).record()
        False
        """
        values = {**asdict(self), "milestones": list(self.milestones)}
        return {name: value for name, value in values.items() if name not in OFF or value != OFF[name]}


#: The fields that came later than the first results, and their values for trainings that do without.
OFF: Mapping[str, Any] = {
    f.name: f.default
    for f in fields(TrainingSettings)
    if f.name in ("optimizer", "binary_weight_decay", "real_weight_epochs")
}
#: The fields that are about binary weights alone.
OF_BINARY = ("binary_weight_decay", "real_weight_epochs")


#: The precision in which test images are answered: that of every format in which a network is handed over.
ANSWERED_IN = "float32"


@dataclass(frozen=True)
class ExecutionSettings:
    """How a training runs where it runs. All of it can change the last digits of a result."""

    device: Device = setting(
        "auto (a GPU where there is one; jobs on a cluster ask for one where their partition has GPUs), cpu or cuda.",
        default="auto",
    )
    precision: Precision = setting(
        "auto (bfloat16 where the hardware computes in it), float32 or bfloat16. Networks as small as here are as fast "
        "in float32.",
        default="auto",
    )
    threads: int = setting(
        "CPU threads of one training (of each of its processes). Small networks are fastest with one, several side by "
        "side.",
        limits={"minimum": 1},
        default=1,
    )
    kernels: Kernels = setting(
        "auto (where there is a C++ compiler, such as g++, binary convolutions and what lies between them are compiled "
        "on first use, in ten seconds, and run faster on the CPU) or torch (its own operators).",
        default="auto",
    )


@dataclass(frozen=True)
class RunSettings:
    """How a training is run, and what it leaves behind. Only the number of processes can change a result."""

    processes: int = setting(
        "Processes that torchrun starts for one retraining or supernet training, one for each GPU (on the CPU: of so "
        "many threads each). All are on one machine. The batch sizes of both trainings must be multiples of it. "
        "Snakemake must be given as many GPUs: `--resources gpu=4`. Candidates are trained by one process, several "
        "side by side.",
        limits={"minimum": 1},
        default=1,
    )
    loaders: int = setting(
        "Processes that decode photographs for one training (dataset.storage jpeg). They change no result.",
        limits={"minimum": 0},
        default=0,
    )
    save_minutes: float = setting(
        "Minutes between two saved states of a long training (supernet, retraining).",
        limits={"exclusiveMinimum": 0},
        default=5.0,
    )
