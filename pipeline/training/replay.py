"""Steps of a training on a GPU, recorded once as a CUDA graph and replayed: no Python between their kernels.

A step of a small network is a hundred kernels and more of some microseconds each, which Python cannot launch as fast as
a GPU ends them. All steps of a training are the same kernels on tensors of the same shape; only the images, the labels
and the learning rate change, and these are copied to where the recorded kernels read them.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from pipeline.common.log import log
from pipeline.training.memory import in_one_line, ran_out_of_memory
from pipeline.training.streams import STREAMS, borrow_stream

#: Steps that are launched one kernel at a time before one is recorded: libraries choose algorithms and allocate then.
WARM_UP = 3


class ReplayedStep:
    """Calls ``step`` a few times, records it, and from then on replays the record.

    A record holds the address of the workspace that cuBLAS has for the stream on which it was recorded, and nothing
    that is computed beside it may use that (pytorch/pytorch#193402). So each has a stream that no other work has.

    Args:
        step: a function of a batch's images (B, C, H, W) and labels (B,), on the GPU. It reads and writes nothing else
            but tensors that stay where they are, and it waits for nothing.
    """

    def __init__(self, step: Callable[[Tensor, Tensor], None]) -> None:
        self._step = step
        self._taken = 0
        self._stream: torch.cuda.Stream | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._batch: tuple[Tensor, Tensor] | None = None

    def __call__(self, x: Tensor, y: Tensor) -> None:
        """Takes one step. ``x`` and ``y`` have the same shapes every time."""
        if not self._taken:
            self._stream = borrow_stream(x.device, self)
            if self._stream is None:
                log(f"note: steps are launched one by one, since other trainings have all {STREAMS} streams")
        self._taken += 1
        if self._stream is None:
            self._step(x, y)
            return
        if self._taken <= WARM_UP:
            self._launch_aside(x, y, self._stream)
            return
        if self._batch is None:
            self._batch = torch.empty_like(x), torch.empty_like(y)
            self._graph = self._record(*self._batch, self._stream)
        if self._graph is None:
            self._step(x, y)
            return
        for place, value in zip(self._batch, (x, y), strict=True):
            place.copy_(value)
        self._graph.replay()

    def _launch_aside(self, x: Tensor, y: Tensor, aside: torch.cuda.Stream) -> None:
        # On the stream on which it will be recorded: libraries keep what they allocate by stream.
        current = torch.cuda.current_stream()
        aside.wait_stream(current)
        with torch.cuda.stream(aside):
            self._step(x, y)
        current.wait_stream(aside)

    def _record(self, x: Tensor, y: Tensor, aside: torch.cuda.Stream) -> torch.cuda.CUDAGraph | None:
        """Returns the record, or None where a step has something that cannot be recorded."""
        graph = torch.cuda.CUDAGraph()
        try:
            # Other threads may load images meanwhile.
            with torch.cuda.graph(graph, stream=aside, capture_error_mode="thread_local"):
                self._step(x, y)
        except RuntimeError as error:
            if ran_out_of_memory(error):
                raise
            log(f"note: steps are launched one by one, since they cannot be recorded ({in_one_line(error)})")
            return None
        return graph
