"""Controls of equal cost: within it, as near as whole channels allow, and uniform."""

import random

import pytest

from pipeline.networks.cost import network_cost
from pipeline.networks.equal_cost import first_layer_control, uniform_control
from pipeline.networks.genome import RATIOS
from pipeline.networks.spec import NetworkSpec, uniform_genome


def flops(spec):
    return network_cost(spec).flops


def flops_at_published_width(spec):
    return network_cost(spec.at_width(1)).flops


def drawn(network, seed, **shape):
    genes, one = len(uniform_genome(network, 1)), random.Random(seed)
    return NetworkSpec(network, tuple(one.choice(RATIOS) for _ in range(genes)), **shape)


SHAPES = [
    ("vgg_small", {"size": 32}),
    ("vgg_small", {"base_width": 0.0625, "size": 8, "channels": 1}),
    ("vgg_small", {"base_width": 0.1, "size": 16}),
    ("resnet18", {"size": 224, "classes": 1000}),
]


@pytest.mark.parametrize(("network", "shape"), SHAPES)
@pytest.mark.parametrize("cost", [flops, flops_at_published_width, lambda spec: network_cost(spec).bits])
@pytest.mark.parametrize("make", [uniform_control, first_layer_control])
@pytest.mark.parametrize("seed", range(3))
def test_one_channel_more_anywhere_would_cost_more(network, shape, cost, make, seed):
    found = drawn(network, seed, **shape)
    control = make(found, cost)
    assert cost(control) <= cost(found)
    fixed = 0 if make is uniform_control else 1
    bases = found.with_genome(uniform_genome(network, 1)).widths
    assert control.genome[:fixed] == found.genome[:fixed]
    # Uniform: one ratio lies within the whole channels of every layer, and the next step is one too many.
    ratios = [channels / base for channels, base in zip(control.widths, bases, strict=True)][fixed:]
    above = [(channels + 1) / base for channels, base in zip(control.widths, bases, strict=True)][fixed:]
    assert max(ratios) < min(above) * (1 + 1e-9)
    following = min(above) * (1 + 1e-9)
    wider = found.with_genome(
        (*control.genome[:fixed], *(int(base * following) / base + 1e-12 for base in bases[fixed:]))
    )
    assert cost(wider) > cost(found) or min(above) > max(found.genome[fixed:])


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("base_width", [0.0625, 0.1, 0.15])
@pytest.mark.parametrize("cost", [flops, flops_at_published_width])
def test_the_control_of_a_uniform_network_is_itself(ratio, base_width, cost):
    """Also where the ratio makes no whole channels: by those that do, it would be the same network at another cost."""
    found = NetworkSpec("vgg_small", uniform_genome("vgg_small", ratio), base_width=base_width)
    assert uniform_control(found, cost) == found
    assert first_layer_control(found, cost) == found


def test_the_published_network_a_saves_in_its_first_layer_alone():
    found = NetworkSpec("vgg_small", (0.5, 2.0, 1.0, 1.0, 1.0, 0.5))
    uniform = NetworkSpec("vgg_small", uniform_genome("vgg_small", 1))
    assert network_cost(found).binary_macs == network_cost(uniform).binary_macs
    control = first_layer_control(found, flops)
    assert control.widths[0] == found.widths[0] == 64
    assert 0.99 < flops(control) / flops(found) <= 1


@pytest.mark.parametrize("network", ["vgg_small", "resnet18"])
def test_the_first_gene_scales_the_first_layer_and_so_what_the_control_keeps(network):
    one = NetworkSpec(network, uniform_genome(network, 1), size=32)
    changed = one.with_genome((2.0, *one.genome[1:]))
    assert changed.layers[0].out_channels == 2 * one.layers[0].out_channels
    other = one.with_genome((1.0, *(2.0 for _ in one.genome[1:])))
    assert other.layers[0] == one.layers[0]


@pytest.mark.parametrize("base_width", [0.0625, 0.1, 0.3, 0.7, 1.0])
def test_genomes_say_exactly_how_wide_a_control_is(base_width):
    for seed in range(20):
        found = drawn("vgg_small", seed, base_width=base_width)
        control = uniform_control(found, flops)
        bases = found.with_genome(uniform_genome("vgg_small", 1)).widths
        assert control.widths == tuple(round(ratio * base) for ratio, base in zip(control.genome, bases, strict=True))
