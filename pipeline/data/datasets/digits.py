"""Handwritten digits, 1797 grey images of 8×8 pixels, which come inside scikit-learn: no download, no test split."""

from pathlib import Path

import numpy as np

from pipeline.data.datasets.sources import ArraySplit, Dataset

NAME = "digits"
CHANNELS = 1
CLASSES = 10
#: Train images of each class, and test images if they are apart.
COUNTS = ((178, 182, 177, 183, 181, 182, 181, 179, 174, 180), None)
#: The brightest value of a pixel in scikit-learn's copy.
_BRIGHTEST = 16


def open_dataset(path: Path) -> Dataset:
    """Returns the digits; ``path`` is not used."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.round(digits.images * (255 / _BRIGHTEST)).astype(np.uint8)[..., None]
    train = ArraySplit(pixels, digits.target.astype(np.int64), "scikit-learn's digits")
    return Dataset(NAME, tuple(str(name) for name in digits.target_names), CHANNELS, train, None, natural_size=8)
