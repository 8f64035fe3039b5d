"""One training on several processes, each on a GPU of its own (or, for tests, on threads of a CPU).

torchrun starts the processes; each finds in its environment who it is. All of them hold the whole network. Each
computes its part of every batch, and what depends on the whole batch is exchanged: gradients (by
DistributedDataParallel), the moments of batch norms, the measured loss and accuracy, and the wish to stop. So a step
means the same on one process and on several, but for rounding. A training by itself is a :class:`World` of one, in
which nothing is exchanged.
"""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from pipeline.common.errors import UserError
from pipeline.common.log import be_silent
from pipeline.common.processes import end_with


@dataclass(frozen=True)
class World:
    """The processes of one training; by default there is this one alone.

    Attributes:
        rank: this process's number, from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def alone(self) -> bool:
        """Returns whether there is no other process."""
        return self.size == 1

    @property
    def first(self) -> bool:
        """Returns whether this is the process that writes files and speaks."""
        return self.rank == 0

    def part(self, batch: int) -> slice:
        """Returns the places of a batch that are this process's.

        Raises:
            UserError: the batch cannot be divided evenly; then a mean of the parts' means would not be the batch's.
        """
        if batch % self.size:
            raise UserError(
                f"a batch of {batch} images cannot be divided among {self.size} processes",
                f"choose a multiple of {self.size}",
            )
        length = batch // self.size
        return slice(self.rank * length, (self.rank + 1) * length)

    def replicate(self, network: nn.Module) -> nn.Module:
        """Returns what to call in place of ``network``, so that its gradients become those of the whole batch.

        Its batch norms are replaced in place; parameters and names of tensors stay. All processes get the first one's
        values.
        """
        if self.alone:
            return network
        _normalise_over_all(network)
        return DistributedDataParallel(network, gradient_as_bucket_view=True)

    def mean(self, values: Tensor) -> Tensor:
        """Returns the mean over all processes, in place."""
        if not self.alone:
            distributed.all_reduce(values)
            values /= self.size
        return values

    def agree(self, number: int) -> int:
        """Returns the largest of all processes' numbers. Waits for all of them to ask."""
        if self.alone:
            return number
        # On the CPU even where the training is on GPUs: it does not wait for what these have still to do.
        numbers = torch.tensor(number)
        distributed.all_reduce(numbers, distributed.ReduceOp.MAX)
        return int(numbers)

    def share(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the first process's tensors (on the CPU, of any names and shapes), for all."""
        shared: list[Any] = [dict(tensors) if self.first else None]
        if not self.alone:
            distributed.broadcast_object_list(shared, device=torch.device("cpu"))
        return dict(shared[0])

    def said_once(self, error: Exception) -> BaseException:
        """Returns what to raise for an error that all processes have together, so that only the first one tells the
        user.
        """
        return error if self.first else SystemExit(getattr(error, "exit_code", 1))


ALONE = World()


def launched_processes() -> int:
    """Returns how many processes torchrun has started for this training; 1 where nobody has."""
    return int(os.environ["WORLD_SIZE"]) if distributed.is_torchelastic_launched() else 1


def local_rank() -> int | None:
    """Returns which of this machine's GPUs is this process's; None for a training by itself, which takes the default
    one.
    """
    return int(os.environ["LOCAL_RANK"]) if launched_processes() > 1 else None


@contextmanager
def joined(processes: int | None = None) -> Iterator[World]:
    """Joins the processes that torchrun has started, if it has. Only the first one says what goes on.

    A process that fails inside the block leaves the others waiting; torchrun ends them. All end with torchrun itself.

    Args:
        processes: how many there should be; None for any number.

    Raises:
        UserError: there are more or fewer, or they lie on several machines.
    """
    size = launched_processes()
    if processes not in (None, size):
        raise UserError(
            f"this training was to run in {processes} processes, but there {'is' if size == 1 else 'are'} {size}",
            f"start it with torchrun --standalone --nproc-per-node {processes} -m pipeline …",
        )
    if size == 1:
        yield ALONE
        return
    if int(os.environ.get("LOCAL_WORLD_SIZE", size)) != size:
        raise UserError("one training cannot run on several machines", "use torchrun --standalone")
    # torchrun puts every process in a session of its own, so that what kills torchrun does not reach them.
    end_with(os.getppid())
    world = World(int(os.environ["RANK"]), size)
    if not world.first:
        be_silent()
    # Asks for this machine's address otherwise, which need not be one that it can be reached at.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", _loopback())
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend)
    yield world
    # Not after an error: the others may never come to an end that is waited for here.
    distributed.destroy_process_group()


def _loopback() -> str:
    names = [name for _, name in socket.if_nameindex()]
    return next(name for name in ("lo", "lo0", *names) if name in names)


def _normalise_over_all(network: nn.Module) -> None:
    """Replaces the batch norms of ``network`` by ones whose moments are those of all processes' images together."""
    if next(network.parameters()).is_cuda:
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return
    for name, module in list(network.named_modules()):
        if type(module) is nn.BatchNorm2d:
            network.set_submodule(name, GlobalBatchNorm.from_local(module))


class GlobalBatchNorm(nn.BatchNorm2d):
    """torch's SyncBatchNorm for the CPU, where torch has none. All processes must have equally many images."""

    @classmethod
    def from_local(cls, norm: nn.BatchNorm2d) -> "GlobalBatchNorm":
        """Returns the same batch norm, with the same parameters and running moments, over all processes."""
        made = cls(norm.num_features, norm.eps, norm.momentum)
        made.weight, made.bias = norm.weight, norm.bias
        made.running_mean, made.running_var = norm.running_mean, norm.running_var
        made.num_batches_tracked = norm.num_batches_tracked
        return made.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        """Normalises (N, C, H, W) and, in training mode, updates the running moments."""
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        with torch.no_grad():
            mean, variance, count = _global_moments(x)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        return _Normalise.apply(x, self.weight, self.bias, mean, variance, self.eps, count)  # type: ignore[no-any-return]


def _global_moments(x: Tensor) -> tuple[Tensor, Tensor, int]:
    """Returns mean and (biased) variance of each channel over all processes' ``x``, and how many values went into
    them.
    """
    variance, mean = torch.var_mean(x if x.dtype == torch.float64 else x.float(), (0, 2, 3), correction=0)
    own = torch.stack([mean, variance])
    parts = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, own)
    # In one order in every process, so that all get the same bytes.
    means, variances = torch.stack(parts).unbind(1)
    mean = means.mean(0)
    variance = variances.mean(0) + (means - mean).square().mean(0)
    return mean, variance, len(parts) * x.numel() // x.shape[1]


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, eps: float, count: int
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.eps, ctx.count = eps, count
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance = ctx.saved_tensors
        # With the moments held fixed; the gradients of weight and bias are the sums that the rest is made of.
        grad_x, grad_weight, grad_bias = torch.ops.aten.native_batch_norm_backward(
            grads[0], x, weight, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        sums = torch.stack([grad_weight, grad_bias])
        distributed.all_reduce(sums)
        # What flows through the moments: every process's images moved them.
        deviation = (variance + ctx.eps).rsqrt()
        slope = sums[0] * weight * deviation**2 / ctx.count
        level = sums[1] * weight * deviation / ctx.count - slope * mean
        shape = (1, -1, 1, 1)
        grad_x -= (x * slope.view(shape) + level.view(shape)).to(grad_x.dtype)
        return grad_x, grad_weight, grad_bias, None, None, None, None
