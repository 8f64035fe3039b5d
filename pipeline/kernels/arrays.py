"""The arrays that kernels write to: new ones, or those of the call before.

A step of a small network makes dozens of arrays. To ask torch for each takes longer than to fill it, so whoever calls
kernels again and again with arrays of the same shapes keeps them.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

#: Bytes from which an array is not kept: to fill it takes much longer than to ask for it, and memory may be scarce.
LARGE = 2**20


class Arrays(Protocol):
    """Gives arrays on the CPU, of any values."""

    def __call__(
        self, name: str, shape: Sequence[int], dtype: torch.dtype, layout: torch.memory_format = ...
    ) -> Tensor:
        """Returns one without gaps in memory.

        Args:
            name: what it is for. Arrays that are needed at the same time have different names.
            shape, dtype, layout: of it.
        """
        ...


def new(
    name: str,
    shape: Sequence[int],
    dtype: torch.dtype,
    layout: torch.memory_format = torch.contiguous_format,
) -> Tensor:
    """Returns a new one each time; arguments as of :class:`Arrays`."""
    return torch.empty(shape, dtype=dtype, memory_format=layout)


class Kept:
    """Gives, under a name, the same one again for as long as the same shape is asked for and it is small."""

    def __init__(self) -> None:
        self._kept: dict[str, Tensor] = {}
        #: Whether all that was asked for was kept.
        self.complete = True

    def __call__(
        self,
        name: str,
        shape: Sequence[int],
        dtype: torch.dtype,
        layout: torch.memory_format = torch.contiguous_format,
    ) -> Tensor:
        """Returns the array of this name; arguments as of :class:`Arrays`. Type and layout never change with a name."""
        kept = self._kept.get(name)
        if kept is None or kept.shape != shape:
            kept = new(name, shape, dtype, layout)
            if kept.nbytes < LARGE:
                self._kept[name] = kept
            else:
                self.complete = False
        return kept
