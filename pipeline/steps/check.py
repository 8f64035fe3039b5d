"""Checks a configuration and its images, and says what it would do, before any work.

Times are a guess for an ordinary machine; the step 'plan' times this one.
"""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipeline.common.terminal import fit
from pipeline.kernels import cpu
from pipeline.steps.options import add_configuration, read_configuration

if TYPE_CHECKING:
    from pipeline.networks.spec import NetworkSpec
    from pipeline.search.costs import Counting
    from pipeline.workflow.forecast.images import Available

#: Images that a note names.
_NAMED = 3


#: Days after which an experiment is none for the processor of one machine.
_LONG_DAYS = 14


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    add_configuration(parser)
    parser.add_argument("--cores", type=int, help="of the run; by default all of this machine")


def run(arguments: argparse.Namespace) -> None:
    """Prints what will be done, or the first thing that is wrong."""

    from pipeline.common.errors import UserError

    config = read_configuration(arguments)
    cores = cpu.usable() if arguments.cores is None else arguments.cores
    if cores < 1:
        raise UserError(f"--cores is {cores}", "it must be at least 1")
    check(config, cores)


def check(config: Mapping[str, Any], cores: int, *, guessed: bool = True, look: bool = True) -> None:
    """Prints what will be done, and with ``guessed`` how long that takes on an ordinary machine.

    Args:
        config: checked.
        cores: of the run.
        guessed: say how long it takes on an ordinary machine.
        look: read images of a folder, to see whether they can be read.

    Raises:
        UserError: something is wrong: the first thing that was found.
    """
    from pipeline.data.datasets.image_folder import NAME as FOLDER
    from pipeline.training.execution import check_device
    from pipeline.workflow.forecast.images import check_enough, count_images
    from pipeline.workflow.slurm import queue as slurm

    if not slurm.is_here():  # whose nodes may have what this machine lacks
        check_device(config["execution"]["device"])
    found = count_images(config, to_read=look and config["dataset"]["name"] == FOLDER)
    check_enough(config, found)
    damaged = _damaged(config, found)
    print(f"experiment '{config['experiment']}'")
    for title, text in [*_lines(config, found, cores, guessed=guessed), *damaged]:
        print(fit(text, first=f"  {title:<9} ", indent=12, columns=80))


def _damaged(config: Mapping[str, Any], found: "Available") -> list[tuple[str, str]]:
    """Says which images cannot be read where they are skipped. Raises UserError where the run would stop at them."""
    from pipeline.common.text import counted
    from pipeline.data.prepare import refuse_damaged
    from pipeline.data.survey import unreadable
    from pipeline.workflow.forecast.images import check_enough, readable

    if not found.splits:
        return []
    seen = unreadable(found.splits)
    damaged, looked = seen.damaged, seen.looked
    if config["dataset"]["damaged_images"] == "stop":
        refuse_damaged(damaged, "which are like these")
    check_enough(config, readable(found, seen.lost))
    names = ", ".join(f"{name} ({reason})" for name, reason in damaged[:_NAMED])
    more = " and others" if len(damaged) > _NAMED else ""
    said = f"{len(damaged)} of {counted(looked, 'image')} that were looked at cannot be read, and will be left out: "
    return [("note", f"{said}{names}{more}")] if damaged else []


def _lines(config: Mapping[str, Any], found: "Available", cores: int, *, guessed: bool) -> list[tuple[str, str]]:
    from pipeline.common.log import duration
    from pipeline.common.text import counted, printable
    from pipeline.data.datasets import expect_images, resolve_storage
    from pipeline.data.datasets.folders import listed
    from pipeline.networks.spec import NetworkSpec, uniform_genome
    from pipeline.search.costs import DEFAULT as COST
    from pipeline.training.execution import gpu_is_used
    from pipeline.workflow.config.notes import notes_on
    from pipeline.workflow.counting import check_counting, counting_of
    from pipeline.workflow.forecast.images import shares
    from pipeline.workflow.forecast.jobs import forecast
    from pipeline.workflow.forecast.step_time import ORDINARY, ORDINARY_PHOTOGRAPHS
    from pipeline.workflow.proxy import samples

    dataset, network, search = config["dataset"], config["network"], config["search"]
    size, channels, classes = dataset["image_size"], expect_images(dataset).channels, len(found.train)
    photographs = resolve_storage(dataset["storage"], size) == "jpeg"
    images = shares(config, found, 0.0, 0.0)
    genome = uniform_genome(network["name"], 1)
    spec = NetworkSpec(
        network["name"],
        genome,
        base_width=network["base_width"],
        channels=channels,
        size=size,
        classes=classes,
        binariser=network["binariser"],
    )
    check_counting(config, spec, classes)
    counting, width = counting_of(config), search["cost_width"]
    expected = forecast(config, spec, images, ORDINARY_PHOTOGRAPHS if photographs else ORDINARY, cores)
    seeds, rows, searches = config["retrain"]["seeds"], len(config["models"]), len(config["searches"])
    budget = search["generations"] * search["population"]
    days = round(expected.seconds / 86400)
    time = counted(days, "day") if days > 2 else duration(expected.seconds)
    guess = f", about {time} on {counted(cores, 'core')} of an ordinary machine; plan times this one"
    if days > _LONG_DAYS:
        guess += ". It is made for a GPU (plan --gpu h200 plans for one), or for several machines"
    if gpu_is_used(config["execution"]["device"]):
        guess = ", how long they take on a GPU, plan finds out"
    apart = " (set aside)" if found.aside else ""
    judged, again = samples(config), config["proxy"]
    times = judged * again["scores"], judged * again["trainings"]
    proxy = [
        (
            "proxy",
            f"judged on {counted(judged, 'random genome')}: {counted(times[0], 'candidate')}, and "
            f"{counted(times[1], 'training')} in full",
        )
    ]
    proxy = proxy if judged else []
    return [
        (
            "images",
            f"{counted(classes, 'class', 'classes')}, {counted(images.train, 'train image')} and "
            f"{counted(images.test, 'test image')}{apart}, brought to {size}×{size} pixels",
        ),
        *([("classes", printable(listed(found.classes)))] if found.classes else []),
        (
            "searches",
            f"{counted(searches, 'search', 'searches')} of {counted(search['generations'], 'generation')} of "
            f"{counted(search['population'], 'candidate')}: {counted(searches * budget, 'candidate')}, each trained on "
            f"{counted(images.subset, 'image')} and scored on {counted(images.validation, 'image')}"
            if searches
            else "none, so no supernet is trained and no candidate scored",
        ),
        *proxy,
        *([] if counting.cost == COST else [("cost", _cost(counting, spec.at_width(width)))]),
        (
            "table",
            f"{counted(rows, 'row')} of {counted(seeds, 'seed')}: {counted(rows * seeds, 'training')} in full",
        ),
        ("jobs", counted(expected.jobs, "job") + (guess if guessed else "")),
        *(("note", sentence) for sentence in [*notes_on(config), *_idle_share(config, found)]),
    ]


def _idle_share(config: Mapping[str, Any], found: "Available") -> list[str]:
    """Says that a changed share of test images does nothing, since there are some apart."""
    from pipeline.common.settings import defaults_of
    from pipeline.workflow.config.default import default_config
    from pipeline.workflow.settings import DatasetSettings

    fraction = config["dataset"]["test_fraction"]
    usual = {default_config()["dataset"]["test_fraction"], defaults_of(DatasetSettings)["test_fraction"]}
    if found.aside or fraction in usual:  # which 'init' writes too
        return []
    return [f"dataset.test_fraction ({fraction:g}) has no effect, since the images have a test set of their own"]


def _cost(counting: "Counting", uniform: "NetworkSpec") -> str:
    """Says what is weighed against accuracy, and what that is of uniform-1x."""
    where = f" on {counting.table.made_with.get('machine', 'an unknown machine')}" if counting.table else ""
    return (
        f"{counting.title}{where}, at base width {uniform.base_width:g}, where uniform-1x has "
        f"{counting.shown(counting.value(uniform))}"
    )
