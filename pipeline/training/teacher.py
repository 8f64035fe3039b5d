"""A network that others learn from: knowledge distillation.

Hinton, Vinyals and Dean ("Distilling the Knowledge in a Neural Network", 2015) train a network on another one's answers
beside the labels. Liu et al. ("ReActNet: Towards Precise Binary Neural Network with Generalized Activation Functions",
ECCV 2020) train a binary one on those of a real-valued network alone, with no temperature: the distribution over
classes takes the label's place in the cross-entropy, whose gradient is then that of the Kullback-Leibler divergence.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.common.errors import UserError
from pipeline.common.hdf5 import read_attributes
from pipeline.networks.spec import NetworkSpec
from pipeline.networks.weights import load_network


@dataclass(frozen=True)
class TeacherFile:
    """A teacher as a recipe names it: the file of its weights, and the share of its answers in what is learnt."""

    weights: Path
    weight: float

    @property
    def identity(self) -> dict[str, Any]:
        """Returns what of it determines a training. Raises UserError: the file is missing or damaged."""
        return {"teacher": read_attributes(self.weights)["digest"], "teacher_weight": self.weight}


@dataclass(frozen=True)
class Teacher:
    """A trained network and how much its answers count.

    Attributes:
        network: gives logits (N, classes) for images as the one that learns reads them.
        weight: the share of its answers in what is to be learnt; that of the labels is the rest.
    """

    network: nn.Module
    weight: float

    @classmethod
    def read(cls, file: TeacherFile, spec: NetworkSpec) -> "Teacher":
        """Reads a teacher for networks of ``spec``.

        Raises:
            UserError: the file is missing or damaged, or its network reads other images or knows other classes.
        """
        network = load_network(file.weights)
        for name in ("channels", "size", "classes"):
            theirs, ours = getattr(network.spec, name), getattr(spec, name)
            if theirs != ours:
                raise UserError(
                    f"the teacher {file.weights} has {name} {theirs}, the network that is to learn from it {ours}",
                    "name a row of this experiment as the teacher",
                )
        return cls(network, file.weight)

    def on(self, device: torch.device) -> "Teacher":
        """Returns the teacher on a device, as it answers: it does not learn."""
        network = self.network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        return Teacher(network.requires_grad_(False), self.weight)

    @torch.no_grad()
    def answers(self, x: Tensor, labels: Tensor, autocast: torch.autocast) -> Tensor:
        """Returns the share that each class is to have in an image, (N, classes), float32.

        Args:
            x: (N, C, H, W), as augmented for the one that learns.
            labels: (N,), int64.
            autocast: the context in which networks run.
        """
        with autocast:
            logits = self.network(x)
        likely: Tensor = logits.float().softmax(1)
        return self.weight * likely + (1 - self.weight) * F.one_hot(labels, likely.shape[1])
