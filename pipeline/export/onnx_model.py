"""A packed network as an ONNX model, for any runtime that reads ONNX (opset 18).

ONNX has neither a type of one bit nor a binary convolution, so there are three ways to write the binary layers:

- 'packed': weights stay one bit each. A function of the model itself unpacks them (BitShift, BitwiseAnd) in front of a
  plain Conv. Every runtime can run it; one that knows the function may replace it; ``onnx.inliner`` expands it.
- 'float': weights are ±1 in float32. Standard operators alone.
- 'int8': weights are int8 ±1 and activations uint8, quantised and dequantised around every convolution (QDQ), so that
  runtimes compute in integers. It is exact: a 1 is stored as 255 with the scale 1/255, the thresholds are the
  convolutions' biases, and what is 1 or more saturates.

Real layers are float32 in all of them, as they were trained, unless the packed network stores them shorter. The input
'pixels' is bytes, (N, size, size, channels), which the model normalises; N is free. The output is 'logits'. Classes,
preparation and provenance are in the model's metadata.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pipeline.common.errors import UserError
from pipeline.export.onnx_graph import OPSET, OnnxGraph, import_onnx
from pipeline.export.packed import IMAGE, Kind, Node, PackedNetwork, Storage, Values, stored_weights

if TYPE_CHECKING:
    import onnx

Way = Literal["packed", "float", "int8"]
#: Of the functions that unpack bits.
DOMAIN = "binary_nas"
#: How a 1 is stored in 'int8'.
_ONE = 255


def onnx_model(network: PackedNetwork, way: Way) -> "onnx.ModelProto":
    """Returns the model of a packed network, checked.

    Args:
        network: binary or full precision.
        way: how binary layers are written, see above.

    Raises:
        UserError: the package onnx is not installed.
    """
    writer = {"packed": _Packed, "float": _Float, "int8": _Int8}[way](network)
    metadata = {**network.information, "classes": list(network.classes)}
    kind = import_onnx().TensorProto.UINT8
    return writer.graph.model(
        ("pixels", kind, ("N", network.size, network.size, network.channels)),
        len(network.classes),
        metadata,
        functions=_functions() if way == "packed" else (),
        domains={DOMAIN: 1} if way == "packed" else None,
    )


class _Float:
    """Writes the nodes of a packed network with standard operators on float32; bits are 0 and 1."""

    def __init__(self, network: PackedNetwork) -> None:
        self.graph = OnnxGraph()
        self._network = network
        self._values = network.values
        self._readers: list[list[int]] = [[] for _ in network.nodes]
        for number, node in enumerate(network.nodes):
            for source in node.sources:
                if source != IMAGE:
                    self._readers[source].append(number)
        image = self._normalised()
        #: The output of each node that is written.
        self._outputs: dict[int, str] = {IMAGE: image}
        for number, node in enumerate(network.nodes):
            if number not in self._outputs:
                self._outputs[number] = self._write(number, node, [self._outputs[source] for source in node.sources])

    def _normalised(self) -> str:
        """Returns the image as float32 (N, C, size, size), each byte scaled, shifted and rounded once."""
        graph, network = self.graph, self._network
        double = import_onnx().TensorProto.DOUBLE
        spread = np.float32(255) * np.asarray(network.std, np.float32)
        scale, shift = np.float32(1) / spread, np.float32(-255) * np.asarray(network.mean, np.float32) / spread
        # A byte times a float32 and the sum are exact in double precision, so that one rounding is left.
        x = graph.add("Cast", "pixels", to=double)
        x = graph.add("Mul", x, graph.constant(scale, np.float64))
        x = graph.add("Add", x, graph.constant(shift, np.float64))
        x = graph.add("Cast", x, to=import_onnx().TensorProto.FLOAT)
        return graph.add("Transpose", x, perm=[0, 3, 1, 2])

    def _source(self, node: Node) -> Values:
        (first, *_) = node.sources
        network = self._network
        return Values("reals", network.channels, network.size) if first == IMAGE else self._values[first]

    def _write(self, number: int, node: Node, inputs: list[str]) -> str:
        graph, x = self.graph, inputs[0]
        match node.kind:
            case Kind.CONVOLUTION:
                return graph.add("Conv", x, self._real_weights(node), **_window(node))
            case Kind.BINARY_CONVOLUTION:
                return self._binary_convolution(number, node, x)
            case Kind.MAX_POOL:
                return graph.add("MaxPool", x, kernel_shape=[node.kernel] * 2, **_window(node))
            case Kind.THRESHOLD:
                return self._threshold(node, x)
            case Kind.BINARISE:
                return self._as_float(graph.add("Greater", x, graph.constant(0.5)))
            case Kind.AFFINE:
                if "scale" in node.parameters:
                    x = graph.add("Mul", x, graph.constant(node.parameters["scale"]))
                x = graph.add("Mul", x, graph.constant(_by_channel(node.parameters["factor"])))
                return graph.add("Add", x, graph.constant(_by_channel(node.parameters["term"])))
            case Kind.ADD:
                return graph.add("Add", *inputs)
            case Kind.RELU:
                return graph.add("Relu", x)
            case Kind.AVERAGE_POOL:
                return graph.add("GlobalAveragePool", x)
            case Kind.LINEAR:
                flat = graph.add("Flatten", x)
                bias = graph.constant(node.parameters["bias"])
                return graph.add("Gemm", flat, self._real_weights(node), bias, transB=1)
        raise UserError(
            f"layer '{node.name}' ({node.kind.name}) has no place in an ONNX model", "choose another format"
        )

    def _as_float(self, x: str) -> str:
        return self.graph.add("Cast", x, to=import_onnx().TensorProto.FLOAT)

    def _real_weights(self, node: Node) -> str:
        return self.graph.constant(node.weights)

    def _binary_convolution(self, number: int, node: Node, x: str) -> str:
        return self.graph.add("Conv", x, self.graph.constant(_signs(node)), **_window(node))

    def _threshold(self, node: Node, x: str) -> str:
        graph = self.graph
        sign = np.where(node.parameters["at_most"], np.float32(-1), np.float32(1))
        threshold = node.parameters["threshold"].astype(np.float32)
        if (sign < 0).any():
            # x ≤ t is -x ≥ -t; no number is ≥ NaN.
            x, threshold = graph.add("Mul", x, graph.constant(_by_channel(sign))), sign * threshold
        return self._as_float(graph.add("GreaterOrEqual", x, graph.constant(_by_channel(threshold))))


class _Packed(_Float):
    """Leaves bits packed and lets the model's own functions unpack them."""

    def _real_weights(self, node: Node) -> str:
        """Returns them as the packed network stores them."""
        assert node.weights is not None
        stored, factors = stored_weights(node.weights, node.storage)
        if node.storage == Storage.BFLOAT16:
            onnx = import_onnx()
            content = np.ascontiguousarray(stored, "<u2").tobytes()
            tensor = onnx.helper.make_tensor("w", onnx.TensorProto.BFLOAT16, stored.shape, content, raw=True)
            return self._as_float(self.graph.tensor(tensor, ("bfloat16", stored.shape, content)))
        if factors is not None:
            weights = self.graph.constant(stored, np.int8)
            return self.graph.add("DequantizeLinear", weights, self.graph.constant(factors), axis=0)
        return super()._real_weights(node)

    def _binary_convolution(self, number: int, node: Node, x: str) -> str:
        assert node.weights is not None
        bits = self.graph.constant(np.packbits(node.weights.reshape(-1), bitorder="little"), np.uint8)
        shape = list(node.weights.shape)
        return self.graph.add("BinaryConv", x, bits, domain=DOMAIN, weights=shape, **_window(node))

    def _threshold(self, node: Node, x: str) -> str:
        thresholds = node.parameters["threshold"]
        source = self._source(node)
        if source.kind == "integers" and source.most < 2**15 - 1:
            # Wide enough for all that can be reached, and for what is always or never.
            thresholds = np.clip(thresholds, -(2**15), 2**15 - 1).astype(np.int16)
        bits = self.graph.constant(np.packbits(node.parameters["at_most"], bitorder="little"), np.uint8)
        return self.graph.add("Threshold", x, self.graph.constant(thresholds, thresholds.dtype), bits, domain=DOMAIN)


class _Int8(_Float):
    """Computes binary convolutions in integers of 8 bits."""

    def __init__(self, network: PackedNetwork) -> None:
        #: By node that gives bits: its output as uint8, 0 and 255.
        self._bytes: dict[int, str] = {}
        super().__init__(network)

    def _scale(self) -> tuple[str, str]:
        """Returns scale and zero point of bits."""
        return self.graph.constant(np.float32(1) / np.float32(_ONE)), self.graph.constant(0, np.uint8)

    def _quantised(self, source: int) -> str:
        if source not in self._bytes:
            self._bytes[source] = self.graph.add("QuantizeLinear", self._outputs[source], *self._scale())
        return self._bytes[source]

    def _binary_convolution(self, number: int, node: Node, x: str) -> str:
        following = self._chain(number)
        x = self._quantised(node.sources[0])
        if following is None:
            return self._sums(node, x)
        graph = self.graph
        pool, threshold = following
        parameters, most = self._network.nodes[threshold].parameters, self._values[number].most
        at_most = parameters["at_most"]
        # What is stored is n ≥ t, and where that is turned round n ≥ t + 1, the opposite of n ≤ t.
        least = np.clip(parameters["threshold"].astype(np.int64) + at_most, -most, most + 1)
        scale, zero = self._scale()
        bias = graph.add("DequantizeLinear", graph.constant((1 - least) * _ONE, np.int32), scale)
        weights = graph.add("DequantizeLinear", graph.constant(_signs(node), np.int8), graph.constant(1.0))
        x = graph.add("DequantizeLinear", x, scale, zero)
        x = graph.add("QuantizeLinear", graph.add("Conv", x, weights, bias, **_window(node)), scale, zero)
        if pool is not None:
            x = graph.add("DequantizeLinear", x, scale, zero)
            pooling = self._network.nodes[pool]
            x = graph.add("MaxPool", x, kernel_shape=[pooling.kernel] * 2, **_window(pooling))
            x = graph.add("QuantizeLinear", x, scale, zero)
            self._outputs[pool] = x
        if at_most.any():
            x = graph.add("BitwiseXor", x, graph.constant(_by_channel(at_most * np.uint8(_ONE)), np.uint8))
        self._bytes[threshold] = x
        self._outputs[threshold] = x
        return x

    def _chain(self, number: int) -> tuple[int | None, int] | None:
        """Returns the pooling, if any, and the threshold that alone read a convolution's sums; None where others do."""
        pool = None
        while len(self._readers[number]) == 1:
            (number,) = self._readers[number]
            kind = self._network.nodes[number].kind
            if kind == Kind.THRESHOLD:
                # Whatever reads bits is a binary convolution, which takes them as bytes.
                return pool, number
            if kind != Kind.MAX_POOL or pool is not None:
                return None
            pool = number
        return None

    def _sums(self, node: Node, x: str) -> str:
        """Returns Σ w·a as float32, exactly: sums of ±255 are integers that float32 holds."""
        weights = self.graph.constant(_signs(node), np.int8)
        sums = self._as_float(self.graph.add("ConvInteger", x, weights, **_window(node)))
        return self.graph.add("Div", sums, self.graph.constant(float(_ONE)))


def _window(node: Node) -> dict[str, Any]:
    return {"strides": [node.stride] * 2, "pads": [node.padding] * 4}


def _by_channel(values: np.ndarray) -> np.ndarray:
    return np.asarray(values).reshape(-1, 1, 1)


def _signs(node: Node) -> np.ndarray:
    """Returns (O, C, K, K) weights ±1, float32."""
    assert node.weights is not None
    return node.weights.transpose(0, 3, 1, 2) * np.float32(2) - np.float32(1)


def _functions() -> list[Any]:
    """Returns the functions that unpack bits, the lowest of each byte first, in standard operators. Names take room."""
    onnx = import_onnx()
    helper, node = onnx.helper, onnx.helper.make_node
    types, kinds = onnx.TensorProto, onnx.AttributeProto

    def constant(name: str, kind: Any, values: Sequence[float]) -> Any:
        return node("Constant", [], [name], value=helper.make_tensor("", kind, [len(values)], values))

    def given(attribute: str, operator: str, inputs: Sequence[str], output: str, parameter: str = "") -> Any:
        """Returns an operator whose attribute is the function's own."""
        made = node(operator, inputs, [output])
        made.attribute.add(name=attribute, type=kinds.INTS, ref_attr_name=parameter or attribute)
        return made

    # The first N bits of the bytes W, as ±1 in float32.
    unpack = [
        constant("s", types.UINT8, range(8)),
        constant("a", types.UINT8, [1]),
        constant("i", types.INT64, [1]),
        constant("z", types.INT64, [0]),
        constant("m", types.INT64, [-1]),
        constant("f", types.FLOAT, [2]),
        constant("g", types.FLOAT, [1]),
        node("Unsqueeze", ["W", "i"], ["c"]),
        node("BitShift", ["c", "s"], ["d"], direction="RIGHT"),
        node("BitwiseAnd", ["d", "a"], ["e"]),
        node("Reshape", ["e", "m"], ["h"]),
        node("Slice", ["h", "z", "N"], ["j"]),
        node("Cast", ["j"], ["k"], to=types.FLOAT),
        node("Mul", ["k", "f"], ["l"]),
        node("Sub", ["l", "g"], ["Y"]),
    ]
    convolution = given("pads", "Conv", ["X", "e"], "Y")
    convolution.attribute.add(name="strides", type=kinds.INTS, ref_attr_name="strides")
    convolve = [
        given("value_ints", "Constant", [], "a", "weights"),
        node("ReduceProd", ["a"], ["b"], keepdims=1),
        node("Unpack", ["W", "b"], ["c"], domain=DOMAIN),
        node("Reshape", ["c", "a"], ["d"]),
        node("Transpose", ["d"], ["e"], perm=[0, 3, 1, 2]),
        convolution,
    ]
    # The sign is -1 where x ≤ t gives a 1: that is -x ≥ -t. No number is ≥ NaN.
    compare = [
        node("Shape", ["T"], ["a"]),
        node("Unpack", ["M", "a"], ["b"], domain=DOMAIN),
        node("Neg", ["b"], ["c"]),
        constant("d", types.INT64, [1, 2]),
        node("Unsqueeze", ["c", "d"], ["e"]),
        node("Cast", ["T"], ["f"], to=types.FLOAT),
        node("Unsqueeze", ["f", "d"], ["g"]),
        node("Mul", ["X", "e"], ["h"]),
        node("Mul", ["g", "e"], ["i"]),
        node("GreaterOrEqual", ["h", "i"], ["j"]),
        node("Cast", ["j"], ["Y"], to=types.FLOAT),
    ]
    own, both = [helper.make_opsetid("", OPSET)], [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]
    # Attributes with defaults would be shorter, but the inliner of onnx 1.23 forgets them.
    window = ["weights", "strides", "pads"]
    return [
        helper.make_function(DOMAIN, "Unpack", ["W", "N"], ["Y"], unpack, own),
        helper.make_function(DOMAIN, "BinaryConv", ["X", "W"], ["Y"], convolve, both, window),
        helper.make_function(DOMAIN, "Threshold", ["X", "T", "M"], ["Y"], compare, both),
    ]
