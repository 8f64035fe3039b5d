"""The block sizes of the training kernels, each against others: what a training's products and its batch norm take.

    python -m benchmarks.blocks
    python -m benchmarks.blocks --quick

Every other size is compiled (some ten seconds each, once) from a copy of the sources in which one constant is
different. All are loaded into one process, work on the same tensors, and take turns. Time is the processor's, of one
thread, so that what else runs on the machine counts little. Above 1 the other size takes longer than the chosen one.
"""

import argparse
import ctypes
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from benchmarks.timing import heading, table
from pipeline.kernels import library, normalise, winograd
from pipeline.kernels.build import SOURCES
from pipeline.training.execution import resolve
from pipeline.training.settings import ExecutionSettings

#: File, constant and other values of it.
OTHERS = {
    ("winograd.cpp", "IN_CACHE"): ["96 << 10", "1536 << 10"],
    ("winograd.cpp", "AHEAD"): ["0", "16"],
    ("winograd.cpp", "CHUNK"): ["64", "1024"],
    ("winograd.cpp", "BLOCK"): ["32", "512"],
    ("normalise.cpp", "BLOCK"): ["16", "256"],
}
#: Channels and side of feature maps: layers at 1/8 and 1 times the base width.
LAYERS = [(32, 16), (64, 8), (256, 16), (512, 8)]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--constants", nargs="+", help="these alone")
    parser.add_argument("--quick", action="store_true", help="one other size, one small layer, one round")
    arguments = parser.parse_args()
    others, layers = OTHERS, LAYERS
    if arguments.quick:
        others, layers = {("normalise.cpp", "BLOCK"): ["16"]}, LAYERS[:1]
        arguments.rounds, arguments.batch_size = 1, 4
    execution = resolve(ExecutionSettings("cpu", "auto", 1))
    execution.apply()
    if not library.loaded():
        sys.exit("error: there are no compiled kernels here; install a C++ compiler")
    print(heading(execution, f"batch {arguments.batch_size}, medians of {arguments.rounds} rounds in turns") + "\n")
    chosen = library._library
    assert chosen is not None
    works = {
        f"{channels} channels, {side} px": _work(channels, side, arguments.batch_size) for channels, side in layers
    }
    print(table(["file", "constant", "chosen", "other", *works], []), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for number, ((file, constant), values) in enumerate(others.items()):
            if arguments.constants and constant not in arguments.constants:
                continue
            for place, value in enumerate(values):
                ours, other = _compiled(Path(folder) / f"{number}-{place}", file, constant, value)
                cells = [_ratio(work, chosen, other, arguments.rounds) for work in works.values()]
                print("| " + " | ".join([file, constant, ours, value, *cells]) + " |", flush=True)


def _compiled(folder: Path, file: str, constant: str, value: str) -> tuple[str, ctypes.CDLL]:
    """The constant's value, and the library with another one in its place."""
    sources = folder / SOURCES.name
    shutil.copytree(SOURCES.parent / "common", folder / "common")
    shutil.copytree(SOURCES, sources)
    text = (sources / file).read_text()
    pattern = re.compile(rf"(constexpr int64_t {constant} = )([^;]+)(;)")
    found = pattern.search(text)
    assert found is not None, f"{file} has no {constant}"
    (sources / file).write_text(pattern.sub(rf"\g<1>{value}\g<3>", text))
    library.unload()
    library.SOURCES = sources
    library.load()
    assert library._library is not None
    return found[2], library._library


def _work(channels: int, side: int, batch: int) -> Callable[[], None]:
    """The products of a binary convolution, and the batch norm and Eq. 1 before it, forward and backward."""
    generator = torch.Generator().manual_seed(0)

    def last(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.contiguous(memory_format=torch.channels_last)

    x = last(torch.randn(batch, channels, side, side, generator=generator))
    gradient = last(torch.randn(batch, channels, side, side, generator=generator))
    signs = last((2 * torch.randint(2, (channels, channels, 3, 3), generator=generator) - 1).to(torch.int8))
    scale, norm = torch.tensor(0.37), nn.BatchNorm2d(channels)

    def run() -> None:
        with torch.no_grad():
            made = normalise.normalise_and_binarise(x, norm, pool=False, bits=True, numbers=False)
            assert made.bits is not None and made.moments is not None
            winograd.convolution(made.bits, signs, scale, x.dtype)
            winograd.filter_gradient(gradient, made.bits)
            back = winograd.input_gradient(gradient, signs, scale)
            normalise.gradients(back, x, None, made.moments)

    return run


def _ratio(work: Callable[[], None], chosen: ctypes.CDLL, other: ctypes.CDLL, rounds: int) -> str:
    ratios = []
    for number in range(rounds + 1):
        seconds = {}
        for name in (chosen, other) if number % 2 else (other, chosen):
            library._library = name
            started = time.process_time()
            work()
            seconds[name is other] = time.process_time() - started
        if number:
            ratios.append(seconds[True] / seconds[False])
    spread = sorted(ratios)[len(ratios) // 4], sorted(ratios)[3 * len(ratios) // 4]
    return f"{statistics.median(ratios):.2f} ({spread[0]:.2f} to {spread[1]:.2f})"


if __name__ == "__main__":
    main()
