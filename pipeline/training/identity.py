"""The identity of a training, as values that can be stored and compared; no torch.

Each training's results are kept and found by these facts: the saved state and the finished outputs of one in full, and
a candidate's score, whose facts (:mod:`pipeline.search.facts`) are made from the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline import METHOD_VERSION
from pipeline.networks.binary.binarisers import BINARISERS
from pipeline.networks.spec import NetworkSpec, architecture
from pipeline.training.settings import TrainingSettings


def training_identity(
    spec: NetworkSpec,
    settings: TrainingSettings,
    *,
    seed: int,
    images: str | None,
    subset: str | None,
    execution: Sequence[str | int | None],
) -> dict[str, Any]:
    """Returns everything that determines a training, as JSON values.

    Args:
        spec: the network.
        settings: of the training.
        seed: of the weights, order and augmentation.
        images: digest of the train images.
        subset: digest of which of them it learns from; None for all.
        execution: see :attr:`pipeline.training.execution.Execution.identity`.
    """
    return {
        "network": spec.record(),
        "architecture": architecture(spec.network),
        "settings": {**asdict(settings), "milestones": list(settings.milestones)},
        "seed": seed,
        "images": images,
        "subset": subset,
        "execution": list(execution),
        "method": METHOD_VERSION,
        **_sources(spec),
    }


def _sources(spec: NetworkSpec) -> Mapping[str, Any]:
    """Returns what the network is made of that is not what it was when results began to carry it."""
    changed = BINARISERS.changed(spec.binariser) if spec.binary else ""
    return {"binariser": changed} if changed else {}


def state_file(weights: Path) -> Path:
    """Returns where an unfinished training saves its state: beside the weights that it will write."""
    return weights.with_name(f"{weights.stem}.state.h5")
