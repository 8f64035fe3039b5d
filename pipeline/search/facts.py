"""Which entries of an archive belong to an experiment as it is configured now.

One folder can hold entries of several settings: other epochs, another supernet, another machine's precision. What
they were made from, their *facts*, stands in each. Two rules choose the current ones:

1. Facts that contradict what is known now are out. Known are the configuration's part of them (network, recipe,
   seed, threads; device, precision and kernels where they are not 'auto') and, as soon as the files are there, the
   digests of the train images, of which of them were drawn, and of the supernet.
2. Of the others, the facts of the newest entry are taken. What 'auto' became is not found out again here: the machine
   that did it may be another one.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.common.settings import from_mapping
from pipeline.networks.binary.binarisers import DEFAULT as BINARISER
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.training.identity import training_identity
from pipeline.training.settings import OFF, TrainingSettings

#: Stands for a value that is not known beforehand.
UNKNOWN = None
#: The fact that a candidate is scored a first time after so many epochs; where there is no such score, it is absent.
_PARTIAL = "partial_epochs"


def training_settings(section: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a training's section of the configuration as it stands in facts and identities, which are JSON."""
    settings: dict[str, Any] = from_mapping(TrainingSettings, dict(section)).record()
    return settings


def candidate_facts(
    spec: NetworkSpec,
    settings: TrainingSettings,
    *,
    recalibrate: bool,
    validation: str | None,
    supernet: str | None,
    partial_epochs: int | None = None,
    **training: Any,
) -> dict[str, Any]:
    """Returns all that determines a candidate's score beside its genome.

    Args:
        spec: the network, with any genome.
        settings: of a candidate's training.
        recalibrate: whether batch-norm moments are computed anew before the score.
        validation: digest of which images it is scored on.
        supernet: digest of the weights that it inherits; None for random ones.
        partial_epochs: after which it is scored a first time; None if it is not.
        training: the other arguments of :func:`pipeline.training.identity.training_identity`.
    """
    facts = training_identity(spec, settings, **training)
    del facts["network"]["genome"]
    partial = {} if partial_epochs is None else {_PARTIAL: partial_epochs}
    return {**facts, "recalibrate": recalibrate, "validation": validation, "supernet": supernet, **partial}


def expected_facts(
    config: Mapping[str, Any],
    images: str | None,
    supernet: str | None,
    *,
    subset: str | None = None,
    validation: str | None = None,
) -> dict[str, Any]:
    """Returns what a candidate's facts must say, as far as it is known.

    Args:
        config: the experiment's, complete.
        images: digest of the train images, where they are prepared.
        supernet: digest of the supernet, where it is trained.
        subset, validation: digests of which images a candidate learns from and is scored on, where they are drawn.

    Raises:
        KeyError, TypeError, ValueError: a section is missing or malformed.
    """
    execution, network = config["execution"], config["network"]
    spec = NetworkSpec(
        network["name"],
        uniform_genome(network["name"], 1),
        base_width=float(f"{network['base_width']:g}"),
        binariser=network.get("binariser", BINARISER),
    )
    known = candidate_facts(
        spec,
        from_mapping(TrainingSettings, config["candidate"]),
        recalibrate=bool(config["candidate"].get("recalibrate", False)),
        validation=validation,
        supernet=supernet if config["supernet"]["enabled"] else None,
        partial_epochs=config["search"].get("early_stop_epochs"),
        seed=config["seed"],
        images=images,
        subset=subset,
        execution=[
            UNKNOWN if execution["device"] == "auto" else execution["device"],
            UNKNOWN if execution["precision"] == "auto" else execution["precision"],
            execution["threads"],
            "torch" if execution.get("kernels") == "torch" else UNKNOWN,
        ],
    )
    known["network"] = {key: known["network"][key] for key in known["network"] if key not in _OF_IMAGES}
    drawn = {"images": images, "subset": subset, "validation": validation}
    unknown = [name for name, digest in drawn.items() if digest is None]
    unknown += ["supernet"] if supernet is None and config["supernet"]["enabled"] else []
    # What is off is not written down, and must not be: entries made with it are of other settings.
    for facts, names in (
        (known, (_PARTIAL, "binariser")),
        (known["network"], ("binariser",)),
        (known["settings"], OFF),
    ):
        for name in names:
            facts.setdefault(name, _MISSING)
    return {name: value for name, value in known.items() if name not in unknown}


def agree(facts: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Returns whether facts contradict nothing that is known.

    >>> agree({"seed": 0, "execution": ["cpu", "float32", 1]}, {"execution": ["cpu", None, 1]})
    True
    >>> agree({"seed": 0, "execution": ["cpu", "float32", 1]}, {"execution": ["cuda", None, 1]})
    False
    """
    return all(_fits(facts.get(name, _MISSING), value) for name, value in expected.items())


_MISSING = object()
#: What the images say of a network, which the configuration does not.
_OF_IMAGES = ("channels", "size", "classes", "binary")


def _fits(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return isinstance(found, dict) and agree(found, wanted)
    if isinstance(wanted, list) and UNKNOWN in wanted:
        pairs = zip(found, wanted, strict=False) if isinstance(found, list) and len(found) == len(wanted) else None
        return pairs is not None and all(value is UNKNOWN or part == value for part, value in pairs)
    return bool(found == wanted)


def current_facts(
    newest_first: Iterable[Mapping[str, Any]], expected: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """Returns the facts of the present settings, by the rules above; None where no entry has them.

    Args:
        newest_first: the facts of entries, those of the newest one first.
        expected: from ``expected_facts``; None where the configuration is not known.
    """
    return next((facts for facts in newest_first if expected is None or agree(facts, expected)), None)


def differences(facts: Mapping[str, Any], reference: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Returns names of the facts in which two settings differ.

    >>> differences({"seed": 1, "settings": {"epochs": 5}}, {"seed": 1, "settings": {"epochs": 10}})
    ['settings.epochs']
    """
    names = []
    for name in dict.fromkeys((*facts, *reference)):
        mine, theirs = facts.get(name, _MISSING), reference.get(name, _MISSING)
        if isinstance(mine, dict) and isinstance(theirs, dict):
            names += differences(mine, theirs, f"{prefix}{name}.")
        elif mine != theirs:
            names.append(f"{prefix}{name}")
    return names
