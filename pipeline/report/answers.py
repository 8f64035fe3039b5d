"""The answer of a network to each test image, packed into the JSON record of its evaluation.

``answers`` are the class numbers that the images were taken for, in the order of the prepared file, as little-endian
integers of one byte (up to 256 classes), two or four; ``right`` says one bit an image whether that was its class, the
first image in the highest bit of the first byte. ``labels`` are the images' own classes, packed like the answers, and
``confidences`` the softmax's value for each answer, one byte an image (255: certain). All four are base64.

``classes`` are the names of the classes, and ``mistakes`` the wrong answers of which the network was most certain, each
with a small picture (PNG, base64): no later step sees a test image, so evaluation writes what a report shows of them.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

#: Wrong answers whose pictures are kept, of one network.
MOST_MISTAKES = 8
_CERTAIN = 255


class Mistake(NamedTuple):
    """A wrong answer: the image's number, its class and the one that it was taken for, how surely, and its picture.

    ``confidence`` is from 0 to 1; ``picture`` is a PNG file.
    """

    image: int
    label: int
    answer: int
    confidence: float
    picture: bytes


class Answered(NamedTuple):
    """The answers of one network.

    Attributes:
        classes: names.
        labels, answers: (images,) int64, the class of each image, and the one that it was taken for.
        confidences: (images,) from 0 to 1, in steps of 1/255.
        mistakes: the most confident ones, the surest first.
    """

    classes: tuple[str, ...]
    labels: np.ndarray
    answers: np.ndarray
    confidences: np.ndarray
    mistakes: tuple[Mistake, ...]


def pack_answers(answers: np.ndarray, right: np.ndarray) -> dict[str, str]:
    """Returns two fields of a record.

    Args:
        answers: (images,) class numbers.
        right: (images,) bool.
    """
    return {"answers": _pack_numbers(answers), "right": _text(np.packbits(right).tobytes())}


def pack_classes(
    classes: Sequence[str], labels: np.ndarray, confidences: np.ndarray, mistakes: Sequence[Mistake]
) -> dict[str, Any]:
    """Returns the other fields of a record; see :class:`Answered`."""
    return {
        "classes": list(classes),
        "labels": _pack_numbers(labels),
        "confidences": _text(np.round(confidences * _CERTAIN).astype(np.uint8).tobytes()),
        "mistakes": [
            {**mistake._asdict(), "confidence": round(mistake.confidence, 4), "picture": _text(mistake.picture)}
            for mistake in mistakes
        ],
    }


def most_confident(answers: np.ndarray, labels: np.ndarray, confidences: np.ndarray) -> np.ndarray:
    """Returns the numbers of the images that were answered wrongly with most confidence, the surest first.

    >>> most_confident(np.array([0, 1, 1]), np.array([0, 0, 0]), np.array([1.0, 0.6, 0.9])).tolist()
    [2, 1]
    """
    (wrong,) = np.nonzero(answers != labels)
    return wrong[np.argsort(-confidences[wrong], kind="stable")][:MOST_MISTAKES]


def unpack_right(record: Mapping[str, Any]) -> np.ndarray | None:
    """Returns which images were answered rightly, bool (images,); None for a record from before that was kept.

    Raises:
        ValueError: the record contradicts itself.
    """
    if "right" not in record:
        return None
    images = int(record["images"])
    bits = np.unpackbits(np.frombuffer(_bytes(record["right"]), np.uint8))
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
    return _unpack_numbers(record["answers"], int(record["images"])) if "answers" in record else None


def unpack_answered(record: Mapping[str, Any]) -> Answered | None:
    """Returns all that is known of the answers; None for a record from before classes were kept.

    Raises:
        KeyError, TypeError, ValueError: the record contradicts itself.
    """
    right, answers = unpack_right(record), unpack_answers(record)
    if right is None or answers is None or "labels" not in record:
        return None
    images, classes = int(record["images"]), tuple(str(name) for name in record["classes"])
    labels = _unpack_numbers(record["labels"], images)
    confidences = np.frombuffer(_bytes(record["confidences"]), np.uint8) / _CERTAIN
    mistakes = tuple(_mistake(one) for one in record["mistakes"])
    if ((answers == labels) != right).any() or len(confidences) != images:
        raise ValueError("its answers are not those of its images")
    if max(labels.max(), answers.max()) >= len(classes):
        raise ValueError(f"an answer is outside of its {len(classes)} classes")
    for one in mistakes:
        if not (0 <= one.image < images and (labels[one.image], answers[one.image]) == (one.label, one.answer)):
            raise ValueError("its mistakes are not those of its answers")
    return Answered(classes, labels, answers, confidences, mistakes)


def _mistake(record: Mapping[str, Any]) -> Mistake:
    image, label, answer = (int(record[name]) for name in ("image", "label", "answer"))
    return Mistake(image, label, answer, float(record["confidence"]), _bytes(record["picture"]))


def _pack_numbers(numbers: np.ndarray) -> str:
    width = next(width for width in (1, 2, 4) if numbers.max(initial=0) < 256**width)
    return _text(numbers.astype(f"<u{width}").tobytes())


def _unpack_numbers(text: str, images: int) -> np.ndarray:
    data = _bytes(text)
    width = len(data) // max(images, 1)
    if width not in (1, 2, 4) or len(data) != width * images:
        raise ValueError(f"it has {len(data)} bytes of answers for {images} images")
    return np.frombuffer(data, f"<u{width}").astype(np.int64)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
