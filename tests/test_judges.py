"""The judges of benchmarks/judges.py: what their definitions say of small networks."""

import math
from collections import defaultdict

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import judges
from benchmarks.search import made_up
from pipeline.common.hdf5 import read_tensors, write_tensors
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec
from pipeline.networks.weights import inherit
from pipeline.search.algorithms import ALGORITHMS, propose
from pipeline.search.tabular import read_table

SPEC = NetworkSpec("vgg_small", (1.0,) * 6, base_width=0.0625, channels=1, size=8, classes=10)


def network(spec: NetworkSpec = SPEC, seed: int = 0) -> Network:
    made = Network(spec)
    initialise(made, torch.Generator().manual_seed(seed))
    return made.train()


def test_gradients_are_those_of_the_network_itself():
    x, y = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(8)
    seconds: dict[str, float] = defaultdict(float)
    said = judges.judge(network(), x, y, seconds)
    plain = network()
    nn.functional.cross_entropy(plain(x), y).backward()
    weights = [m.weight for m in plain.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert said["gradient norm"] == pytest.approx(sum(float(weight.grad.norm()) for weight in weights), rel=1e-4)
    assert said["SNIP"] == pytest.approx(
        sum(float((weight.detach() * weight.grad).abs().sum()) for weight in weights), rel=1e-4
    )
    assert set(said) == set(seconds) == set(judges.JUDGES)


@pytest.mark.parametrize("name", ["conv1", "conv4", "classifier"])
def test_synflow_is_linear_in_the_weights_of_each_layer(name):
    made = network()
    before = judges.synflow(made)
    with torch.no_grad():
        made.get_submodule(name).weight.mul_(-2)
    assert judges.synflow(made) == pytest.approx(before + math.log(2), abs=1e-9)


def test_naswot_counts_activations_that_agree():
    bits = torch.tensor([[1.0, 0, 1], [1, 1, 0], [0, 1, 1]])  # any two agree in one of three
    assert judges.naswot(bits) == pytest.approx(math.log(np.linalg.det([[3, 1, 1], [1, 3, 1], [1, 1, 3]])))
    assert judges.naswot(bits[[0, 0]]) == -math.inf


def test_weights_are_inherited_as_a_candidate_inherits_them(tmp_path):
    wide = network(SPEC.with_genome((4.0,) * 6), seed=3)
    write_tensors(tmp_path / "supernet.h5", {name: value.numpy() for name, value in wide.state_dict().items()}, {})
    ours, theirs = network(), network(seed=1)
    whole = {name: torch.from_numpy(array) for name, array in read_tensors(tmp_path / "supernet.h5").items()}
    judges._inherit(ours, whole)
    inherit(theirs, tmp_path / "supernet.h5")
    assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in ours.state_dict().items())


def test_the_first_generation_is_what_the_judge_prefers(tmp_path):
    table = read_table(made_up(tmp_path / "table.npz"))
    plain = judges.first_generation(table, "evolution", 8, 4, 5, None, False)
    settings = ALGORITHMS["evolution"].Settings(population=8)
    assert [one.genome for one in plain] == [
        one.genome for one in propose("evolution", table.space, settings, [], 5, 0)
    ]
    widest = judges.first_generation(table, "evolution", 8, 4, 5, table.costs, False)
    assert min(one.relative_cost for one in widest) > max(sorted(one.relative_cost for one in plain)[:4])
    # Of each cost: with the cheapest preferred, an eighth of the candidates is passed by between one and the next.
    cheap = [one.relative_cost for one in judges.first_generation(table, "evolution", 8, 4, 5, -table.costs, True)]
    dear = [one.relative_cost for one in judges.first_generation(table, "evolution", 8, 4, 5, table.costs, True)]
    assert all(low < high for low, high in zip(cheap, dear, strict=True))
    assert all(high <= low for high, low in zip(dear[:-1], cheap[1:], strict=True))
