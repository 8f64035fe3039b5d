"""What identifies a training, as values that can be stored and compared; no torch."""

from pathlib import Path


def state_file(weights: Path) -> Path:
    """Returns where an unfinished training saves its state: beside the weights that it will write."""
    return weights.with_name(f"{weights.stem}.state.h5")
