"""The steps of a training's optimiser, in torch's functional forms, and what these remember from step to step.

``sgd`` is stochastic gradient descent with momentum, the paper's. ``adam`` is Adam (Kingma and Ba, "Adam: A Method for
Stochastic Optimization", ICLR 2015), which Liu et al. ("How Do Adam and Training Strategies Help BNNs Optimization",
ICML 2021) found to move the real values behind binary weights that a plain step leaves where they are.

The classes of torch.optim import torch's compiler on their first use, more than a second that every candidate's process
would pay.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from pipeline.networks.binary.convolution import BinaryConvolution
from pipeline.training.settings import TrainingSettings

#: Adam's own: how slowly it forgets squared gradients, and what keeps it from dividing by zero.
_BETA2, _EPSILON = 0.999, 1e-8
#: What each optimiser remembers of a parameter, as it is called in a saved state.
_BUFFERS = {"sgd": ("momentum",), "adam": ("mean", "square")}


class Descent:
    """An optimiser's steps.

    Args:
        network: its parameters are moved; they stay where they are in memory.
        settings: which optimiser, its momentum and its decays. The rate is given with each step.
    """

    def __init__(self, network: nn.Module, settings: TrainingSettings) -> None:
        parameters = dict(network.named_parameters())
        self._buffers = {
            f"{buffer}/{name}": torch.zeros_like(parameter)
            for buffer in _BUFFERS[settings.optimizer]
            for name, parameter in parameters.items()
        }
        #: Adam's number of steps, of each parameter since torch counts so.
        self._taken = [torch.zeros((), device=parameter.device) for parameter in parameters.values()]
        self._move: Callable[..., None] = {"sgd": _sgd, "adam": _adam}[settings.optimizer]
        momentum = settings.momentum
        self._how: dict[str, Any] = {
            "sgd": {"momentum": momentum, "dampening": 0.0, "nesterov": False},
            "adam": {"beta1": momentum, "beta2": _BETA2, "eps": _EPSILON, "amsgrad": False},
        }[settings.optimizer]
        self._groups: dict[float, list[_Row]] = {}
        binary = {id(module.weight) for module in network.modules() if isinstance(module, BinaryConvolution)}
        for place, (name, parameter) in enumerate(parameters.items()):
            buffers = [self._buffers[f"{buffer}/{name}"] for buffer in _BUFFERS[settings.optimizer]]
            decay = settings.decay_of(binary=id(parameter) in binary)
            self._groups.setdefault(decay, []).append(_Row.of(place, parameter, buffers, self._taken[place]))

    def step(self, gradients: Sequence[Tensor], rate: float | Tensor) -> None:
        """Moves the parameters.

        Args:
            gradients: one for each parameter, in the network's order.
            rate: the learning rate; a tensor where recorded steps read it.
        """
        for decay, rows in self._groups.items():
            laid = [row.lay(gradients[row.place]) for row in rows]
            self._move(rows, laid, fused=True, lr=rate, weight_decay=decay, maximize=False, **self._how)

    def state(self) -> dict[str, Tensor]:
        """Returns what is remembered, by name; not copied."""
        taken = {"taken": self._taken[0]} if self._move is _adam else {}
        return {**self._buffers, **taken}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from a state. Raises KeyError or RuntimeError where it belongs to another network or optimiser."""
        for name, tensor in self._buffers.items():
            tensor.copy_(state[name])
        if self._move is _adam:
            for taken in self._taken:
                taken.copy_(state["taken"])


class _Row(NamedTuple):
    """A parameter and its buffers, seen so that their elements follow each other as they do in memory.

    The fused step copies whatever lies otherwise, there and back. ``last``: channels do, and are seen so.
    """

    place: int
    parameter: Tensor
    buffers: list[Tensor]
    taken: Tensor
    last: bool

    @classmethod
    def of(cls, place: int, parameter: Tensor, buffers: list[Tensor], taken: Tensor) -> "_Row":
        last = torch.channels_last
        lies_so = all(one.is_contiguous(memory_format=last) for one in (parameter, *buffers))
        if parameter.is_contiguous() or not lies_so:
            return cls(place, parameter.detach(), buffers, taken, False)
        return cls(place, _seen(parameter.detach()), [_seen(one) for one in buffers], taken, True)

    def lay(self, gradient: Tensor) -> Tensor:
        """Returns the gradient, seen in the same way."""
        return _seen(gradient.contiguous(memory_format=torch.channels_last)) if self.last else gradient


def _seen(tensor: Tensor) -> Tensor:
    return tensor.permute(0, 2, 3, 1)


def _sgd(rows: Sequence[_Row], gradients: list[Tensor], **how: Any) -> None:
    sgd([row.parameter for row in rows], gradients, [row.buffers[0] for row in rows], **how)


def _adam(rows: Sequence[_Row], gradients: list[Tensor], **how: Any) -> None:
    means, squares = ([row.buffers[number] for row in rows] for number in (0, 1))
    adam([row.parameter for row in rows], gradients, means, squares, [], [row.taken for row in rows], **how)
