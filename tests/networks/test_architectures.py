"""Topology: each network against a plain rewriting of the paper's description, torch's counter, and its own errors."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from pipeline.common.errors import UserError
from pipeline.networks.architectures import ARCHITECTURES
from pipeline.networks.cost import network_cost
from pipeline.networks.genome import RATIOS, format_genome, parse_genome
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec, architecture, uniform_genome
from tests.support.examples import tried

VGG_A = (0.5, 2, 1, 1, 1, 0.5)
RES_A, RES_B = (2, 4, 2, 2, 2, 4, 4, 4, 4, 4, 4, 4), (3, 4, 4, 3, 1, 4, 4, 4, 3, 3, 3, 3)
SMALLEST = {"vgg_small": 8, "resnet18": 17}

# Layers with weights, in order: name, inputs, outputs, kernel, stride, side of the output in pixels, binary.
VGG_A_WEIGHTS = [
    ("conv1", 3, 64, 3, 1, 32, False),
    ("conv2", 64, 256, 3, 1, 32, True),
    ("conv3", 256, 256, 3, 1, 16, True),
    ("conv4", 256, 256, 3, 1, 16, True),
    ("conv5", 256, 512, 3, 1, 8, True),
    ("conv6", 512, 256, 3, 1, 8, True),
    ("classifier", 256, 10, 1, 1, 1, False),
]
RES_A_WEIGHTS = [
    ("stem_conv", 3, 128, 7, 2, 112, False),
    ("block1_conv1", 128, 128, 3, 1, 56, True),
    ("block1_conv2", 128, 128, 3, 1, 56, True),
    ("block2_conv1", 128, 256, 3, 1, 56, True),
    ("block2_conv2", 256, 128, 3, 1, 56, True),
    ("block3_conv1", 128, 512, 3, 2, 28, True),
    ("block3_conv2", 512, 512, 3, 1, 28, True),
    ("block3_shortcut_conv", 128, 512, 1, 2, 28, True),
    ("block4_conv1", 512, 512, 3, 1, 28, True),
    ("block4_conv2", 512, 512, 3, 1, 28, True),
    ("block5_conv1", 512, 1024, 3, 2, 14, True),
    ("block5_conv2", 1024, 512, 3, 1, 14, True),
    ("block5_shortcut_conv", 512, 512, 1, 2, 14, True),
    ("block6_conv1", 512, 1024, 3, 1, 14, True),
    ("block6_conv2", 1024, 512, 3, 1, 14, True),
    ("block7_conv1", 512, 2048, 3, 2, 7, True),
    ("block7_conv2", 2048, 1024, 3, 1, 7, True),
    ("block7_shortcut_conv", 512, 1024, 1, 2, 7, True),
    ("block8_conv1", 1024, 2048, 3, 1, 7, True),
    ("block8_conv2", 2048, 1024, 3, 1, 7, True),
    ("classifier", 1024, 1000, 1, 1, 1, False),
]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (NetworkSpec("vgg_small", VGG_A), VGG_A_WEIGHTS),
        (NetworkSpec("resnet18", RES_A, size=224, classes=1000), RES_A_WEIGHTS),
    ],
    ids=["vgg_small", "resnet18"],
)
def test_shapes_of_the_published_networks(spec, expected):
    layers = [layer for layer in spec.layers if layer.weights]
    fields = ("name", "in_channels", "out_channels", "kernel", "stride", "out_size", "binary")
    assert [tuple(getattr(layer, field) for field in fields) for layer in layers] == expected


@pytest.mark.parametrize(
    ("network", "binary", "expected"),
    [
        ("vgg_small", True, []),
        ("vgg_small", False, [f"relu{i}" for i in range(2, 7)]),
        ("resnet18", True, ["relu"]),
        ("resnet18", False, [f"block{i}_relu{j}" for i in range(1, 9) for j in (1, 2)] + ["relu"]),
    ],
)
def test_rectifiers(network, binary, expected):
    # Outputs cannot show them: in front of a binary convolution a ReLU changes no forward value.
    spec = NetworkSpec(network, uniform_genome(network, 1), binary=binary)
    assert [layer.name for layer in spec.layers if layer.kind == "relu"] == expected


# --- The same networks written down once more, from the paper, on tensors called as in the state. ---


def _convolve(state, name, x, binary, **how):
    weight = state[f"{name}.weight"]
    if binary:
        weight = (2 * (weight >= 0).to(weight) - 1) * weight.abs().mean()
        x = x.clamp(0, 1).round()
    return F.conv2d(x, weight, **how)


def _norm(state, name, x):
    mean, var, weight, bias = (state[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, mean, var, weight, bias)


def _classify(state, x):
    return x.flatten(1) @ state["classifier.weight"].T + state["classifier.bias"]


def vgg_small(state, x, binary):
    for i in range(1, 7):
        if i > 1 and not binary:
            x = x.relu()
        x = _convolve(state, f"conv{i}", x, binary and i > 1, padding=1)
        if i in (2, 4, 6):
            x = F.max_pool2d(x, 2)
        x = _norm(state, f"norm{i}", x)
    return _classify(state, x)


def resnet18(state, x, binary):
    def act(x):
        return x if binary else x.relu()

    x = _norm(state, "stem_norm", _convolve(state, "stem_conv", x, False, stride=2, padding=3))
    x = F.max_pool2d(x, 3, stride=2, padding=1)
    for i, stride in enumerate((1, 1, 2, 1, 2, 1, 2, 1), start=1):
        y = _convolve(state, f"block{i}_conv1", act(x), binary, stride=stride, padding=1)
        y = _norm(state, f"block{i}_norm1", y)
        y = _convolve(state, f"block{i}_conv2", act(y), binary, padding=1)
        y = _norm(state, f"block{i}_norm2", y)
        if stride == 2:
            x = _convolve(state, f"block{i}_shortcut_conv", act(x), binary, stride=2)
            x = _norm(state, f"block{i}_shortcut_norm", x)
        x = x + y
    return _classify(state, x.relu().mean((2, 3)))


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize(
    ("plain", "spec"),
    [
        (vgg_small, NetworkSpec("vgg_small", VGG_A, base_width=0.0625, channels=3, size=32)),
        (vgg_small, NetworkSpec("vgg_small", (2, 2, 4, 2, 4, 0.5), base_width=0.0625, channels=1, size=11, classes=3)),
        (resnet18, NetworkSpec("resnet18", RES_A, base_width=0.0625, channels=3, size=64)),
        (resnet18, NetworkSpec("resnet18", RES_B, base_width=0.0625, channels=1, size=33, classes=3)),
    ],
)
def test_computes_what_the_paper_describes(plain, spec, binary):
    generator = torch.Generator().manual_seed(1)
    network = Network(replace(spec, binary=binary)).double().eval()
    initialise(network, generator)
    # Not the neutral values, and scales of both signs, with which batch norm does not commute with max-pooling.
    for name, tensor in network.state_dict().items():
        if "norm" in name and tensor.is_floating_point():
            values = torch.randn(tensor.shape, generator=generator)
            tensor.copy_(values.abs() + 0.5 if "running_var" in name else values)
    x = torch.randn(2, spec.channels, spec.size, spec.size, generator=generator, dtype=torch.float64)
    output = network(x)
    assert output.shape == (2, spec.classes)
    torch.testing.assert_close(output, plain(network.state_dict(), x, binary))


def genomes(network):
    return st.tuples(*[st.sampled_from(RATIOS)] * len(ARCHITECTURES[network].GENES))


@pytest.mark.parametrize("network", ARCHITECTURES)
@tried(10)
@given(data=st.data())
def test_macs_and_weights_agree_with_torch(network, data):
    size = data.draw(st.integers(SMALLEST[network], 48), "size")
    spec = NetworkSpec(
        network, data.draw(genomes(network), "genome"), base_width=0.25, channels=3, size=size, binary=False
    )
    with torch.device("meta"):  # shapes only: any genome is fast
        model = Network(spec)
        counter = FlopCounterMode(display=False)
        with counter:
            model(torch.empty(2, 3, size, size))
    for cost in (network_cost(spec), network_cost(replace(spec, binary=True))):
        # The counter takes a multiply-accumulate for two operations, and there are two images.
        assert counter.get_total_flops() == 2 * 2 * (cost.real_macs + cost.binary_macs)
    channels = sum(layer.out_channels for layer in spec.layers if layer.kind == "batch_norm")
    weights = sum(layer.weights for layer in spec.layers)
    assert sum(parameter.numel() for parameter in model.parameters()) == weights + 2 * channels + spec.classes


def test_gradients_reach_every_parameter():
    for network, size in SMALLEST.items():
        model = Network(NetworkSpec(network, uniform_genome(network, 1), base_width=0.125, size=size))
        initialise(model, torch.Generator().manual_seed(0))
        model(torch.randn(8, 3, size, size)).square().sum().backward()
        assert [name for name, parameter in model.named_parameters() if not parameter.grad.abs().sum() > 0] == []


def test_names_of_the_tensors():
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    names = {"classifier.weight", "classifier.bias"}
    for i in range(1, 7):
        names |= {f"conv{i}.weight"} | {f"norm{i}.{key}" for key in norm}
    assert set(Network(NetworkSpec("vgg_small", (0.25,) * 6)).state_dict()) == names


@pytest.mark.parametrize("network", ARCHITECTURES)
def test_both_precisions_have_the_same_tensors(network):
    spec = NetworkSpec(network, uniform_genome(network, 0.25), size=64)
    binary, full = (Network(replace(spec, binary=binary)) for binary in (True, False))
    assert {name: t.shape for name, t in binary.state_dict().items()} == {
        name: t.shape for name, t in full.state_dict().items()
    }


@pytest.mark.parametrize("network", ARCHITECTURES)
def test_he_initialisation(network):
    first, second = (
        Network(NetworkSpec(network, uniform_genome(network, 1), base_width=0.5, size=32)) for _ in range(2)
    )
    for model in (first, second):
        initialise(model, torch.Generator().manual_seed(5))
    for layer in first.spec.layers:
        if layer.kind == "convolution":
            weight = first.get_parameter(f"{layer.name}.weight")
            expected = (2 / (layer.out_channels * layer.kernel**2)) ** 0.5
            # Five standard errors of a standard deviation that is measured on this many draws.
            assert weight.std().item() == pytest.approx(expected, rel=5 / (2 * layer.weights) ** 0.5)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (NetworkSpec("lenet", (1,)), "unknown network 'lenet': choose one of resnet18, vgg_small"),
        (NetworkSpec("vgg_small", (1, 0.5)), "genome 1,0.5 has 2 genes: VGG-small takes 6 (conv1, conv2, conv3,"),
        (NetworkSpec("resnet18", (1,) * 6), "genome 1,1,1,1,1,1 has 6 genes: ResNet-18 takes 12 (stage1, stage2,"),
        (
            NetworkSpec("vgg_small", (1, 0.25, 1, 1, 1, 1), base_width=0.02),
            "conv2 of VGG-small would have no channels (128 ×",
        ),
        (
            NetworkSpec("resnet18", (1,) * 4 + (0.25,) * 8, base_width=0.05),
            "block1 of ResNet-18 would have no channels (64 ×",
        ),
        (NetworkSpec("vgg_small", (1,) * 6, size=7), "the images are too small for this network: nothing is left of"),
        (NetworkSpec("resnet18", (1,) * 12, size=16), "images of 16×16 pixels are too small for ResNet-18: use 17×17"),
    ],
)
def test_errors_name_the_mistake(spec, message):
    with pytest.raises(UserError) as error:
        _ = spec.layers
    assert str(error.value).startswith(message)


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=12).map(tuple))
@tried()
def test_a_genome_survives_its_text(genome):
    assert parse_genome(format_genome(genome)) == genome


def test_the_architecture_is_that_of_the_listed_layers(monkeypatch):
    before = {name: architecture(name) for name in ARCHITECTURES}
    assert len(set(before.values())) == len(before)
    module = ARCHITECTURES["vgg_small"]
    original = module.layers

    def pooled_later(*widths, **more):
        layers = original(*widths, **more)
        return [layer._replace(kernel=3) if layer.name == "pool6" else layer for layer in layers]

    monkeypatch.setattr(module, "layers", pooled_later)
    assert architecture("vgg_small") != before["vgg_small"]
    assert architecture("resnet18") == before["resnet18"]
