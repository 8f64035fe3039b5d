"""Photographs for tests: a folder that the environment names, otherwise those that come with scikit-learn."""

import os
from pathlib import Path

from PIL import Image


def photographs(folder: Path) -> Path:
    """A folder with train/CLASS/* and val/CLASS/*: BINARY_NAS_PHOTOS, or parts of two pictures, put into ``folder``."""
    given = os.environ.get("BINARY_NAS_PHOTOS")
    if given:
        return Path(given)
    from sklearn.datasets import load_sample_images

    for name, pixels in zip(("china", "flower"), load_sample_images().images, strict=True):
        whole = Image.fromarray(pixels)
        for number in range(6):
            part = whole.crop((10 * number, 5 * number, 640 - 20 * number, 427 - 30 * number))
            path = folder / ("train" if number < 4 else "val") / name / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            part.save(path, quality=85, progressive=number % 2 == 0)
    return folder
