"""Fashion-MNIST: 60000 train and 10000 test images of 28×28 grey pixels in ten classes of clothes (Xiao et al., 2017).

It is read from the four published files, which are downloaded if they are not there. Debian's package
dataset-fashion-mnist, which puts them into /usr/share/datasets/fashion-mnist, is found by itself.
"""

import gzip
import hashlib
import socket
import struct
import zlib
from pathlib import Path

import numpy as np

from pipeline.common.errors import UserError
from pipeline.common.files import replacing
from pipeline.common.log import log
from pipeline.data.datasets.sources import ArraySplit, Dataset

NAME = "fashion_mnist"
CHANNELS = 1
CLASSES = 10
#: Train images of each class, and test images if they are apart.
COUNTS = ((6000,) * CLASSES, (1000,) * CLASSES)

NAMES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
#: Of the files as they are published, and of their content: those of Debian are packed anew.
FILES = {
    "train-images-idx3-ubyte": (
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    "train-labels-idx1-ubyte": (
        "25c81989df183df01b3e8a0aad5dffbe",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    "t10k-images-idx3-ubyte": (
        "bef4ecab320f06d8554ea6380940ec79",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    "t10k-labels-idx1-ubyte": (
        "bb300cfdad3c16e7a12a480ee83cd310",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}
#: How an array of bytes begins: two zeros, its type, and how many dimensions it has.
_BYTES = 0x0800
#: Seconds without an answer after which a download is given up.
_PATIENCE = 30.0


def open_dataset(path: Path) -> Dataset:
    """Reads Fashion-MNIST, downloading it first if it is not there.

    Args:
        path: the folder that holds, or is to hold, the four files, packed (.gz) or not.

    Raises:
        UserError: they cannot be downloaded, or one is not the published one.
    """
    home = next((place for place in (path, path / "FashionMNIST" / "raw", DEBIAN) if _all_in(place)), path)
    if not _all_in(home):
        _download(home)
    arrays = [_read(home, name) for name in FILES]
    train = ArraySplit(arrays[0][..., None], arrays[1].astype(np.int64), "Fashion-MNIST's train images")
    test = ArraySplit(arrays[2][..., None], arrays[3].astype(np.int64), "Fashion-MNIST's test images")
    return Dataset(NAME, NAMES, CHANNELS, train, test, natural_size=28)


def _find(folder: Path, name: str) -> Path | None:
    return next((file for file in (folder / name, folder / f"{name}.gz") if file.is_file()), None)


def _all_in(folder: Path) -> bool:
    return all(_find(folder, name) for name in FILES)


def _read(folder: Path, name: str) -> np.ndarray:
    """Returns an array of bytes, from a file in the format IDX."""
    file = _find(folder, name)
    if file is None:
        raise UserError(f"there is no file {folder / name}", "get it again")
    again = UserError(f"{file} is not the published file (its checksum differs)", "delete it and get it again")
    try:
        data = file.read_bytes()
        data = gzip.decompress(data) if file.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error):
        raise again from None
    if hashlib.sha256(data).hexdigest() != FILES[name][1]:
        raise again
    (start,) = struct.unpack_from(">I", data)
    shape = struct.unpack_from(f">{start - _BYTES}I", data, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def _download(folder: Path) -> None:
    from torchvision.datasets.utils import download_url

    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        for name, (md5, _) in FILES.items():
            log(f"downloading {name}.gz of Fashion-MNIST (31 MB in all) from {URL}")
            with replacing(folder / f"{name}.gz") as temporary:
                try:
                    download_url(f"{URL}{name}.gz", temporary.parent, temporary.name, md5)
                except (OSError, RuntimeError) as error:
                    raise UserError(
                        f"Fashion-MNIST cannot be downloaded ({error})",
                        f"get its four files on a machine that has a network and put them into {folder}/, or install "
                        "Debian's package dataset-fashion-mnist",
                    ) from None
    finally:
        socket.setdefaulttimeout(patience)
