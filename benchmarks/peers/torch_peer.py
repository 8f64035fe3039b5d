"""What the libraries on torch have in common, for `benchmarks.training`: the network's frame and the loop."""

import json
import sys
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F


def serve(title: str, convolution: Callable[[int, int], nn.Module]) -> None:
    """Says what it is; then for each line of seconds trains for as long and writes images/s.

    Args:
        title: of the library.
        convolution: makes a binary 3×3 convolution of so many channels to so many, its input binarised.
    """
    answers, sys.stdout = sys.stdout, sys.stderr  # a library that prints does not disturb the answers
    task = json.loads(sys.argv[1])
    torch.set_num_threads(task["threads"])
    layers: list[nn.Module] = []
    channels, size = 3, task["size"]
    for i, width in enumerate(task["widths"]):
        layers.append(convolution(channels, width) if i else nn.Conv2d(channels, width, 3, padding=1, bias=False))
        if i % 2:
            layers.append(nn.MaxPool2d(2))
            size //= 2
        layers.append(nn.BatchNorm2d(width))
        channels = width
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * size**2, task["classes"]))
    optimiser = torch.optim.SGD(network.parameters(), task["rate"], task["momentum"], weight_decay=task["decay"])
    batch = task["batch"]
    x = torch.randn(batch, 3, task["size"], task["size"])
    y = torch.randint(task["classes"], (batch,))

    def step() -> None:
        optimiser.zero_grad()
        F.cross_entropy(network(x), y).backward()
        optimiser.step()

    print(f"{title}, torch {torch.__version__}", file=answers, flush=True)
    for line in sys.stdin:
        step()
        started, done = time.perf_counter(), 0
        while time.perf_counter() - started < float(line):
            step()
            done += 1
        print(done * batch / (time.perf_counter() - started), file=answers, flush=True)
