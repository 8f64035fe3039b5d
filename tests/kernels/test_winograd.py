"""Winograd's filtering of binary convolutions against plain convolutions in float64, on every kind of registers."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pipeline.kernels import library, winograd
from pipeline.kernels.build import SOURCES, CompilationError
from tests.support.execution import CPU
from tests.support.little_memory import limit_memory
from tests.support.workflow import ROOT

#: (N, C, O, H, W): odd sizes, whose last tiles are cut; channels that fill no register, or several blocks of them.
SHAPES = [
    (2, 16, 16, 8, 8),
    (3, 32, 48, 8, 6),
    (2, 33, 17, 7, 5),
    (1, 130, 70, 9, 11),
    (5, 64, 200, 4, 4),
    (2, 300, 140, 3, 3),
    (40, 23, 96, 6, 6),
    (1, 1, 1, 1, 1),
    (2, 5, 3, 2, 1),
    (8, 8, 2, 8, 8),
]
TYPES = [torch.float32, torch.bfloat16]
#: Of gradients, relative to the whole tensor.
BOUND = {torch.float32: 1e-6, torch.bfloat16: 2**-7}


@pytest.fixture(autouse=True)
def compiled() -> Iterator[None]:
    try:
        library.load()
    except CompilationError as error:
        pytest.skip(str(error))
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    CPU.apply()


class Case:
    """A convolution's bits, signs and scale, and the gradient of its result: real numbers, or integers from -8 to 8."""

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype, *, integers: bool) -> None:
        count, inputs, outputs, height, width = shape
        generator = torch.Generator().manual_seed(sum(shape))
        self.bits = _last(torch.randint(2, (count, inputs, height, width), generator=generator).to(torch.uint8))
        self.signs = _last((2 * torch.randint(2, (outputs, inputs, 3, 3), generator=generator) - 1).to(torch.int8))
        self.scale = torch.tensor(0.125 if integers else 0.37)
        size = count, outputs, height, width
        if integers:
            gradient = torch.randint(-8, 9, size, generator=generator).float()
        else:
            gradient = torch.randn(size, generator=generator)
        self.gradient = _last(gradient.to(dtype))

    def plain_gradients(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Towards the bits and towards the binarised weight, in float64."""
        weight = self.signs.double() * self.scale.double()
        of_bits, of_weight, _ = torch.ops.aten.convolution_backward(
            self.gradient.double(), self.bits.double(), weight, None, *_GEOMETRY, False, (0, 0), 1, (True, True, False)
        )
        return of_bits, of_weight

    def gradients(self) -> tuple[torch.Tensor, torch.Tensor]:
        of_bits = winograd.input_gradient(self.gradient, self.signs, self.scale)
        return of_bits, winograd.filter_gradient(self.gradient, self.bits)


_GEOMETRY = ((1, 1), (1, 1), (1, 1))


def _last(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous(memory_format=torch.channels_last)


def distance(ours: torch.Tensor, plain: torch.Tensor) -> float:
    return float((ours.double() - plain).norm() / plain.norm().clamp_min(1e-30))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_forward_product_is_that_of_exact_sums(shape, dtype, threads):
    torch.set_num_threads(threads)
    case = Case(shape, dtype, integers=False)
    sums = F.conv2d(case.bits.double(), case.signs.double(), None, 1, 1)
    found = winograd.convolution(case.bits, case.signs, case.scale, dtype)
    assert torch.equal(found, (sums.float() * case.scale).to(dtype))
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_that_are_small_integers_are_exact(shape, dtype, threads):
    """The sums of four of them, which are rounded, lose nothing then."""
    torch.set_num_threads(threads)
    case = Case(shape, dtype, integers=True)
    of_bits, of_weight = case.plain_gradients()
    found_bits, found_weight = case.gradients()
    assert torch.equal(found_bits, of_bits.to(dtype))
    assert torch.equal(found_weight, of_weight.float())


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_other_gradients_are_within_the_precisions_bound(shape, dtype):
    case = Case(shape, dtype, integers=False)
    for found, plain in zip(case.gradients(), case.plain_gradients(), strict=True):
        assert distance(found, plain) < BOUND[dtype]


@pytest.mark.parametrize("dtype", TYPES)
def test_results_are_the_same_with_every_number_of_threads_but_for_the_order_of_sums(dtype):
    case = Case((8, 32, 32, 16, 16), dtype, integers=False)
    torch.set_num_threads(1)
    forward, (of_bits, of_weight) = winograd.convolution(case.bits, case.signs, case.scale, dtype), case.gradients()
    torch.set_num_threads(2)
    assert torch.equal(winograd.convolution(case.bits, case.signs, case.scale, dtype), forward)
    for _ in range(2):
        again = case.gradients()
        assert torch.equal(again[0], of_bits)
        assert distance(again[1], of_weight.double()) < 1e-6


@pytest.mark.parametrize("dtype", TYPES)
def test_a_gradient_that_is_no_number_is_not_lost(dtype):
    """So that a training that went wrong is noticed."""
    for wrong in (float("nan"), float("inf")):
        case = Case((2, 16, 16, 6, 6), dtype, integers=False)
        case.gradient[1, 3, 2, 4] = wrong
        of_bits, of_weight = case.gradients()
        assert not of_bits[1, :, 1:4, 3:6].isfinite().any()
        assert of_bits[0].isfinite().all()
        assert not of_weight[3].isfinite().all()
        assert of_weight[2].isfinite().all()


def test_only_what_it_can_compute_is_worthwhile():
    def judge(*arguments: object, shape: tuple[int, ...] = (64, 32, 8, 8), **more: object) -> bool:
        return winograd.worthwhile(shape, nn.Conv2d(32, *arguments, **more))

    assert judge(32, 3, 1, 1)
    assert not judge(32, 3, 2, 1)
    assert not judge(32, 3, 1, 0)
    assert not judge(32, 3, 1, 1, dilation=2)
    assert not judge(32, 3, 1, 1, groups=2)
    assert not judge(32, 3, 1, 1, padding_mode="reflect")
    assert not judge(32, 1, 1, 0)
    assert not judge(32, 5, 1, 2)
    assert judge(8, 3, 1, 1)
    assert not judge(8, 3, 1, 1, shape=(65, 32, 8, 8))
    assert not judge(32, 3, 1, 1, shape=(1, 32, 4, 4))


def test_too_little_memory_is_an_error_that_a_training_understands():
    done = subprocess.run(
        [sys.executable, __file__],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    said = [f"MemoryError winograd_{name}_float32: out of memory" for name in ("forward", "input_gradient")]
    assert done.stdout.splitlines() == said, (done.returncode, done.stderr)


def _run_out_of_memory() -> None:
    """Where there is enough for the results, and not for 16 numbers in place of the 9 of each filter."""
    library.load()
    small = Case((1, 32, 32, 4, 4), torch.float32, integers=True)
    small.gradients()  # starts the threads
    bits = torch.empty((1, 2048, 2, 2), dtype=torch.uint8, memory_format=torch.channels_last).fill_(1)
    signs = torch.empty((2048, 2048, 3, 3), dtype=torch.int8, memory_format=torch.channels_last).fill_(1)
    limit_memory(30)
    for product in (
        lambda: winograd.convolution(bits, signs, torch.tensor(1.0), torch.float32),
        lambda: winograd.input_gradient(bits.float(), signs, torch.tensor(1.0)),
    ):
        try:
            product()
        except MemoryError as error:
            print(type(error).__name__, error, flush=True)


@pytest.mark.parametrize("flags", ["-mno-avx512f", "-mno-avx", "-mno-avx512bf16 -mno-avx512vnni"])
@pytest.mark.skipif(sys.platform != "linux" or os.uname().machine != "x86_64", reason="these are flags of x86-64")
def test_processors_with_fewer_instructions_get_the_same(tmp_path, flags):
    """The same tests, with the library compiled as for such a processor."""
    has = set(re.findall(r"\w+", Path("/proc/cpuinfo").read_text()))
    if not {flag.removeprefix("-mno-") for flag in flags.split()} & {name.replace("_", "") for name in has}:
        pytest.skip("this processor has fewer already")
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "CXX": f"{os.environ.get('CXX') or 'g++'} {flags}"}
    only = ["-k", "exact_sums or small_integers or within or no_number"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *only, __file__]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "skipped" not in done.stdout
    assert list((tmp_path / "binary-nas").glob("*.so"))


@pytest.mark.parametrize("flags", ["-march=alderlake", "-march=sapphirerapids -mno-avx512vnni"])
@pytest.mark.skipif(sys.platform != "linux" or os.uname().machine != "x86_64", reason="these are flags of x86-64")
def test_products_of_bytes_in_narrow_registers_are_compiled(flags):
    """AVX-VNNI, which this processor perhaps lacks: alone, and beside AVX-512 without its own."""
    compiler = [*shlex.split(os.environ.get("CXX") or "g++"), *flags.split(), "-std=gnu++20", "-fopenmp"]
    if subprocess.run([*compiler, "-fsyntax-only", "-xc++", os.devnull], capture_output=True).returncode:
        pytest.skip("the compiler does not know these processors")
    done = subprocess.run([*compiler, "-fsyntax-only", str(SOURCES / "winograd.cpp")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:3000]


if __name__ == "__main__":
    _run_out_of_memory()
