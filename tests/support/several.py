"""One training by several processes, as from the command line."""

from pathlib import Path


def flags(prepared: Path, folder: Path, *more: str) -> list[str]:
    """A retraining on the prepared digits into a folder."""
    words = ["retrain", "--images", prepared / "train.h5", "--genome", "1,1,1,1,1,1", "--base-width", "0.0625"]
    words += ["--epochs", "6", "--batch-size", "200", "--learning-rate", "0.1", "--augmentation", "crop"]
    words += ["--device", "cpu", "--precision", "float32"]
    words += ["--weights", folder / "w.h5", "--history", folder / "h.csv", "--timing", folder / "t.json"]
    return [*map(str, words), *more]
