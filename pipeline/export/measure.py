"""How long networks take to answer on this machine, in turns and in one run."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from pipeline.common.log import progress
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec, uniform_genome

if TYPE_CHECKING:
    from pipeline.export.packing import About

#: Seconds that a way works for at a time, so that the clock's grain does not matter.
_TURN = 0.005


@dataclass(frozen=True)
class Way:
    """Something to time.

    Attributes:
        name: of a row, or of what stands beside the rows.
        engine: what computes.
        call: answers for one image.
    """

    name: str
    engine: str
    call: Callable[[], object]


def measure(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Returns the seconds that each call takes in each round.

    The calls take turns, so that a machine that slows down slows all of them alike.

    Args:
        ways: by name, what to call.
        rounds: turns of each.
    """
    calls = {name: _calls_in_a_turn(call) for name, call in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with progress("measuring", rounds, "rounds") as bar:
        for _ in range(rounds):
            for name, call in ways.items():
                started = time.perf_counter()
                for _ in range(calls[name]):
                    call()
                seconds[name].append((time.perf_counter() - started) / calls[name])
            bar.advance()
    return seconds


def _calls_in_a_turn(call: Callable[[], object]) -> int:
    call()
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < _TURN:
        call()
        done += 1
    return max(1, done)


def full_precision(spec: NetworkSpec, threads: int = 1) -> list[Way]:
    """Returns the full-precision network of uniform width 1x for the same images: in torch and, if installed, ONNX
    Runtime.

    Its weights are random, which no time depends on.
    """
    reference = replace(spec, genome=uniform_genome(spec.network, 1), binary=False)
    network = Network(reference).eval()
    initialise(network, torch.Generator().manual_seed(0))
    image = torch.randn(1, spec.channels, spec.size, spec.size, generator=torch.Generator().manual_seed(0))
    return [_in_torch(network, image, threads), *_in_onnxruntime(network, image.numpy(), threads)]


def _in_torch(network: Network, image: torch.Tensor, threads: int) -> Way:
    torch.set_num_threads(threads)
    torch_network = network.to(memory_format=torch.channels_last)
    given = image.contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def call() -> torch.Tensor:
        answer: torch.Tensor = torch_network(given)
        return answer

    return Way("full precision 1x", f"torch {torch.__version__}", call)


def _in_onnxruntime(network: Network, image: np.ndarray, threads: int) -> list[Way]:
    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError:
        return []
    from pipeline.export.qonnx_model import qonnx_model

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # A network without a binary layer is plain ONNX in that dialect, and takes normalised images.
    model = qonnx_model(network, _nothing_about(network.spec)).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    inputs = {"image": image}
    return [Way("full precision 1x", f"ONNX Runtime {onnxruntime.__version__}", lambda: session.run(None, inputs))]


def _nothing_about(spec: NetworkSpec) -> "About":
    from pipeline.export.packing import About

    names = tuple(str(number) for number in range(spec.classes))
    return About(names, (0.0,) * spec.channels, (1.0,) * spec.channels)
