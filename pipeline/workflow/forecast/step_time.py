"""How long a step of training takes, from what a few timed ones took."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from pipeline.networks.spec import NetworkSpec


class Workload(NamedTuple):
    """The quantities that the time of a step depends on, for one image."""

    elements: int
    macs: int


def workload(spec: NetworkSpec) -> Workload:
    """Returns elements of all feature maps, and all MACs: training computes binary ones in floating point."""
    return Workload(sum(layer.elements for layer in spec.layers), sum(layer.macs for layer in spec.layers))


class Timed(NamedTuple):
    """A step that was timed: ``seconds`` for ``batch`` images through a network of this workload."""

    work: Workload
    batch: int
    seconds: float


@dataclass(frozen=True)
class StepTime:
    """Seconds of a step: something for itself, something for each element, something for each MAC."""

    step: float
    element: float
    mac: float

    def seconds(self, work: Workload, batch: int) -> float:
        """Returns the time of a step of ``batch`` images."""
        return self.step + batch * (work.elements * self.element + work.macs * self.mac)


def fit(timed: Sequence[Timed]) -> StepTime:
    """Returns the times that come nearest to what was timed, relative to it, none of them negative.

    >>> work = [Workload(10, 100), Workload(20, 100), Workload(10, 1000)]
    >>> model = fit([Timed(w, 5, 1.0 + 5 * (0.1 * w.elements + 0.01 * w.macs)) for w in work])
    >>> round(model.step, 6), round(model.element, 6), round(model.mac, 6)
    (1.0, 0.1, 0.01)
    """
    from scipy.optimize import nnls

    rows = np.array([[1.0, t.batch * t.work.elements, t.batch * t.work.macs] for t in timed])
    rows /= np.array([[t.seconds] for t in timed])
    scale = rows.max(axis=0)  # columns of like size, for the numbers' sake
    solution, _ = nnls(rows / scale, np.ones(len(timed)))
    return StepTime(*(float(value) for value in solution / scale))


@dataclass(frozen=True)
class Calibration:
    """The times measured here, with as many processes side by side as the experiment will have.

    Attributes:
        step: of a training.
        scoring: of scoring images, where a "step" is a whole set of them.
        setup: seconds to build a network and take its first step, beyond an ordinary step.
        heavy_start: seconds until a process that trains has begun to, where it imports torch itself.
        light_start: seconds of a step that does next to nothing, such as a proposal, where it starts by itself.
        figures_start: seconds until a process has imported what draws figures.
        snakemake_start: seconds until Snakemake has begun to plan.
        read: seconds to read and convert one image of the data set, of one thread.
        decode: seconds to decode one photograph for a batch, 0 for images in memory; of one process.
        process_bytes: memory of a process that trains a tiny network.
        gpus: that trainings run on; 0 where they run on the CPU.
        warm_start: seconds until a step has begun to work as a child of the fork server; None without one.
    """

    step: StepTime
    scoring: StepTime
    setup: float
    heavy_start: float
    light_start: float
    figures_start: float
    snakemake_start: float
    read: float
    decode: float
    process_bytes: int
    gpus: int = 0
    warm_start: float | None = None


#: What a core of 2020 or so takes with compiled kernels, for a guess without timing. It comes within a half of what the
#: default experiment and a small one on CIFAR-10 took (docs/performance.md); another machine may take thrice that.
ORDINARY = Calibration(
    step=StepTime(step=2e-3, element=1e-9, mac=3e-11),
    scoring=StepTime(step=2e-3, element=3e-10, mac=1e-11),
    setup=0.05,
    heavy_start=2.5,
    light_start=0.5,
    figures_start=1.5,
    snakemake_start=1.5,
    read=1e-4,
    decode=0.0,
    process_bytes=400_000_000,
    warm_start=0.2,
)
#: Of it, for photographs: seconds to decode one, and to read and convert one.
ORDINARY_PHOTOGRAPHS = replace(ORDINARY, decode=5e-3, read=1e-2)
