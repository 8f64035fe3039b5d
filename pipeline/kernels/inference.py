"""The compiled runtime of packed networks: ``cpp/inference/``, compiled on first use, without torch.

    runtime = Runtime(path.read_bytes(), threads=2)
    logits = runtime(pixels)      # (N, size, size, channels) bytes, or (N, channels, size, size) normalised float32

The functions' types are read from the C header itself, so that the two cannot disagree.
"""

import ctypes
import re
import weakref
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from pipeline.common.errors import UserError
from pipeline.kernels import build
from pipeline.kernels.build import INFERENCE

#: Names of the instruction sets for which there are kernels, the best one first.
KERNELS = ("avx512", "avx2", "neon", "portable")


class Step(NamedTuple):
    """A step of the runtime: the work of one or more nodes.

    Attributes:
        node: number of the first of its nodes.
        name: such as 'binary convolution, threshold'.
        macs: multiply-accumulates for one image.
    """

    node: int
    name: str
    macs: float


class Runtime:
    """A packed network, ready to answer.

    Args:
        data: the packed file's content.
        threads: one image is divided among them by rows, several images are dealt out. After a fork only the parent may
            use more than one.
        kernels: one of ``KERNELS``; None for what the environment's BNN_KERNELS names, else the best one here.

    Raises:
        UserError: the file is wrong, or the kernels do not run here.
        CompilationError: the runtime cannot be compiled.
    """

    def __init__(self, data: bytes, threads: int = 1, kernels: str | None = None) -> None:
        self._library = load()
        options = _Options(threads, None if kernels is None else kernels.encode())
        handle = ctypes.c_void_p()
        status = self._library.bnn_load_memory(data, len(data), ctypes.byref(options), ctypes.byref(handle))
        self._check(status)
        self._handle = handle
        self._release = weakref.finalize(self, self._library.bnn_free, handle)
        # Asked once: for a small network each call of a function is felt.
        self._channels = int(self._library.bnn_channels(handle))
        self._size = int(self._library.bnn_size(handle))
        self._outputs = int(self._library.bnn_classes(handle))

    def _check(self, status: int) -> None:
        if status:
            raise UserError(self._library.bnn_error().decode(errors="replace"))

    @property
    def channels(self) -> int:
        """The channels of the images."""
        return self._channels

    @property
    def size(self) -> int:
        """Side of the images, in pixels."""
        return self._size

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, in the order of the logits."""
        return tuple(self._library.bnn_class_name(self._handle, i).decode() for i in range(self._outputs))

    @property
    def threads(self) -> int:
        """On how many it runs."""
        return int(self._library.bnn_threads(self._handle))

    @property
    def kernels(self) -> str:
        """The instruction set that it was given or has chosen."""
        return str(self._library.bnn_kernels(self._handle).decode())

    @property
    def information(self) -> str:
        """JSON: the network's specification, preparation and provenance."""
        return str(self._library.bnn_information(self._handle).decode())

    @property
    def steps(self) -> list[Step]:
        """Returns what it does, in order."""
        library, handle = self._library, self._handle
        return [
            Step(
                library.bnn_step_node(handle, i),
                library.bnn_step_name(handle, i).decode(),
                library.bnn_step_macs(handle, i),
            )
            for i in range(library.bnn_steps(handle))
        ]

    def __call__(self, images: Any) -> np.ndarray:
        """Returns logits (N, classes), float32.

        Args:
            images: an array or a tensor on the CPU: bytes (N, size, size, channels), or normalised float32
                (N, channels, size, size).

        Raises:
            UserError: they have another shape or type.
        """
        images = np.ascontiguousarray(images)
        pixels = images.dtype == np.uint8
        shape = (self.size, self.size, self.channels) if pixels else (self.channels, self.size, self.size)
        if images.dtype not in (np.uint8, np.float32) or images.shape[1:] != shape:
            raise UserError(
                f"images of type {images.dtype} and shape {images.shape} do not fit this network",
                f"give it {(len(images) if images.ndim else 1, *shape)} as {'uint8' if pixels else 'float32'}",
            )
        logits = np.empty((len(images), self._outputs), np.float32)
        run = self._library.bnn_run_pixels if pixels else self._library.bnn_run
        self._check(run(self._handle, images.ctypes.data, len(images), logits.ctypes.data))
        return logits

    def profile(self, pixels: np.ndarray, rounds: int) -> list[float]:
        """Returns the least time of each step in seconds, over so many rounds with one image of bytes, on one
        thread.
        """
        pixels = np.ascontiguousarray(pixels, np.uint8)
        if pixels.shape != (self.size, self.size, self.channels):
            raise UserError(f"pixels of shape {pixels.shape} do not fit this network")
        seconds = np.zeros(self._library.bnn_steps(self._handle))
        self._check(self._library.bnn_profile(self._handle, pixels.ctypes.data, rounds, seconds.ctypes.data))
        return [float(value) for value in seconds]

    def bits(self, image: np.ndarray, node: int, shape: tuple[int, int, int]) -> np.ndarray:
        """Returns the bits that a node gives for one normalised image (channels, size, size), as bool of ``shape``.

        Raises:
            UserError: the node gives no bits.
        """
        image = np.ascontiguousarray(image, np.float32)
        if image.shape != (self.channels, self.size, self.size):
            raise UserError(f"an image of shape {image.shape} does not fit this network")
        found = np.empty(shape, np.uint8)
        self._check(self._library.bnn_bits(self._handle, image.ctypes.data, node, found.ctypes.data))
        return found.astype(bool)


def available(kernels: str) -> bool:
    """Returns whether kernels of this name run here. Raises CompilationError where the runtime cannot be compiled."""
    return bool(load().bnn_available(kernels.encode()))


def peak(kernels: str) -> float:
    """Returns AND-popcounts of bits in a second that an instruction set does in registers; 0 where it does not run.

    Raises:
        CompilationError: the runtime cannot be compiled.
    """
    return float(load().bnn_peak(kernels.encode()))


class _Options(ctypes.Structure):
    _fields_ = (("threads", ctypes.c_int), ("kernels", ctypes.c_char_p))


_RESULTS = {
    "void": None,
    "int": ctypes.c_int,
    "bnn_status": ctypes.c_int,
    "size_t": ctypes.c_size_t,
    "double": ctypes.c_double,
    "const char *": ctypes.c_char_p,
}


@cache
def load() -> ctypes.CDLL:
    """Returns the library, with the types of its functions. Raises CompilationError where it cannot be had."""
    library = build.load(build.compiled(INFERENCE))
    header = (INFERENCE / "bnn.h").read_text(encoding="utf-8")
    for result, name, arguments in re.findall(r"^BNN_API ([\w ]+?[ *]+)(bnn_\w+)\(([^)]*)\);", header, re.MULTILINE):
        function = getattr(library, name)
        function.restype = _RESULTS[result.strip()]
        types = [re.sub(r"\w+$", "", one.strip()).strip() for one in arguments.split(",")]
        function.argtypes = [] if arguments == "void" else [_RESULTS.get(one, ctypes.c_void_p) for one in types]
    return library
