"""A network of two convolutions, the second one binary."""

from pipeline.networks.graph import Graph

NAME = "tiny"
TITLE = "Tiny"
BASE_WIDTHS = (8, 8)
GENES = ("conv1", "conv2")
IMAGE_SIZE = 8
CLASSES = 2
CONVENTION = "macs"


def layers(widths, *, channels, size, classes, binary):
    """The layers for images of ``channels`` × ``size`` × ``size``."""
    graph = Graph(channels, size)
    x = graph.convolution("conv1", "input", widths[0], kernel=3, padding=1, binary=False)
    x = graph.batch_norm("norm1", x)
    x = graph.convolution(
        "conv2", x if binary else graph.relu("relu", x), widths[1], kernel=3, padding=1, binary=binary
    )
    x = graph.average_pool("pool", graph.batch_norm("norm2", x))
    graph.linear("classifier", x, classes)
    return graph.layers
