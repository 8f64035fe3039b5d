"""A network as plain data: its layers, their shapes and how they connect.

Everything that needs to know a network reads this one description: the cost account counts it, the supernet's
slices take their shapes from it, and :mod:`pipeline.networks.module` builds the trainable module from it. They cannot
disagree, and none but the last needs torch.

>>> graph = Graph(channels=3, size=32)
>>> x = graph.convolution("conv1", "input", 128, kernel=3, padding=1, binary=False)
>>> graph.layers[-1].macs
3538944
"""

from typing import Literal, NamedTuple

from pipeline.common.errors import UserError

Kind = Literal["convolution", "batch_norm", "relu", "max_pool", "average_pool", "add", "linear"]


class Layer(NamedTuple):
    """One operation. Images are square: ``in_size`` and ``out_size`` are the side of a feature map in pixels."""

    kind: Kind
    name: str
    sources: tuple[str, ...]
    in_channels: int
    out_channels: int
    in_size: int
    out_size: int
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    binary: bool = False

    @property
    def weights(self) -> int:
        """Weights of a convolution or of the classifier, biases left out."""
        if self.kind == "convolution":
            return self.out_channels * self.in_channels * self.kernel**2
        return self.out_channels * self.in_features if self.kind == "linear" else 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return self.weights * self.out_size**2

    @property
    def elements(self) -> int:
        """Output elements for one image."""
        return self.out_channels * self.out_size**2

    @property
    def in_features(self) -> int:
        """Inputs of the classifier: all elements of the feature map that it sees, channel by channel."""
        return self.in_channels * self.in_size**2


class Graph:
    """Collects the layers of a network in the order of execution. Each method returns the name of its output."""

    def __init__(self, channels: int, size: int) -> None:
        self.layers: list[Layer] = []
        self._shapes = {"input": (channels, size)}

    def channels(self, name: str) -> int:
        """Returns channels of the layer ``name``."""
        return self._shapes[name][0]

    def _append(self, kind: Kind, name: str, sources: tuple[str, ...], channels: int, size: int, **more: int) -> str:
        if size < 1:
            raise UserError(
                f"the images are too small for this network: nothing is left of the feature map at '{name}'",
                "use larger images (dataset.image_size)",
            )
        in_channels, in_size = self._shapes[sources[0]]
        self.layers.append(Layer(kind, name, sources, in_channels, channels, in_size, size, **more))  # type: ignore[arg-type]
        self._shapes[name] = (channels, size)
        return name

    def convolution(
        self, name: str, source: str, channels: int, *, kernel: int, binary: bool, stride: int = 1, padding: int = 0
    ) -> str:
        """Returns a convolution without bias. A binary one also binarises its input."""
        size = (self._shapes[source][1] + 2 * padding - kernel) // stride + 1
        return self._append(
            "convolution", name, (source,), channels, size, kernel=kernel, stride=stride, padding=padding, binary=binary
        )

    def batch_norm(self, name: str, source: str) -> str:
        """Returns batch normalisation with a scale and a shift for each channel."""
        return self._append("batch_norm", name, (source,), *self._shapes[source])

    def relu(self, name: str, source: str) -> str:
        """Returns max(x, 0)."""
        return self._append("relu", name, (source,), *self._shapes[source])

    def max_pool(self, name: str, source: str, *, kernel: int, stride: int, padding: int = 0) -> str:
        """Returns max-pooling."""
        channels, size = self._shapes[source]
        size = (size + 2 * padding - kernel) // stride + 1
        return self._append("max_pool", name, (source,), channels, size, kernel=kernel, stride=stride, padding=padding)

    def average_pool(self, name: str, source: str) -> str:
        """Returns global average pooling."""
        channels, size = self._shapes[source]
        return self._append("average_pool", name, (source,), channels, 1, kernel=size)

    def add(self, name: str, source: str, shortcut: str) -> str:
        """Returns the sum of two equally shaped feature maps."""
        assert self._shapes[source] == self._shapes[shortcut], (name, self._shapes[source], self._shapes[shortcut])
        return self._append("add", name, (source, shortcut), *self._shapes[source])

    def linear(self, name: str, source: str, features: int) -> str:
        """Returns the classifier: a real-valued fully-connected layer with bias on the flattened feature map."""
        return self._append("linear", name, (source,), features, 1)
