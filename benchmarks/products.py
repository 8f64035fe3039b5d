"""The three products of a binary 3×3 convolution: how fast and how exact by Winograd's filtering and by torch.

    python -m benchmarks.products
    python -m benchmarks.products --precision float32 --threads 2
    python -m benchmarks.products --quick

Layers of VGG-small at several widths, a batch of 100. Torch computes forward products in 8-bit integers where the
engine would, or else in the precision, and gradients in the precision. Errors are relative to a whole tensor, against
float64.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.timing import heading, interleave, ratio, table
from pipeline.kernels import int8, library, winograd
from pipeline.training.execution import resolve
from pipeline.training.settings import ExecutionSettings

#: Input channels, output channels, side of the feature map: some layers at 1/8, 1/4 and 1 times the base width.
LAYERS = [(16, 16, 32), (32, 64, 8), (32, 32, 32), (64, 64, 16), (128, 128, 8), (128, 128, 32), (512, 512, 8)]
BATCH = 100


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=["auto", "float32", "bfloat16"], default="auto")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="of a round of one way")
    parser.add_argument("--quick", action="store_true", help="the smallest layer and short rounds")
    arguments = parser.parse_args()
    layers = LAYERS
    if arguments.quick:
        layers, arguments.rounds, arguments.seconds = LAYERS[1:2], 1, 0.01
    execution = resolve(ExecutionSettings("cpu", arguments.precision, arguments.threads))
    execution.apply()
    if not library.loaded():
        sys.exit("error: there are no compiled kernels here, and thus no Winograd's filtering; install a C++ compiler")
    print(heading(execution, f"batch {BATCH}, medians of {arguments.rounds} rounds in turns") + "\n")
    dtype = getattr(torch, execution.precision)
    rows = [row for layer in layers for row in _Layer(*layer, dtype).rows(arguments.rounds, arguments.seconds)]
    print(table(["layer", "product", "torch, ms", "Winograd, ms", "faster by", "torch's error", "Winograd's"], rows))


class _Layer:
    """One convolution, its random tensors and the ways to compute its products."""

    def __init__(self, inputs: int, outputs: int, side: int, dtype: torch.dtype) -> None:
        generator = torch.Generator().manual_seed(0)
        self._name = f"{inputs} → {outputs}, {side} px"
        self._dtype = dtype
        self._bits = _last(torch.randint(2, (BATCH, inputs, side, side), generator=generator).to(torch.uint8))
        self._signs = _last((2 * torch.randint(2, (outputs, inputs, 3, 3), generator=generator) - 1).to(torch.int8))
        self._scale = torch.tensor(0.37)
        self._numbers, self._weight = self._bits.to(dtype), (self._signs * self._scale).to(dtype)
        self._gradient = _last(torch.randn(BATCH, outputs, side, side, generator=generator).to(dtype))
        convolution = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
        self._integers = int8.worthwhile(self._bits.shape, convolution, dtype)

    def rows(self, rounds: int, seconds: float) -> list[list[str]]:
        bits, signs, scale, gradient = self._bits, self._signs, self._scale, self._gradient
        weight = signs.double() * scale.double()
        of_bits, of_weight = _gradients(gradient.double(), bits.double(), weight, (True, True))
        products: dict[str, tuple[Callable[[], Tensor], Callable[[], Tensor], Tensor]] = {
            "forward": (
                self._forward,
                lambda: winograd.convolution(bits, signs, scale, self._dtype),
                F.conv2d(bits.double(), weight, None, 1, 1),
            ),
            "towards the input": (
                lambda: _gradients(gradient, self._numbers, self._weight, (True, False))[0],
                lambda: winograd.input_gradient(gradient, signs, scale),
                of_bits,
            ),
            "towards the weight": (
                lambda: _gradients(gradient, self._numbers, self._weight, (False, True))[1],
                lambda: winograd.filter_gradient(gradient, bits),
                of_weight,
            ),
        }
        rows = []
        for product, (plain, minimal, exact) in products.items():
            rates = interleave({"torch": _rate(plain, seconds), "winograd": _rate(minimal, seconds)}, rounds)
            times = [f"{1000 / statistics.median(rates[way]):.2f}" for way in ("torch", "winograd")]
            errors = [f"{_error(way(), exact):.1e}" for way in (plain, minimal)]
            rows.append([self._name, product, *times, f"{ratio(rates, 'winograd', 'torch'):.2f}", *errors])
        return rows

    def _forward(self) -> Tensor:
        if self._integers:
            return int8.convolution(self._bits, self._signs, self._scale, (1, 1), (1, 1), self._dtype)
        return F.conv2d(self._numbers, self._weight, None, 1, 1)


def _last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last)


def _gradients(gradient: Tensor, x: Tensor, weight: Tensor, which: tuple[bool, bool]) -> tuple[Tensor, Tensor]:
    of_x, of_weight, _ = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, (1, 1), (1, 1), (1, 1), False, (0, 0), 1, (*which, False)
    )
    return of_x, of_weight


def _rate(product: Callable[[], Tensor], seconds: float) -> Callable[[], float]:
    def run() -> float:
        started, done = time.perf_counter(), 0
        while not done or time.perf_counter() - started < seconds:
            product()
            done += 1
        return done / (time.perf_counter() - started)

    return run


def _error(found: Tensor, exact: Tensor) -> float:
    return float((found.double() - exact).norm() / exact.norm())


if __name__ == "__main__":
    main()
