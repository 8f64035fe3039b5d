"""Says what an experiment will cost here before it runs: hours of each stage and in all, memory, disk.

It times this machine for some seconds: steps of a few networks between the narrowest and the widest, in as many
processes side by side as the experiment will have, starts of processes, reading some of the images. Nothing is
downloaded and nothing is written. Searches are taken to propose random genomes.

With --gpu, trainings are those of a GPU that is not here, as it was measured; all else is this machine's.
"""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.common.terminal import fit
from pipeline.common.text import counted
from pipeline.kernels import cpu
from pipeline.steps.options import add_configuration, count, read_configuration
from pipeline.workflow.forecast.images import look_at_images
from pipeline.workflow.layout import Layout

if TYPE_CHECKING:
    from pipeline.networks.spec import NetworkSpec
    from pipeline.workflow.forecast.calibrate import Probe
    from pipeline.workflow.forecast.jobs import Forecast, Images
    from pipeline.workflow.forecast.step_time import Calibration


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    add_configuration(parser)
    parser.add_argument("--cores", type=int, help="of the run; by default all of this machine")
    parser.add_argument("--gpu", metavar="NAME", help="plan for one that was measured elsewhere, such as h200")
    parser.add_argument("--gpus", type=int, help="how many of them; by default one")
    parser.add_argument("--train-images", type=count, help="of the data set, where it is not here yet")
    parser.add_argument("--test-images", type=count, help="of the data set, where it is not here yet")
    parser.add_argument("--classes", type=count, help="of the data set, where it is not here yet")


def run(arguments: argparse.Namespace) -> None:
    """Prints the table."""

    from pipeline.common.errors import UserError

    config = read_configuration(arguments)
    cores = cpu.usable() if arguments.cores is None else arguments.cores
    if cores < 1:
        raise UserError(f"--cores is {cores}", "it must be at least 1")
    if arguments.gpus is not None and arguments.gpus < 1:
        raise UserError(f"--gpus is {arguments.gpus}", "it must be at least 1")
    if arguments.gpus is not None and arguments.gpu is None:
        raise UserError(f"--gpus is {arguments.gpus}, but of no GPU", "say which with --gpu, such as --gpu h200")
    if (arguments.test_images or arguments.classes) and arguments.train_images is None:
        raise UserError("--test-images and --classes are of a data set that is not here", "give --train-images too")
    show(config, measure(config, arguments, cores), cores)


class Measured(NamedTuple):
    """The finds of some seconds on this machine: an experiment's images and network, and how fast it is.

    Attributes:
        images: how many take part in what.
        spec: the uniform 1x network.
        probe: what was timed.
        calibration: times of a training step, a start, an image.
        machine: in words.
        seconds: that this took.
    """

    images: "Images"
    spec: "NetworkSpec"
    probe: "Probe"
    calibration: "Calibration"
    machine: str
    seconds: float


def measure(config: dict[str, Any], arguments: argparse.Namespace, cores: int) -> Measured:
    """Looks at the images of an experiment and times this machine.

    Raises:
        UserError: the images are not here, or too few; or there is no such device.
    """
    import time
    from dataclasses import replace

    from pipeline.common.log import log
    from pipeline.training.execution import check_device, describe_machine
    from pipeline.workflow.forecast.calibrate import calibrate
    from pipeline.workflow.forecast.gpus import find_gpu
    from pipeline.workflow.forecast.step_time import workload

    elsewhere = find_gpu(arguments.gpu) if arguments.gpu else None
    if elsewhere is None:
        check_device(config["execution"]["device"])
    else:
        config["execution"] |= {"device": "cpu", "precision": "float32"}  # in which this machine's starts are timed
        config["search"]["candidates_per_gpu"] = 1  # what several gain was not measured for all networks
    started = time.perf_counter()
    images, spec, read, decode = look_at_images(config, arguments)
    probe = _probe(config, spec)
    if elsewhere is not None:
        probe = replace(probe, specs=(min(probe.specs, key=lambda one: workload(one).macs),))
    processes, together = max(1, cores // probe.execution.threads), 1
    if probe.execution.device_type == "cuda":  # Snakemake gives each job a GPU of its own (--resources gpu=…)
        processes, together = 1, config["search"]["candidates_per_gpu"]
    log("timing this machine, for half a minute or less")
    calibration = calibrate(probe, processes, read, decode, together)
    machine = describe_machine(probe.execution.device_type)
    if elsewhere is not None:
        gpus = arguments.gpus or 1
        calibration = replace(calibration, step=elsewhere.step, scoring=elsewhere.scoring, gpus=gpus)
        probe = replace(probe, execution=replace(probe.execution, device_type="cuda", precision="bfloat16"))
        machine = f"{machine} with {gpus} × {elsewhere.name}, measured elsewhere"
    return Measured(images, spec, probe, calibration, machine, time.perf_counter() - started)


def show(config: Mapping[str, Any], measured: Measured, cores: int) -> None:
    """Prints what an experiment takes on a machine that was measured: its stages, hours, memory and disk."""
    from pipeline.workflow.forecast.jobs import forecast

    found = forecast(config, measured.spec, measured.images, measured.calibration, cores)
    _print(config, found, measured.probe, measured.machine, cores, measured.seconds)


def _probe(config: Mapping[str, Any], spec: "NetworkSpec") -> "Probe":
    """Returns networks between the narrowest and the widest of the experiment, some of them of its search space."""
    from dataclasses import replace
    from random import Random

    from pipeline.common.settings import from_mapping
    from pipeline.networks.spec import uniform_genome
    from pipeline.training.execution import resolve
    from pipeline.training.settings import ExecutionSettings, TrainingSettings
    from pipeline.workflow.forecast.calibrate import Probe
    from pipeline.workflow.forecast.jobs import configured_space

    ratios, random = sorted(config["search"]["ratios"]), Random(0)
    space = configured_space(config, spec)
    genomes = [uniform_genome(spec.network, ratio) for ratio in (ratios[0], ratios[len(ratios) // 2], ratios[-1])]
    genomes += [space.draw(random) for _ in range(4)]
    specs = tuple(spec.with_genome(genome) for genome in dict.fromkeys(genomes))
    settings: TrainingSettings = from_mapping(TrainingSettings, {**config["candidate"], "real_weight_epochs": 0})
    if settings.augmentation == "resized-crop-flip":  # is part of decoding, which is timed by itself
        settings = replace(settings, augmentation="none")
    return Probe(specs, settings, resolve(from_mapping(ExecutionSettings, config["execution"])))


def _print(
    config: Mapping[str, Any], found: "Forecast", probe: "Probe", machine: str, cores: int, timed: float
) -> None:
    import os
    import shutil

    from pipeline.common.log import duration
    from pipeline.search.algorithms import ALGORITHMS

    execution = probe.execution
    _say(
        f"experiment '{config['experiment']}' on {machine}, {counted(cores, 'core')}, {execution.precision}, "
        f"{counted(execution.threads, 'thread')} a training (timed in {timed:.0f} s)"
    )
    print()
    print(f"{'stage':<18} {'jobs':>6} {'core-hours':>11}  {'from':<14} {'to':<14}")
    for stage in found.stages:
        hours = f"{stage.core_seconds / 3600:.3g}"
        print(f"{stage.name:<18} {stage.jobs:>6} {hours:>11}  {duration(stage.begins):<14} {duration(stage.ends):<14}")
    total = sum(stage.core_seconds for stage in found.stages) / 3600
    print(f"{'in all':<18} {found.jobs:>6} {total:>11.3g}  {'':<14} {duration(found.seconds):<14}")
    print(f"\nhours   {found.seconds / 3600:.3g} from the command to the tables{_in_days(found.seconds)}")
    here = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    _say(
        f"memory  up to {_size(found.process_bytes)} a process, {found.side_by_side} side by side: "
        f"{_size(found.memory_bytes)} ({_size(here)} here{', NOT ENOUGH' if found.memory_bytes > here else ''})"
    )
    folder = Layout.of(config["experiment"]).folder
    free = shutil.disk_usage(".").free
    enough = "" if found.disk_bytes <= free else ", NOT ENOUGH"
    _say(f"disk    about {_size(found.disk_bytes)} in {folder} ({_size(free)} free{enough})")
    if found.seconds > _LONG:
        print(f"\n{advice(found, cores, execution.device_type)}")
    if any(ALGORITHMS[search["algorithm"]].LOOKS_AT_SCORES for search in config["searches"].values()):
        print()
        _say(
            "Generations are taken to be random genomes. A search that prefers cheap networks takes less, and "
            "candidates that searches share are trained once: for searches and for retraining what they find, this is "
            "an upper estimate."
        )


def _say(text: str) -> None:
    print(fit(text, columns=80))


#: Seconds after which a person would rather do something about it.
_LONG = 3 * 86400
#: What makes a stage shorter, by how its name begins.
_SHORTER = {
    "search": "search.generations, search.population, candidate.epochs or split.subset_per_class",
    "retrain": "retrain.seeds, retrain.epochs or the number of rows (models)",
    "supernet": "supernet.epochs, or supernet.enabled: false",
    "rows": "candidate.epochs or the number of rows (models)",
}


def advice(found: "Forecast", cores: int, device: str) -> str:
    """Returns what a person can do about an experiment that takes many days."""
    longest = max(found.stages, key=lambda stage: stage.core_seconds)
    share = longest.core_seconds / sum(stage.core_seconds for stage in found.stages)
    less = next((keys for start, keys in _SHORTER.items() if longest.name.startswith(start)), "network.base_width")
    more = "a machine with a GPU, or several machines" if device == "cpu" else "more GPUs"
    return fit(
        f"{found.seconds / 86400:.0f} days are long for {counted(cores, 'core')}: "
        f"'{longest.name}' is {share:.0%} of the work. Lower {less}; "
        "a network of half the network.base_width takes a quarter of the time or less; "
        f"or take {more} (docs/cluster.md; --gpu h200 plans for one). The run can be interrupted and goes on where "
        "it was.",
        columns=80,
    )


def _in_days(seconds: float) -> str:
    return f", {seconds / 86400:.3g} days" if seconds > 2 * 86400 else ""


def _size(number: float) -> str:
    """Returns bytes as a person says them.

    >>> _size(2_300), _size(4.56e9)
    ('2.3 kB', '4.56 GB')
    """
    scale, unit = next((s, u) for s, u in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if number >= s or u == "kB")
    return f"{number / scale:.3g} {unit}"
