"""Binarisation against Eq. 1: a table of input -> output -> gradient, and the convolution against explicit tensors."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from pipeline.common.errors import UserError
from pipeline.export.packing import About, pack
from pipeline.networks.binary import binarisers, fused
from pipeline.networks.binary.binarisers import BINARISERS
from pipeline.networks.binary.binarisers.dorefa import binarise_activation, binarise_weight
from pipeline.networks.binary.convolution import BinaryConvolution
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec
from pipeline.training.execution import resolve
from pipeline.training.settings import ExecutionSettings
from tests.support.workflow import ROOT

UPSTREAM = 3.0

# Each case is a whole tensor, because the scale of weights is one number for the tensor.
TABLE = {
    # round(clip(x, 0, 1)), half to even; straight through where 0 <= x <= 1.
    "below the border": (binarise_activation, [-0.1, -1e-7], [0, 0], [0, 0]),
    "lower border": (binarise_activation, [-0.0, 0.0, 1e-7], [0, 0, 0], [1, 1, 1]),
    "below one half": (binarise_activation, [0.3], [0], [1]),
    "at and above one half": (binarise_activation, [0.5, 0.5000001], [0, 1], [1, 1]),
    "upper border": (binarise_activation, [0.9999999, 1.0], [1, 1], [1, 1]),
    "above the border": (binarise_activation, [1.0000001, 1.2, float("inf")], [1, 1, 1], [0, 0, 0]),
    # sign(w) · E(|w|), sign(0) = +1; straight through everywhere.
    "signs": (binarise_weight, [-0.5, -1e-9, 1e-9, 1.5], [-0.5, -0.5, 0.5, 0.5], [1, 1, 1, 1]),
    "zeros are positive": (binarise_weight, [-2.0, 0.0, -0.0, 2.0], [-1, 1, 1, 1], [1, 1, 1, 1]),
    "one scale for all channels": (binarise_weight, [[1.0, -1.0], [3.0, -3.0]], [[2, -2], [2, -2]], [[1, 1], [1, 1]]),
}


@pytest.mark.parametrize(("function", "inputs", "outputs", "gradient"), TABLE.values(), ids=TABLE.keys())
def test_output_and_gradient(function, inputs, outputs, gradient):
    x = torch.tensor(inputs, requires_grad=True)
    y = function(x)
    torch.testing.assert_close(y, torch.tensor(outputs, dtype=torch.float32))
    y.backward(torch.full_like(y, UPSTREAM))
    torch.testing.assert_close(x.grad, UPSTREAM * torch.tensor(gradient, dtype=torch.float32))


def _convolution(**settings):
    torch.manual_seed(0)
    convolution = BinaryConvolution(8, 16, bias=False, **settings)
    # Wide enough that the activations lie on both sides of both borders.
    return convolution, (2 * torch.randn(2, 8, 9, 9)).requires_grad_()


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 3, "padding": 1, "stride": 2},
        {"kernel_size": 1, "stride": 2},
    ],
)
def test_convolution_is_the_convolution_of_binarised_tensors(settings):
    convolution, x = _convolution(**settings)
    weight = convolution.weight.detach()
    binary_x = x.detach().clamp(0, 1).round().requires_grad_()
    binary_weight = (torch.where(weight < 0, -1.0, 1.0) * weight.abs().mean()).requires_grad_()
    expected = F.conv2d(binary_x, binary_weight, stride=convolution.stride, padding=convolution.padding)
    output = convolution(x)
    torch.testing.assert_close(output, expected)

    upstream = torch.randn_like(output)
    output.backward(upstream)
    expected.backward(upstream)
    torch.testing.assert_close(convolution.weight.grad, binary_weight.grad)
    torch.testing.assert_close(x.grad, binary_x.grad * ((x >= 0) & (x <= 1)))


def test_autocast_computes_in_bfloat16_and_keeps_gradients_in_float32():
    convolution, x = _convolution(kernel_size=3, padding=1)
    exact = convolution(x)
    with torch.autocast("cpu", torch.bfloat16):
        output = convolution(x)
    assert output.dtype == torch.bfloat16
    # A sum of ±scale: only the scale and the sum are rounded, by 2^-9 each.
    torch.testing.assert_close(output.float(), exact, rtol=2**-7, atol=1e-6)
    output.float().square().sum().backward()
    for gradient in (x.grad, convolution.weight.grad):
        assert gradient.dtype == torch.float32
        assert gradient.isfinite().all() and gradient.abs().sum() > 0


def test_a_binariser_that_kernels_do_not_compute_is_used_all_the_same(monkeypatch):
    """With kernels compiled, too: alone, and inside a network, where a chain of layers could be fused."""
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "plugins"))
    resolve(ExecutionSettings("cpu", "float32", 1, "auto")).apply()
    spec = NetworkSpec("vgg_small", (1,) * 6, base_width=0.125, channels=1, size=8, binariser="own_parts.bits:signs")
    network = Network(spec).to(memory_format=torch.channels_last).eval()
    initialise(network, torch.Generator().manual_seed(0))
    convolution = network.conv2
    assert isinstance(convolution, BinaryConvolution) and not convolution.compiled
    x = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(1))
    signs = F.conv2d(torch.where(x >= 0, 1.0, -1.0), torch.where(convolution.weight >= 0, 1.0, -1.0), padding=1)
    assert torch.equal(convolution(x), signs)
    assert torch.equal(fused.binarise_and_convolve([convolution], [x]), signs)
    paper = Network(replace(spec, binariser="dorefa")).eval()
    paper.load_state_dict(network.state_dict())
    images = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    assert not torch.allclose(network(images), paper(images))
    about = About(tuple("0123456789"), (0.5,), (0.5,), {}, {})
    with pytest.raises(UserError, match="packed networks compute the paper's binarisation alone"):
        pack(network, about)


def test_the_compiled_kernels_are_those_of_the_source_that_they_were_written_for(monkeypatch):
    assert BinaryConvolution(4, 4, 3).compiled
    monkeypatch.setattr(BINARISERS, "founding", {"dorefa": "another source"})
    monkeypatch.setattr(binarisers, "_compiled", {})  # of this process, which is not asked again
    assert not BinaryConvolution(4, 4, 3).compiled
