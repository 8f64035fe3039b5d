"""What each part of the training engine is worth: the engine against the engine without that part.

    python -m benchmarks.ablation
    python -m benchmarks.ablation --quick

All ways take turns in one run, on one thread as candidates are trained. The parts are taken out from outside:

- channels last: weights and images lie channel by channel, not pixel by pixel, for which there are no compiled kernels;
- bfloat16: float32 (where the hardware has bfloat16; else the engine computes in float32 anyway);
- winograd: all products of binary layers with 9 multiplications for an output in place of 4;
- integers: the same, and forward products in the engine's precision;
- compiled kernels: the same as without winograd, and pooling, batch norm, binarisation and crops by torch's operators;
- vectorised binarisation: Eq. 1 by comparisons that give truth values and a mask for the gradient, without
  integers and compiled kernels;
- whole batches: images cropped, mirrored and normalised one by one, by torchvision in the same process;
- known calls: layers and their gradients by way of modules and autograd, which compiled kernels in float32 do without;
- fused descent: torch's ordinary step of gradient descent;
- memory kept: what is freed goes back to the system after every step.
"""

import argparse
import ctypes
import statistics
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional as F

import pipeline.training.descent
import pipeline.training.loop
from benchmarks.timing import heading, interleave, ratio, steps_rate, table
from benchmarks.training import ImagesOneByOne
from benchmarks.workloads import engine_training, random_images, recipe
from pipeline.kernels import int8, library, winograd
from pipeline.networks.binary.convolution import BinaryConvolution
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.training.execution import Execution, resolve
from pipeline.training.loop import Training
from pipeline.training.memory import keep_freed_memory
from pipeline.training.settings import ExecutionSettings

#: Base width, image side and batch: the default experiment's, that of configs/cifar10-mini.yaml, and larger ones.
SIZES = [(1 / 16, 8, 64), (1 / 8, 32, 64), (1 / 4, 32, 100), (1.0, 32, 100)]

_NEVER = dict.fromkeys(int8.LEAST_MACS, float("inf"))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a round of one way")
    parser.add_argument("--quick", action="store_true", help="the smallest network and short rounds")
    arguments = parser.parse_args()
    sizes = SIZES
    if arguments.quick:
        sizes, arguments.rounds, arguments.seconds = SIZES[:1], 1, 0.1
    execution = resolve(ExecutionSettings("cpu", "auto", arguments.threads))
    execution.apply()
    print(heading(execution, f"medians of {arguments.rounds} rounds in turns") + "\n")
    rows: dict[str, list[str]] = {}
    for width, side, batch in sizes:
        rates = _measure(
            NetworkSpec("vgg_small", uniform_genome("vgg_small", 1), base_width=width, size=side), batch, arguments
        )
        for name in rates:
            mark = (
                f"{statistics.median(rates[name]):.4g}" if name == "engine" else f"{ratio(rates, 'engine', name):.2f}"
            )
            rows.setdefault(name, []).append(mark)
    columns = [f"{width:g}×, {side} px, batch {batch}" for width, side, batch in sizes]
    print(
        table(["without", *columns], [["(engine, images/s)", *rows.pop("engine")], *([k, *v] for k, v in rows.items())])
    )


def _measure(spec: NetworkSpec, batch: int, arguments: argparse.Namespace) -> dict[str, list[float]]:
    execution = resolve(ExecutionSettings("cpu", "auto", arguments.threads))
    plain = replace(execution, precision="float32")
    images = random_images(spec, 1000)

    def fresh(execution: Execution = execution, *, replayed: bool = True) -> Training:
        return engine_training(spec, recipe(batch), images, execution, replayed=replayed)

    ways: dict[str, tuple[Training, Callable[[], AbstractContextManager[object]]]] = {
        "engine": (fresh(), nullcontext),
        "channels last": (_contiguous(fresh()), nullcontext),
        **({"bfloat16": (fresh(plain), nullcontext)} if execution != plain else {}),
        **({"winograd": (fresh(), _plain_products)} if library.loaded() else {}),
        "integers": (fresh(), _floats),
        **({"compiled kernels": (fresh(), torchs_operators)} if library.loaded() else {}),
        "vectorised binarisation": (fresh(), _masks),
        "whole batches": (_one_by_one(fresh(), spec, images), nullcontext),
        **({"known calls": (fresh(replayed=False), nullcontext)} if execution.computes_chains else {}),
        "fused descent": (fresh(), partial(patch.object, pipeline.training.descent, "sgd", _ordinary_descent)),
        "memory kept": (fresh(), _memory_given_back),
    }

    def run(training: Training, without: Callable[[], AbstractContextManager[object]]) -> Callable[[], float]:
        rate = steps_rate(training.steps(), batch, arguments.seconds, execution)

        def round_of_steps() -> float:
            with without():
                return rate()

        return round_of_steps

    return interleave({name: run(*way) for name, way in ways.items()}, arguments.rounds)


class _Reshaped:
    """A source whose batches are changed."""

    def __init__(self, source: pipeline.training.loop.ImageSource, change: Callable[[Tensor], Tensor]) -> None:
        self._source, self._change, self.labels = source, change, source.labels

    def __len__(self) -> int:
        return len(self._source)

    def batches(self, *arguments: object, **more: object) -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in self._source.batches(*arguments, **more):  # type: ignore[arg-type]
            yield self._change(x), y


def _contiguous(training: Training) -> Training:
    training.network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    training.images = _Reshaped(training.images, Tensor.contiguous)
    return training


class _OneByOne:
    """Images as a Dataset gives them, stacked to batches."""

    def __init__(self, images: ImagesOneByOne, labels: Tensor) -> None:
        self._images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, plan: list[Tensor], *_: object) -> Iterator[tuple[Tensor, Tensor]]:
        for indices in plan:
            pairs = [self._images[index] for index in indices.tolist()]
            x = torch.stack([image for image, _ in pairs]).contiguous(memory_format=torch.channels_last)
            yield x, torch.tensor([label for _, label in pairs])


def _one_by_one(training: Training, spec: NetworkSpec, images: tuple[Tensor, Tensor]) -> Training:
    training.images = _OneByOne(ImagesOneByOne(*images, spec.size), images[1])  # type: ignore[assignment]
    return training


class _MaskedActivation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.save_for_backward(x == x.clamp(0, 1))  # type: ignore[attr-defined]
        return (x > 0.5).to(dtype)

    @staticmethod
    def backward(ctx: object, *grads: Tensor) -> tuple[Tensor, None]:
        (inside,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return grads[0] * inside, None


class _SelectedWeight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, weight: Tensor, dtype: torch.dtype) -> Tensor:
        scale = weight.abs().mean()
        return torch.where(weight >= 0, scale, -scale).to(dtype)

    @staticmethod
    def backward(ctx: object, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0].float(), None


def _plain_products() -> AbstractContextManager[object]:
    return patch.object(winograd, "worthwhile", lambda *_: False)


@contextmanager
def _floats() -> Iterator[None]:
    with _plain_products(), patch.dict(int8.LEAST_MACS, _NEVER):
        yield


@contextmanager
def torchs_operators() -> Iterator[None]:
    """Without compiled kernels."""
    loaded = library.loaded()
    library.unload()
    try:
        yield
    finally:
        if loaded:
            library.load()


@contextmanager
def _masks() -> Iterator[None]:
    with torchs_operators(), patch.object(BinaryConvolution, "forward", _by_masks):
        yield


def _by_masks(self: BinaryConvolution, x: Tensor) -> Tensor:
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32
    bits, weight = _MaskedActivation.apply(x, dtype), _SelectedWeight.apply(self.weight, dtype)
    return F.conv2d(bits, weight, None, self.stride, self.padding)


def _ordinary_descent(*arguments: object, fused: bool, **more: object) -> None:
    _fused_descent(*arguments, fused=False, **more)  # type: ignore[arg-type]


_fused_descent = pipeline.training.descent.sgd


@contextmanager
def _memory_given_back() -> Iterator[None]:
    mallopt = ctypes.CDLL(None).mallopt
    trim_threshold, mmap_threshold, default = -1, -3, 2**17
    mallopt(trim_threshold, default)
    mallopt(mmap_threshold, default)
    yield
    keep_freed_memory()


if __name__ == "__main__":
    main()
