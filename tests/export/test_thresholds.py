"""Thresholds against the expression that they stand for, evaluated for every integer that can occur."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.export.packed import fused
from pipeline.export.thresholds import ALWAYS, NEVER, affine, normalised, of_integers, of_reals


def norm(channels: int, seed: int) -> nn.BatchNorm2d:
    generator = torch.Generator().manual_seed(seed)
    module = nn.BatchNorm2d(channels).eval()
    module.weight.data = torch.randn(channels, generator=generator)
    module.bias.data = torch.randn(channels, generator=generator)
    module.running_mean = torch.randn(channels, generator=generator)
    module.running_var = torch.rand(channels, generator=generator) * 4 + 0.01
    return module


def special() -> nn.BatchNorm2d:
    """Channels: γ = 0 below and above 0.5 and at it, no variance with γ of both signs, NaN in γ, β, mean, variance."""
    module = nn.BatchNorm2d(9).eval()
    nan = math.nan
    module.weight.data = torch.tensor([0.0, 0.0, 0.0, 2.0, -2.0, nan, 1.0, 1.0, 1.0])
    module.bias.data = torch.tensor([0.2, 0.8, 0.5, 0.1, 0.1, 0.0, nan, 0.0, 0.0])
    module.running_mean = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, nan, 0.0])
    module.running_var = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, nan])
    return module


@pytest.mark.parametrize("most", [1, 9, 72, 1152])
@pytest.mark.parametrize("seed", range(4))
def test_every_integer_is_decided_as_torch_decides_it(most: int, seed: int) -> None:
    module = norm(300, seed) if seed else special()
    scale = 0.0123 * (1 + seed)
    integers = torch.arange(-most, most + 1, dtype=torch.int32)
    values = integers.float() * torch.tensor(scale, dtype=torch.float32)
    expected = module(values[:, None, None, None].expand(-1, module.num_features, 1, 1)).flatten(1) > 0.5
    found = of_integers(module, scale, most)
    assert torch.equal(found.bits(integers[:, None].expand_as(expected)), expected)
    if seed:
        assert {True, False} == set(found.at_most.tolist()), "both signs of the batch norm's scale"


def test_a_value_that_rounds_to_one_half_gives_zero() -> None:
    # 0.5 exactly: round half to even, and its float32 neighbours on both sides.
    module = nn.BatchNorm2d(3, eps=0.0).eval()
    module.bias.data = torch.tensor([0.5, np.nextafter(np.float32(0.5), np.float32(1)), 0.49999997])
    found = of_integers(module, 0.0, 4)
    assert found.threshold.tolist() == [NEVER, ALWAYS, NEVER]
    module.bias.data = torch.zeros(3)
    assert of_integers(module, 0.25, 4).threshold.tolist() == [3, 3, 3]


def test_special_channels_are_constant_or_never() -> None:
    found = of_integers(special(), 0.5, 100)
    assert found.threshold[[0, 1, 2]].tolist() == [NEVER, ALWAYS, NEVER]
    assert found.threshold[[5, 6, 7, 8]].tolist() == [NEVER] * 4
    assert found.at_most.tolist() == [False, False, False, False, True, False, False, False, False]


@pytest.mark.parametrize("seed", range(4))
def test_reals_are_decided_as_torch_decides_them(seed: int) -> None:
    module = norm(200, seed) if seed else special()
    found = of_reals(module)
    finite = torch.nan_to_num(found.threshold)
    # The threshold itself, some neighbours on both sides, and numbers from everywhere.
    steps = torch.arange(-50, 51, dtype=torch.int32)[:, None]
    near = (finite.view(torch.int32)[None] + steps).view(torch.float32)
    far = torch.randn(200, module.num_features, generator=torch.Generator().manual_seed(seed)) * 10
    ends = torch.tensor([[0.0], [-0.0], [3.4e38], [-3.4e38], [1e-45]]).expand(-1, module.num_features)
    for values in (near, far, ends):
        expected = normalised(module, values) > 0.5
        usable = values.isfinite()
        assert torch.equal(found.bits(values)[usable], expected[usable])
    for layout in (torch.contiguous_format, torch.channels_last):
        x = far.reshape(25, 8, -1).permute(0, 2, 1)[..., None].contiguous(memory_format=layout)
        assert torch.equal(module(x) > 0.5, found.bits(x)), "every one of torch's kernels"


@pytest.mark.parametrize("seed", range(1, 4))
def test_factor_and_term_give_what_torch_gives(seed: int) -> None:
    module = norm(128, seed)
    found = affine(module)
    for layout in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(2, 128, 9, 9, generator=torch.Generator().manual_seed(seed)).contiguous(memory_format=layout)
        factor, term = found.factor[:, None, None].numpy(), found.term[:, None, None].numpy()
        assert np.array_equal(fused(x.numpy(), factor, term), module(x).detach().numpy())


def test_fused_rounds_once() -> None:
    draw = np.random.default_rng(0)
    x, factor, term = (draw.integers(-(2**12), 2**12, 3000).astype(np.float32) for _ in range(3))
    factor *= np.float32(2) ** draw.integers(-30, 30, 3000)
    x *= np.float32(1) + np.float32(2**-12)
    for found, *numbers in zip(fused(x, factor, term), x, factor, term, strict=True):
        a, b, c = (Fraction(float(number)) for number in numbers)
        exact = a * b + c
        error = abs(Fraction(float(found)) - exact)
        for neighbour in (np.nextafter(found, np.float32(-np.inf)), np.nextafter(found, np.float32(np.inf))):
            other = abs(Fraction(float(neighbour)) - exact)
            assert error < other or (error == other and int(found.view(np.uint32)) % 2 == 0)
