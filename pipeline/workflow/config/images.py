"""Checks of the images: that the data set is there, and that trainings augment them as they are stored."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.common.errors import UserError
from pipeline.data.datasets import DATASETS, WITHOUT_FILES, resolve_storage
from pipeline.workflow.config.trainings import recipes


def check_images(config: Mapping[str, Any]) -> None:
    """Checks that the data set is known, and that its folder is there if it has one."""
    dataset = config["dataset"]
    if dataset["name"] not in DATASETS:
        raise UserError(f"dataset.name is '{dataset['name']}'", DATASETS.choices)
    if dataset.get("path") is not None:
        # Digits are the default: an overlay that names a folder, and no data set, would be an experiment on digits.
        if dataset["name"] in WITHOUT_FILES:
            raise UserError(
                f"dataset.path is given, but dataset.name is '{dataset['name']}', which has no folder",
                "set dataset.name as well (image_folder for a folder of your own), or dataset.path to null",
            )
        if not _exists(dataset["path"]):
            shown = dataset["path"][:120]
            raise UserError(f"dataset.path: there is no folder {shown}", "name the folder of the images")


def check_augmentations(config: Mapping[str, Any]) -> None:
    """Checks the augmentations: photographs are cropped while they are decoded, small images as whole batches."""
    dataset = config["dataset"]
    storage = resolve_storage(dataset["storage"], dataset["image_size"])
    fitting = {"pixels": ("none", "crop", "crop-flip"), "jpeg": ("none", "resized-crop-flip")}[storage]
    chosen = {section: training["augmentation"] for section, training in recipes(config)}
    others = [f"{section}.augmentation is '{name}'" for section, name in chosen.items() if name not in fitting]
    if others:
        raise UserError(
            f"{', '.join(others)}, which images stored as {storage} do not offer",
            f"choose one of {', '.join(fitting)}, or another dataset.storage",
        )


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # a name that is too long, or a folder above it that may not be read
        return False
