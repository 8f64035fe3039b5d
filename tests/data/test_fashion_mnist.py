"""Fashion-MNIST: read from wherever its files lie; on a machine with Debian's package the real ones."""

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from pipeline.common.errors import UserError
from pipeline.data.datasets import expect_images, fashion_mnist, open_dataset


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small one in the published format, packed."""
    generator = np.random.default_rng(0)
    folder, sums = tmp_path / "fashion", {}
    folder.mkdir()
    for name in fashion_mnist.FILES:
        count = 50 if name.startswith("train") else 20
        array = (
            generator.integers(0, 256, (count, 28, 28), dtype=np.uint8) if "images" in name else np.arange(count) % 10
        )
        head = struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape)
        data = head + array.astype(np.uint8).tobytes()
        packed = gzip.compress(data, mtime=0)
        (folder / f"{name}.gz").write_bytes(packed)
        sums[name] = hashlib.md5(packed).hexdigest(), hashlib.sha256(data).hexdigest()
    monkeypatch.setattr(fashion_mnist, "FILES", sums)
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "none")
    return folder


@pytest.mark.parametrize("place", ["given", "unpacked", "torchvision's", "Debian's"])
def test_it_is_read_from_wherever_it_lies(files, tmp_path, monkeypatch, place):
    path = files
    if place == "unpacked":
        for file in list(files.iterdir()):
            file.with_suffix("").write_bytes(gzip.decompress(file.read_bytes()))
            file.unlink()
    elif place == "torchvision's":
        path = tmp_path / "root"
        (path / "FashionMNIST").mkdir(parents=True)
        files.rename(path / "FashionMNIST" / "raw")
    elif place == "Debian's":
        path = tmp_path / "resources"
        monkeypatch.setattr(fashion_mnist, "DEBIAN", files)
    found = open_dataset("fashion_mnist", path)
    assert (len(found.train.labels), len(found.test.labels)) == (50, 20)
    assert found.train.labels[:12].tolist() == [*range(10), 0, 1]
    assert found.train.read(3).image.size == (28, 28) and found.train.read(3).image.mode == "L"
    assert found.classes[9] == "Ankle boot"
    assert expect_images({"name": "fashion_mnist"}) == (1, 10)


@pytest.mark.parametrize(
    "data", [b"", b"no gzip", gzip.compress(b"something else", mtime=0), gzip.compress(b"x" * 99, mtime=0)[:-9]]
)
def test_another_file_is_named(files, data):
    (files / "t10k-labels-idx1-ubyte.gz").write_bytes(data)
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte.gz is not the published file .*: delete it and get"):
        open_dataset("fashion_mnist", files)


def test_it_is_downloaded_if_it_is_not_there(files, tmp_path, monkeypatch):
    def download(url, root, filename, md5):
        source = files / url.removeprefix(fashion_mnist.URL)
        assert hashlib.md5(source.read_bytes()).hexdigest() == md5
        (Path(root) / filename).write_bytes(source.read_bytes())

    monkeypatch.setattr("torchvision.datasets.utils.download_url", download)
    assert len(open_dataset("fashion_mnist", tmp_path / "new").train.labels) == 50
    assert len(list((tmp_path / "new").iterdir())) == 4


def test_without_a_network_it_says_what_to_do(files, tmp_path, monkeypatch):
    def download(url, root, filename, md5):
        raise OSError("no route")

    monkeypatch.setattr("torchvision.datasets.utils.download_url", download)
    with pytest.raises(UserError, match=r"cannot be downloaded \(no route\): get its four files on a machine"):
        open_dataset("fashion_mnist", tmp_path / "new")


def test_its_checksums_and_classes_are_torchvisions():
    from torchvision.datasets import FashionMNIST

    assert {f"{name}.gz": md5 for name, (md5, _) in fashion_mnist.FILES.items()} == dict(FashionMNIST.resources)
    assert list(fashion_mnist.NAMES) == FashionMNIST.classes
    assert fashion_mnist.URL in FashionMNIST.mirrors


@pytest.mark.skipif(not fashion_mnist.DEBIAN.is_dir(), reason="Debian's package is not installed")
def test_the_real_one_is_as_it_is_counted(tmp_path):
    found = open_dataset("fashion_mnist", tmp_path)
    counts = tuple(tuple(np.bincount(split.labels).tolist()) for split in (found.train, found.test))
    assert counts == fashion_mnist.COUNTS
    assert found.train.pixels.shape == (60000, 28, 28, 1)
