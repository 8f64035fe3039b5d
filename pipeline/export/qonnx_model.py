"""A trained network in the QONNX dialect, which FINN, hls4ml and the program ``qonnx-exec`` read.

QONNX says with operators of its own which numbers are quantised: the weights of a binary layer are a BipolarQuant (±1,
a weight of 0 gives +1), its input is a Quant to one unsigned bit (round half to even, clipped to [0, 1]: Eq. 1). The
layer's scale follows its convolution as a Mul, and a batch norm is a Mul and an Add, so that sums stay exact.

The input 'image' is normalised, (N, channels, size, size) float32; N is free, and ``qonnx-exec
--override-batchsize`` fixes it. The output is 'logits'. Classes and preparation are in the model's metadata.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from pipeline.common.errors import UserError
from pipeline.export import thresholds
from pipeline.export.onnx_graph import OnnxGraph, import_onnx

if TYPE_CHECKING:
    import onnx

    from pipeline.export.packing import About
    from pipeline.networks.graph import Layer
    from pipeline.networks.module import Network

_DOMAIN = "qonnx.custom_op.general"
#: FINN and hls4ml read no newer one.
_OPSET = 13


@torch.no_grad()
def qonnx_model(network: "Network", about: "About") -> "onnx.ModelProto":
    """Returns the model of a trained network, checked.

    Args:
        network: binary or full precision.
        about: classes and preprocessing.

    Raises:
        UserError: the package onnx is not installed, or the network has a layer that is not known here.
    """
    graph, spec = OnnxGraph(), network.spec
    outputs = {"input": "image"}
    for layer in spec.layers:
        module: Any = network.get_submodule(layer.name)
        outputs[layer.name] = _add(graph, layer, module, [outputs[source] for source in layer.sources])
    metadata = {"classes": list(about.classes), "preparation": dict(about.preparation)}
    return graph.model(
        ("image", import_onnx().TensorProto.FLOAT, ("N", spec.channels, spec.size, spec.size)),
        spec.classes,
        {**metadata, "provenance": dict(about.provenance)},
        domains={_DOMAIN: 1} if spec.binary else None,
        opset=_OPSET,
    )


def _add(graph: OnnxGraph, layer: "Layer", module: Any, inputs: list[str]) -> str:
    """Appends the nodes of a layer. Returns the name of its output."""
    x = inputs[0]
    shape = ("N", layer.out_channels, layer.out_size, layer.out_size)
    window: dict[str, Any] = {
        "kernel_shape": [layer.kernel] * 2,
        "strides": [layer.stride] * 2,
        "pads": [layer.padding] * 4,
    }
    match layer.kind:
        case "convolution" if layer.binary:
            return _binary_convolution(graph, layer, module, x, window)
        case "convolution":
            return graph.add("Conv", x, graph.constant(_numbers(module.weight)), shape=shape, **window)
        case "batch_norm" if isinstance(module, nn.BatchNorm2d):
            factor, term = (graph.constant(part.reshape(1, -1, 1, 1)) for part in thresholds.affine(module))
            return graph.add("Add", graph.add("Mul", x, factor, shape=shape), term, shape=shape)
        case "relu":
            return graph.add("Relu", x, shape=shape)
        case "max_pool":
            return graph.add("MaxPool", x, shape=shape, **window)
        case "average_pool":
            return graph.add("GlobalAveragePool", x, shape=shape)
        case "add":
            return graph.add("Add", *inputs, shape=shape)
        case "linear":
            flat = graph.add("Flatten", x, shape=("N", layer.in_features))
            weights = graph.constant(_numbers(module.weight)), graph.constant(_numbers(module.bias))
            return graph.add("Gemm", flat, *weights, shape=("N", layer.out_channels), transB=1)
    raise UserError(f"layer '{layer.name}' ({layer.kind}) has no place in a QONNX model", "choose another format")


def _binary_convolution(graph: OnnxGraph, layer: "Layer", module: Any, x: str, window: dict[str, Any]) -> str:
    one, zero = graph.constant(1.0), graph.constant(0.0)
    before = ("N", layer.in_channels, layer.in_size, layer.in_size)
    after = ("N", layer.out_channels, layer.out_size, layer.out_size)
    how = {"signed": 0, "narrow": 0, "rounding_mode": "ROUND"}
    bits = graph.add("Quant", x, one, zero, one, domain=_DOMAIN, shape=before, **how)
    # Contiguous: the order of the sum decides the scale's last digit.
    weight = module.weight.detach().float().cpu().contiguous()
    signs = np.where(weight.numpy() >= 0, np.float32(1), np.float32(-1))
    weights = graph.add("BipolarQuant", graph.constant(signs), one, domain=_DOMAIN, shape=signs.shape)
    sums = graph.add("Conv", bits, weights, shape=after, **window)
    return graph.add("Mul", sums, graph.constant(weight.abs().mean().numpy()), shape=after)


def _numbers(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().contiguous().numpy()
