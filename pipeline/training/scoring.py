"""The score of a trained network: its accuracy on other images, with moments computed anew where asked for."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from pipeline.data.batches import ImageSource
from pipeline.training.execution import Execution
from pipeline.training.memory import give_back_memory, ran_out_of_memory


@dataclass(frozen=True)
class Score:
    """How a network answers a set of images.

    Attributes:
        top1, top5: accuracy in percent; ``top5`` None below six classes.
        loss: mean cross-entropy.
        images: how many there are.
        answers: the class that each image is taken for, int64 (images,), in their order; of equally likely ones the
            first.
        right: whether it is the image's own, bool (images,).
        labels: the images' own classes, int64 (images,).
        confidences: the softmax's value for the answer, float32 (images,).
    """

    top1: float
    top5: float | None
    loss: float
    images: int
    answers: np.ndarray = field(repr=False, compare=False)
    right: np.ndarray = field(repr=False, compare=False)
    labels: np.ndarray = field(repr=False, compare=False)
    confidences: np.ndarray = field(repr=False, compare=False)


def score(network: nn.Module, images: ImageSource, execution: Execution, batch_size: int = 500) -> Score:
    """Returns top-1, top-5 and mean cross-entropy of ``network`` in evaluation mode; it is moved to the device.

    Where memory does not suffice, the batches are halved. The score is the same: in evaluation mode no image's answer
    depends on the others of its batch, so that only the order changes in which numbers are added.
    """
    network.to(execution.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    batch_size = min(batch_size, len(images))
    while True:
        try:
            return _score(network, images, execution, batch_size)
        except (RuntimeError, MemoryError) as error:
            if batch_size == 1 or not ran_out_of_memory(error):
                raise
        # Only here, where the exception is gone, do its tensors go.
        give_back_memory()
        batch_size //= 2


@torch.inference_mode()
def _score(network: nn.Module, images: ImageSource, execution: Execution, batch_size: int) -> Score:
    plan = torch.split(torch.arange(len(images)), batch_size)
    correct = torch.zeros(3, dtype=torch.float64, device=execution.device)
    classes = 0
    given: list[list[torch.Tensor]] = [[], [], [], []]
    for x, y in images.batches(plan):
        with execution.autocast:
            logits = network(x)
        logits = logits.float()
        classes = logits.shape[1]
        # Of equals the first, as wherever else a network answers. Which one topk gives first is its own affair.
        answers = logits.argmax(1)
        right = answers == y
        among = (logits.topk(min(5, classes)).indices == y[:, None]).any(1) | right
        confidences = logits.softmax(1).gather(1, answers[:, None])[:, 0]
        for parts, part in zip(given, (answers, right, y, confidences), strict=True):
            parts.append(part)
        loss = F.cross_entropy(logits, y, reduction="sum")
        correct += torch.stack([right.sum(), among.sum(), loss]).double()
    top1, top5, loss = (correct / len(images)).tolist()
    arrays = (torch.cat(parts).cpu().numpy() for parts in given)
    return Score(100 * top1, 100 * top5 if classes > 5 else None, loss, len(images), *arrays)


@torch.no_grad()
def recalibrate(network: nn.Module, images: ImageSource, execution: Execution, batch_size: int) -> None:
    """Replaces every batch norm's running moments by their mean over ``images``, without changing a weight."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over batches
    network.train()
    for x, _ in images.batches(torch.split(torch.arange(len(images)), batch_size)):
        if len(x) > 1 or len(images) == 1:
            with execution.autocast:
                network(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
