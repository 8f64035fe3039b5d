"""The engines that compute a packed network: the compiled runtime, or plain numpy where it cannot be had."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from pipeline.common.errors import UserError
from pipeline.common.log import log
from pipeline.export import reference
from pipeline.export.packed import PackedNetwork, read
from pipeline.kernels.build import CompilationError
from pipeline.kernels.inference import Runtime

Engine = Literal["auto", "runtime", "numpy"]


class PackedEngine(NamedTuple):
    """``logits`` makes (N, classes) float32 of bytes (N, size, size, channels) or normalised (N, C, size, size)."""

    name: str
    logits: Callable[[np.ndarray], np.ndarray]


def packed_engine(network: PackedNetwork, engine: Engine = "auto", threads: int = 1) -> PackedEngine:
    """Returns what is to compute a packed network.

    Args:
        network: the packed network.
        engine: 'auto' is the runtime where there is a C++ compiler, or what an equal machine compiled.
        threads: of the runtime.

    Raises:
        UserError: the runtime was asked for and cannot be had.
    """
    if engine != "numpy":
        try:
            runtime = Runtime(network.to_bytes(), threads)
            return PackedEngine(f"runtime, {runtime.kernels}", runtime)
        except CompilationError as error:
            if engine == "runtime":
                raise UserError(f"the runtime cannot be had: {error}", "choose the engine 'numpy' or 'torch'") from None
            log(f"note: plain numpy computes, slowly, since {error}")
    # With the weights as they are stored, which may be shorter than those that are here.
    as_stored = read(network.to_bytes())
    return PackedEngine("numpy", lambda images: reference.answer(as_stored, images))
