"""Looks at a folder of images and writes a configuration that will work on it.

It says what is there, what is too little, and what the experiment will take on this machine.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.common.terminal import fit
from pipeline.steps.options import count

if TYPE_CHECKING:
    from pipeline.data.survey import Survey
    from pipeline.steps.plan import Measured

#: Seconds that the written experiment should take at most: a night.
_A_NIGHT = 12 * 3600


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("folder", type=Path, help="the images: FOLDER/CLASS/* or FOLDER/train/CLASS/*")
    parser.add_argument("--name", help="of the experiment; by default the folder's")
    parser.add_argument("--output", type=Path, help="the file to write; by default NAME.yaml; it must not exist")
    parser.add_argument("--cores", type=count, help="of the run; by default all of this machine")
    parser.add_argument("--untimed", action="store_true", help="guess what it takes without timing this machine")


def run(arguments: argparse.Namespace) -> None:
    """Writes the configuration and says what will be done."""
    import os
    import shlex

    from pipeline.common.errors import UserError
    from pipeline.common.files import write_text
    from pipeline.data.survey import survey_folder
    from pipeline.kernels import cpu
    from pipeline.workflow.layout import find_layouts
    from pipeline.workflow.starting import described, experiment_name, worries, write_overlay

    folder = Path.cwd() / arguments.folder.expanduser()  # not resolved: a link keeps its name
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise UserError(f"the folder {str(folder)!a} has a name that is no UTF-8", "rename it") from None
    taken = [layout.experiment for layout in find_layouts()]
    name = arguments.name or experiment_name(folder.name, taken)
    output = arguments.output or Path(f"{name}.yaml")
    if os.path.lexists(output):
        raise UserError(f"{output} is there already", "name another file with --output, or another --name")
    survey = survey_folder(folder)
    cores = arguments.cores or cpu.usable()
    _say("images", described(survey))
    for worry in worries(survey):
        _say("note", worry)
    measured = None if arguments.untimed else _measure(survey, name, cores)
    values = _chosen(survey, name, cores, measured)
    write_text(output, write_overlay(values, survey, f"binary-nas init {shlex.quote(str(arguments.folder))}"))
    print(f"\n{output} is written.\n")
    _tell_cost(output, cores, measured)
    print(f"\nstart it with   python -m pipeline run {shlex.quote(str(output))}")


def _say(title: str, text: str) -> None:
    print(fit(text, first=f"{title:<8}", indent=8, columns=80))


def _measure(survey: "Survey", name: str, cores: int) -> "Measured":
    """Times this machine with networks of the most thorough configuration; those of the others are parts of them."""
    from pipeline.steps import plan
    from pipeline.workflow.starting import EFFORTS, overlay

    config = _configuration(overlay(survey, name, EFFORTS[0]))
    parser = argparse.ArgumentParser()
    plan.add_arguments(parser)
    return plan.measure(config, parser.parse_args([]), cores)


def _chosen(survey: "Survey", name: str, cores: int, measured: "Measured | None") -> dict[str, Any]:
    """Returns the most thorough configuration that takes a night here at most; the least thorough one if none does."""
    from pipeline.workflow.starting import EFFORTS, overlay

    for effort in EFFORTS:
        values = overlay(survey, name, effort)
        if _seconds(values, cores, measured) <= _A_NIGHT:
            break
    return values


def _configuration(values: Mapping[str, Any]) -> dict[str, Any]:
    from pipeline.workflow.config import read_config
    from pipeline.workflow.schema import ROOT

    return read_config([ROOT / "config.yaml"], values)


def _seconds(values: Mapping[str, Any], cores: int, measured: "Measured | None") -> float:
    """Returns how long a configuration takes on this machine, or on an ordinary one if this was not measured.

    Raises:
        UserError: it is no configuration, or a class has too few images for it.
    """
    from dataclasses import replace

    from pipeline.networks.spec import NetworkSpec, uniform_genome
    from pipeline.workflow.forecast.images import check_enough, count_images, shares
    from pipeline.workflow.forecast.jobs import forecast
    from pipeline.workflow.forecast.step_time import ORDINARY

    config = _configuration(values)
    network = config["network"]
    if measured is not None:
        spec = replace(measured.spec, base_width=network["base_width"])
        return forecast(config, spec, measured.images, measured.calibration, cores).seconds
    found = count_images(config)
    check_enough(config, found)
    spec = NetworkSpec(
        network["name"],
        uniform_genome(network["name"], 1),
        base_width=network["base_width"],
        channels=3,
        size=config["dataset"]["image_size"],
        classes=len(found.train),
    )
    return forecast(config, spec, shares(config, found, 0.0, 0.0), ORDINARY, cores).seconds


def _tell_cost(output: Path, cores: int, measured: "Measured | None") -> None:
    """Prints what the step 'check' says of the configuration, and what 'plan' does if this machine was measured."""
    from dataclasses import replace

    from pipeline.steps import check, plan
    from pipeline.workflow.config import read_config
    from pipeline.workflow.schema import ROOT

    config = read_config([ROOT / "config.yaml", output])  # what was written, and not what was meant
    check.check(config, cores, guessed=measured is None, look=False)  # it has looked
    print()
    if measured is not None:
        spec = replace(measured.spec, base_width=config["network"]["base_width"])
        plan.show(config, measured._replace(spec=spec), cores)
