"""Training images/s of binary networks: this project's engine against a plain loop and against other libraries.

    python -m benchmarks.training                      # the engine and the plain loop
    python -m benchmarks.training --peers bitorch brevitas --peer-python larq=/path/to/python
    python -m benchmarks.training --quick              # does it run?

All take turns in one run, in rounds of some seconds, with the same layers, widths, batch, images in memory,
augmentation, optimiser (SGD with momentum and weight decay) and threads. The *plain loop* is what a competent user
writes: Dataset and DataLoader with workers, torchvision's transforms for each image, float32, torch.optim.SGD,
binarisation as two plain autograd functions, memory as it comes. Its workers come beside the threads. The other
libraries train on one batch that lies ready, without augmentation, which spares them the input path. A library that
does not go together with this environment is run by an interpreter of its own: `pip install larq==0.13.3
tensorflow-cpu==2.15.1` in an environment of Python 3.11.

The share of the peak is that of a 2048 × 2048 matrix product, measured in the same round, in the engine's precision.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.plain import PlainNetwork
from benchmarks.timing import heading, interleave, peak_flops, ratio, steps_rate, table, training_flops
from benchmarks.workloads import DECAY, MOMENTS, MOMENTUM, RATE, engine_training, random_images, recipe
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.training.execution import Execution, resolve
from pipeline.training.settings import ExecutionSettings

PEERS = Path(__file__).parent / "peers"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["vgg_small", "resnet18"])
    parser.add_argument("--base-widths", type=float, nargs="+", default=[0.125, 0.25, 1.0], help="of VGG-small")
    parser.add_argument("--resnet-size", type=int, default=64, help="pixels; 224 is ImageNet's")
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2, help="of the plain loop's DataLoader")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--peers", nargs="*", default=[], help="of bitorch, brevitas, larq, in this interpreter")
    parser.add_argument("--peer-python", nargs="*", default=[], metavar="PEER=PYTHON", help="in one of its own")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a round of one way")
    parser.add_argument("--quick", action="store_true", help="tiny networks and short rounds")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.base_widths, arguments.batch_size = [0.0625], 16
        arguments.rounds, arguments.seconds, arguments.resnet_size = 1, 0.2, 32
    settings = ExecutionSettings(arguments.device, arguments.precision, arguments.threads)
    execution = resolve(settings)
    execution.apply()
    print(heading(execution, f"batch {arguments.batch_size}, medians of {arguments.rounds} rounds in turns") + "\n")
    rows = []
    for spec, batch in _specs(arguments):
        rows += _compare(spec, batch, execution, arguments)
    print(table(["network", "way", "images/s", "lowest to highest", "engine is faster by", "of the peak"], rows))


def _specs(arguments: argparse.Namespace) -> Iterator[tuple[NetworkSpec, int]]:
    if "vgg_small" in arguments.networks:
        for width in arguments.base_widths:
            yield NetworkSpec("vgg_small", uniform_genome("vgg_small", 1), base_width=width), arguments.batch_size
    if "resnet18" in arguments.networks:
        width = 0.125 if arguments.quick else 1.0
        genome = uniform_genome("resnet18", 1)
        yield (
            NetworkSpec("resnet18", genome, base_width=width, size=arguments.resnet_size),
            min(16, arguments.batch_size),
        )


def _compare(spec: NetworkSpec, batch: int, execution: Execution, arguments: argparse.Namespace) -> list[list[object]]:
    seconds = arguments.seconds
    images = 1000 if batch > 16 else 10 * batch
    pixels, labels = random_images(spec, images)
    engine = engine_training(spec, recipe(batch), (pixels, labels), execution)
    ways: dict[str, Callable[[], float]] = {
        "engine": steps_rate(engine.steps(), batch, seconds, execution),
        "plain loop": steps_rate(
            _plain(spec, batch, pixels, labels, execution, arguments.workers), batch, seconds, execution
        ),
    }
    interpreters = dict(pair.split("=", 1) for pair in arguments.peer_python)
    peers = {name: interpreters.get(name, sys.executable) for name in [*arguments.peers, *interpreters]}
    running = []
    if spec.network == "vgg_small":  # the others' programs know this network only
        for name, python in peers.items():
            peer = _Peer(name, python, spec, batch, arguments.threads)
            running.append(peer)
            ways[peer.title] = lambda peer=peer: peer.rate(seconds)  # type: ignore[misc]
    peaks: list[float] = []

    def peak() -> float:
        peaks.append(peak_flops(execution, seconds=min(1.0, seconds)))
        return peaks[-1]

    try:
        rates = interleave({**ways, "peak": peak}, arguments.rounds)
    finally:
        for peer in running:
            peer.close()
    convolutions = [layer.macs for layer in spec.layers if layer.macs]
    flops = training_flops(sum(convolutions), convolutions[0])
    title = f"{spec.network} {spec.base_width:g}×, {spec.size} px, batch {batch}"
    rows: list[list[object]] = []
    for name in ways:
        values = rates[name]
        share = statistics.median(v * flops / p for v, p in zip(values, rates["peak"], strict=True))
        spread = f"{min(values):.4g} to {max(values):.4g}"
        rows.append(
            [
                title,
                name,
                f"{statistics.median(values):.4g}",
                spread,
                f"{ratio(rates, 'engine', name):.2f}",
                f"{share:.0%}",
            ]
        )
    return rows


class ImagesOneByOne(Dataset[tuple[Tensor, int]]):
    """As torchvision's CIFAR10 keeps and gives them: an array in memory, an image at a time, transformed."""

    def __init__(self, pixels: Tensor, labels: Tensor, size: int) -> None:
        self._pixels, self._labels = pixels.numpy(), labels.tolist()
        self._transform = transforms.Compose(
            [
                transforms.ToPILImage(),
                transforms.RandomCrop(size, padding=size // 8),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(*MOMENTS),
            ]
        )

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(self._pixels[index]), self._labels[index]


def _plain(
    spec: NetworkSpec, batch: int, pixels: Tensor, labels: Tensor, execution: Execution, workers: int
) -> Iterator[None]:
    """The plain loop, a step at a time."""
    network = PlainNetwork(spec).to(execution.device)
    optimiser = torch.optim.SGD(network.parameters(), RATE, MOMENTUM, weight_decay=DECAY)
    loader = DataLoader(
        ImagesOneByOne(pixels, labels, spec.size),
        batch,
        shuffle=True,
        num_workers=workers,
        drop_last=True,
        persistent_workers=workers > 0,
    )
    while True:
        for x, y in loader:
            optimiser.zero_grad()
            loss = F.cross_entropy(network(x.to(execution.device)), y.to(execution.device))
            loss.backward()
            optimiser.step()
            yield


class _Peer:
    """Another library in a process of its own, which answers a line with seconds by a line with its rate."""

    def __init__(self, name: str, python: str, spec: NetworkSpec, batch: int, threads: int) -> None:
        task: dict[str, Any] = {"widths": spec.widths, "size": spec.size, "classes": spec.classes}
        task |= {"batch": batch, "threads": threads, "rate": RATE, "momentum": MOMENTUM, "decay": DECAY}
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TF_CPP_MIN_LOG_LEVEL": "3"}
        self._process = subprocess.Popen(
            [python, str(PEERS / f"{name}_vgg.py"), json.dumps(task)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if "BENCHMARK_DEBUG" in os.environ else subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.title = self._answer(name)

    def _answer(self, name: str) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise SystemExit(f"error: {name} does not run in its interpreter (BENCHMARK_DEBUG=1 shows why)")
        return line

    def rate(self, seconds: float) -> float:
        """Images/s over some seconds."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        return float(self._answer(self.title))

    def close(self) -> None:
        """Ends it: closing its input would not, since a DataLoader's workers hold copies of it."""
        self._process.terminate()
        self._process.wait()


if __name__ == "__main__":
    main()
