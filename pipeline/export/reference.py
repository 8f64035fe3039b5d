"""A packed network run node by node in plain numpy: slow, short, and what the compiled runtime is compared with."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from pipeline.export.packed import IMAGE, Kind, Node, PackedNetwork, fused, normalisation


def normalised(network: PackedNetwork, pixels: np.ndarray) -> np.ndarray:
    """Returns what a network sees of bytes (N, size, size, channels): (N, channels, size, size), float32."""
    table = normalisation(network.mean, network.std)
    return np.stack([row[pixels[..., c]] for c, row in enumerate(table)], axis=1)


def answer(network: PackedNetwork, images: np.ndarray) -> np.ndarray:
    """Returns logits (N, classes), float32, of normalised images (N, channels, size, size) or of bytes as above."""
    *_, logits = run(network, images)
    return logits.reshape(len(images), -1)


def run(network: PackedNetwork, images: np.ndarray) -> Iterator[np.ndarray]:
    """Yields what each node gives, (N, channels, side, side): float32, int32 or bool."""
    image = normalised(network, images) if images.dtype == np.uint8 else np.asarray(images, np.float32)
    found: list[np.ndarray] = []
    for node in network.nodes:
        found.append(_step(node, [image if source == IMAGE else found[source] for source in node.sources]))
        yield found[-1]


def _step(node: Node, inputs: list[np.ndarray]) -> Any:
    x = inputs[0]
    parameters = {name: array.reshape(1, -1, 1, 1) for name, array in node.parameters.items()}
    match node.kind:
        case Kind.CONVOLUTION:
            assert node.weights is not None
            # Rounded once: what sums in float32 lose differs between processors, by 2e-4 of a logit in a deep network.
            windows, weights = _windows(x.astype(np.float64), node, 0.0), node.weights.astype(np.float64)
            return np.einsum("nchwij,ocij->nohw", windows, weights, optimize=True).astype(np.float32)
        case Kind.BINARY_CONVOLUTION:
            assert node.weights is not None
            # Sums of ±1 are exact in float32 up to 2^24.
            signs = node.weights.transpose(0, 3, 1, 2) * np.float32(2) - np.float32(1)
            windows = _windows(x.astype(np.float32), node, np.float32(0))
            return np.einsum("nchwij,ocij->nohw", windows, signs, optimize=True).astype(np.int32)
        case Kind.MAX_POOL:
            least = np.float32(-np.inf) if x.dtype == np.float32 else np.iinfo(np.int32).min
            return _windows(x, node, least).max((4, 5))
        case Kind.THRESHOLD:
            threshold = parameters["threshold"]
            return np.where(parameters["at_most"], x <= threshold, x >= threshold)
        case Kind.BINARISE:
            return x > np.float32(0.5)
        case Kind.AFFINE:
            if "scale" in parameters:
                x = parameters["scale"] * x.astype(np.float32)
            return fused(x, parameters["factor"], parameters["term"])
        case Kind.ADD:
            return x + inputs[1]
        case Kind.RELU:
            return np.maximum(x, np.float32(0))
        case Kind.AVERAGE_POOL:
            return x.mean((2, 3), keepdims=True, dtype=np.float64).astype(np.float32)
        case Kind.LINEAR:
            assert node.weights is not None
            logits = x.reshape(len(x), -1).astype(np.float64) @ node.weights.T.astype(np.float64)
            return (logits + node.parameters["bias"]).astype(np.float32)[:, :, None, None]


def _windows(x: np.ndarray, node: Node, padding: Any) -> Any:
    """Returns (N, C, H', W', K, K): what a kernel sees at each place."""
    pad = node.padding
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=padding)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (node.kernel, node.kernel), (2, 3))
    return windows[:, :, :: node.stride, :: node.stride]
