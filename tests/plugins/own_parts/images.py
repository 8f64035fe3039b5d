"""Images of two classes, bright above or bright below."""

import numpy as np

from pipeline.data.datasets.sources import ArraySplit, Dataset

NAME = "halves"
CHANNELS = 1
CLASSES = 2


def open_dataset(path):
    """The images; ``path`` is not used."""
    labels = np.arange(120) % 2
    pixels = np.random.default_rng(0).integers(0, 128, (120, 8, 8, 1), np.uint8)
    pixels[labels == 0, :4] += 120
    pixels[labels == 1, 4:] += 120
    return Dataset(NAME, ("above", "below"), 1, ArraySplit(pixels, labels, "halves"), None, natural_size=8)
