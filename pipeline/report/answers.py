"""What a network answered to each test image, packed into the JSON record of its evaluation.

``answers`` are the class numbers that the images were taken for, in the order of the prepared file, as little-endian
integers of one byte (up to 256 classes), two or four; ``right`` says one bit an image whether that was its class, the
first image in the highest bit of the first byte. Both are base64.
"""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np


def pack_answers(answers: np.ndarray, right: np.ndarray) -> dict[str, str]:
    """Returns the two fields of a record.

    Args:
        answers: (images,) class numbers.
        right: (images,) bool.
    """
    width = next(width for width in (1, 2, 4) if answers.max(initial=0) < 256**width)
    packed = {"answers": answers.astype(f"<u{width}").tobytes(), "right": np.packbits(right).tobytes()}
    return {name: base64.b64encode(data).decode("ascii") for name, data in packed.items()}


def unpack_right(record: Mapping[str, Any]) -> np.ndarray | None:
    """Returns which images were answered rightly, bool (images,); None for a record from before that was kept.

    Raises:
        ValueError: the record contradicts itself.
    """
    if "right" not in record:
        return None
    images = int(record["images"])
    bits = np.unpackbits(np.frombuffer(base64.b64decode(record["right"], validate=True), np.uint8))
    if not images <= len(bits) < images + 8:
        raise ValueError(f"it has {len(bits)} answers for {images} images")
    right = bits[:images].astype(bool)
    if abs(100 * right.mean() - float(record["top1"])) > 0.001:
        raise ValueError("its answers are not those of its accuracy")
    return right


def unpack_answers(record: Mapping[str, Any]) -> np.ndarray | None:
    """Returns the classes that images were taken for, int64 (images,); None for a record from before they were kept.

    Raises:
        ValueError: the record contradicts itself.
    """
    if "answers" not in record:
        return None
    data, images = base64.b64decode(record["answers"], validate=True), int(record["images"])
    width = len(data) // max(images, 1)
    if width not in (1, 2, 4) or len(data) != width * images:
        raise ValueError(f"it has {len(data)} bytes of answers for {images} images")
    return np.frombuffer(data, f"<u{width}").astype(np.int64)
