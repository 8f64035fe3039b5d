"""A binary network in OpenVINO's own binary operations, as a rival of the packed runtime.

OpenVINO multiplies bits that both stand for ±1, where Eq. 1 has activations of 0 and 1: the work is the same, so times
can be compared; answers cannot, and weights and thresholds are random. A batch norm that only binary convolutions read
is their threshold, as in the packed network; others are a scale and a shift.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.networks.graph import Layer
from pipeline.networks.spec import NetworkSpec


def binary_network(spec: NetworkSpec, images: int) -> Any:
    """Returns an OpenVINO model for (images, channels, size, size), float32.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    import openvino
    from openvino import opset8 as ops

    draw = np.random.default_rng(0)
    image = ops.parameter([images, spec.channels, spec.size, spec.size], np.float32)
    values: dict[str, Any] = {"input": image.output(0)}
    for layer in spec.layers:
        inputs = [values[source] for source in layer.sources]
        values[layer.name] = _BUILDERS[layer.kind](layer, inputs, spec, draw).output(0)
    return openvino.Model([values[spec.layers[-1].name]], [image])


def _reals(draw: np.random.Generator, *shape: int) -> Any:
    from openvino import opset8 as ops

    return ops.constant(draw.normal(size=shape).astype(np.float32))


def _convolution(layer: Layer, inputs: list[Any], spec: NetworkSpec, draw: np.random.Generator) -> Any:
    import openvino
    from openvino import opset1, opset8

    shape = (layer.out_channels, layer.in_channels, layer.kernel, layer.kernel)
    strides, padding, dilations = [layer.stride] * 2, [layer.padding] * 2, [1, 1]
    if not layer.binary:
        return opset8.convolution(inputs[0], _reals(draw, *shape), strides, padding, padding, dilations)
    channels = 1, layer.in_channels, 1, 1
    threshold = _reals(draw, *channels)
    zeros, ones = (opset8.constant(np.full(channels, value, np.float32)) for value in (0, 1))
    bits = opset8.fake_quantize(inputs[0], threshold, threshold, zeros, ones, 2)
    drawn = draw.integers(0, 256, -(-layer.weights // 8), dtype=np.uint8)
    weights = openvino.op.Constant(openvino.Tensor(drawn, openvino.Shape(shape), openvino.Type.u1))
    return opset1.binary_convolution(bits, weights, strides, padding, padding, dilations, "xnor-popcount", 0.0)


def _batch_norm(layer: Layer, inputs: list[Any], spec: NetworkSpec, draw: np.random.Generator) -> Any:
    from openvino import opset8 as ops

    readers = [reader for reader in spec.layers if layer.name in reader.sources]
    if readers and all(reader.binary for reader in readers):
        return inputs[0].get_node()
    channels = 1, layer.in_channels, 1, 1
    return ops.add(ops.multiply(inputs[0], _reals(draw, *channels)), _reals(draw, *channels))


def _max_pool(layer: Layer, inputs: list[Any], spec: NetworkSpec, draw: np.random.Generator) -> Any:
    from openvino import opset8 as ops

    padding = [layer.padding] * 2
    return ops.max_pool(inputs[0], [layer.stride] * 2, [1, 1], padding, padding, [layer.kernel] * 2, "floor")


def _average_pool(layer: Layer, inputs: list[Any], spec: NetworkSpec, draw: np.random.Generator) -> Any:
    from openvino import opset8 as ops

    return ops.reduce_mean(inputs[0], ops.constant(np.array([2, 3])), keep_dims=True)


def _add(layer: Layer, inputs: list[Any], spec: NetworkSpec, draw: np.random.Generator) -> Any:
    from openvino import opset8 as ops

    return ops.add(*inputs)


def _relu(layer: Layer, inputs: list[Any], spec: NetworkSpec, draw: np.random.Generator) -> Any:
    from openvino import opset8 as ops

    return ops.relu(inputs[0])


def _linear(layer: Layer, inputs: list[Any], spec: NetworkSpec, draw: np.random.Generator) -> Any:
    from openvino import opset8 as ops

    flat = ops.reshape(inputs[0], ops.constant(np.array([0, -1])), special_zero=True)
    product = ops.matmul(flat, _reals(draw, layer.in_features, layer.out_channels), False, False)
    return ops.add(product, _reals(draw, layer.out_channels))


_BUILDERS: dict[str, Callable[[Layer, list[Any], NetworkSpec, np.random.Generator], Any]] = {
    "convolution": _convolution,
    "batch_norm": _batch_norm,
    "max_pool": _max_pool,
    "average_pool": _average_pool,
    "add": _add,
    "relu": _relu,
    "linear": _linear,
}
