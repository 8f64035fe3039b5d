"""The optimisers' steps, against torch's own classes, and what they remember."""

import copy

import pytest
import torch

from pipeline.networks.binary.convolution import BinaryConvolution
from pipeline.networks.module import Network, initialise
from pipeline.training.descent import Descent
from pipeline.training.settings import TrainingSettings
from tests.support.trainings import SPEC

RATES = (0.1, 0.03, 0.1, 0.05, 0.0)


def settings(**more: object) -> TrainingSettings:
    return TrainingSettings(epochs=1, batch_size=2, learning_rate=0.1, momentum=0.8, **more)


def network(last: bool) -> Network:
    made = Network(SPEC)
    initialise(made, torch.Generator().manual_seed(0))
    return made.to(memory_format=torch.channels_last if last else torch.contiguous_format)


def gradients(made: Network, step: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    return [torch.randn(parameter.shape, generator=generator) for parameter in made.parameters()]


def groups(made: Network, decay: float, of_binary: float) -> list[dict[str, object]]:
    binary = [module.weight for module in made.modules() if isinstance(module, BinaryConvolution)]
    others = [one for one in made.parameters() if not any(one is weight for weight in binary)]
    assert len(binary) == 5
    return [{"params": binary, "weight_decay": of_binary}, {"params": others, "weight_decay": decay}]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("of_binary", [None, 0.0, 0.5])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_steps_are_torchs(optimizer, of_binary, last):
    ours = network(last)
    theirs = copy.deepcopy(ours)
    descent = Descent(ours, settings(optimizer=optimizer, weight_decay=0.1, binary_weight_decay=of_binary))
    decays = groups(theirs, 0.1, 0.1 if of_binary is None else of_binary)
    if optimizer == "sgd":
        reference = torch.optim.SGD(decays, 0.1, momentum=0.8)
    else:
        reference = torch.optim.Adam(decays, 0.1, betas=(0.8, 0.999))
    for step, rate in enumerate(RATES):
        with torch.no_grad():
            descent.step(gradients(ours, step), rate)
        for parameter, gradient in zip(theirs.parameters(), gradients(theirs, step), strict=True):
            parameter.grad = gradient
        for group in reference.param_groups:
            group["lr"] = rate
        reference.step()
        for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, msg=f"{name} in step {step}")


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_it_goes_on_from_what_it_remembers(optimizer):
    first = network(True)
    begun = Descent(first, settings(optimizer=optimizer))
    with torch.no_grad():
        begun.step(gradients(first, 0), 0.1)
    second = copy.deepcopy(first)
    resumed = Descent(second, settings(optimizer=optimizer))
    resumed.restore({name: tensor.clone() for name, tensor in begun.state().items()})
    for step in (1, 2):
        with torch.no_grad():
            begun.step(gradients(first, step), 0.1)
            resumed.step(gradients(second, step), 0.1)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_one_optimisers_state_is_not_anothers():
    state = Descent(network(False), settings()).state()
    with pytest.raises(KeyError):
        Descent(network(False), settings(optimizer="adam")).restore(state)
