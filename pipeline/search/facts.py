"""Which entries of an archive belong to an experiment as it is configured now.

One folder can hold entries of several settings: other epochs, another supernet, another machine's precision. What
they were made from, their *facts*, stands in each. Two rules choose the current ones:

1. Facts that contradict what is known now are out. Known are the configuration's part of them (network, recipe,
   seed, threads; device, precision and kernels where they are not 'auto') and, as soon as the files are there, the
   digests of the train images and of the supernet.
2. Of the others, the facts of the newest entry are taken. What 'auto' became, and which images were drawn, is not
   computed again here: the machine that did it may be another one.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from pipeline import METHOD_VERSION
from pipeline.common.settings import from_mapping
from pipeline.networks.spec import architecture
from pipeline.training.settings import TrainingSettings

#: Stands for a value that is not known beforehand.
UNKNOWN = None


def training_settings(section: Mapping[str, Any]) -> dict[str, Any]:
    """A training's section of the configuration as it stands in facts and identities, which are JSON."""
    settings: dict[str, Any] = json.loads(json.dumps(asdict(from_mapping(TrainingSettings, dict(section)))))
    return settings


def expected_facts(config: Mapping[str, Any], images: str | None, supernet: str | None) -> dict[str, Any]:
    """What a candidate's facts must say, as far as it is known.

    Args:
        config: the experiment's, complete.
        images: digest of the train images, where they are prepared.
        supernet: digest of the supernet, where it is trained.

    Raises:
        KeyError, TypeError, ValueError: a section is missing or malformed.
    """
    execution = config["execution"]
    known: dict[str, Any] = {
        "network": {"network": config["network"]["name"], "base_width": float(f"{config['network']['base_width']:g}")},
        "architecture": architecture(config["network"]["name"]),
        "settings": training_settings(config["candidate"]),
        "recalibrate": bool(config["candidate"].get("recalibrate", False)),
        "seed": config["seed"],
        "execution": [
            UNKNOWN if execution["device"] == "auto" else execution["device"],
            UNKNOWN if execution["precision"] == "auto" else execution["precision"],
            execution["threads"],
            "torch" if execution.get("kernels") == "torch" else UNKNOWN,
        ],
        "method": METHOD_VERSION,
    }
    if images is not None:
        known["images"] = images
    if not config["supernet"]["enabled"]:
        known["supernet"] = None
    elif supernet is not None:
        known["supernet"] = supernet
    return known


def agree(facts: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Whether facts contradict nothing that is known.

    >>> agree({"seed": 0, "execution": ["cpu", "float32", 1]}, {"execution": ["cpu", None, 1]})
    True
    >>> agree({"seed": 0, "execution": ["cpu", "float32", 1]}, {"execution": ["cuda", None, 1]})
    False
    """
    return all(_fits(facts.get(name, _MISSING), value) for name, value in expected.items())


_MISSING = object()


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
    """The facts of the present settings, by the rules above; None where no entry has them.

    Args:
        newest_first: the facts of entries, those of the newest one first.
        expected: from ``expected_facts``; None where the configuration is not known.
    """
    return next((facts for facts in newest_first if expected is None or agree(facts, expected)), None)


def differences(facts: Mapping[str, Any], reference: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Names of the facts in which two settings differ.

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
