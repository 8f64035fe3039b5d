"""Backpropagation without autograd: its gradients to the last bit, from calls that are recorded once."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pipeline.kernels import library
from pipeline.kernels.build import CompilationError
from pipeline.networks import backprop
from pipeline.networks.backprop import find_backprop
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec
from pipeline.training.loop import Training
from tests.support.execution import CPU
from tests.support.trainings import SETTINGS, finish, same, start


@pytest.fixture(autouse=True)
def kernels():
    try:
        library.load()
    except CompilationError as error:
        pytest.skip(str(error))


def network_of(genome=(1, 0.5, 2, 1, 0.25, 1), **more):
    spec = NetworkSpec("vgg_small", genome, **({"base_width": 1 / 16, "channels": 1, "size": 8} | more))
    network = Network(spec)
    initialise(network, torch.Generator().manual_seed(0))
    return network.to(memory_format=torch.channels_last)


def batch_of(network, count=40, seed=0):
    spec, generator = network.spec, torch.Generator().manual_seed(seed)
    pixels = torch.randn(count, spec.size, spec.size, spec.channels, generator=generator)
    return pixels.permute(0, 3, 1, 2), torch.randint(spec.classes, (count,), generator=generator)


def by_autograd(network, x, y):
    loss = F.cross_entropy(network(x), y)
    return torch.autograd.grad(loss, list(network.parameters())), loss


def test_it_learns_shares_of_classes_as_autograd_does():
    network = network_of()
    twin = copy.deepcopy(network)
    x, _ = batch_of(network)
    shares = torch.rand(40, 10, generator=torch.Generator().manual_seed(7)).softmax(1)
    gradients, loss, _ = find_backprop(network, x)(x, shares)
    expected, expected_loss = by_autograd(twin, x, shares)
    torch.testing.assert_close(loss, expected_loss)
    for found, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(found, wanted)


def descend(network, gradients):
    with torch.no_grad():
        for parameter, gradient in zip(network.parameters(), gradients, strict=True):
            parameter -= 0.1 * gradient


CASES = {
    "digits": ({}, 40),
    "wide": ({"genome": (4,) * 6}, 40),
    "one channel": ({"genome": (1, 0.25, 0.25, 0.125, 0.125, 0.125)}, 40),
    "two images": ({}, 2),  # too few for Winograd's filtering
    "colours": ({"channels": 3, "size": 16}, 9),
    "large maps": ({"size": 32}, 70),  # which are not kept
    "full precision": ({"binary": False}, 40),
}


@pytest.mark.parametrize(("more", "count"), CASES.values(), ids=CASES.keys())
def test_it_gives_autograds_gradients_to_the_last_bit(more, count):
    network = network_of(**more)
    twin = copy.deepcopy(network)
    gradients_of = find_backprop(network, batch_of(network, count)[0])
    assert gradients_of is not None
    for step in range(4):
        x, y = batch_of(network, count, seed=step)
        found, loss, logits = gradients_of(x, y)
        expected, expected_loss = by_autograd(twin, x, y)
        assert logits.shape == (count, 10) and not loss.requires_grad
        assert torch.equal(loss, expected_loss)
        for (name, _), gradient, wanted in zip(network.named_parameters(), found, expected, strict=True):
            assert torch.equal(gradient, wanted), (step, name)
            assert gradient.any() or more.get("genome"), name
        descend(network, found)
        descend(twin, expected)
    states = network.state_dict(), twin.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert network.norm3.num_batches_tracked == 4


def test_calls_are_recorded_once(monkeypatch):
    network = network_of()
    gradients_of = find_backprop(network, batch_of(network)[0])
    made = []
    call = library.call
    monkeypatch.setattr(library, "call", lambda name, *arguments: (made.append(name), call(name, *arguments)))
    for step in range(3):
        gradients_of(*batch_of(network, seed=step))
        assert len(made) == 30, "six for each of five layers, in the first step alone"


def test_large_maps_are_neither_kept_nor_recorded(monkeypatch):
    network = network_of((4,) * 6, size=32)
    gradients_of = find_backprop(network, batch_of(network, 12)[0])
    gradients_of(*batch_of(network, 12))
    made = []
    call = library.call
    monkeypatch.setattr(library, "call", lambda name, *arguments: (made.append(name), call(name, *arguments)))
    gradients_of(*batch_of(network, 12))
    assert len(made) == 9, "all of the first binary layer, and the way back through the pooling after it"


def test_parameters_that_have_moved_are_found_again():
    network = network_of()
    twin = copy.deepcopy(network)
    gradients_of = find_backprop(network, batch_of(network)[0])
    for step in range(4):
        x, y = batch_of(network, seed=step)
        found, _, _ = gradients_of(x, y)
        expected, _ = by_autograd(twin, x, y)
        assert all(map(torch.equal, found, expected)), step
        for one in (network, twin):
            one.conv3.weight.data = (one.conv3.weight.data + 0.1 * step).clone(memory_format=torch.preserve_format)
            one.norm4.running_mean.data = one.norm4.running_mean.data.clone()


@pytest.mark.parametrize("momentum", [0.1, None])
def test_a_changing_momentum_is_not_recorded(momentum):
    network = network_of()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module is not network.norm6:
            module.momentum = momentum
    twin = copy.deepcopy(network)
    gradients_of = find_backprop(network, batch_of(network)[0])
    for step in range(3):
        gradients_of(*batch_of(network, seed=step))
        twin(batch_of(network, seed=step)[0])
    assert torch.equal(network.norm2.running_var, twin.norm2.running_var)


def test_other_networks_are_left_to_autograd():
    network = network_of()
    x, _ = batch_of(network)
    assert find_backprop(network, x) is not None
    assert find_backprop(network.eval(), x) is None
    assert find_backprop(network.train(), x.double()) is None
    assert find_backprop(network, x.contiguous(memory_format=torch.contiguous_format).expand(40, 1, 8, 8)[::2]) is None
    with torch.autocast("cpu", torch.bfloat16):
        assert find_backprop(network, x) is None
    assert find_backprop(nn.Sequential(network), x) is None
    network.norm2.weight.requires_grad_(False)
    assert find_backprop(network, x) is None
    shortcuts = Network(NetworkSpec("resnet18", (1,) * 12, base_width=1 / 16, size=32)).to(
        memory_format=torch.channels_last
    )
    assert find_backprop(shortcuts, batch_of(shortcuts)[0]) is None


def test_replaced_modules_are_left_to_autograd():
    for name, module in (
        ("norm2", nn.BatchNorm2d(4, affine=False)),
        ("pool6", nn.AvgPool2d(2)),
        ("conv1", nn.Conv2d(1, 8, 3, padding=1)),
        ("norm6", nn.SyncBatchNorm(32)),
        ("norm6", nn.BatchNorm2d(32, affine=False)),
        ("norm6", nn.BatchNorm2d(32, momentum=None)),
    ):
        network = network_of()
        setattr(network, name, module)
        assert find_backprop(network, batch_of(network)[0]) is None, name


def test_training_takes_it(digits, monkeypatch):
    if CPU.kernels != "compiled":
        pytest.skip("no compiled kernels")
    whole = finish(start(digits))
    monkeypatch.setattr("pipeline.training.loop.find_backprop", lambda network, x: None)
    assert same(whole, finish(start(digits)))
    monkeypatch.setattr("pipeline.training.loop.find_backprop", backprop.find_backprop)
    monkeypatch.setattr(torch.autograd, "grad", None)
    assert same(whole, finish(start(digits)))


def test_training_does_without_it_if_told(digits, monkeypatch):
    def asked(network, x):
        raise AssertionError

    monkeypatch.setattr("pipeline.training.loop.find_backprop", asked)
    network = network_of()
    next(Training(network, digits, SETTINGS, 0, CPU, replayed=False).steps())
    if CPU.kernels == "compiled":
        with pytest.raises(AssertionError):
            next(Training(network, digits, SETTINGS, 0, CPU).steps())
