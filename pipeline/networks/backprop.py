"""Backpropagation through a chain of layers by the calls that autograd would make, without autograd.

A step of a small network is a hundred calls of some microseconds each. To record them for autograd, to look up modules
and to ask for arrays takes as long again. Here every layer knows beforehand what it calls, forward and backward, and
where it writes. The calls and their order are autograd's, so that the gradients are the same to the last bit.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from pipeline.kernels import library, normalise
from pipeline.kernels.arrays import Kept
from pipeline.kernels.library import LAST
from pipeline.networks.binary import fused
from pipeline.networks.binary.convolution import Convolution, skips_pixels
from pipeline.networks.graph import Layer
from pipeline.networks.module import Network

Result = TypeVar("Result")

_aten = torch.ops.aten


class Backprop:
    """Computes a loss and its gradients for batches of one size. :func:`find_backprop` makes it."""

    def __init__(self, parts: Sequence["_Part"]) -> None:
        self._parts = parts

    @torch.no_grad()
    def __call__(self, x: Tensor, labels: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Returns the gradients of the mean cross-entropy, one for each of the network's parameters; that loss; and the
        logits (N, classes). Batch norms move their running moments. The next call writes over the gradients.

        Args:
            x: (N, C, H, W), float32, of the size that was said.
            labels: (N,), int64; or (N, classes), float32, the share of each class in an image.
        """
        for part in self._parts:
            x = part.forward(x)
        logits = x
        likelihood = _aten._log_softmax(logits, 1, False)
        if labels.is_floating_point():
            loss = -(likelihood * labels).sum() / len(labels)
            gradient = labels / -len(labels)
        else:
            loss, weight = _aten.nll_loss_forward(likelihood, labels, None, 1, -100)
            gradient = _aten.nll_loss_backward(torch.ones_like(loss), likelihood, labels, None, 1, -100, weight)
        gradient = _aten._log_softmax_backward_data(gradient, likelihood, 1, logits.dtype)
        found: list[tuple[Tensor, ...]] = []
        for part in reversed(self._parts):
            gradient, *of_parameters = part.backward(gradient)
            found.append(tuple(of_parameters))
        return [tensor for of_parameters in reversed(found) for tensor in of_parameters], loss, logits


def find_backprop(network: nn.Module, x: Tensor) -> Backprop | None:
    """Returns the same gradients' short cut, or None where there is none: layers that are no chain, or that compiled
    kernels do not compute in float32 on the CPU.

    Args:
        network: in training mode. Its modules and parameters stay what they are.
        x: a batch, as all will be in shape and layout. Nothing is learnt from it.
    """
    if type(network) is not Network or not network.training or x.dtype != torch.float32 or not normalise.accepts(x):
        return None
    if torch.is_autocast_enabled("cpu") or any(
        parameter.dtype != torch.float32 or not parameter.requires_grad for parameter in network.parameters()
    ):
        return None
    layers = {layer.name: layer for layer in network.spec.layers}
    parts: list[_Part] = []
    previous = "input"
    for step in network.program:
        if step.sources != (previous,):
            return None
        previous = step.layers[-1]
        first = layers[step.layers[0]]
        like = torch.empty(len(x), first.in_channels, first.in_size, first.in_size, memory_format=LAST)
        part = _part(layers[previous], [network.get_submodule(name) for name in step.layers], like, not parts)
        if part is None:
            return None
        parts.append(part)
    known = [parameter for part in parts for parameter in part.parameters]
    whole = isinstance(parts[-1], _Classifier) and list(map(id, known)) == list(map(id, network.parameters()))
    return Backprop(parts) if whole else None


def _part(layer: Layer, modules: Sequence[nn.Module], x: Tensor, first: bool) -> "_Part | None":
    """Returns how a layer is computed, together with the modules before it if it is binary; None if it is not known.

    Args:
        layer, modules: the layer, and what leads to it from ``x`` on.
        x: a feature map of any values, in the shape of what the first of them reads.
        first: nothing comes before.
    """
    module, kind = modules[-1], layer.kind
    if layer.binary:
        chain = fused.find_chain(modules, x, learns=True)
        return None if chain is None or chain.norm is None else _Binary(chain)
    if kind == "convolution" and type(module) is Convolution and not skips_pixels(module):
        return _Convolution(module, first)
    if kind == "max_pool" and type(module) is nn.MaxPool2d:
        return _MaxPool(module)
    if kind == "batch_norm" and type(module) is nn.BatchNorm2d:
        usual = module.affine and module.track_running_stats and module.momentum is not None
        return _BatchNorm(module) if usual else None
    if kind == "relu":
        return _ReLU()
    return _Classifier(module) if kind == "linear" and isinstance(module, nn.Linear) else None


class _Part(ABC):
    """A layer, or a binary one with what leads to it. ``parameters`` in the order in which gradients are given."""

    parameters: tuple[Tensor, ...] = ()

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Returns the layer's output."""

    @abstractmethod
    def backward(self, gradient: Tensor) -> tuple[Tensor, ...]:
        """Returns the gradient of the last input, and those of the parameters. Frees what was kept for it alone."""


class _Binary(_Part):
    """[Max-pooling,] batch norm and binary convolution. Where kernels do all of it on arrays that stay, their calls are
    recorded and replayed.
    """

    def __init__(self, chain: fused.Chain) -> None:
        norm = chain.norm
        assert norm is not None and norm.running_mean is not None and norm.running_var is not None
        self.parameters = (norm.weight, norm.bias, chain.convolution.weight)
        self._chain = chain
        self._norm = norm
        self._read = (*self.parameters, norm.running_mean, norm.running_var)
        self._places: list[int] = []
        self._arrays = Kept()
        self._saved: list[fused.Saved] = []
        self._forward: _Replay[Tensor] | None = None
        self._backward: _Replay[fused.Gradients] | None = None

    def forward(self, x: Tensor) -> Tensor:
        places = [tensor.data_ptr() for tensor in self._read]
        if self._forward is not None and places == self._places:
            if self._norm.num_batches_tracked is not None:
                self._norm.num_batches_tracked.add_(1)
            return self._forward(x)
        # Kernels trust that channels lie last, as they do in all that is seen here.
        x = x.contiguous(memory_format=LAST)
        with library.recorded() as calls:
            product, saved = fused.forward(x, self._chain, self._arrays)
        self._saved, self._places = [saved], places
        # A momentum that changes is among the numbers that are recorded.
        stays = self._arrays.complete and saved.inputs.dtype == torch.uint8 and self._norm.momentum is not None
        self._forward, self._backward = _Replay(x, calls, product) if stays else None, None
        return product

    def backward(self, gradient: Tensor) -> tuple[Tensor, ...]:
        if self._backward is not None:
            return self._backward(gradient)  # type: ignore[return-value]
        gradient = gradient.contiguous(memory_format=LAST)
        with library.recorded() as calls:
            gradients = fused.backward(gradient, self._saved[0], self._chain, self._arrays)
        if self._forward is None:
            self._saved.clear()
        elif self._arrays.complete:
            self._backward = _Replay(gradient, calls, gradients)
        return gradients  # type: ignore[return-value]


class _Replay(Generic[Result]):
    """Calls of kernels whose result depends on one array.

    Args:
        x: what they read, (N, C, H, W). It is written to if they are to read something else.
        calls: those that were made of it.
        result: where they write to.
    """

    def __init__(self, x: Tensor, calls: library.Record, result: Result) -> None:
        self._x = x
        self._calls = calls
        self._result = result

    def __call__(self, x: Tensor) -> Result:
        if x is not self._x:
            self._x.copy_(x)
        library.replay(self._calls)
        return self._result


class _Convolution(_Part):
    """A real-valued one. The first one's input has no gradient."""

    def __init__(self, module: nn.Conv2d, first: bool) -> None:
        assert not isinstance(module.padding, str)
        self._weight = module.weight
        self._geometry = module.stride, module.padding, module.dilation
        self._wanted = (not first, True, False)
        self._input: list[Tensor] = []
        self.parameters = (module.weight,)

    def forward(self, x: Tensor) -> Tensor:
        self._input.append(x)
        return torch.conv2d(x, self._weight, None, *self._geometry)

    def backward(self, gradient: Tensor) -> tuple[Tensor, ...]:
        x = self._input.pop()
        geometry = *self._geometry, False, (0, 0), 1
        of_input, of_weight, _ = _aten.convolution_backward(gradient, x, self._weight, None, *geometry, self._wanted)
        return of_input, of_weight


class _MaxPool(_Part):
    def __init__(self, module: nn.MaxPool2d) -> None:
        self._window = [_pair(value) for value in (module.kernel_size, module.stride, module.padding, module.dilation)]
        self._saved: list[tuple[Tensor, Tensor]] = []

    def forward(self, x: Tensor) -> Tensor:
        maxima, places = _aten.max_pool2d_with_indices(x, *self._window)
        self._saved.append((x, places))
        return maxima  # type: ignore[no-any-return]

    def backward(self, gradient: Tensor) -> tuple[Tensor, ...]:
        x, places = self._saved.pop()
        return (_aten.max_pool2d_with_indices_backward(gradient, x, *self._window, False, places),)


class _BatchNorm(_Part):
    def __init__(self, module: nn.BatchNorm2d) -> None:
        self._norm = module
        self._saved: list[tuple[Tensor, ...]] = []
        self.parameters = (module.weight, module.bias)

    def forward(self, x: Tensor) -> Tensor:
        norm = self._norm
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked.add_(1)
        running = norm.running_mean, norm.running_var
        out, *moments = _aten.native_batch_norm(x, *self.parameters, *running, True, norm.momentum, norm.eps)
        self._saved.append((x, *moments))
        return out  # type: ignore[no-any-return]

    def backward(self, gradient: Tensor) -> tuple[Tensor, ...]:
        x, *moments = self._saved.pop()
        norm = self._norm
        running = norm.running_mean, norm.running_var
        wanted = [True, True, True]
        return _aten.native_batch_norm_backward(  # type: ignore[no-any-return]
            gradient, x, norm.weight, *running, *moments, True, norm.eps, wanted
        )


class _ReLU(_Part):
    def __init__(self) -> None:
        self._out: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self._out.append(torch.relu(x))
        return self._out[-1]

    def backward(self, gradient: Tensor) -> tuple[Tensor, ...]:
        return (_aten.threshold_backward(gradient, self._out.pop(), 0),)


class _Classifier(_Part):
    def __init__(self, module: nn.Linear) -> None:
        self._saved: list[tuple[Tensor, Tensor]] = []
        self.parameters = (module.weight, module.bias)

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.parameters
        features = x.flatten(1)
        self._saved.append((x, features))
        return torch.addmm(bias, features, weight.t())

    def backward(self, gradient: Tensor) -> tuple[Tensor, ...]:
        x, features = self._saved.pop()
        layout = torch.contiguous_format if x.is_contiguous() else LAST
        of_input = gradient.mm(self.parameters[0]).reshape(x.shape).contiguous(memory_format=layout)
        return of_input, gradient.t().mm(features), gradient.sum(0)


def _pair(value: int | tuple[int, int]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)
