"""A configuration for a folder of images: settings that fit what is there, written with the reasons beside them.

Pure functions; the step ``init`` looks at the folder, estimates and writes.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pipeline.common.errors import UserError
from pipeline.common.text import counted, printable
from pipeline.data.survey import Survey
from pipeline.networks.cost import network_cost
from pipeline.networks.spec import NetworkSpec, uniform_genome

#: Sides that images are brought to: that which is nearest to their own.
_SIDES = (8, 16, 28, 32, 48, 64)
_TEST_FRACTION = 0.2
#: Most images of each class that the search learns from, and is scored on.
_SUBSET, _SCORED = 250, 150
#: Images of each class that are wanted for scores that tell networks apart.
_ENOUGH = 100
#: Train images of a class without which there is no configuration: one for each purpose.
LEAST = 2
#: Names in a sentence.
_NAMED = 3


class Effort(NamedTuple):
    """How much is done: the network's width, and the size of the search and of the trainings."""

    base_width: float
    generations: int
    population: int
    runs: int
    epochs: int
    seeds: int


#: From the most to the least.
EFFORTS = (
    Effort(0.25, 8, 12, 3, 60, 3),
    Effort(0.125, 8, 12, 3, 60, 3),
    Effort(0.125, 5, 12, 2, 40, 3),
    Effort(0.0625, 5, 8, 2, 30, 3),
    Effort(0.0625, 3, 6, 1, 20, 2),
)


@dataclass(frozen=True)
class Shares:
    """Images of each class: to learn from in the search, and to score candidates on."""

    subset: int
    validation: int


def experiment_name(folder: str, taken: Sequence[str] = ()) -> str:
    """Returns a name for an experiment that is allowed and not taken.

    >>> experiment_name("my flowers!"), experiment_name("flowers", ["flowers"]), experiment_name("…")
    ('my-flowers', 'flowers-2', 'images')
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder).strip("-._")[:70] or "images"
    numbers = (name if number == 1 else f"{name}-{number}" for number in range(1, len(taken) + 2))
    return next(one for one in numbers if one not in taken)


def _smallest(survey: Survey) -> int:
    return min(range(len(survey.train)), key=_left(survey).__getitem__)


def learned_from(survey: Survey) -> int:
    """Returns how many train images the smallest class has, without damaged ones and those set aside for the test."""
    return min(_left(survey))


def _left(survey: Survey) -> list[int]:
    """Returns how many train images of each class can be learned from."""
    return [count - aside - lost for count, aside, lost in zip(survey.train, _aside(survey), survey.lost, strict=True)]


def _aside(survey: Survey) -> list[int]:
    """Returns how many images of each class are set aside for the test."""
    return [0 if survey.test is not None else max(1, round(_TEST_FRACTION * count)) for count in survey.train]


def divide(images: int) -> Shares:
    """Divides a class's train images.

    >>> divide(2), divide(80), divide(5000)
    (Shares(subset=1, validation=1), Shares(subset=60, validation=20), Shares(subset=250, validation=150))
    """
    scored = min(_SCORED, max(1, images // 4))
    return Shares(min(_SUBSET, images - scored), scored)


def image_size(survey: Survey) -> int:
    """Returns the side that images are brought to."""
    return min(_SIDES, key=lambda side: abs(math.log(side / survey.side)))


def worries(survey: Survey) -> list[str]:
    """Returns what is too little, or not as it should be, in sentences.

    Raises:
        UserError: with this there is nothing to be done.
    """
    if not survey.widths:
        name, reason = survey.damaged[0]
        raise UserError(f"no image of {survey.path} can be read; {printable(name)}: {reason}", "look at the files")
    few, least = learned_from(survey), survey.classes[_smallest(survey)]
    if few < LEAST:
        lost = survey.lost[_smallest(survey)]
        about = "" if survey.looked == survey.images else "about "
        raise UserError(
            f"class '{printable(least)}' of {survey.path} has {counted(max(few, 0), 'train image')} besides those for "
            f"the test{f' and {about}{lost} that cannot be read' if lost else ''}, but the search needs {LEAST}",
            "add images, or remove the class",
        )
    said = []
    if few < _ENOUGH:
        said.append(
            f"Class '{printable(least)}' has {counted(few, 'train image')} besides those for the test: candidates are "
            f"scored on {divide(few).validation} of each class, so scores are rough. {_ENOUGH} or more are better."
        )
    if max(survey.train) > 5 * min(survey.train):
        said.append(
            f"The classes are uneven ({min(survey.train)} to {max(survey.train)} images): accuracy counts images, not "
            "classes; the report has it by class too."
        )
    tests = survey.test if survey.test is not None else sum(_aside(survey))
    if tests < 1000:
        point = 100 * math.sqrt(0.1 * 0.9 / max(tests, 1))
        said.append(
            f"There will be {counted(tests, 'test image')}: an accuracy of 90 % is then known to ± "
            f"{1.96 * point:.1f} points for the draw of the images alone."
        )
    if survey.damaged:
        names = ", ".join(printable(name) for name, _ in survey.damaged[:_NAMED])
        more = " and others" if len(survey.damaged) > _NAMED else ""
        said.append(f"{counted(len(survey.damaged), 'image')} cannot be read and will be skipped: {names}{more}.")
    if survey.side > _SIDES[-1]:
        said.append(
            f"The images are larger ({survey.side} pixels) than what a small network sees of them ({_SIDES[-1]}): fine "
            "details are lost. configs/imagenet.yaml is for photographs and a GPU."
        )
    return said


def described(survey: Survey) -> str:
    """Returns what was seen, in a sentence or two."""
    counts = (
        counted(survey.train[0], "image")
        if len(set(survey.train)) == 1
        else f"{min(survey.train):,} to {max(survey.train):,} images"
    )
    apart = f"and {counted(survey.test, 'test image')} apart" if survey.test is not None else "no test images apart"
    pixels = f"{min(survey.widths)}×{min(survey.heights)} to {max(survey.widths)}×{max(survey.heights)} pixels"
    if len({*zip(survey.widths, survey.heights, strict=True)}) == 1:
        pixels = f"{survey.widths[0]}×{survey.heights[0]} pixels"
    looked = "" if survey.looked == survey.images else f", as far as {survey.looked:,} of them were looked at"
    return (
        f"{counted(len(survey.classes), 'class', 'classes')} of {counts}, {apart}; {pixels}, "
        f"{'grey' if survey.grey else 'in colour'}{looked}"
    )


def overlay(survey: Survey, name: str, effort: Effort) -> dict[str, Any]:
    """Returns the configuration that is laid over config.yaml."""
    shares, size = divide(learned_from(survey)), image_size(survey)
    batch = min(50, shares.subset * len(survey.classes))
    training = {"batch_size": batch, "learning_rate": 0.05, "augmentation": "crop" if survey.grey else "crop-flip"}
    genome = uniform_genome("vgg_small", 2)
    widest = NetworkSpec(
        "vgg_small", genome, base_width=effort.base_width, channels=3, size=size, classes=len(survey.classes)
    )
    return {
        "experiment": name,
        "dataset": {
            "name": "image_folder",
            "path": str(survey.path),
            "image_size": size,
            "storage": "pixels",
            "test_fraction": _TEST_FRACTION,
            "damaged_images": "skip" if survey.damaged else "stop",
        },
        "split": {
            "subset_per_class": shares.subset,
            "validation_per_class": shares.validation,
            "held_out_per_class": 0,
        },
        "network": {"name": "vgg_small", "base_width": effort.base_width},
        "supernet": {"epochs": 40, **training},
        "candidate": {"epochs": 10, **training},
        "search": {
            "generations": effort.generations,
            "population": effort.population,
            "finalists": 0,
            "chosen_by": "model",
            "cost_width": effort.base_width,
            "max_flops": math.ceil(network_cost(widest).flops),
        },
        "searches": {
            "A": {"algorithm": "predictor", "lambda": 4, "seed": 0, "seeds": effort.runs},
            "B": None,
            "random": {"algorithm": "random", "seed": 0, "seeds": effort.runs},
        },
        "models": {"uniform-2x": {"genome": 2}, "found-B": None, "random-B": None},
        "proxy": {"sample": 0},
        "retrain": {"epochs": effort.epochs, "seeds": effort.seeds, **training},
    }


#: What stands above a section, or above a key of one.
_COMMENTS = {
    "dataset": "The images: {described}.",
    "dataset.image_size": "The shorter side is typically {side} pixels. configs/imagenet.yaml is for large photos.",
    "dataset.test_fraction": "Not used: there are test images apart.",
    "dataset.damaged_images": "stop: an image that cannot be read ends the preparation. skip: it is left out, counted.",
    "split": "Images of each class in the search; the smallest class has {learned}. The rows' trainings take all.",
    "split.subset_per_class": "The search learns from these,",
    "split.validation_per_class": "and scores its candidates on these.",
    "split.held_out_per_class": "None is needed to judge finalists on, since there are none.",
    "network": "A fraction of the published width; search.cost_width and search.max_flops are of it. Twice as wide "
    "takes up to four times as long.",
    "supernet": "Candidates inherit weights from it. {mirrored}",
    "candidate": "The short training of every candidate.",
    "search": "More generations of more candidates find more.",
    "search.finalists": "What was found is chosen by a model of all scores: on tables, better than by the best score.",
    "search.cost_width": "Costs are those of the networks as they are trained here: keep it at network.base_width.",
    "search.max_flops": "The cost of uniform-2x at this cost_width: no genome above it is proposed.",
    "searches": "predictor needs the fewest candidates of all on tables. A larger lambda leads to cheaper networks.",
    "searches.random": "What the other is measured against.",
    "models": "Rows of the table beside those of config.yaml; null drops one.",
    "proxy": "24 random genomes would say what a candidate's score is worth, and take a while.",
    "retrain": "The full training of every row. More seeds tell smaller differences.",
}


def write_overlay(values: dict[str, Any], survey: Survey, command: str) -> str:
    """Returns the configuration as YAML with comments.

    Args:
        values: from :func:`overlay`.
        survey: what they were chosen for.
        command: that made it, for the first line.
    """
    mirrored = (
        "Grey images may be of signs; crop-flip would mirror them by chance as well."
        if survey.grey
        else "crop-flip mirrors images by chance; if left and right matter, make it crop."
    )
    words = {
        "described": described(survey),
        "side": survey.side,
        "learned": learned_from(survey),
        "mirrored": mirrored,
    }
    lines = [f"# Made by {command}. It is laid over config.yaml, which explains every key.", ""]
    for section, value in values.items():
        lines += _comment(section, words)
        if not isinstance(value, dict):
            lines += [f"{section}: {_yaml(value)}", ""]
            continue
        lines.append(f"{section}:")
        for key, inner in value.items():
            apart = f"{section}.{key}" == "dataset.test_fraction" and survey.test is None
            lines += [] if apart else [f"  {line}" for line in _comment(f"{section}.{key}", words)]
            lines.append(f"  {key}: {_yaml(inner)}")
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"


def _comment(key: str, words: dict[str, Any]) -> list[str]:
    return [f"# {_COMMENTS[key].format(**words)}"] if key in _COMMENTS else []


#: Words that YAML takes for something else.
_NO_TEXT = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")


def _yaml(value: Any) -> str:
    """Returns a value as JSON, which YAML reads; simple names bare."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][A-Za-z_-]*", value) and value.lower() not in _NO_TEXT:
        return value
    return json.dumps(value, ensure_ascii=False)
