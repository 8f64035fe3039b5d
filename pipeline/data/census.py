"""The census of a preparation: how many images there are, and how many of them are not as they should be.

>>> Census(80, 20, damaged=(3, 0), blank=(0, 1), shared=2).sentences()
['3 damaged train images were left out.', '1 test image is of one brightness or nearly so.', \
'2 test images are train images too.']
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.common.text import counted

#: Brightest minus darkest value of bytes, and their standard deviation, below which nothing can be seen. 12 bits of
#: grey in a file that claims 16 take up to 16 of 256 values.
_RANGE, _DEVIATION = 16, 2.0
_SPLITS = ("train", "test")
#: Counted by later versions only.
_ADDED = ("repeated", "contradicting", "repeated_test", "dark")
#: Brightness that some pixel of some train image has, unless all of them are dark.
_HALF = 128


@dataclass(frozen=True)
class Census:
    """Numbers of images, of train and test images.

    Attributes:
        train, test: that were prepared.
        damaged: that cannot be read and were left out.
        blank: of one brightness, or nearly so.
        shared: test images whose files are train images too, byte by byte.
        repeated: train images whose files are copies of others of their class. Those that a search is scored on may
            have been learnt from.
        contradicting: images whose files lie in several classes.
        repeated_test: test images whose files are copies of others of their class. Each counts in an accuracy, and
            intervals over images take them for independent ones.
        dark: the brightest value of all train images, of 255, if they are dark throughout; 0 otherwise. So are those of
            files that hold fewer bits than they claim.
    """

    train: int
    test: int
    damaged: tuple[int, int] = (0, 0)
    blank: tuple[int, int] = (0, 0)
    shared: int = 0
    repeated: int = 0
    contradicting: int = 0
    repeated_test: int = 0
    dark: int = 0

    @property
    def record(self) -> dict[str, Any]:
        """Returns the same as JSON values; without what earlier versions did not count if there is none."""
        record = asdict(self)
        return {name: value for name, value in record.items() if value or name not in _ADDED}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Census":
        """Returns what :attr:`record` gave. Raises KeyError, TypeError or ValueError if it is none."""
        (damaged, damaged_test), (blank, blank_test) = record["damaged"], record["blank"]
        return cls(
            int(record["train"]),
            int(record["test"]),
            (int(damaged), int(damaged_test)),
            (int(blank), int(blank_test)),
            int(record["shared"]),
            *(int(record.get(name, 0)) for name in _ADDED),
        )

    def sentences(self) -> list[str]:
        """Returns what a reader of the results should know about the images; nothing if all is well."""
        said = []
        for split, damaged in zip(_SPLITS, self.damaged, strict=True):
            if damaged:
                said.append(f"{counted(damaged, f'damaged {split} image')} {_were(damaged)} left out.")
        for split, blank in zip(_SPLITS, self.blank, strict=True):
            if blank:
                said.append(f"{counted(blank, f'{split} image')} {_are(blank)} of one brightness or nearly so.")
        if self.dark:
            said.append(
                f"No train image is brighter than {self.dark} of 255: do the files hold fewer bits than they claim?"
            )
        if self.shared:
            one = "is a train image" if self.shared == 1 else "are train images"
            said.append(f"{counted(self.shared, 'test image')} {one} too.")
        for split, repeated in zip(_SPLITS, (self.repeated, self.repeated_test), strict=True):
            if repeated:
                one = "is a copy of another" if repeated == 1 else "are copies of others"
                said.append(f"{counted(repeated, f'{split} image')} {one}.")
        if self.contradicting:
            said.append(f"{counted(self.contradicting, 'image')} {_are(self.contradicting)} in several classes.")
        return said


def is_blank(histogram: np.ndarray) -> bool:
    """Returns whether an image is of one brightness or nearly so.

    Args:
        histogram: (C, 256) how often each brightness occurs in each channel.
    """
    levels = np.arange(histogram.shape[1])
    for counts in histogram:
        (present,) = np.nonzero(counts)
        mean = counts @ levels / counts.sum()
        variance = counts @ (levels - mean) ** 2 / counts.sum()
        if present[-1] - present[0] >= _RANGE and variance >= _DEVIATION**2:
            return False
    return True


def brightest_if_dark(histogram: np.ndarray) -> int:
    """Returns the brightest value that occurs, if there is none of the brighter half; 0 otherwise.

    Args:
        histogram: (C, 256) how often each brightness occurs in each channel.

    >>> brightest_if_dark(np.bincount([3, 63], minlength=256)[None])
    63
    """
    brightest = int(np.nonzero(histogram.any(axis=0))[0][-1])
    return brightest if brightest < _HALF else 0


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
