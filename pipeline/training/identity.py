"""The identity of a training, as values that can be stored and compared; no torch.

Each training's results are kept and found by these facts: the saved state and the finished outputs of one in full, and
a candidate's score, whose facts (:mod:`pipeline.search.facts`) are made from the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import METHOD_VERSION
from pipeline.common.errors import UserError, made_again
from pipeline.common.randomness import seed_for
from pipeline.networks.binary.binarisers import BINARISERS
from pipeline.networks.binary.binarisers import DEFAULT as BINARISER
from pipeline.networks.spec import NetworkSpec, architecture
from pipeline.training.settings import OFF, TrainingSettings


def training_identity(
    spec: NetworkSpec,
    settings: TrainingSettings,
    *,
    seed: int,
    images: str | None,
    subset: str | None,
    execution: Sequence[str | int | None],
    teacher: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns everything that determines a training, as JSON values.

    Args:
        spec: the network.
        settings: of the training.
        seed: of the weights, order and augmentation.
        images: digest of the train images.
        subset: digest of which of them it learns from; None for all.
        execution: see :attr:`pipeline.training.execution.Execution.identity`.
        teacher: see :attr:`pipeline.training.teacher.TeacherFile.identity`; None if it learns from the labels alone.
    """
    taught = dict(teacher or {})
    weight = {"teacher_weight": taught.pop("teacher_weight")} if taught else {}
    return {
        "network": spec.record(),
        "architecture": architecture(spec.network),
        "settings": {**settings.record(), **weight},
        "seed": seed,
        "images": images,
        "subset": subset,
        "execution": list(execution),
        "method": METHOD_VERSION,
        **_sources(spec),
        **taught,
    }


def _sources(spec: NetworkSpec) -> Mapping[str, Any]:
    """Returns what the network is made of that is not what it was when results began to carry it."""
    changed = BINARISERS.changed(spec.binariser) if spec.binary else ""
    return {"binariser": changed} if changed else {}


def row_seed(seed: int, repetition: int) -> int:
    """Returns the seed of one training of a row.

    Args:
        seed: of the experiment.
        repetition: which of the row's trainings.
    """
    return seed_for("retrain", seed, repetition)


#: What settings stand for that say nothing of what came later than the first results.
_OFF = {name: "off" if value is None else value for name, value in {**OFF, "teacher_weight": None}.items()}


#: What a training's outcome depends on as far as a person asks for it: not the machine's part of it.
_SAID_OF_IT = ("settings", "seed", "images", "subset", "architecture", "method", "binariser", "teacher")


def said_of(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a record of a network's accuracy says of its training, from the attributes of its weights."""
    return {name: identity[name] for name in _SAID_OF_IT if name in identity}


def disagreements(found: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Returns in what a training was done otherwise than asked, in words. What either does not say is no difference.

    Args:
        found: an identity, as weights and evaluations carry it; those of older versions say less, or nothing.
        asked: what is known beforehand of the identity that there should be.

    >>> disagreements({"seed": 0, "settings": {"epochs": 1, "gamma": 0.1}}, {"seed": 0, "settings": {"epochs": 60}})
    ['epochs 1 in place of 60']
    >>> disagreements({"network": {"genome": [1.0]}}, {"network": {"genome": [1], "binariser": "dorefa"}})
    []
    """
    return list(_disagreements(_complete(found), _with_off(asked)))


def _disagreements(found: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    for name, value in asked.items():
        there = found.get(name)
        if isinstance(value, Mapping) and isinstance(there, Mapping):
            yield from _disagreements(there, value)
        elif there is not None and value is not None and there != value:
            yield f"{name} {_shown(there)} in place of {_shown(value)}"


def _complete(found: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an identity with what stands for itself where nothing is written."""
    made = _with_off(found)
    if isinstance(found.get("network"), Mapping):
        made["network"] = {"binariser": BINARISER if found["network"].get("binary", True) else None, **found["network"]}
    if "architecture" in found:
        made.setdefault("binariser", "")
    return made


def _with_off(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an identity whose settings say all that is off, where they say anything."""
    settings = identity.get("settings")
    return {**identity, "settings": all_settings(settings)} if isinstance(settings, Mapping) else dict(identity)


def all_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an identity's settings with those that it leaves out since they are off."""
    return {**_OFF, **settings}


def _shown(value: Any) -> str:
    return ",".join(f"{ratio:g}" for ratio in value) if isinstance(value, list | tuple) else str(value)[:20]


def check_asked(found: Mapping[str, Any], asked: Mapping[str, Any], what: str) -> None:
    """Raises UserError if a training was done otherwise than an experiment asks for.

    Args:
        found: its identity.
        asked: see :func:`disagreements`.
        what: to call it.
    """
    others = disagreements(found, asked)
    if others:
        raise UserError(
            f"{what} comes from another training than this experiment's ({'; '.join(others)})",
            made_again("it is trained again"),
        )


def state_file(weights: Path) -> Path:
    """Returns where an unfinished training saves its state: beside the weights that it will write."""
    return weights.with_name(f"{weights.stem}.state.h5")
