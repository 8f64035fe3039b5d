"""The compiled kernels against torch's modules in float64, and what happens where there is no compiler."""

import os
import shutil
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pipeline.common.errors import UserError
from pipeline.data.batches import ImagesInMemory, Normalisation
from pipeline.kernels import build, int8, library, normalise, winograd
from pipeline.kernels.build import SOURCES, CompilationError
from pipeline.networks.binary.binarisers.dorefa import binarise_weight
from pipeline.networks.binary.convolution import BinaryConvolution
from pipeline.networks.binary.fused import binarise_and_convolve
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec
from pipeline.training.execution import Execution, resolve, say_what_is_missing
from pipeline.training.scoring import recalibrate, score
from pipeline.training.settings import ExecutionSettings
from tests.support.execution import CPU
from tests.support.workflow import ROOT

#: Relative, of what is rounded once to the type; the sums are better than float32.
BOUND = {torch.float32: 2e-6, torch.bfloat16: 2**-8}

SIMPLE = NetworkSpec("vgg_small", (0.5, 2, 1, 1, 1, 0.5), base_width=0.125, channels=3, size=16)


@pytest.fixture
def compiled() -> Iterator[None]:
    try:
        library.load()
    except CompilationError as error:
        pytest.skip(str(error))
    yield
    CPU.apply()


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def distance(ours: torch.Tensor, plain: torch.Tensor) -> float:
    ours, plain = ours.detach().double(), plain.detach().double()
    return float((ours - plain).norm() / plain.norm())


def feature_map(shape: tuple[int, ...], dtype: torch.dtype, seed: int = 0) -> torch.Tensor:
    """As a binary convolution makes them: few values, so that windows have equal maxima; channels of large means."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(-6, 7, shape, generator=generator) / 4
    values += 2 * torch.arange(shape[1])[:, None, None] % 10
    return values.to(dtype).contiguous(memory_format=torch.channels_last)


def batch_norm(channels: int, seed: int = 1) -> nn.BatchNorm2d:
    generator = torch.Generator().manual_seed(seed)
    norm = nn.BatchNorm2d(channels)
    norm.weight.data = 0.2 + torch.rand(channels, generator=generator)
    norm.bias.data = torch.rand(channels, generator=generator) - 0.3
    return norm


class Reference:
    """Pooling, batch norm and Eq. 1 in float64, with the gradients of torch's autograd."""

    def __init__(self, x: torch.Tensor, norm: nn.BatchNorm2d, pool: bool, gradient: torch.Tensor | None = None) -> None:
        self.norm = nn.BatchNorm2d(norm.num_features, norm.eps, norm.momentum).double()
        self.norm.load_state_dict(norm.state_dict())
        self.norm.train(norm.training)
        self.x = x.double().contiguous().requires_grad_()
        pooled, self.winners = F.max_pool2d(self.x, 2, return_indices=True) if pool else (self.x, None)
        y = self.norm(pooled)
        self.bits = (y > 0.5).double()
        # No value may hang on the last digit of float32.
        assert min((y - border).abs().min() for border in (0, 0.5, 1)) > 3e-6
        if gradient is not None:
            (y * (gradient.double() * ((y >= 0) & (y <= 1)))).sum().backward()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("pool", [False, True], ids=["plain", "pooled"])
@pytest.mark.parametrize("shape", [(3, 1, 6, 4), (2, 7, 4, 4), (5, 16, 8, 8), (4, 61, 10, 6)])
def test_bits_moments_and_gradients_are_those_of_float64(compiled, threads, shape, pool, dtype):
    x, norm = feature_map(shape, dtype), batch_norm(shape[1])
    made_shape = (shape[0], shape[1], shape[2] // 2, shape[3] // 2) if pool else shape
    gradient = torch.randn(made_shape, generator=torch.Generator().manual_seed(2)).to(dtype)
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    reference = Reference(x, norm, pool, gradient)

    made = normalise.normalise_and_binarise(x, norm, pool=pool, bits=True, numbers=True)
    assert torch.equal(made.bits.double(), reference.bits)
    assert torch.equal(made.numbers.double(), reference.bits)
    assert made.numbers.dtype == dtype
    assert torch.allclose(norm.running_mean.double(), reference.norm.running_mean, rtol=1e-6, atol=1e-7)
    assert torch.allclose(norm.running_var.double(), reference.norm.running_var, rtol=1e-5)
    assert norm.num_batches_tracked == 1

    of_x, of_gamma, of_beta = normalise.gradients(gradient.clone(), made.x, made.winners, made.moments)
    assert distance(of_x, reference.x.grad) < BOUND[dtype]
    assert distance(of_gamma, reference.norm.weight.grad) < 1e-5
    assert distance(of_beta, reference.norm.bias.grad) < 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_pooling_prefers_the_first_of_equals_and_nan(compiled, dtype):
    x = torch.tensor(
        [[[[1.0, 1.0, 0.0, 2.0], [1.0, 1.0, 2.0, 2.0]]], [[[3.0, 1.0, 5.0, 0.0], [float("nan")] + [1.0] * 3]]]
    )
    x = x.to(dtype).contiguous(memory_format=torch.channels_last)
    made = normalise.normalise_and_binarise(x, batch_norm(1), pool=True, bits=True, numbers=False)
    expected, indices = F.max_pool2d(x, 2, return_indices=True)
    assert torch.equal(made.x.nan_to_num(nan=-9), expected.nan_to_num(nan=-9))
    rows, columns = indices // 4, indices % 4
    assert torch.equal(made.winners, (2 * (rows % 2) + columns % 2).to(torch.uint8))
    assert not made.bits.any(), "a NaN gives 0"
    assert made.moments.isnan().any(), "and is not lost"


def test_evaluation_uses_the_running_moments_and_leaves_them(compiled):
    x, norm = feature_map((4, 24, 6, 6), torch.float32), batch_norm(24)
    norm.running_mean += x.mean((0, 2, 3)) + 0.1
    norm.running_var += 0.3
    norm.eval()
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    made = normalise.normalise_and_binarise(x, norm, pool=False, bits=True, numbers=False)
    assert torch.equal(made.bits.double(), Reference(x, norm, False).bits)
    assert made.numbers is None
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())


def test_moments_keep_a_plain_mean_over_batches_where_momentum_is_none(compiled):
    ours, plain = batch_norm(5), batch_norm(5)
    ours.momentum = plain.momentum = None
    for seed in range(3):
        x = feature_map((6, 5, 4, 4), torch.float32, seed)
        normalise.normalise_and_binarise(x, ours, pool=False, bits=True, numbers=False)
        plain(x)
    assert torch.allclose(ours.running_mean, plain.running_mean)
    assert torch.allclose(ours.running_var, plain.running_var)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels", [1, 7, 32])
def test_eq_1_alone_is_exact_on_every_border(compiled, threads, channels, dtype):
    edges = torch.tensor([0.0, -0.0, 0.5, 1.0, -1.0, 2.0, float("inf"), -float("inf"), float("nan")], dtype=dtype)
    values = torch.cat([edges, *(torch.nextafter(edges, edges + way) for way in (1, -1)), torch.randn(997).to(dtype)])
    x = values[: len(values) // channels // 4 * channels * 4].reshape(4, channels, -1, 1)
    x = x.contiguous(memory_format=torch.channels_last)
    made = normalise.binarise(x, bits=True, numbers=True)
    assert torch.equal(made.bits, (x > 0.5).to(torch.uint8))
    assert torch.equal(made.numbers, (x > 0.5).to(dtype))
    gradient = torch.full_like(x, -3.0)
    gradient[0, 0, 0, 0] = float("nan")
    expected = torch.where((x >= 0) & (x <= 1), gradient, 0.0)
    assert torch.equal(normalise.passed(gradient, x).nan_to_num(nan=9), expected.nan_to_num(nan=9))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (5, 3, 3, 3), (64, 96, 3, 3)])
def test_weights_are_binarised_as_torch_does(compiled, threads, shape, dtype):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    weight.view(-1)[0] = 0.0
    signs, numbers, mean = normalise.binarise_weight(weight, dtype, signs=True, numbers=True)
    expected = torch.where(weight >= 0, 1, -1)
    assert torch.equal(signs, expected.to(torch.int8))
    assert mean.item() == pytest.approx(weight.double().abs().mean().item(), rel=1e-7)
    assert torch.equal(numbers, (expected * mean).to(dtype))
    assert numbers.float().allclose(binarise_weight(weight, dtype).float(), rtol=2**-7)
    assert normalise.binarise_weight(weight, dtype, signs=False, numbers=False)[:2] == (None, None)


@pytest.mark.parametrize("augmentation", ["none", "crop", "crop-flip"])
@pytest.mark.parametrize(("side", "channels"), [(8, 1), (32, 3)])
def test_images_are_the_same_bytes(compiled, threads, augmentation, side, channels):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (40, side, side, channels), generator=generator).to(torch.uint8)
    normalisation = Normalisation((0.3,) * channels, (0.21, 0.33, 0.7)[:channels])
    images = ImagesInMemory(pixels, torch.arange(40), normalisation, torch.device("cpu"))
    plan = list(torch.split(torch.randperm(40, generator=generator), 16))
    fast = list(images.batches(plan, augmentation, ("address",), part=slice(3, 13)))
    library.unload()
    plain = list(images.batches(plan, augmentation, ("address",), part=slice(3, 13)))
    for (x, y), (expected, labels) in zip(fast, plain, strict=True):
        assert torch.equal(x, expected)
        assert x.stride() == expected.stride()
        assert torch.equal(y, labels)


def fixed_scales(network: nn.Module) -> None:
    """Weights whose scale is exact in every type and order of adding."""
    for module in network.modules():
        if isinstance(module, BinaryConvolution):
            module.weight.data = torch.where(module.weight.data >= 0, 0.125, -0.125)


@pytest.mark.parametrize("products", ["floats", "integers", "winograd"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_is_fused_is_what_its_modules_do(compiled, monkeypatch, precision, products):
    """From convolution to convolution: the output, its running moments and every gradient."""
    if products == "integers" and not int8.available():
        pytest.skip("this processor has no fast products of bytes (VNNI), or torch no operators for them")
    for name in ("LEAST_MACS", "LEAST_PIXELS"):
        least = 0.0 if products == "integers" else float("inf")
        monkeypatch.setattr(int8, name, dict.fromkeys(int8.LEAST_MACS, least))
    if products != "winograd":
        monkeypatch.setattr(winograd, "worthwhile", lambda *_: False)
    dtype = getattr(torch, precision)
    bound = BOUND[dtype] * 4  # of the convolution's own products
    for before in ([], [batch_norm(24)], [nn.MaxPool2d(2, 2), batch_norm(24)]):
        modules = [*before, BinaryConvolution(24, 16, 3, 1, 1, bias=False)]
        fixed_scales(modules[-1])
        modules[-1].to(memory_format=torch.channels_last)
        found = []
        for load in (library.load, library.unload):
            load()
            if before:
                before[-1].load_state_dict(batch_norm(24).state_dict())
            x = feature_map((8, 24, 12, 12), dtype).requires_grad_()
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                calls = Calls(monkeypatch)
                y = binarise_and_convolve(modules, [x])
            assert bool(calls) == (load is library.load)
            by_winograd = load is library.load and products == "winograd"
            assert calls.count(f"winograd_forward_{precision}") == by_winograd
            upstream = torch.randn(y.shape, generator=torch.Generator().manual_seed(3))
            parameters = [parameter for module in modules for parameter in module.parameters()]
            gradients = torch.autograd.grad((y.float() * upstream).sum(), [x, *parameters])
            found.append((y, gradients, before[-1].running_var.clone() if before else torch.zeros(1)))
        (y, gradients, variance), (expected, others, other_variance) = found
        assert y.dtype == expected.dtype
        # In bfloat16 torch rounds the batch norm's output before it compares: some bits differ there.
        assert distance(y, expected) < (0.02 if precision == "bfloat16" else 1e-9)
        assert torch.allclose(variance, other_variance, rtol=1e-4)
        for mine, theirs in zip(gradients, others, strict=True):
            assert distance(mine, theirs) < (0.1 if precision == "bfloat16" else bound)


class Calls:
    """Names of the kernels that were called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._names: list[str] = []
        call = library.call

        def counted(name: str, *arguments: object) -> int:
            self._names.append(name)
            return call(name, *arguments)

        monkeypatch.setattr(library, "call", counted)

    def __len__(self) -> int:
        return len(self._names)

    def count(self, name: str) -> int:
        return self._names.count(name)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_all_of_a_network_that_can_be_fused_is(compiled, monkeypatch, precision):
    resnet = NetworkSpec("resnet18", (1,) * 12, base_width=0.125, channels=3, size=32)
    for spec, convolutions, norms in ((SIMPLE, 5, 5), (resnet, 19, 8)):
        network = Network(spec).to(memory_format=torch.channels_last)
        calls = Calls(monkeypatch)
        x = torch.randn(4, 3, spec.size, spec.size).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            network(x).sum().backward()
        assert calls.count(f"binarise_weight_{precision}") == convolutions
        assert calls.count(f"forward_{precision}") == calls.count(f"backward_{precision}") == norms
        others = convolutions - norms
        assert calls.count(f"binarise_{precision}") == calls.count(f"pass_{precision}") == others
        assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize(
    "change",
    [lambda network: network.double(), lambda network: network.to(memory_format=torch.contiguous_format)],
    ids=["float64", "channels first"],
)
def test_other_tensors_take_torchs_operators(compiled, monkeypatch, change):
    network, calls = Network(SIMPLE).to(memory_format=torch.channels_last), Calls(monkeypatch)
    change(network)
    x = torch.randn(4, 3, 16, 16, dtype=next(network.parameters()).dtype)
    if network.conv1.weight.is_contiguous(memory_format=torch.channels_last):
        x = x.contiguous(memory_format=torch.channels_last)
    network(x).sum().backward()
    assert not len(calls)
    assert all(parameter.grad is not None for parameter in network.parameters())


class OtherNorm(nn.BatchNorm2d):
    """One that does more, such as that of several processes."""


def other_norm() -> nn.BatchNorm2d:
    norm = batch_norm(24)
    norm.__class__ = OtherNorm
    return norm


@pytest.mark.parametrize(
    ("before", "side", "fused"),
    [
        ([other_norm], 12, "binarise"),
        ([lambda: batch_norm(24).eval()], 12, "binarise"),  # its gradients are not those of the kernel
        ([lambda: nn.MaxPool2d(2, 2), other_norm], 12, "binarise"),
        ([lambda: nn.MaxPool2d(2, 2), lambda: batch_norm(24)], 13, "forward"),  # the pooling leaves a row out
        ([lambda: nn.MaxPool2d(3, 2, 1), lambda: batch_norm(24)], 12, "forward"),
    ],
)
def test_what_cannot_be_fused_leaves_the_rest_to_kernels(compiled, monkeypatch, before, side, fused):
    modules = [*(make() for make in before), BinaryConvolution(24, 16, 3, 1, 1, bias=False)]
    modules[-1].to(memory_format=torch.channels_last)
    fixed_scales(modules[-1])
    found = []
    for load in (library.load, library.unload):
        load()
        calls = Calls(monkeypatch)
        x = feature_map((8, 24, side, side), torch.float32).requires_grad_()
        y = binarise_and_convolve(modules, [x])
        assert calls.count(f"{fused}_float32") == calls.count("winograd_forward_float32") == (load is library.load)
        upstream = torch.randn(y.shape, generator=torch.Generator().manual_seed(3))
        parameters = [parameter for module in modules for parameter in module.parameters()]
        found.append([y, *torch.autograd.grad((y * upstream).sum(), [x, *parameters])])
    assert distance(found[0][0], found[1][0]) < 1e-9
    for mine, theirs in zip(*found, strict=True):
        assert distance(mine, theirs) < BOUND[torch.float32] * 4


def test_one_value_for_each_channel_is_refused_as_torch_does(compiled):
    network = Network(NetworkSpec("vgg_small", (1,) * 6, base_width=0.125, channels=1, size=8)).to(
        memory_format=torch.channels_last
    )
    with pytest.raises(ValueError, match="more than 1 value"):
        network(torch.randn(1, 1, 8, 8).contiguous(memory_format=torch.channels_last))


def test_score_and_recalibration_are_those_of_torchs_operators(compiled, digits):
    network = Network(NetworkSpec("vgg_small", (1,) * 6, base_width=0.0625, channels=1, size=8))
    initialise(network, torch.Generator().manual_seed(0))
    fixed_scales(network)
    results = []
    for load in (library.load, library.unload):
        load()
        recalibrate(network, digits, CPU, 50)
        results.append((score(network, digits, CPU), network.norm6.running_var.clone()))
    (ours, variance), (plain, other) = results
    assert abs(ours.top1 - plain.top1) <= 1
    assert ours.loss == pytest.approx(plain.loss, rel=0.02)
    assert torch.allclose(variance, other, rtol=0.05)


def test_what_does_not_fit_is_refused_by_torch(compiled):
    """And not by the system: kernels are told sizes, and believe them."""
    convolution = BinaryConvolution(16, 8, 3, bias=False)
    x = feature_map((2, 16, 6, 6), torch.float32)
    with pytest.raises(RuntimeError):
        binarise_and_convolve([nn.BatchNorm2d(8), convolution], [x])
    with pytest.raises(RuntimeError):
        binarise_and_convolve([BinaryConvolution(8, 8, 3, bias=False)], [x])
    spaced = nn.BatchNorm2d(16)
    spaced.weight.data = torch.arange(32.0)[::2]
    expected = convolution(spaced(x))
    assert distance(binarise_and_convolve([spaced, convolution], [x]), expected) < BOUND[torch.float32]


def test_images_that_are_not_there(compiled, digits):
    for wrong in (-1, 200):
        with pytest.raises(IndexError):
            list(digits.batches([torch.tensor([0, wrong])], "crop"))
    narrow = list(digits.batches([torch.tensor([3, 5], dtype=torch.int32)], "crop"))
    [(expected, _)] = digits.batches([torch.tensor([3, 5])], "crop")
    assert torch.equal(narrow[0][0], expected)
    with pytest.raises(ValueError, match="uint8 images of 8×8×1"):
        ImagesInMemory(
            torch.zeros(2, 8, 8, 1, dtype=torch.uint8), torch.zeros(2), Normalisation((0.5,) * 3, (0.5,)), CPU.device
        )


def test_what_was_used_is_freed_where_torch_does_the_work(compiled):
    library.unload()
    alive = []

    class Watched(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            alive.append(sum(reference() is not None for reference in seen))
            y = self.module(x)
            seen.append(weakref.ref(y))
            return y

    seen: list[weakref.ref[torch.Tensor]] = []
    network = Network(SIMPLE)
    for name in ("pool2", "norm2", "conv3", "norm3"):
        network.set_submodule(name, Watched(network.get_submodule(name)))
    with torch.inference_mode():
        network(torch.zeros(2, 3, 16, 16))
    assert alive == [0, 1, 1, 1], "what a layer reads, and nothing before it"


def cache_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Has libraries kept in a folder, by a compiler that does not take the time to optimise."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    if shutil.which("g++"):
        quick = folder / "quick"
        quick.write_text(f'#!/bin/bash\nexec {shutil.which("g++")} "${{@/-O3/-O0}}"\n')
        quick.chmod(0o755)
        monkeypatch.setenv("CXX", str(quick))
    return folder / "binary-nas"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A library that this compiler made."""
    with pytest.MonkeyPatch.context() as patch:
        cache_in(tmp_path_factory.mktemp("made"), patch)
        try:
            return build.compiled(SOURCES)
        except CompilationError as error:
            pytest.skip(str(error))


@pytest.fixture
def fresh(tmp_path, monkeypatch) -> Path:
    """A cache folder in which nothing is compiled yet, and the quick compiler."""
    folder = cache_in(tmp_path, monkeypatch)
    library.unload()
    yield folder
    monkeypatch.undo()
    CPU.apply()


@pytest.fixture
def kept(made, fresh) -> Path:
    """The library, in a cache folder that was fresh."""
    fresh.mkdir(mode=0o700)
    return Path(shutil.copy2(made, fresh))


def settle() -> str:
    """What a step would compute with."""
    return resolve(ExecutionSettings("cpu", "float32", 1)).kernels


def test_kernels_are_compiled_once_and_it_is_said(compiled, fresh, capsys):
    assert settle() == "compiled"
    assert "compiling kernels for this kind of processor" in capsys.readouterr().err
    [file] = fresh.iterdir()
    made = file.stat().st_mtime_ns
    assert settle() == "compiled"
    assert not capsys.readouterr().err
    library.load()
    assert [file] == list(fresh.iterdir())
    assert file.stat().st_mtime_ns == made


def test_processes_that_start_together_all_get_them(compiled, fresh):
    program = "from pipeline.kernels import library; library.load(); print(library.loaded())"
    processes = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0] for process in processes] == ["True\n"] * 2
    assert len(list(fresh.iterdir())) == 1


def test_without_a_compiler_torch_does_the_work_and_it_is_said(fresh, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert settle() == "torch"
    assert "there is no C++ compiler (g++)" in capsys.readouterr().err
    resolve(ExecutionSettings("cpu", "float32", 1)).apply()
    assert not library.loaded()
    assert Network(SIMPLE)(torch.randn(2, 3, 16, 16)).shape == (2, 10)


def test_a_compiler_that_fails_when_arithmetic_is_settled_is_a_warning_which_the_run_shows(fresh, monkeypatch, capsys):
    monkeypatch.setenv("CXX", "false")
    assert settle() == "torch"
    assert "  warning: trainings on this CPU take" in capsys.readouterr().err
    assert settle() == "torch"
    assert "  note: trainings on this CPU take" in capsys.readouterr().err, "known by now, and said before a run"


def test_without_a_compiler_what_an_equal_machine_compiled_is_used(kept, tmp_path, monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert settle() == "compiled"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("no-such-compiler -O9", "there is no C++ compiler (no-such-compiler -O9)"),
        ("g++ '", "is no command: No closing quotation"),
    ],
)
def test_a_compiler_that_is_none(fresh, monkeypatch, capsys, command, words):
    monkeypatch.setenv("CXX", command)
    assert settle() == "torch"
    assert words in capsys.readouterr().err


def test_what_is_missing_is_said_before_a_run_without_compiling_anything(fresh, tmp_path, monkeypatch, capsys):
    def said(*words: str) -> str:
        say_what_is_missing(*words)
        return capsys.readouterr().err

    compiler(tmp_path, monkeypatch, "exit 1")
    assert said("cpu", "auto") == ""
    assert not (tmp_path / "asked").exists()
    settle()
    capsys.readouterr()
    assert "the C++ compiler failed" in said("cpu", "auto")
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "there is no C++ compiler (no-such-compiler)" in said("cpu", "auto")
    assert said("cpu", "torch") == said("cuda", "auto") == "", "nobody would use them"


#: What a compiler's calls leave when each file is compiled once.
ONCE = "asked\n" * len(list(build.SOURCES.glob("*.cpp")))


def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Makes a program that notes its calls the compiler."""
    program = tmp_path / "compiler"
    program.write_text(f"#!/bin/sh\necho asked >> {tmp_path}/asked\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("CXX", str(program))


def test_a_compiler_that_fails_is_asked_once_a_day(fresh, tmp_path, monkeypatch, capsys):
    compiler(tmp_path, monkeypatch, "echo 'no ‘such’ standard' >&2; exit 1")
    for _ in range(2):
        assert settle() == "torch"
        [failure] = fresh.glob("*.failed")
        assert f"the C++ compiler failed; {failure} has its words" in capsys.readouterr().err
    assert "no ‘such’ standard" in failure.read_text(encoding="utf-8")
    assert (tmp_path / "asked").read_text() == ONCE
    yesterday = failure.stat().st_mtime - 90000
    os.utime(failure, (yesterday, yesterday))
    settle()
    assert (tmp_path / "asked").read_text() == ONCE * 2
    compiler(tmp_path, monkeypatch, "echo 'another version' >&2; exit 1")
    settle()
    assert (tmp_path / "asked").read_text() == ONCE * 3


def test_a_compiler_that_hangs_is_ended_with_all_that_it_started(fresh, tmp_path, monkeypatch):
    compiler(tmp_path, monkeypatch, f"sleep 1000 & echo $! >> {tmp_path}/child; wait")
    monkeypatch.setattr(build, "_PATIENCE", 0.5)
    with pytest.raises(UserError, match=r"took more than 0.5 s.*call again"):
        settle()
    assert (tmp_path / "asked").read_text() == ONCE
    assert not list(fresh.iterdir()), "on a machine with less to do it would have come to its end"
    children = (tmp_path / "child").read_text().split()
    assert len(children) == len(ONCE.split())
    for state in (Path(f"/proc/{child}/stat") for child in children):
        assert not state.exists() or state.read_text().split()[2] == "Z"


def test_a_folder_that_cannot_be_written_is_no_failure(fresh, capsys):
    fresh.write_text("a file")
    assert settle() == "torch"
    assert "no compiled file can be kept" in capsys.readouterr().err


@pytest.mark.parametrize("size", [0, 2000, 40000])
def test_half_a_library_is_compiled_again(kept, size):
    """In a process of its own, which the system would kill."""
    kept.write_bytes(kept.read_bytes()[:size])
    program = (
        "from tests.support.execution import CPU; CPU.apply(); "
        "from pipeline.kernels import library; print(library.loaded())"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr
    assert list(kept.parent.iterdir()) == [kept] and kept.stat().st_size > 40000


def test_a_library_that_the_system_does_not_take_is_said(compiled, fresh, monkeypatch):
    """Where it was said that compiled kernels are used, their scores are not mixed with others."""
    monkeypatch.setattr(build, "_compile", lambda *_: b"not a library")
    with pytest.raises(UserError, match="cannot be loaded.*set execution.kernels to torch"):
        resolve(ExecutionSettings("cpu", "float32", 1)).apply()


def test_torchs_operators_can_be_asked_for(compiled):
    execution = resolve(ExecutionSettings("cpu", "float32", 1, "torch"))
    execution.apply()
    assert execution.kernels == "torch"
    assert not library.loaded()


def test_what_is_stored_says_which_kernels_made_it(compiled):
    ours, torchs = (resolve(ExecutionSettings("cpu", "float32", 1, kernels)) for kernels in ("auto", "torch"))
    assert ours.identity != torchs.identity
    assert Execution("cpu", "float32", 1).identity == torchs.identity


def test_every_kind_of_processor_has_a_library_of_its_own(kept, monkeypatch):
    first = build.compiled(SOURCES)
    assert first == kept
    monkeypatch.setattr(build.cpu, "kind", lambda: "another one")
    assert build.compiled(SOURCES) != first
