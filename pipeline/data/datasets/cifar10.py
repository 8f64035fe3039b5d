"""CIFAR-10: 50000 train and 10000 test images of 32×32 pixels in ten classes (Krizhevsky, 2009).

It is read from the published archive, which is downloaded when it is not there, or from the archive's folder.
"""

import codecs
import hashlib
import io
import pickle
import socket
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.common.errors import UserError
from pipeline.common.files import replacing
from pipeline.common.log import log
from pipeline.data.datasets.sources import ArraySplit, Dataset

NAME = "cifar10"
CHANNELS = 3
CLASSES = 10
#: Train images of each class, and test images if they are apart.
COUNTS = ((5000,) * CLASSES, (1000,) * CLASSES)

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
ARCHIVE = "cifar-10-python.tar.gz"
FOLDER = "cifar-10-batches-py"
TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST = ("test_batch",)
META = "batches.meta"
#: Of the archive and of the files in it, as published.
MD5 = {
    ARCHIVE: "c58f30108f718f92721af3b95e74349a",
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
    "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
}
#: Seconds without an answer after which a download is given up.
_PATIENCE = 30.0


def open_dataset(path: Path) -> Dataset:
    """Reads CIFAR-10, downloading it first where it is not there.

    Args:
        path: the folder that holds, or is to hold, the archive or its folder ``cifar-10-batches-py``; it may also be
            that folder or the archive itself.

    Raises:
        UserError: it cannot be downloaded, or a file is missing or not the published one.
    """
    folder = next((place for place in (path / FOLDER, path) if (place / META).is_file()), None)
    if folder is not None:
        return _read(lambda name: _read_file(folder / name))
    archive = path if path.is_file() else path / ARCHIVE
    if not archive.is_file():
        _download(archive)
    # Read once: what was checked is what is unpacked, whoever writes to the file meanwhile.
    data = archive.read_bytes()
    _check(archive, data, ARCHIVE)
    return _read(_contents(data).__getitem__)


def _download(archive: Path) -> None:
    from torchvision.datasets.utils import download_url

    log(f"downloading CIFAR-10 (170 MB) from {URL}")
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        with replacing(archive) as temporary:
            try:
                download_url(URL, temporary.parent, temporary.name, MD5[ARCHIVE])
            except (OSError, RuntimeError) as error:
                raise UserError(
                    f"CIFAR-10 cannot be downloaded ({error})",
                    f"get {URL} on a machine that has a network and put the file into {archive.parent}/",
                ) from None
    finally:
        socket.setdefaulttimeout(patience)


def _read_file(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"there is no file {path}", f"unpack {ARCHIVE} again") from None
    _check(path, data, path.name)
    return data


def _contents(archive: bytes) -> dict[str, bytes]:
    # In one pass: going back in a compressed file means decompressing it again from its start.
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = ((member, tar.extractfile(member)) for member in tar)
        return {Path(member.name).name: file.read() for member, file in files if file is not None}


def _check(path: Path, data: bytes, name: str) -> None:
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != MD5[name]:
        raise UserError(f"{path} is not the published file (its MD5 checksum differs)", "delete it and get it again")


def _read(read: Callable[[str], bytes]) -> Dataset:
    classes = tuple(_unpickle(read(META))["label_names"])
    train = _split([_unpickle(read(name)) for name in TRAIN], "CIFAR-10's train images")
    test = _split([_unpickle(read(name)) for name in TEST], "CIFAR-10's test images")
    return Dataset(NAME, classes, CHANNELS, train, test, natural_size=32)


_RECONSTRUCT = np.empty(0).__reduce__()[0]
#: What a pickle of arrays names, by NumPy's older and newer modules.
_KNOWN = {
    "numpy.core.multiarray._reconstruct": _RECONSTRUCT,
    "numpy._core.multiarray._reconstruct": _RECONSTRUCT,
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": np.dtype,
    "_codecs.encode": codecs.encode,
}


class _ArraysOnly(pickle.Unpickler):
    """Makes numbers, texts, lists, dictionaries and NumPy's arrays; a pickle could call anything else as well."""

    def find_class(self, module: str, name: str) -> Any:
        """Returns what a pickle names. Raises UnpicklingError for all that is not needed."""
        try:
            return _KNOWN[f"{module}.{name}"]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None


def _unpickle(data: bytes) -> dict[str, Any]:
    try:
        batch = _ArraysOnly(io.BytesIO(data), encoding="latin1").load()
    except Exception as error:  # an unpickler raises nearly anything on damaged input
        raise UserError(f"a file of CIFAR-10 cannot be read ({error})", "delete it and get it again") from None
    if not isinstance(batch, dict):
        raise UserError("a file of CIFAR-10 holds something else", "delete it and get it again")
    return batch


def _split(batches: list[dict[str, Any]], title: str) -> ArraySplit:
    try:
        planes = np.concatenate([batch["data"] for batch in batches]).reshape(-1, CHANNELS, 32, 32)
        labels = np.concatenate([np.asarray(batch["labels"], dtype=np.int64) for batch in batches])
        sound = planes.dtype == np.uint8 and labels.shape == planes.shape[:1]
        sound = sound and bool(((labels >= 0) & (labels < CLASSES)).all())
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        raise UserError(f"{title} are not laid out as published", "delete the files and get them again")
    return ArraySplit(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels, title)
