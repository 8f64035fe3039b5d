"""Every fast path against plain float32 modules: equal bit for bit where arithmetic is exact, else within a bound.

What is fast: one comparison in place of clamp and round, one kernel for the gradient, channels last in memory,
bfloat16, integers. The step of gradient descent and the score have such tests in test_training.py.
"""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from benchmarks.plain import BinaryConv2d, PlainNetwork, RoundActivation, SignWeight
from pipeline.kernels import int8
from pipeline.networks.binary.binarisers.dorefa import binarise_activation, binarise_weight
from pipeline.networks.binary.convolution import BinaryConvolution
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec
from tests.support.examples import tried

#: Of sums of float64 numbers in another order, through all layers and back, relative to the whole tensor.
BOUND = 1e-9
#: The same for one product of bfloat16 tensors: each value is rounded by 2^-9.
HALF_BOUND = 2**-7

VGG = NetworkSpec("vgg_small", (0.5, 2, 1, 1, 1, 0.5), base_width=0.125, channels=1, size=8)
RESNET = NetworkSpec("resnet18", (1, 2, 0.5, 1, 1, 2, 1, 1, 1, 0.5, 1, 1), base_width=0.125, channels=3, size=32)
FULL = NetworkSpec("vgg_small", (1,) * 6, base_width=0.125, channels=3, size=16, binary=False)


def distance(ours: torch.Tensor, plain: torch.Tensor) -> float:
    """Relative to the plain tensor's norm."""
    return float((ours.double() - plain.double()).norm() / plain.double().norm().clamp_min(1e-30))


numbers = st.floats(-3, 3, width=32, allow_subnormal=False)


@tried()
@given(st.lists(st.one_of(numbers, st.sampled_from([0.0, -0.0, 0.5, 1.0, 0.5 + 2**-24, 1 + 2**-23])), min_size=1))
def test_binarisation_has_the_bits_and_gradients_of_the_written_out_formula(values):
    for fast, plain in ((binarise_activation, RoundActivation.apply), (binarise_weight, SignWeight.apply)):
        x, reference = (torch.tensor(values, requires_grad=True) for _ in range(2))
        upstream = torch.arange(1.0, len(values) + 1)
        y, expected = fast(x), plain(reference)
        assert torch.equal(y, expected)
        y.backward(upstream)
        expected.backward(upstream)
        assert torch.equal(x.grad, reference.grad)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_activations_are_binarised_exactly_on_every_border_of_every_type(dtype):
    edges = torch.tensor([0.0, -0.0, 0.5, 1.0, -1.0, 2.0, float("inf"), -float("inf")], dtype=dtype)
    steps = [torch.nextafter(edges, edges + way) for way in (1, -1)]
    x = torch.cat([edges, *steps, torch.randn(1000).to(dtype)]).requires_grad_()
    y = binarise_activation(x, torch.float32)
    assert torch.equal(y, (x > 0.5).float())
    y.backward(torch.full_like(y, -3.0))
    assert torch.equal(x.grad, -3.0 * ((x >= 0) & (x <= 1)).to(dtype))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", [{"kernel_size": 3, "padding": 1}, {"kernel_size": 1, "stride": 2}])
def test_a_binary_convolution_is_exact_in_every_layout_and_precision(precision, shape):
    """With a scale that is a power of two every partial sum is a small integer times it, so that nothing is rounded."""
    generator = torch.Generator().manual_seed(0)
    plain = BinaryConv2d(24, 16, bias=False, **shape)
    signs = torch.randint(0, 2, plain.weight.shape, generator=generator) * 2.0 - 1
    plain.weight.data = 0.25 * signs
    fast = BinaryConvolution(24, 16, bias=False, **shape).to(memory_format=torch.channels_last)
    fast.load_state_dict(plain.state_dict())
    x = torch.randn(4, 24, 9, 9, generator=generator)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        output = fast(x.to(memory_format=torch.channels_last))
    counts = F.conv2d(x.clamp(0, 1).round().double(), signs.double(), None, plain.stride, plain.padding)
    assert torch.equal(output.double(), 0.25 * counts)
    assert torch.equal(output.float(), plain(x))


@pytest.fixture
def integers(monkeypatch):
    """Integers however small the product."""
    if not int8.available():
        pytest.skip("this processor has no fast products of bytes (VNNI), or torch no operators for them")
    for name in ("LEAST_MACS", "LEAST_PIXELS"):
        monkeypatch.setattr(int8, name, dict.fromkeys(int8.LEAST_MACS, 0.0))


SHAPES = {
    "3x3": {"kernel_size": 3, "padding": 1},
    "3x3, stride 2": {"kernel_size": 3, "padding": 1, "stride": 2},
    "1x1, stride 2": {"kernel_size": 1, "stride": 2},
}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("channels", [(3, 5), (24, 16), (64, 128)])
def test_integers_round_once_and_give_the_gradients_of_floats(integers, channels, shape, precision):
    generator = torch.Generator().manual_seed(0)
    fast, plain = (kind(*channels, bias=False, **shape) for kind in (BinaryConvolution, BinaryConv2d))
    plain.load_state_dict(fast.state_dict())
    fast.to(memory_format=torch.channels_last)
    values = torch.randn(4, channels[0], 9, 9, generator=generator)
    x = values.to(memory_format=torch.channels_last).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        assert int8.worthwhile(x.shape, fast, torch.float32)
        output = fast(x)
    weight = fast.weight.detach()
    signs = torch.where(weight >= 0, 1.0, -1.0)
    counts = F.conv2d((values > 0.5).double(), signs.double(), None, fast.stride, fast.padding)
    exact = counts.float() * weight.abs().mean()
    assert torch.equal(output, exact.bfloat16() if precision == "bfloat16" else exact)

    reference = values.clone().requires_grad_()
    upstream = torch.randn(output.shape, generator=generator)
    (output.float() * upstream).sum().backward()
    (plain(reference) * upstream).sum().backward()
    bound = HALF_BOUND if precision == "bfloat16" else 1e-6
    assert distance(x.grad, reference.grad) < bound
    assert distance(fast.weight.grad, plain.weight.grad) < bound
    # Where the gradient stops does not hang on rounding. Elsewhere a sum of rounded numbers may happen to be zero.
    assert not x.grad[reference.grad == 0].any()


def test_small_products_stay_floats(integers, monkeypatch):
    convolution, worthwhile = BinaryConvolution(8, 16, 3, padding=1, bias=False), int8.worthwhile
    monkeypatch.setitem(int8.LEAST_MACS, torch.float32, 2 * 4 * 4 * 8 * 16 * 9 + 1)
    assert not worthwhile((2, 8, 4, 4), convolution, torch.float32)
    assert worthwhile((3, 8, 4, 4), convolution, torch.float32)
    assert not worthwhile((2, 8, 4, 4), convolution, torch.float64)


def test_products_with_few_pixels_for_many_weights_stay_floats(integers, monkeypatch):
    convolution, worthwhile = BinaryConvolution(8, 16, 3, 2, 1, bias=False), int8.worthwhile
    monkeypatch.setitem(int8.LEAST_PIXELS, torch.bfloat16, 2 * 2 * 2 + 1)
    assert not worthwhile((2, 8, 4, 4), convolution, torch.bfloat16)
    assert worthwhile((3, 8, 4, 4), convolution, torch.bfloat16)


def _pair(spec: NetworkSpec) -> tuple[Network, PlainNetwork]:
    """Equal networks whose gradients do not hang on the last digit of anything but a sum.

    Gradients jump where rounding decides: between equal neighbours in a max pooling, which the multiples of a scale
    that binary convolutions give often are, and at the border of what a gradient passes. So scales are powers of two,
    for which convolutions are exact, and a channel that sees nothing, and is as large as its shift, is off the border.
    In float64 no sum of so many is so near to a border that another order moves it across.
    """
    fast, plain = Network(spec), PlainNetwork(spec)
    generator = torch.Generator().manual_seed(1)
    initialise(fast, generator)
    for module in fast.modules():
        if isinstance(module, BinaryConvolution):
            scale = 2.0 ** round(math.log2(module.weight.abs().mean().item()))
            module.weight.data = torch.where(module.weight.data >= 0, scale, -scale)
        elif isinstance(module, nn.BatchNorm2d):
            module.bias.data.uniform_(0.1, 0.4, generator=generator)
    plain.load_state_dict(fast.state_dict())
    return fast.double().to(memory_format=torch.channels_last), plain.double()


def _batch(spec: NetworkSpec, count: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(count, spec.channels, spec.size, spec.size, generator=generator).double()
    return x, torch.randint(spec.classes, (count,), generator=generator)


@pytest.mark.parametrize("spec", [VGG, RESNET, FULL], ids=["vgg", "resnet", "full-precision"])
def test_gradients_of_whole_networks(spec):
    fast, plain = _pair(spec)
    x, y = _batch(spec)
    ours = F.cross_entropy(fast(x.to(memory_format=torch.channels_last)), y)
    reference = F.cross_entropy(plain(x), y)
    assert ours.item() == pytest.approx(reference.item(), rel=BOUND)
    gradients = torch.autograd.grad(ours, list(fast.parameters()))
    expected = torch.autograd.grad(reference, list(plain.parameters()))
    for (name, _), mine, theirs in zip(fast.named_parameters(), gradients, expected, strict=True):
        assert distance(mine, theirs) < BOUND or float(theirs.norm()) < 1e-6, name


def test_gradients_of_a_convolution_in_bfloat16():
    generator = torch.Generator().manual_seed(0)
    fast, plain = BinaryConvolution(16, 32, 3, padding=1, bias=False), BinaryConv2d(16, 32, 3, padding=1, bias=False)
    plain.load_state_dict(fast.state_dict())
    x, reference = (torch.randn(8, 16, 8, 8, generator=generator).requires_grad_() for _ in range(2))
    reference.data = x.data.clone()
    upstream = torch.randn(8, 32, 8, 8, generator=generator)
    with torch.autocast("cpu", torch.bfloat16):
        output = fast(x)
    (output.float() * upstream).sum().backward()
    (plain(reference) * upstream).sum().backward()
    assert distance(x.grad, reference.grad) < HALF_BOUND
    assert distance(fast.weight.grad, plain.weight.grad) < HALF_BOUND
