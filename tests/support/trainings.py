"""Small trainings on digits, to their end and compared."""

import torch

from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec
from pipeline.training.loop import Training
from pipeline.training.settings import TrainingSettings
from tests.support.execution import CPU

SPEC = NetworkSpec("vgg_small", (1, 1, 2, 1, 1, 1), base_width=1 / 16, channels=1, size=8)


SETTINGS = TrainingSettings(epochs=3, batch_size=40, learning_rate=0.1, weight_decay=5e-4, augmentation="crop")


def start(digits, settings=SETTINGS, seed=0, spec=SPEC, execution=CPU):
    network = Network(spec)
    initialise(network, torch.Generator().manual_seed(seed))
    return Training(network, digits, settings, seed, execution)


def finish(training):
    for _ in training.steps():
        pass
    return training


def same(first, second):
    a, b = first.state(), second.state()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
