"""Memory: what is kept between steps, how running out of it is told from other errors, and what is tried then.

>>> list(micro_batches(100))
[50, 25, 13]
>>> list(micro_batches(15))
[]
"""

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pipeline.common.errors import UserError

#: Images below which the moments of a batch norm are too noisy to learn with.
FEWEST_IMAGES = 8

# torch has a class of its own for GPUs alone. The first two are said by torch, of a GPU and of main memory, the third
# by the libraries of a GPU, the others by oneDNN and C++ where the system gives no more.
_SIGNS = ("out of memory", "can't allocate memory", "ALLOC_FAILED", "could not create a primitive", "bad_alloc")


def ran_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error says that a GPU's or the machine's memory did not suffice.

    >>> ran_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 16 bytes"))
    True
    >>> ran_out_of_memory(RuntimeError("could not create a primitive descriptor for a convolution"))
    False
    """
    if isinstance(error, RuntimeError):
        # oneDNN says nearly the same of what it cannot do at all.
        text = str(error).replace("could not create a primitive descriptor", "")
        return type(error).__name__ == "OutOfMemoryError" or any(sign in text for sign in _SIGNS)
    return isinstance(error, MemoryError)


def micro_batches(batch: int) -> Iterator[int]:
    """Yields how many images to compute at once in place of a whole batch: ever fewer, each about half of the last.

    They end before a micro-batch has fewer than ``FEWEST_IMAGES``.
    """
    parts = 2
    while batch // parts >= FEWEST_IMAGES:
        yield -(-batch // parts)
        parts *= 2


def in_one_line(error: BaseException) -> str:
    """Returns what an error says, cut to a length that a sentence can hold."""
    return " ".join(str(error).split())[:200]


@contextmanager
def enough_memory(work: str, remedy: str) -> Iterator[None]:
    """Makes one sentence of it where the block, which does ``work``, runs out of memory.

    Raises:
        UserError: it has.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not ran_out_of_memory(error):
            raise
        raise UserError(f"{work} ran out of memory ({in_one_line(error) or 'no more is known'})", remedy) from None


def keep_freed_memory() -> None:
    """Lets the C library keep what is freed, for the next step."""
    # By default glibc gives every large tensor back to the system and asks for it again in the next step, whose first
    # touch of each page then costs more than the arithmetic of a small layer: about a tenth of a training's time.
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return
    trim_threshold, mmap_threshold, limit = -1, -3, 2**30
    mallopt(trim_threshold, limit)
    mallopt(mmap_threshold, limit)


def give_back_memory() -> None:
    """Gives back what this process holds and does not use, for tensors of other sizes and for other processes."""
    import torch

    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
