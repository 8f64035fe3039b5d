"""torchvision's data sets, from small files in the formats in which they are published."""

import hashlib
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision import datasets

from pipeline.__main__ import main
from pipeline.common.errors import UserError
from pipeline.data.datasets import DATASETS, expect_images, locate, open_dataset
from pipeline.data.datasets.torchvision_sets import SETS, LazySplit
from pipeline.data.prepared import read_info
from pipeline.data.preprocessing import read_picture
from pipeline.workflow.config import read_config
from pipeline.workflow.schema import ROOT

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (40, 28, 28), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (200, 32, 32, 3), dtype=np.uint8)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for split, count in (("train", 40), ("t10k", 20)):
        for kind, array in (("images-idx3", GREY[:count]), ("labels-idx1", np.arange(count) % 10)):
            head = struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape)
            (raw / f"{split}-{kind}-ubyte").write_bytes(head + array.astype(np.uint8).tobytes())
    return tmp_path


@pytest.fixture
def cifar100(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name, count in (("train", 200), ("test", 100)):
        planes = COLOUR[:count].transpose(0, 3, 1, 2).reshape(count, -1)
        (folder / name).write_bytes(pickle.dumps({"data": planes, "fine_labels": [n % 100 for n in range(count)]}))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": [f"kind {n}" for n in range(100)]}))
    kind = datasets.CIFAR100
    monkeypatch.setattr(kind, "train_list", [["train", md5(folder / "train")]])
    monkeypatch.setattr(kind, "test_list", [["test", md5(folder / "test")]])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": md5(folder / "meta")})
    return tmp_path


@pytest.fixture
def svhn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from scipy.io import savemat

    sums = {}
    for split, count in (("train", 30), ("test", 20)):
        path = tmp_path / f"{split}_32x32.mat"
        # The digit 0 is called 10 in the file.
        labels = np.arange(count) % 10
        savemat(path, {"X": COLOUR[:count].transpose(1, 2, 3, 0), "y": np.where(labels == 0, 10, labels)[:, None]})
        sums[split] = [f"http://127.0.0.1:9/{path.name}", path.name, md5(path)]
    monkeypatch.setattr(datasets.SVHN, "split_list", sums)
    return tmp_path


def test_grey_images(fashion):
    found = open_dataset("torchvision:FashionMNIST", fashion)
    assert (found.channels, found.natural_size, found.classes[9]) == (1, 28, "Ankle boot")
    assert found.train.labels.tolist() == [n % 10 for n in range(40)] and len(found.test.labels) == 20
    assert (np.asarray(found.train.read(7).image) == GREY[7]).all()


def test_colour_images(cifar100):
    found = open_dataset("torchvision:CIFAR100", cifar100)
    assert (found.channels, found.natural_size, found.classes[99]) == (3, 32, "kind 99")
    assert found.test.labels.tolist() == list(range(100))
    assert (np.asarray(found.train.read(150).image) == COLOUR[150]).all()
    assert found.train.fingerprint() != found.test.fingerprint()


def test_a_set_whose_split_has_a_name(svhn):
    found = open_dataset("torchvision:SVHN", svhn)
    assert found.train.labels.tolist() == [n % 10 for n in range(30)] and len(found.test.labels) == 20
    assert (np.asarray(found.test.read(11).image) == COLOUR[11]).all()
    assert found.classes == tuple("0123456789")


def test_it_is_prepared_like_any_other(fashion, tmp_path):
    words = f"prepare-dataset --dataset torchvision:FashionMNIST --image-size 14 --path {fashion}".split()
    assert main([*words, "--train", str(tmp_path / "train.h5"), "--test", str(tmp_path / "test.h5")]) == 0
    train, test = (read_info(tmp_path / f"{split}.h5") for split in ("train", "test"))
    assert (train.channels, train.size, train.count, test.count) == (1, 14, 40, 20)
    assert train.dataset == "torchvision:FashionMNIST"


def test_a_changed_pickle_is_not_read(cifar100):
    with open(cifar100 / "cifar-100-python" / "train", "ab") as file:
        file.write(b"x")
    assert not DATASETS["torchvision:CIFAR100"].is_here(cifar100)


def idx(array: np.ndarray, kind: int = 0x0800) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", kind + array.ndim, *array.shape) + array.tobytes()


def test_letters_stand_upright(tmp_path):
    """EMNIST's files have each image's columns for its rows, and torchvision gives them as they are."""
    raw = tmp_path / "EMNIST" / "raw"
    raw.mkdir(parents=True)
    for split, count in (("train", 40), ("test", 20)):
        (raw / f"emnist-balanced-{split}-images-idx3-ubyte").write_bytes(idx(GREY[:count].transpose(0, 2, 1).copy()))
        (raw / f"emnist-balanced-{split}-labels-idx1-ubyte").write_bytes(idx(np.arange(count, dtype=np.uint8)))
    found = open_dataset("torchvision:EMNIST", tmp_path)
    assert (found.classes[10], found.classes[36]) == ("A", "a") and found.train.labels.tolist() == list(range(40))
    for split in (found.train, found.test):
        assert (np.asarray(split.read(7).image) == GREY[7]).all()


def test_labels_that_say_more_than_the_class(tmp_path):
    raw = tmp_path / "QMNIST" / "raw"
    raw.mkdir(parents=True)
    for split, count in (("train", 40), ("test", 20)):
        labels = RANDOM.integers(0, 99, (count, 8)).astype(">i4")
        labels[:, 0] = np.arange(count) % 10
        (raw / f"qmnist-{split}-images-idx3-ubyte").write_bytes(idx(GREY[:count]))
        (raw / f"qmnist-{split}-labels-idx2-int").write_bytes(idx(labels, 0x0C00))
    found = open_dataset("torchvision:QMNIST", tmp_path)
    assert found.train.labels.tolist() == [n % 10 for n in range(40)]


def test_classes_that_do_not_begin_at_nought(tmp_path):
    import json

    from PIL import Image

    home = tmp_path / "clevr" / "CLEVR_v1.0"
    for split, count in (("train", 9), ("val", 8)):
        (home / "images" / split).mkdir(parents=True)
        (home / "scenes").mkdir(exist_ok=True)
        for number in range(count):
            Image.fromarray(COLOUR[number]).save(home / "images" / split / f"{number}.png")
        scenes = [{"image_filename": f"{n}.png", "objects": [{}] * (3 + n % 8)} for n in range(count)]
        (home / "scenes" / f"CLEVR_{split}_scenes.json").write_text(json.dumps({"scenes": scenes}))
    found = open_dataset("torchvision:CLEVRClassification", tmp_path)
    assert found.classes == tuple(map(str, range(3, 11)))
    assert found.train.labels.tolist() == [*range(8), 0] and found.test.labels.tolist() == list(range(8))


def test_what_cannot_be_downloaded(svhn):
    (svhn / "test_32x32.mat").unlink()
    with pytest.raises(UserError, match=r"SVHN can neither be read nor downloaded \(.*\): fetch it on a machine"):
        open_dataset("torchvision:SVHN", svhn)


def test_what_must_be_fetched_by_hand(tmp_path):
    with pytest.raises(UserError, match=r"torchvision says of FER2013: .*\.csv not found in "):
        open_dataset("torchvision:FER2013", tmp_path)


def test_images_that_are_not_kept_in_memory(tmp_path):
    lines = ["emotion,pixels,Usage"]
    lines += [f"{n % 7},{' '.join(map(str, RANDOM.integers(0, 256, 48 * 48)))},Training" for n in range(14)]
    (tmp_path / "fer2013").mkdir()
    path = tmp_path / "fer2013" / "fer2013.csv"
    path.write_text("\n".join(lines) + "\n")
    names = datasets.FER2013._RESOURCES
    datasets.FER2013._RESOURCES = {key: (name, md5(path)) for key, (name, _) in names.items()}
    try:
        found = open_dataset("torchvision:FER2013", tmp_path)
    finally:
        datasets.FER2013._RESOURCES = names
    assert isinstance(found.train, LazySplit) and found.test is None
    chosen = found.train.select(np.array([8, 2]))
    assert chosen.labels.tolist() == [1, 2] and chosen.name(0) == "image 8 of FER2013's train images"
    assert (np.asarray(chosen.read(1).image) == np.asarray(found.train.read(2).image)).all()
    assert chosen.fingerprint() != found.train.fingerprint()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_files_are_turned_upright_as_predict_turns_them(tmp_path, orientation):
    """torchvision's own readers leave them as the camera was held."""
    path = tmp_path / "eurosat" / "2750" / "River" / "1.png"
    path.parent.mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(RANDOM.integers(0, 256, (97, 103, 3), dtype=np.uint8)).save(path, exif=exif)
    read = open_dataset("torchvision:EuroSAT", tmp_path).train.read(0).image
    assert (np.asarray(read) == np.asarray(read_picture(path).image)).all()


def test_a_set_that_there_is_not():
    with pytest.raises(UserError, match=r"torchvision has no data set 'CIFAR1000' .*torchvision:CIFAR100,"):
        expect_images({"name": "torchvision:CIFAR1000"})


def test_every_set_is_one_of_torchvisions_and_is_called_as_it_can_be():
    import inspect

    for name, facts in SETS.items():
        kind = getattr(datasets, name)
        taken = {key for base in kind.__mro__ for key in inspect.signature(base.__init__).parameters}
        for how in (facts.train, facts.test or {}):
            assert set(how) <= taken, name
        if facts.counts is not None:
            assert {len(part) for part in facts.counts} == {facts.classes}, name
    assert [sum(part) for part in SETS["SVHN"].counts] == [73257, 26032]
    assert [sum(part) for part in SETS["MNIST"].counts] == [60000, 10000]


def test_the_configuration_takes_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["dataset={name: torchvision:CIFAR100, image_size: 32}", "split.subset_per_class=50"]
    assert main(["check", *words]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "100 classes, 50,000 train images and 10,000 test images, brought to 32×32 pixels" in said
    assert main(["check", "dataset={name: torchvision:Food10, image_size: 32}"]) == 1
    assert main(["check", "dataset={name: torchvision:GTSRB, image_size: 32}"]) == 1
    assert "GTSRB is not here yet" in " ".join(capsys.readouterr().err.split())
    assert locate("torchvision:SVHN", None) == Path("resources/torchvision/SVHN")
    assert not Path("resources").exists(), "nothing is downloaded, no folder is made"
    assert read_config([ROOT / "config.yaml"])["dataset"]["name"] == "digits"
