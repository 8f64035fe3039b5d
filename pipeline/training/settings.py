"""What a training depends on, as plain values. The command line's flags and the configuration's keys are these fields.

>>> settings = TrainingSettings(epochs=4, batch_size=50, learning_rate=0.1, schedule="milestones", milestones=(2,))
>>> [round(settings.rate_at(epoch), 3) for epoch in range(4)]
[0.1, 0.1, 0.01, 0.01]
"""

import math
from dataclasses import dataclass
from typing import Literal

from pipeline.common.settings import setting
from pipeline.data.augmentation import Augmentation

Schedule = Literal["milestones", "cosine", "constant"]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16"]
Kernels = Literal["auto", "torch"]


@dataclass(frozen=True)
class TrainingSettings:
    """One training with stochastic gradient descent."""

    epochs: int = setting("passes over the training images")
    batch_size: int = setting("images in a step; the last, incomplete batch of an epoch is dropped")
    learning_rate: float = setting("at the start of the schedule")
    schedule: Schedule = setting(
        "how the learning rate falls: by gamma at every milestone, along a half cosine to 0, or not at all",
        default="cosine",
    )
    milestones: tuple[int, ...] = setting("epochs after which the learning rate is multiplied by gamma", default=())
    gamma: float = setting("factor at a milestone", default=0.1)
    momentum: float = setting("of the gradient descent", default=0.9)
    weight_decay: float = setting("L2 penalty on every parameter", default=0.0)
    augmentation: Augmentation = setting("random changes to training images", default="none")

    def rate_at(self, progress: float) -> float:
        """The learning rate after ``progress`` epochs (a fraction inside an epoch counts for the cosine only)."""
        if self.schedule == "cosine":
            return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress / self.epochs))
        passed = sum(milestone <= progress for milestone in self.milestones) if self.schedule == "milestones" else 0
        return self.learning_rate * self.gamma**passed


@dataclass(frozen=True)
class ExecutionSettings:
    """How a training runs where it runs. All of it can change the last digits of a result."""

    device: Device = setting("'auto' takes a GPU where there is one", default="auto")
    precision: Precision = setting("'auto' takes bfloat16 where the hardware computes in it", default="auto")
    threads: int = setting("CPU threads of one training", default=1)
    kernels: Kernels = setting(
        "for binary layers on the CPU: 'auto' compiles them where there is a C++ compiler, 'torch' takes torch's",
        default="auto",
    )
