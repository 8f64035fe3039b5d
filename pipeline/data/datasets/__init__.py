"""The data sets that can be prepared, each in a module of its own.

A data set is a module with ``NAME``, ``CHANNELS``, ``CLASSES`` (how many; None where only the images tell) and
``open_dataset(path)``, which gives a :class:`~pipeline.data.datasets.sources.Dataset`: classes, train images and, where
there is one, a test split of its own. If it has ``list_files(path)`` as well, which gives
:class:`~pipeline.data.datasets.listing.Files`, their changes are noticed, of archives of many images too. To add one,
put such a file into this folder, offer it from a package as an entry point of the group ``binary_nas.datasets``, or
name it as ``MODULE:NAME`` in ``dataset.name``. Those of torchvision are there by ``torchvision:NAME``.

>>> expect_images({"name": "cifar10"})
ExpectedImages(channels=3, classes=10)
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pipeline.common.errors import UserError
from pipeline.common.registry import Registry
from pipeline.data.datasets.sources import Dataset

DATASETS = Registry(
    kind="data set",
    package=__name__,
    group="binary_nas.datasets",
    needs=("CHANNELS", "CLASSES", "open_dataset"),
    calls={"open_dataset": "path", "list_files": "path"},
    founding={
        "cifar10": "c29f17f580d99d7e",
        "digits": "1c7db2849c006f3f",
    },
    finders={"torchvision": f"{__name__}.torchvision_sets"},
)


class ExpectedImages(NamedTuple):
    """The facts known about a data set before it is there; ``classes`` is None where only the images tell."""

    channels: int
    classes: int | None


#: The largest images, by their side in pixels, that storage 'auto' keeps as bytes.
SMALL = 64
#: Data sets that have no files: whoever names a folder for one of them means another data set.
WITHOUT_FILES = ("digits",)


def resolve_storage(storage: str, image_size: int) -> Literal["pixels", "jpeg"]:
    """Returns 'pixels' or 'jpeg' in place of 'auto': small images as bytes of equal size, large ones encoded.

    >>> resolve_storage("auto", 32), resolve_storage("auto", 224), resolve_storage("jpeg", 32)
    ('pixels', 'jpeg', 'jpeg')
    """
    if storage == "pixels" or (storage == "auto" and image_size <= SMALL):
        return "pixels"
    return "jpeg"


def find_dataset(name: str) -> Any:
    """Returns the data set's module.

    Raises:
        UserError: there is no data set of that name.
    """
    return DATASETS[name]


def expect_images(section: Mapping[str, Any]) -> ExpectedImages:
    """Returns what the configuration's section ``dataset`` promises. Raises UserError like ``find_dataset``."""
    module = find_dataset(section["name"])
    return ExpectedImages(module.CHANNELS, module.CLASSES)


def open_dataset(name: str, path: Path | None = None) -> Dataset:
    """Lists a data set's images, without reading those that lie in files of their own.

    Args:
        name: a key of ``DATASETS``.
        path: its folder; None is ``resources/<name>``.

    Raises:
        UserError: it is not there, not complete or not laid out as it should be.
    """
    dataset: Dataset = find_dataset(name).open_dataset(locate(name, path))
    return dataset


def locate(name: str, path: Path | str | None) -> Path:
    """Returns where a data set's files lie: ``path``, in which ``~`` is the user's own folder, or resources/NAME.

    Raises:
        UserError: nobody knows where a user's own folder is.
    """
    if path is None:
        return Path("resources") / name.replace(":", "/")
    given = Path(path)
    if not str(path).startswith("~") or os.path.lexists(given):
        return given
    try:
        return given.expanduser()
    except RuntimeError:
        raise UserError(f"nobody knows where the folder {path} is", "write out '~'") from None
