"""VGG-small: six 3×3 convolutions and a classifier, six genes (one for each convolution's output channels)."""

from collections.abc import Sequence

from pipeline.networks.graph import Graph, Layer

NAME = "vgg_small"
TITLE = "VGG-small"
BASE_WIDTHS = (128, 128, 256, 256, 512, 512)
GENES = tuple(f"conv{i}" for i in range(1, 7))
#: Of the published experiment, CIFAR-10.
IMAGE_SIZE = 32
CLASSES = 10
CONVENTION = "table1"


def layers(widths: Sequence[int], *, channels: int, size: int, classes: int, binary: bool) -> list[Layer]:
    """Returns the layers for images of ``channels`` × ``size`` × ``size``.

    The order inside a stage is convolution, pooling (after the 2nd, 4th and 6th), batch norm. A binary convolution
    binarises its input, so the binary network has no ReLU; the full-precision one takes ReLU(input) in every
    convolution but the first.

    Raises:
        UserError: the images are smaller than 8×8, so that the last pooling has nothing to pool.
    """
    graph = Graph(channels, size)
    x = "input"
    for i, width in enumerate(widths, start=1):
        if not binary and i > 1:
            x = graph.relu(f"relu{i}", x)
        x = graph.convolution(f"conv{i}", x, width, kernel=3, padding=1, binary=binary and i > 1)
        if i % 2 == 0:
            x = graph.max_pool(f"pool{i}", x, kernel=2, stride=2)
        x = graph.batch_norm(f"norm{i}", x)
    graph.linear("classifier", x, classes)
    return graph.layers
