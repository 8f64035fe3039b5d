"""ONNX models of random networks: each bit between the layers is the packed network's."""

import numpy as np
import pytest

from pipeline.export import reference
from pipeline.export.packed import Kind, PackedNetwork
from pipeline.export.packing import packed_network
from pipeline.networks.spec import NetworkSpec, uniform_genome
from tests.support.packed_networks import about, random_network, random_pixels, random_spec

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from pipeline.export.onnx_model import onnx_model  # noqa: E402
from pipeline.export.qonnx_model import qonnx_model  # noqa: E402

SPECS = [
    random_spec("vgg_small", 1, size=20),
    random_spec("resnet18", 2, size=33),
    NetworkSpec("vgg_small", (1, 2, 0.5, 1, 1, 1), base_width=1 / 16, size=16, binary=False),
    NetworkSpec("resnet18", (1,) * 12, base_width=1 / 16, size=32, binary=False),
]


def answers(model: "onnx.ModelProto", pixels: np.ndarray) -> dict[str, np.ndarray]:
    """The logits, and by name every tensor that holds a threshold's bits."""
    bits = [node.output[0] for node in model.graph.node if node.op_type == "Threshold"]
    for name in bits:
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"pixels": pixels}), strict=True))


def expected(network: PackedNetwork, pixels: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    values = list(reference.run(network, pixels))
    bits = [value for node, value in zip(network.nodes, values, strict=True) if node.kind == Kind.THRESHOLD]
    return values[-1].reshape(len(pixels), -1), bits


@pytest.mark.parametrize("way", ["packed", "float", "int8"])
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.network} {'binary' if spec.binary else 'real'}")
def test_it_answers_as_the_packed_network(spec: NetworkSpec, way: str) -> None:
    network = packed_network(random_network(spec), about(spec))
    pixels = random_pixels(spec, 4)
    logits, bits = expected(network, pixels)
    found = answers(onnx_model(network, way), pixels)
    # Random batch norms without variance multiply what real layers round by hundreds.
    bound = 1e-5 if spec.binary else 1e-3
    assert np.abs(found.pop("logits") - logits).max() <= bound * np.abs(logits).max()
    if way == "packed":
        assert len(found) == len(bits)
        for value, wanted in zip(found.values(), bits, strict=True):
            assert np.array_equal(value == 1, wanted)


@pytest.mark.parametrize(("network", "base_width"), [("vgg_small", 1 / 4), ("resnet18", 1 / 2)])
def test_packed_weights_take_no_more_than_in_the_packed_file(network: str, base_width: float) -> None:
    spec = NetworkSpec(network, uniform_genome(network, 1), base_width=base_width)
    form = packed_network(random_network(spec), about(spec))
    assert len(onnx_model(form, "packed").SerializeToString()) <= 1.1 * len(form.to_bytes())


def test_eight_bits_are_computed_in_integers() -> None:
    spec = SPECS[0]
    model = onnx_model(packed_network(random_network(spec), about(spec)), "int8")
    kinds = [node.op_type for node in model.graph.node]
    # Five binary convolutions: four end in a threshold, the last one's sums go to the classifier.
    assert kinds.count("ConvInteger") == 1 and kinds.count("Conv") == 1 + 4
    weights = [tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.INT8]
    assert sum(np.prod(tensor.dims) for tensor in weights) == sum(x.weights for x in spec.layers if x.binary)


def test_qonnx_says_what_is_quantised() -> None:
    model = qonnx_model(random_network(SPECS[1]), about(SPECS[1]))
    kinds = [node.op_type for node in model.graph.node]
    binary = sum(layer.binary for layer in SPECS[1].layers)
    assert kinds.count("BipolarQuant") == kinds.count("Quant") == binary
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"
