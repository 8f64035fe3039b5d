"""Any folder of class folders of images, of any format and colour mode; images become RGB.

Either ``PATH/train/CLASS/*`` with ``PATH/test/CLASS/*`` or ``PATH/val/CLASS/*`` (or ``valid``, or ``validation``), or
just ``PATH/CLASS/*``.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.common.errors import UserError
from pipeline.common.log import log, progress
from pipeline.data.datasets.decoding import decode
from pipeline.data.datasets.sources import DamagedImageError, Dataset, Picture

NAME = "image_folder"
CHANNELS = 3
CLASSES = None

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
#: Folders of test images, the first one that has class folders. ImageNet's 'test' has none; all test on its 'val'.
_TEST = ("test", "val", "valid", "validation")
#: What systems leave in folders, beside hidden files.
_IGNORED = ("Thumbs.db", "desktop.ini", "__MACOSX")
#: Images that are looked at to learn the natural size.
_LOOK_AT = 100
#: The largest natural size that is taken as it is; larger images are photographs, prepared for the usual crop.
_SMALL = 64
_USUAL_CROP = 224


@dataclass(frozen=True)
class FileSplit:
    """Images in files of their own.

    Attributes:
        root: the data set's folder.
        names: (N,) paths below ``root``.
        labels: (N,) int64.
        sizes: (N,) bytes of each file.
        changed: (N,) times of the files' last change, in nanoseconds.
    """

    root: Path
    names: np.ndarray
    labels: np.ndarray
    sizes: np.ndarray
    changed: np.ndarray

    def read(self, index: int) -> Picture:
        """See :class:`~pipeline.data.datasets.sources.Split`."""
        try:
            data = (self.root / self.names[index]).read_bytes()
        except OSError as error:
            raise DamagedImageError(error.strerror or str(error)) from None
        return decode(data)

    def name(self, index: int) -> str:
        """See :class:`~pipeline.data.datasets.sources.Split`."""
        return str(self.root / self.names[index])

    def select(self, indices: np.ndarray) -> "FileSplit":
        """See :class:`~pipeline.data.datasets.sources.Split`."""
        return FileSplit(
            self.root, self.names[indices], self.labels[indices], self.sizes[indices], self.changed[indices]
        )

    def fingerprint(self) -> str:
        """See :class:`~pipeline.data.datasets.sources.Split`."""
        total = hashlib.sha256("\n".join(self.names).encode(errors="surrogateescape"))
        for numbers in (self.labels, self.sizes, self.changed):
            total.update(numbers.tobytes())
        return total.hexdigest()


def open_dataset(path: Path) -> Dataset:
    """Lists the images below ``path``.

    Raises:
        UserError: there is no such folder, or it is not laid out as this module's description says.
    """
    _check_folder(path)
    home = path / "train" if _class_folders(path / "train") else path
    classes = _classes(home)
    train = _list_split(path, home, classes)
    test = None if home == path else _own_test_split(path, classes)
    return Dataset(NAME, classes, CHANNELS, train, test, _natural_size(train))


def _own_test_split(path: Path, classes: tuple[str, ...]) -> FileSplit | None:
    candidates = [path / part for part in _TEST if _class_folders(path / part)]
    folder = candidates[0] if candidates else None
    used = {"train"} if folder is None else {"train", folder.name}
    for name in sorted(set(_class_folders(path)) - used):
        if _class_folders(path / name):
            log(f"warning: {path / name} is not used; test images lie in one of: {', '.join(_TEST)}")
    if folder is None:
        return None
    train = path / "train"
    for here, there in ((folder, train), (train, folder)):
        missing = sorted(set(_class_folders(here)) - set(_class_folders(there)))
        if missing:
            raise UserError(f"class '{missing[0]}' is in {here}, but not in {there}", "both need the same classes")
    log(f"the test images are those in {folder}")
    return _list_split(path, folder, classes)


def _check_folder(path: Path) -> None:
    if path.is_file():
        if path.suffix.lower() in _ARCHIVES:
            raise UserError(f"{path} is an archive", "unpack it and name the folder")
        raise UserError(f"{path} is a file", "name a folder of class folders")
    if not path.is_dir():
        raise UserError(f"there is no folder {path}", "name the folder of the images in dataset.path (--path)")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, without hidden files, by name."""
    try:
        with os.scandir(folder) as entries:
            seen = [entry for entry in entries if not entry.name.startswith(".") and entry.name not in _IGNORED]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"{folder} cannot be read", error.strerror or str(error)) from None
    return sorted(seen, key=lambda entry: entry.name)


def _class_folders(folder: Path) -> list[str]:
    return [entry.name for entry in _entries(folder) if entry.is_dir()] if folder.is_dir() else []


def _classes(folder: Path) -> tuple[str, ...]:
    names = _class_folders(folder)
    if not names:
        archives = [e.name for e in _entries(folder) if e.name.lower().endswith(_ARCHIVES)]
        remedy = f"unpack {archives[0]}" if archives else "put the images of each class into a folder of its own"
        raise UserError(f"{folder} has no class folders", remedy)
    if len(names) == 1:
        inner = folder / names[0]
        remedy = f"name {inner}" if _class_folders(inner) else "at least two are needed"
        raise UserError(f"{folder} has only one folder, '{names[0]}'", remedy)
    return tuple(names)


def _list_split(root: Path, folder: Path, classes: tuple[str, ...]) -> FileSplit:
    """The images of one split; a class may be missing from it, but not be there without images."""
    names, labels, sizes, changed = [], [], [], []
    with progress(f"listing {folder}", len(classes), "classes") as bar:
        for label, name in enumerate(classes):
            entries = _entries(folder / name)
            below = (folder / name).relative_to(root)
            if not entries and (folder / name).is_dir():
                raise UserError(f"class '{name}' has no images in {folder / name}", "add images or remove the folder")
            for entry in entries:
                if entry.is_dir():
                    raise UserError(
                        f"class folder {folder / name} holds another folder, '{entry.name}'",
                        "put the images directly into the class folder",
                    )
                names.append(f"{below}/{entry.name}")
                labels.append(label)
                try:
                    facts = entry.stat()
                    sizes.append(facts.st_size)
                    changed.append(facts.st_mtime_ns)
                except OSError:  # a link to nowhere; reading it says what is wrong
                    sizes.append(0)
                    changed.append(0)
            bar.advance()
    return FileSplit(
        root,
        np.array(names, dtype=object),
        np.array(labels, dtype=np.int64),
        np.array(sizes, dtype=np.int64),
        np.array(changed, dtype=np.int64),
    )


def _natural_size(split: FileSplit) -> int:
    """The typical shorter side of small images, the usual crop for photographs."""
    sides = []
    for index in np.unique(np.linspace(0, len(split.labels) - 1, _LOOK_AT).astype(int)):
        try:
            with Image.open(split.root / split.names[index]) as image:
                sides.append(min(image.size))
        except Exception:  # preparation says what is wrong with it
            continue
    typical = int(np.median(sides)) if sides else _USUAL_CROP
    return typical if typical <= _SMALL else _USUAL_CROP
