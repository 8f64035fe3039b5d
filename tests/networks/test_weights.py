"""Candidates start from the first channels of the supernet's tensors, and from nothing else."""

from dataclasses import asdict

import pytest
import torch

from pipeline.common.errors import UserError
from pipeline.common.hdf5 import write_tensors
from pipeline.networks import weights
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.networks.weights import Ancestor, check_supernet, inherit

SHAPES = {"vgg_small": (1 / 16, 1, 8), "resnet18": (1 / 8, 3, 32)}


def build(network, genome):
    base_width, channels, size = SHAPES[network]
    return Network(NetworkSpec(network, genome, base_width=base_width, channels=channels, size=size))


@pytest.fixture(params=SHAPES)
def supernet(request, tmp_path):
    network = build(request.param, uniform_genome(request.param, 4))
    initialise(network, torch.Generator().manual_seed(0))
    with torch.no_grad():  # moments and scales that are not all alike
        for name, tensor in network.state_dict().items():
            if "norm" in name and tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=torch.Generator().manual_seed(len(name))) + 0.5)
    path = tmp_path / "supernet.h5"
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    write_tensors(path, tensors, {"network": asdict(network.spec)})
    return network, path


def test_the_widest_candidate_is_the_supernet(supernet):
    network, path = supernet
    candidate = build(network.spec.network, uniform_genome(network.spec.network, 4))
    inherit(candidate, path)
    x = torch.randn(3, network.spec.channels, network.spec.size, network.spec.size)
    assert torch.equal(candidate.eval()(x), network.eval()(x))


@pytest.mark.parametrize("narrow", [0.25, 1, 3])
@pytest.mark.parametrize("small", [2**30, 0], ids=["kept", "read anew"])
def test_every_inherited_tensor_is_the_first_part(supernet, narrow, small, monkeypatch):
    monkeypatch.setattr(weights, "SMALL", small)
    network, path = supernet
    genes = len(network.spec.genome)
    genome = tuple(narrow if gene % 2 else 2.0 for gene in range(genes))
    candidate = build(network.spec.network, genome)
    ancestor = Ancestor(path)
    ancestor.give(build(network.spec.network, uniform_genome(network.spec.network, 4)))
    if small:
        path.unlink()
    ancestor.give(candidate)
    whole, part = network.state_dict(), candidate.state_dict()
    assert part.keys() == whole.keys()
    for name, tensor in part.items():
        assert torch.equal(tensor, whole[name][tuple(slice(n) for n in tensor.shape)]), name


def test_classifier_columns_follow_their_channels(supernet):
    """On a 16×16 image VGG-small's classifier sees 2×2 positions of each channel, one channel after another."""
    spec = NetworkSpec("vgg_small", uniform_genome("vgg_small", 4), base_width=1 / 16, channels=1, size=16)
    network = Network(spec)
    weight = network.get_submodule("classifier").weight
    by_channel = weight.reshape(10, -1, 2, 2)
    narrow = Network(spec.with_genome((4, 4, 4, 4, 4, 1)))
    columns = narrow.get_submodule("classifier").weight.shape[1]
    assert torch.equal(weight[:, :columns].reshape(10, -1, 2, 2), by_channel[:, : columns // 4])


@pytest.mark.parametrize(
    "other", [{"base_width": 1 / 2}, {"channels": 2}, {"size": 24}, {"classes": 7}, {"network": "unknown"}]
)
def test_a_supernet_of_another_experiment_is_refused(supernet, other):
    network, path = supernet
    check_supernet(path, network.spec)
    values = asdict(network.spec) | other
    with pytest.raises(UserError, match="another experiment"):
        check_supernet(path, NetworkSpec(**values))


def test_a_supernet_too_narrow_is_refused(tmp_path):
    network = build("vgg_small", uniform_genome("vgg_small", 1))
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    write_tensors(tmp_path / "narrow.h5", tensors, {})
    with pytest.raises(UserError, match="too small"):
        inherit(build("vgg_small", uniform_genome("vgg_small", 2)), tmp_path / "narrow.h5")
