"""Times of several ways to do one thing, taken in turns in one run, and the tables that show them."""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

import torch

from pipeline.common.errors import UserError
from pipeline.training.execution import Execution, describe_machine, resolve
from pipeline.training.settings import ExecutionSettings


def interleave(ways: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Rates of each way in each round. All ways take turns, so that a machine that slows down slows all of them.

    Args:
        ways: each does a round's work and returns its rate (things done in a second).
        rounds: that are counted; one more before them warms up.
    """
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            rate = way()
            if number:
                rates[name].append(rate)
    return rates


def steps_rate(steps: Iterator[None], batch: int, seconds: float, execution: Execution) -> Callable[[], float]:
    """A round of training: steps for so many seconds, one more before them. Returns images/s."""

    def run() -> float:
        next(steps)
        synchronise(execution)
        started, done = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            next(steps)
            done += 1
        synchronise(execution)
        return done * batch / (time.perf_counter() - started)

    return run


def ratio(rates: Mapping[str, Sequence[float]], name: str, base: str) -> float:
    """The median over rounds of one way's rate over another's in the same round."""
    return statistics.median(a / b for a, b in zip(rates[name], rates[base], strict=True))


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> list[float]:
    """The power of the size with which time grows, between each size and the next: 1 is linear, 2 quadratic.

    >>> [round(power, 6) for power in exponent([1, 2, 4], [3.0, 6.0, 24.0])]
    [1.0, 2.0]
    """
    pairs = zip(sizes, seconds, strict=True)
    return [math.log(b[1] / a[1]) / math.log(b[0] / a[0]) for a, b in pairwise(pairs)]


def peak_flops(execution: Execution, size: int = 2048, seconds: float = 1.0) -> float:
    """FLOP/s of a large matrix product in the execution's precision and threads: what this machine can reach."""
    dtype = torch.bfloat16 if execution.precision == "bfloat16" else torch.float32
    if execution.device_type == "cuda":
        size *= 4
    a, b = (torch.randn(size, size, device=execution.device, dtype=dtype) for _ in range(2))
    out = torch.empty_like(a)
    torch.mm(a, b, out=out)
    synchronise(execution)
    best, started = float("inf"), time.perf_counter()
    while time.perf_counter() - started < seconds:
        before = time.perf_counter()
        torch.mm(a, b, out=out)
        synchronise(execution)
        best = min(best, time.perf_counter() - before)
    return 2 * size**3 / best


def training_flops(macs: int, first_macs: int) -> float:
    """FLOPs of a training step for one image: forward, and gradients of inputs and of weights.

    Args:
        macs: of the whole network.
        first_macs: of its first convolution, whose input needs no gradient.
    """
    return 2.0 * (3 * macs - first_macs)


def synchronise(execution: Execution) -> None:
    """Waits for the GPU, where there is one."""
    execution.wait()


def execution_on(device: str) -> Execution:
    """Settles how to compute on a device and applies it. Ends the program with a sentence where there is none."""
    if device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("error: torch finds no GPU here; --device cpu --quick only tries the program out")
    try:
        execution = resolve(ExecutionSettings(device, "auto", 1))
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
    execution.apply()
    return execution


def heading(execution: Execution, more: str = "") -> str:
    """The machine and the settings, for the line above a table."""
    machine = describe_machine(execution.device_type)
    parts = [machine, f"{execution.threads} threads", execution.precision, f"torch {torch.__version__}"]
    return ", ".join([*parts, *([more] if more else [])])


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table.

    >>> print(table(["a", "b"], [[1, "x"]]))
    | a | b |
    | --- | --- |
    | 1 | x |
    """
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
