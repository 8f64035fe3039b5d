"""Timing this machine for some seconds: what a training step, a start of a process and reading an image take here.

Everything is timed in as many processes side by side as the experiment will have, since they share caches, memory and,
on many machines, the cores themselves; on a GPU with as many trainings taking turns in one process as will.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pipeline.common.hdf5 import Arrays
from pipeline.common.workers import in_workers
from pipeline.networks.spec import NetworkSpec
from pipeline.training.execution import Execution
from pipeline.training.settings import TrainingSettings
from pipeline.workflow.forecast.step_time import Calibration, Timed, fit, workload

#: Processes that are timed side by side at most; more would tell little and take long to start.
_MOST_PROCESSES = 8
#: Seconds that each network is trained and scored for, and after which no larger one is begun.
_PATIENCE, _LIMIT = 0.4, 4.0
_SCORED_IMAGES = 500
#: What the steps import that do little, those that draw, and Snakemake.
_LIGHT = "import pipeline.search.tables, pipeline.search.algorithms, pipeline.data.prepared, pipeline.workflow.config"
_FIGURES = "import matplotlib.pyplot, pipeline.report.figures"
_SNAKEMAKE = "import snakemake.cli, pipeline.workflow.config"
#: What a step imports until it hands over to the fork server.
_STAND_IN = "import pipeline.__main__"


@dataclass(frozen=True)
class Probe:
    """The networks and settings to time.

    Attributes:
        specs: networks of different width.
        settings: of a training; its batch size and augmentation count.
        execution: device, precision, threads.
    """

    specs: tuple[NetworkSpec, ...]
    settings: TrainingSettings
    execution: Execution


class _Report(NamedTuple):
    """The finds of one process."""

    start: float
    setup: float
    training: list[Timed]
    scoring: list[Timed]
    process_bytes: int
    gpus: int


def calibrate(probe: Probe, processes: int, read: float, decode: float, together: int = 1) -> Calibration:
    """Times this machine.

    Args:
        probe: what to time.
        processes: that the experiment will run side by side.
        read: seconds to prepare an image (see :func:`time_reading`).
        decode: seconds to decode one for a batch (see :func:`time_decoding`).
        together: trainings that take turns in each process. Seconds are those of one of them, the others' turns among
            them.
    """
    processes = min(processes, _MOST_PROCESSES)
    programs = (_LIGHT, _FIGURES, _SNAKEMAKE, _STAND_IN)
    light, figures, snakemake, warm = (_start(program, processes) for program in programs)
    asked = [time.time()] * processes
    remedy = "this machine has too little for such an experiment, or it is in use"
    reports = [report for _, report in in_workers(partial(_measure, probe, together), asked, processes, remedy)]
    return Calibration(
        step=fit([timed for report in reports for timed in report.training]),
        scoring=fit([timed for report in reports for timed in report.scoring]),
        setup=_mean([report.setup for report in reports]),
        heavy_start=light + _mean([report.start for report in reports]),
        light_start=light,
        figures_start=figures,
        snakemake_start=snakemake,
        read=read,
        decode=decode,
        process_bytes=max(report.process_bytes for report in reports),
        gpus=max(report.gpus for report in reports),
        warm_start=warm,
    )


def _start(program: str, processes: int) -> float:
    """Returns seconds that a Python process lives which only imports; the files are in memory, as after the first
    job.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def run(_: int) -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], env=environment, check=True)
        return time.perf_counter() - started

    with ThreadPoolExecutor(processes) as pool:
        return _mean(list(pool.map(run, range(processes))))


def _measure(probe: Probe, together: int, asked: float) -> _Report:
    """Runs in a process of its own, started at the time ``asked``."""
    import torch

    from pipeline.data.batches import ImagesInMemory, Normalisation
    from pipeline.networks.module import Network, initialise
    from pipeline.training.loop import Training
    from pipeline.training.replay import WARM_UP
    from pipeline.training.scoring import score
    from pipeline.training.turns import in_turns

    probe.execution.apply()
    device = probe.execution.device
    start = time.time() - asked
    process_bytes = 0
    training: list[Timed] = []
    scoring: list[Timed] = []
    setups: list[float] = []

    def images(spec: NetworkSpec, count: int) -> ImagesInMemory:
        generator = torch.Generator().manual_seed(0)
        pixels = torch.randint(256, (count, spec.size, spec.size, spec.channels), generator=generator).to(torch.uint8)
        labels = torch.randint(spec.classes, (count,), generator=generator)
        moments = ((0.5,) * spec.channels, (0.25,) * spec.channels)
        return ImagesInMemory(pixels, labels, Normalisation(*moments), device)

    for spec in sorted(probe.specs, key=lambda spec: workload(spec).macs):
        work = workload(spec)
        batch = probe.settings.batch_size
        if training:  # a guess from the last network, so that the largest does not take minutes
            guess = training[-1].seconds / training[-1].batch * work.macs / training[-1].work.macs
            if 2 * guess > _LIMIT:
                break
            batch = min(batch, max(2, int(_PATIENCE / guess)))
        settings = replace(probe.settings, epochs=10**6, batch_size=batch, schedule="constant", milestones=())
        started = time.perf_counter()
        networks = [Network(spec) for _ in range(together)]
        for network in networks:
            initialise(network, torch.Generator().manual_seed(0))
        some = images(spec, 4 * batch)
        trainings = [Training(network, some, settings, 0, probe.execution).steps() for network in networks]
        steps = in_turns(trainings, probe.execution)
        for _ in range(WARM_UP + 1 if device.type == "cuda" else 1):  # on a GPU, until a step has been recorded
            next(steps)
        probe.execution.wait()
        first = time.perf_counter() - started
        started, done = time.perf_counter(), 0
        while done < 2 or time.perf_counter() - started < _PATIENCE:
            next(steps)
            done += 1
        probe.execution.wait()
        seconds = (time.perf_counter() - started) / done
        setups.append(first - seconds)
        training.append(Timed(work, batch, seconds))
        count = max(batch, min(_SCORED_IMAGES, int(2 * _PATIENCE * batch / seconds)))
        some = images(spec, count)
        score(network, images(spec, 2), probe.execution)
        started = time.perf_counter()
        for network in networks:
            score(network, some, probe.execution)
        probe.execution.wait()
        scoring.append(Timed(work, count, time.perf_counter() - started))
        process_bytes = process_bytes or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    gpus = torch.cuda.device_count() if device.type == "cuda" else 0
    return _Report(start, max(0.0, _mean(setups)), training, scoring, process_bytes, gpus)


def time_decoding(spec: NetworkSpec, jpegs: Sequence[bytes], settings: TrainingSettings) -> float:
    """Returns seconds to decode one photograph for a batch, in one process."""
    import numpy as np
    import torch

    from pipeline.data.loading import load_images
    from pipeline.data.prepared import ImagesInfo, write_images

    classes = tuple(map(str, range(spec.classes)))
    half = (0.5,) * spec.channels
    info = ImagesInfo("probe", "jpeg", classes, spec.channels, spec.size, len(jpegs), half, half)
    lengths = np.array([len(jpeg) for jpeg in jpegs], np.int64)
    part: Arrays = {
        "labels": np.zeros(len(jpegs), np.int64),
        "encoded": np.frombuffer(b"".join(jpegs), np.uint8),
        "lengths": lengths,
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe.h5"
        write_images(path, info, int(lengths.sum()), [part])
        source = load_images(path, "cpu")
        everything = [torch.arange(len(jpegs))]
        list(source.batches(everything, settings.augmentation, ("probe",)))
        started = time.perf_counter()
        list(source.batches(everything, settings.augmentation, ("probe",)))
        return (time.perf_counter() - started) / len(jpegs)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
