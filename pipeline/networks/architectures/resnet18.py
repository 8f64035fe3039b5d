"""ResNet-18: a stem, eight basic blocks in four stages and a classifier, twelve genes.

The first four genes scale the stages' widths (the stem is as wide as stage 1), the other eight the inner width of
each block, between its two convolutions.
"""

from collections.abc import Sequence

from pipeline.common.errors import UserError
from pipeline.networks.graph import Graph, Layer

NAME = "resnet18"
TITLE = "ResNet-18"
BASE_WIDTHS = (64, 128, 256, 512, 64, 64, 128, 128, 256, 256, 512, 512)
GENES = tuple(f"stage{i}" for i in range(1, 5)) + tuple(f"block{i}" for i in range(1, 9))
#: Of the published experiment, ImageNet.
IMAGE_SIZE = 224
CLASSES = 1000
CONVENTION = "table2"

#: Stem, pooling and the last three stages halve the feature map (rounding up); smaller images reach the last of
#: them as a single pixel.
SMALLEST_IMAGE = 17


def layers(widths: Sequence[int], *, channels: int, size: int, classes: int, binary: bool) -> list[Layer]:
    """Returns the layers for images of ``channels`` × ``size`` × ``size``.

    A block is convolution, batch norm, convolution, batch norm, plus its shortcut: the block's input, or a 1×1
    convolution and batch norm of it where stride or width changes. The stem is real-valued. A binary convolution
    binarises its input, so the binary network has no ReLU but the one before the global average pooling; in the
    full-precision network every convolution of a block takes ReLU(input), while an identity shortcut passes its
    input on unrectified.

    Raises:
        UserError: the images are smaller than ``SMALLEST_IMAGE``.
    """
    if size < SMALLEST_IMAGE:
        raise UserError(
            f"images of {size}×{size} pixels are too small for {TITLE}",
            f"use {SMALLEST_IMAGE}×{SMALLEST_IMAGE} or larger (dataset.image_size)",
        )
    stages, inner = widths[:4], widths[4:]
    graph = Graph(channels, size)
    x = graph.convolution("stem_conv", "input", stages[0], kernel=7, stride=2, padding=3, binary=False)
    x = graph.batch_norm("stem_norm", x)
    x = graph.max_pool("stem_pool", x, kernel=3, stride=2, padding=1)
    for block, middle in enumerate(inner):
        stage, within = divmod(block, 2)
        stride = 2 if stage > 0 and within == 0 else 1
        x = _block(graph, f"block{block + 1}", x, middle, stages[stage], stride, binary)
    x = graph.relu("relu", x)
    x = graph.average_pool("pool", x)
    graph.linear("classifier", x, classes)
    return graph.layers


def _block(graph: Graph, name: str, source: str, middle: int, width: int, stride: int, binary: bool) -> str:
    # Both convolutions that read the block's input share its ReLU: Table 2 counts it once.
    rectified = source if binary else graph.relu(f"{name}_relu1", source)
    x = graph.convolution(f"{name}_conv1", rectified, middle, kernel=3, stride=stride, padding=1, binary=binary)
    x = graph.batch_norm(f"{name}_norm1", x)
    if not binary:
        x = graph.relu(f"{name}_relu2", x)
    x = graph.convolution(f"{name}_conv2", x, width, kernel=3, padding=1, binary=binary)
    x = graph.batch_norm(f"{name}_norm2", x)
    shortcut = source
    if stride != 1 or graph.channels(source) != width:
        shortcut = graph.convolution(f"{name}_shortcut_conv", rectified, width, kernel=1, stride=stride, binary=binary)
        shortcut = graph.batch_norm(f"{name}_shortcut_norm", shortcut)
    return graph.add(f"{name}_add", x, shortcut)
