"""One training loop for the supernet, the candidates and the final networks."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.common.randomness import seed_for
from pipeline.data.batches import ImageSource
from pipeline.networks.backprop import Backprop, find_backprop
from pipeline.networks.binary.convolution import BinaryConvolution
from pipeline.training.descent import Descent
from pipeline.training.distributed import ALONE, World
from pipeline.training.execution import Execution
from pipeline.training.replay import ReplayedStep
from pipeline.training.settings import TrainingSettings
from pipeline.training.teacher import Teacher


class DivergedError(Exception):
    """The loss or a parameter is not a finite number any more. A fact about the training, not a failure."""


@dataclass(frozen=True)
class Epoch:
    """A finished epoch: the mean loss and top-1 (percent) over the batches it was trained on."""

    epoch: int
    learning_rate: float
    loss: float
    top1: float


class Training:
    """A training in progress: it can stop after any step, give its state away and go on from it elsewhere.

    Order and augmentation of an epoch are drawn from (seed, epoch), those of a batch from (seed, epoch, step), so the
    state is what ``state()`` returns and nothing else.

    Args:
        network: its weights are the start; moved to the device.
        images: what to learn from.
        settings: the recipe.
        seed: of order and augmentation.
        execution: device and precision.
        world: the processes that take this training's steps together, each with the same arguments.
        micro_batch: most images that are computed at once, where memory does not hold a batch; None for all of it. The
            steps are those of the whole batches, but a batch norm sees only a micro-batch. Of a training by itself:
            several processes have the whole batch's moments.
        teacher: from whose answers it learns too; None for the labels alone.
        replayed: on a GPU, record a step as a CUDA graph and replay it; on a CPU, compute a chain of layers by calls
            that are known beforehand. Neither is done by several processes, nor in micro-batches.

    Raises:
        UserError: the batches cannot be divided among the processes.
        ValueError: micro-batches are asked of several processes, or weights never become binary.
    """

    def __init__(
        self,
        network: nn.Module,
        images: ImageSource,
        settings: TrainingSettings,
        seed: int,
        execution: Execution,
        world: World = ALONE,
        micro_batch: int | None = None,
        *,
        teacher: Teacher | None = None,
        replayed: bool = True,
    ) -> None:
        if micro_batch is not None and not world.alone:
            raise ValueError("several processes do not divide their batches further")
        if settings.real_weight_epochs >= settings.epochs:
            raise ValueError("weights have to become binary before the training ends")
        self.network = network.to(execution.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.images = images
        self.settings = settings
        self.seed = seed
        self.execution = execution
        self.world = world
        self.epoch = 0
        self.step = 0
        self.history: list[Epoch] = []
        self._batch = min(settings.batch_size, len(images))
        self._part = world.part(self._batch)
        self._micro_batches = 1 if micro_batch is None else math.ceil(self._batch / micro_batch)
        self._replica = world.replicate(self.network)
        self._parameters = list(self.network.parameters())
        self._descent = Descent(self.network, settings)
        self._teacher = None if teacher is None else teacher.on(execution.device)
        self._backprop: Backprop | None = None
        self.steps_per_epoch = len(images) // self._batch
        self._sums = torch.zeros(2, device=execution.device, dtype=torch.float64)  # loss, correct answers
        #: Whether gradients may be had without autograd, as far as is known.
        self._direct = self._may_be_direct = (
            replayed and world.alone and micro_batch is None and execution.computes_chains
        )
        self._replayed = replayed and world.alone and micro_batch is None and execution.device_type == "cuda"
        #: Where a recorded step reads the learning rate; None where steps are given it as a number.
        self._rate = torch.zeros((), device=execution.device) if self._replayed else None

    @property
    def steps_done(self) -> int:
        """Steps taken since the very start."""
        return self.epoch * self.steps_per_epoch + self.step

    @property
    def steps_total(self) -> int:
        """Steps of the whole training."""
        return self.settings.epochs * self.steps_per_epoch

    def steps(self) -> Iterator[None]:
        """Trains to the end, yielding after each step.

        Raises:
            DivergedError: at the end of an epoch in which the loss or a parameter stopped being finite.
        """
        self._replica.train()
        take_step: Callable[[Tensor, Tensor], None] | None = None
        while self.epoch < self.settings.epochs:
            if take_step is None or self.epoch == self.settings.real_weight_epochs:
                take_step = self._step_of(real_weights=self.epoch < self.settings.real_weight_epochs)
            plan = self._plan()
            address = ("augment", self.seed, self.epoch)
            for x, y in self.images.batches(plan, self.settings.augmentation, address, self.step, self._part):
                if self._backprop is None and self._direct:
                    self._backprop = find_backprop(self.network, x)
                    self._direct = self._backprop is not None
                if self._rate is not None:
                    self._rate.fill_(self._rate_now())
                take_step(x, y)
                self.step += 1
                if self.step == self.steps_per_epoch:
                    self._finish_epoch()
                yield

    def _step_of(self, *, real_weights: bool) -> Callable[[Tensor, Tensor], None]:
        """Returns what takes a step. Binary convolutions take their weights as they are, or binarise them."""
        for module in self.network.modules():
            if isinstance(module, BinaryConvolution):
                module.real_weight = real_weights
        # What is known of a step is of the other weights.
        self._backprop, self._direct = None, self._may_be_direct
        return ReplayedStep(self._take_step) if self._replayed else self._take_step

    def _plan(self) -> list[Tensor]:
        generator = torch.Generator().manual_seed(seed_for("order", self.seed, self.epoch))
        order = torch.randperm(len(self.images), generator=generator)
        return list(torch.split(order[: self.steps_per_epoch * self._batch], self._batch))

    def _take_step(self, x: Tensor, y: Tensor) -> None:
        gradients, measured = self._learn_from(x, y) if self._micro_batches == 1 else self._accumulate(x, y)
        with torch.no_grad():
            self._descent.step(gradients, self._rate_now() if self._rate is None else self._rate)
            self._sums += self.world.mean(measured)

    def _learn_from(self, x: Tensor, y: Tensor) -> tuple[Sequence[Tensor], Tensor]:
        """Returns the gradients of the images' mean loss; and (2,) that loss and the share of correct answers."""
        gradients: Sequence[Tensor]
        wanted = y if self._teacher is None else self._teacher.answers(x, y, self.execution.autocast)
        if self._backprop is not None:
            gradients, loss, logits = self._backprop(x, wanted)
        else:
            with self.execution.autocast:
                logits = self._replica(x)
            logits = logits.float()
            loss = F.cross_entropy(logits, wanted)
            gradients = self._gradients(loss)
        with torch.no_grad():
            measured = torch.stack([loss.double(), (logits.argmax(1) == y).double().mean()])
        return gradients, measured

    def _accumulate(self, x: Tensor, y: Tensor) -> tuple[Sequence[Tensor], Tensor]:
        """Returns the same, one micro-batch after another: as equal in size as can be, each weighted by its share of
        images.
        """
        totals = [torch.zeros_like(parameter) for parameter in self._parameters]
        measured = torch.zeros_like(self._sums)
        pairs = zip(x.tensor_split(self._micro_batches), y.tensor_split(self._micro_batches), strict=True)
        with torch.no_grad():
            for images, labels in pairs:
                share = len(labels) / len(y)
                with torch.enable_grad():
                    gradients, part = self._learn_from(images, labels)
                for total, gradient in zip(totals, gradients, strict=True):
                    total.add_(gradient, alpha=share)
                measured.add_(part, alpha=share)
        return totals, measured

    def _gradients(self, loss: Tensor) -> Sequence[Tensor]:
        """Returns those of the whole batch's mean loss, of which ``loss`` is this process's part."""
        if self.world.alone:
            return torch.autograd.grad(loss, self._parameters)
        # Only where gradients are accumulated in the parameters does DistributedDataParallel average them.
        self._replica.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        return [parameter.grad for parameter in self._parameters if parameter.grad is not None]

    def _rate_now(self) -> float:
        return self.settings.rate_at(self.epoch + self.step / self.steps_per_epoch)

    def _finish_epoch(self) -> None:
        loss, correct = (self._sums / self.steps_per_epoch).tolist()
        # Binarisation turns NaN into 0, so a finite loss does not prove that the parameters are.
        if not (loss < float("inf") and _all_finite(self._parameters)):
            raise DivergedError(f"loss {loss:g} in epoch {self.epoch + 1} of {self.settings.epochs}")
        self.history.append(Epoch(self.epoch + 1, self.settings.rate_at(self.epoch), loss, 100 * correct))
        self.epoch, self.step = self.epoch + 1, 0
        self._sums.zero_()

    def state(self) -> dict[str, Tensor]:
        """Returns everything that ``restore`` needs, as tensors on the CPU: weights, what the optimiser remembers,
        position, sums and history.
        """
        tensors = {f"network/{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= self._descent.state()
        tensors["position"] = torch.tensor([self.epoch, self.step])
        tensors["sums"] = self._sums
        rows = [(e.epoch, e.learning_rate, e.loss, e.top1) for e in self.history]
        tensors["history"] = torch.tensor(rows, dtype=torch.float64).reshape(-1, 4)
        return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}

    def follow_first(self) -> None:
        """Takes over the first process's state, which it may have restored. All processes call this together."""
        if not self.world.alone:
            self.restore(self.world.share(self.state()))

    def restore(self, state: dict[str, Tensor]) -> None:
        """Goes on from a state. Raises KeyError or RuntimeError where it belongs to another network."""
        prefix = "network/"
        self.network.load_state_dict({n[len(prefix) :]: t for n, t in state.items() if n.startswith(prefix)})
        self._descent.restore(state)
        self.epoch, self.step = (int(value) for value in state["position"])
        self._sums.copy_(state["sums"])
        self.history = [Epoch(int(e), rate, loss, top1) for e, rate, loss, top1 in state["history"].tolist()]


@torch.no_grad()
def _all_finite(tensors: Sequence[Tensor]) -> bool:
    # A sum takes a tenth of the time. One of finite numbers is finite too, unless they are close to the largest.
    sums = torch.stack([tensor.sum() for tensor in tensors])
    return bool(sums.isfinite().all()) or all(bool(tensor.isfinite().all()) for tensor in tensors)
