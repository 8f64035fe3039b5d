"""Convolutions that skip pixels give what torch's own give, and do not die where torch's does."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pipeline.kernels import library
from pipeline.kernels.build import CompilationError
from pipeline.networks.binary.binarisers.dorefa import binarise_activation, binarise_weight
from pipeline.networks.binary.convolution import BinaryConvolution, Convolution
from pipeline.networks.binary.fused import binarise_and_convolve
from tests.support.execution import CPU
from tests.support.workflow import ROOT

#: (input channels, output channels, stride, height, width)
CASES = [(8, 24, 2, 16, 16), (4, 8, 2, 7, 5), (24, 16, 2, 8, 8), (3, 5, 3, 10, 8), (6, 4, (2, 1), 6, 6)]


@pytest.fixture(params=["compiled", "torch"])
def kernels(request) -> Iterator[None]:
    try:
        library.load()
    except CompilationError as error:
        pytest.skip(str(error))
    if request.param == "torch":
        library.unload()
    yield
    CPU.apply()


def gradients(y: torch.Tensor, *of: torch.Tensor) -> list[torch.Tensor]:
    upstream = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    return [y.detach().double(), *(g.double() for g in torch.autograd.grad((y * upstream).sum(), of))]


def close(ours: list[torch.Tensor], plain: list[torch.Tensor]) -> bool:
    return all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(ours, plain, strict=True))


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format], ids=["last", "first"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_they_are_torchs_own(case, layout, kernels):
    inputs, outputs, stride, height, width = case
    x = torch.randn(3, inputs, height, width, generator=torch.Generator().manual_seed(0))
    x = x.contiguous(memory_format=layout).requires_grad_()
    # In float64 and with channels first, where torch's own backward pass is sound.
    plain_x = x.detach().double().contiguous().requires_grad_()

    real = Convolution(inputs, outputs, 1, stride, bias=False).to(memory_format=layout)
    weight = real.weight.detach().double().requires_grad_()
    expected = gradients(F.conv2d(plain_x, weight, None, stride), plain_x, weight)
    assert close(gradients(real(x), x, real.weight), expected)

    binary = BinaryConvolution(inputs, outputs, 1, stride, bias=False).to(memory_format=layout)
    weight = binary.weight.detach().double().requires_grad_()
    norm, plain_norm = nn.BatchNorm2d(inputs), nn.BatchNorm2d(inputs).double()
    y = F.conv2d(binarise_activation(plain_x), binarise_weight(weight), None, stride)
    expected = gradients(y, plain_x, weight)
    assert close(gradients(binary(x), x, binary.weight), expected)
    assert close(gradients(binarise_and_convolve([binary], [x]), x, binary.weight), expected)
    y = F.conv2d(binarise_activation(plain_norm(plain_x)), binarise_weight(weight), None, stride)
    assert close(
        gradients(binarise_and_convolve([norm, binary], [x]), x, norm.weight, binary.weight),
        gradients(y, plain_x, plain_norm.weight, weight),
    )


@pytest.mark.parametrize("kernels", ["compiled", "torch"])
def test_narrow_networks_live_on_several_threads(kernels):
    """In a process of its own, which may die."""
    done = subprocess.run(
        [sys.executable, __file__, kernels],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    kinds = [f"{kind} {precision}" for kind in ("binary", "real") for precision in ("float32", "bfloat16")]
    assert done.stdout.splitlines() == [f"{kind}: finite" for kind in kinds], (done.returncode, done.stderr)


def _train(kernels: str) -> None:
    """Narrow ResNets-18, whose shortcuts skip pixels."""
    from pipeline.networks.module import Network
    from pipeline.networks.spec import NetworkSpec
    from pipeline.training.execution import Execution

    ratios = (2, 3, 2, 3, 1, 3, 3, 2, 3, 0.5, 1, 4)
    for kind in ("binary", "real"):
        for precision in ("float32", "bfloat16"):
            execution = Execution("cpu", precision, 2, kernels="torch")
            execution.apply()
            if kernels == "compiled":
                try:
                    library.load()
                except CompilationError:
                    library.unload()
            network = Network(NetworkSpec("resnet18", ratios, base_width=0.0625, size=64, binary=kind == "binary"))
            network.to(memory_format=torch.channels_last)
            for _ in range(5):
                with execution.autocast:
                    y = network(torch.randn(7, 3, 64, 64).contiguous(memory_format=torch.channels_last))
                y.float().sum().backward()
            print(f"{kind} {precision}: {'finite' if y.isfinite().all() else y}", flush=True)


if __name__ == "__main__":
    _train(*sys.argv[1:])
