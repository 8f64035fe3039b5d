"""The data sets: what they give, and one clear sentence for everything that can be wrong with one."""

import hashlib
import io
import os
import pickle
import tarfile
import urllib.error
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.common.errors import UserError
from pipeline.data.datasets import DATASETS, cifar10, expect_images, open_dataset
from pipeline.data.datasets.decoding import decode
from pipeline.data.datasets.sources import DamagedImageError


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def put_image(path: Path, size: tuple[int, int] = (20, 16), colour: str = "red") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


# Digits


def test_digits_are_bytes_of_full_range_without_a_test_split():
    digits = open_dataset("digits")
    pixels = np.stack([np.asarray(digits.train.read(index).image) for index in range(len(digits.train.labels))])
    assert pixels.shape == (1797, 8, 8)
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert digits.classes == tuple("0123456789")
    assert np.bincount(digits.train.labels).min() > 170
    assert digits.test is None


# The registry


def test_what_is_expected_is_what_there_is():
    digits = open_dataset("digits")
    assert expect_images({"name": "digits", "image_size": 8}) == (digits.channels, len(digits.classes))
    assert expect_images({"name": "image_folder"}) == (3, None)


def test_unknown_data_set_is_named():
    with pytest.raises(
        UserError, match="unknown data set 'mnist': choose one of cifar10, digits, fashion_mnist, image_folder"
    ):
        open_dataset("mnist")
    assert list(DATASETS) == ["cifar10", "digits", "fashion_mnist", "image_folder"]


# CIFAR-10


@pytest.fixture
def batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small CIFAR-10 in the published format: the folder, and beside it the archive."""
    folder = tmp_path / "cifar" / cifar10.FOLDER
    folder.mkdir(parents=True)
    generator = np.random.default_rng(1)
    contents = {cifar10.META: {"label_names": [f"class {number}" for number in range(10)], "num_cases_per_batch": 20}}
    for name in (*cifar10.TRAIN, *cifar10.TEST):
        data = generator.integers(0, 256, (20, 3072), dtype=np.uint8)
        contents[name] = {"data": data, "labels": [number % 10 for number in range(20)], "batch_label": name}
    for name, content in contents.items():
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    archive = folder.parent / cifar10.ARCHIVE
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, cifar10.FOLDER)
    sums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in (archive, *folder.iterdir())}
    monkeypatch.setattr(cifar10, "MD5", sums)
    return folder


@pytest.mark.parametrize("place", ["folder", "parent", "archive beside", "archive itself"])
def test_cifar10_is_read_from_wherever_it_lies(batches, place):
    home, archive = batches.parent, batches.parent / cifar10.ARCHIVE
    if "archive" in place:
        for file in batches.iterdir():
            file.unlink()
        batches.rmdir()
    else:
        archive.unlink()
    path = {"folder": batches, "archive itself": archive}.get(place, home)
    found = open_dataset("cifar10", path)
    assert (len(found.train.labels), len(found.test.labels)) == (100, 20)
    assert found.classes[3] == "class 3"
    assert found.train.labels[:12].tolist() == [*range(10), 0, 1]


def test_cifar10_planes_become_pixels(batches):
    found = open_dataset("cifar10", batches.parent)
    row = pickle.loads((batches / "test_batch").read_bytes())["data"][7]
    pixels = np.asarray(found.test.read(7).image)
    assert pixels.shape == (32, 32, 3)
    assert pixels[2, 5].tolist() == [row[2 * 32 + 5], row[1024 + 2 * 32 + 5], row[2048 + 2 * 32 + 5]]


class _Call:
    """What a hostile pickle is: a call of anything."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("called",)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (_Call(), "a file of CIFAR-10 cannot be read (it asks for posix.mkdir)"),
        ([1, 2], "a file of CIFAR-10 holds something else"),
        ({"data": np.zeros((20, 3072), np.uint8)}, "CIFAR-10's test images are not laid out as published"),
        ({"data": np.zeros((20, 3072)), "labels": [0] * 20}, "CIFAR-10's test images are not laid out as published"),
        ({"data": np.zeros((20, 3072), np.uint8), "labels": [10] * 20}, "CIFAR-10's test images are not laid out"),
        ({"data": np.zeros((20, 3072), np.uint8), "labels": [0] * 19}, "CIFAR-10's test images are not laid out"),
        ({"data": np.zeros((20, 3000), np.uint8), "labels": [0] * 20}, "CIFAR-10's test images are not laid out"),
    ],
    ids=["call", "list", "no labels", "floats", "label 10", "19 labels", "30 rows"],
)
def test_cifar10_is_unpickled_to_arrays_only(batches, tmp_path, monkeypatch, content, sentence):
    """As if somebody had made other files of the same checksums."""
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps(content, protocol=2)
    (batches / "test_batch").write_bytes(data)
    monkeypatch.setitem(cifar10.MD5, "test_batch", hashlib.md5(data).hexdigest())
    with pytest.raises(UserError) as caught:
        open_dataset("cifar10", batches.parent)
    assert str(caught.value).startswith(sentence)
    assert not Path("called").exists()


def test_cifar10_is_unpacked_from_the_bytes_that_were_checked(batches, tmp_path, monkeypatch):
    archive = tmp_path / "moved" / cifar10.ARCHIVE
    archive.parent.mkdir()
    (batches.parent / cifar10.ARCHIVE).rename(archive)
    check = cifar10._check

    def check_and_exchange(path, data, name):
        check(path, data, name)
        archive.write_bytes(b"something else")

    monkeypatch.setattr(cifar10, "_check", check_and_exchange)
    assert len(open_dataset("cifar10", archive).train.labels) == 100


def test_cifar10_changed_file_is_named(batches):
    (batches / "data_batch_2").write_bytes(b"cut short")
    with pytest.raises(UserError, match=r"data_batch_2 is not the published file .*: delete it and get it again"):
        open_dataset("cifar10", batches.parent)


def test_cifar10_missing_file_is_named(batches):
    (batches / "data_batch_4").unlink()
    with pytest.raises(UserError, match=r"there is no file .*data_batch_4: unpack cifar-10-python.tar.gz again"):
        open_dataset("cifar10", batches.parent)


def test_cifar10_damaged_archive_is_named(batches, tmp_path):
    data = (batches.parent / cifar10.ARCHIVE).read_bytes()
    (tmp_path / cifar10.ARCHIVE).write_bytes(data[:-10])
    with pytest.raises(UserError, match=r"cifar-10-python.tar.gz is not the published file"):
        open_dataset("cifar10", tmp_path)


def test_cifar10_is_downloaded_where_it_is_not(batches, tmp_path, monkeypatch):
    archive = batches.parent / cifar10.ARCHIVE

    def download(url, root, filename, md5):
        assert (url, md5) == (cifar10.URL, cifar10.MD5[cifar10.ARCHIVE])
        (Path(root) / filename).write_bytes(archive.read_bytes())

    monkeypatch.setattr("torchvision.datasets.utils.download_url", download)
    assert len(open_dataset("cifar10", tmp_path / "new").train.labels) == 100
    assert [path.name for path in (tmp_path / "new").iterdir()] == [cifar10.ARCHIVE]


@pytest.mark.parametrize("error", [urllib.error.URLError("no route"), RuntimeError("corrupted"), TimeoutError("slow")])
def test_cifar10_without_a_network_says_what_to_get_and_where_to_put_it(tmp_path, monkeypatch, error):
    def download(url, root, filename, md5):
        (Path(root) / filename).write_bytes(b"some of it")
        raise error

    monkeypatch.setattr("torchvision.datasets.utils.download_url", download)
    with pytest.raises(UserError) as caught:
        open_dataset("cifar10", tmp_path / "new")
    assert str(caught.value).startswith("CIFAR-10 cannot be downloaded (")
    assert str(caught.value).endswith(
        f"get {cifar10.URL} on a machine that has a network and put the file into {tmp_path / 'new'}/"
    )
    assert not list((tmp_path / "new").iterdir())


def test_cifar10_checksums_are_torchvisions():
    from torchvision.datasets import CIFAR10

    theirs = dict(CIFAR10.train_list + CIFAR10.test_list)
    theirs |= {CIFAR10.meta["filename"]: CIFAR10.meta["md5"], CIFAR10.filename: CIFAR10.tgz_md5}
    assert theirs == cifar10.MD5
    assert CIFAR10.url == cifar10.URL


# Folders of images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Classes 'cat' and 'dog' with three train images each and one of 'cat' and two of 'dog' in val."""
    for name in ("dog", "cat"):
        for number in range(3):
            put_image(tmp_path / "images" / "train" / name / f"{number}.png", (20, 16), "red")
    for name in ("cat/0", "dog/0", "dog/1"):
        put_image(tmp_path / "images" / "val" / f"{name}.jpg")
    return tmp_path / "images"


@pytest.mark.parametrize("name", ["test", "valid", "validation"])
def test_other_names_of_test_folders(folder, name):
    (folder / "val").rename(folder / name)
    assert open_dataset("image_folder", folder).test.labels.tolist() == [0, 1, 1]


def test_folders_that_are_not_used_are_named(folder, capsys):
    put_image(folder / "test" / "unsorted.png")  # as ImageNet's, which has no classes
    open_dataset("image_folder", folder)
    assert "not used" not in capsys.readouterr().err
    put_image(folder / "holdout" / "cat" / "0.png")
    open_dataset("image_folder", folder)
    assert f"warning: {folder / 'holdout'} is not used" in capsys.readouterr().err


def test_folder_with_its_own_test_images(folder):
    found = open_dataset("image_folder", folder)
    assert found.classes == ("cat", "dog")
    assert found.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.test.labels.tolist() == [0, 1, 1]
    assert found.test.name(1) == str(folder / "val" / "dog" / "0.jpg")
    assert found.train.read(0).image.getpixel((3, 3)) == (255, 0, 0)


def test_folder_test_comes_before_val_if_it_has_classes(folder):
    put_image(folder / "test" / "unlabelled.png")
    assert len(open_dataset("image_folder", folder).test.labels) == 3
    for name in ("cat", "dog"):
        put_image(folder / "test" / name / "0.png")
    assert open_dataset("image_folder", folder).test.labels.tolist() == [0, 1]


def test_folder_without_a_split(folder):
    found = open_dataset("image_folder", folder / "train")
    assert (found.classes, found.test) == (("cat", "dog"), None)


def test_folder_class_named_train(tmp_path):
    for name in ("train", "bicycle"):
        put_image(tmp_path / name / "0.png")
    assert open_dataset("image_folder", tmp_path).classes == ("bicycle", "train")


def test_folder_leaves_out_what_systems_leave_behind(folder):
    (folder / "train" / "__MACOSX" / "cat").mkdir(parents=True)
    (folder / "train" / ".cache").mkdir()
    for name in (".DS_Store", "Thumbs.db"):
        (folder / "train" / "cat" / name).write_bytes(b"x")
    assert len(open_dataset("image_folder", folder).train.labels) == 6


@pytest.mark.parametrize(("size", "natural"), [((20, 16), 16), ((64, 70), 64), ((65, 65), 224), ((500, 375), 224)])
def test_folder_natural_size(tmp_path, size, natural):
    for name in "ab":
        put_image(tmp_path / name / "0.png", size)
    assert open_dataset("image_folder", tmp_path).natural_size == natural


def test_folder_fingerprint_follows_the_listing(folder):
    before = open_dataset("image_folder", folder).train.fingerprint()
    assert open_dataset("image_folder", folder).train.fingerprint() == before
    os.utime(folder / "train" / "cat" / "0.png", ns=(0, 0))
    changed = open_dataset("image_folder", folder).train.fingerprint()
    (folder / "train" / "cat" / "0.png").rename(folder / "train" / "dog" / "9.png")
    assert len({before, changed, open_dataset("image_folder", folder).train.fingerprint()}) == 3


def spoil_missing(folder: Path) -> Path:
    return folder / "nowhere"


def spoil_archive(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "images.zip", "w") as file:
        file.writestr("a", "b")
    return folder / "images.zip"


def spoil_file(folder: Path) -> Path:
    return folder / "train" / "cat" / "0.png"


def spoil_no_classes(folder: Path) -> Path:
    return folder / "train" / "cat"


def spoil_packed(folder: Path) -> Path:
    (folder / "packed").mkdir()
    (folder / "packed" / "n01440764.tar").write_bytes(b"")
    return folder / "packed"


def spoil_outer(folder: Path) -> Path:
    return folder.parent


def spoil_empty_class(folder: Path) -> Path:
    (folder / "train" / "eel").mkdir()
    return folder


def spoil_empty_test_class(folder: Path) -> Path:
    (folder / "val" / "cat" / "0.jpg").unlink()
    return folder


def spoil_untested_class(folder: Path) -> Path:
    put_image(folder / "train" / "eel" / "0.png")
    return folder


def spoil_unknown_test_class(folder: Path) -> Path:
    put_image(folder / "val" / "eel" / "0.png")
    return folder


def spoil_nested(folder: Path) -> Path:
    put_image(folder / "train" / "cat" / "siamese" / "0.png")
    return folder


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (
            spoil_missing,
            "there is no folder {}/nowhere: name the folder of the images (in a configuration, as dataset.path)",
        ),
        (spoil_archive, "{}/images.zip is an archive: unpack it and name the folder"),
        (spoil_file, "{}/train/cat/0.png is a file: name a folder of class folders"),
        (spoil_no_classes, "{}/train/cat has no class folders: put the images of each class into a folder of its own"),
        (spoil_packed, "{}/packed has no class folders: unpack n01440764.tar"),
        (spoil_outer, "{parent} has only one folder, 'images': name {}"),
        (spoil_empty_class, "class 'eel' has no images in {}/train/eel: add images or remove the folder"),
        (spoil_empty_test_class, "class 'cat' has no images in {}/val/cat: add images or remove the folder"),
        (spoil_untested_class, "class 'eel' is in {}/train, but not in {}/val: both need the same classes"),
        (spoil_unknown_test_class, "class 'eel' is in {}/val, but not in {}/train: both need the same classes"),
        (
            spoil_nested,
            "class folder {}/train/cat holds another folder, 'siamese': put the images directly into the class folder",
        ),
    ],
)
def test_folder_that_will_not_do(folder, spoil, sentence):
    path = spoil(folder)
    with pytest.raises(UserError) as caught:
        open_dataset("image_folder", path)
    assert str(caught.value) == sentence.replace("{}", str(folder)).replace("{parent}", str(folder.parent))


# Decoding


GREY = noise(12, 10, 1)[:, :, 0]


@pytest.mark.parametrize(
    ("image", "kind", "expected"),
    [
        (Image.fromarray(GREY), "PNG", np.stack([GREY] * 3, axis=2)),
        (Image.fromarray(GREY.astype(np.uint16) * 257), "PNG", np.stack([GREY] * 3, axis=2)),
        (Image.fromarray(GREY.astype(np.uint16) * 257), "TIFF", np.stack([GREY] * 3, axis=2)),
        (Image.fromarray(noise(12, 10)), "PNG", noise(12, 10)),
        (Image.fromarray(noise(12, 10)), "BMP", noise(12, 10)),
        (Image.new("RGBA", (10, 12), (0, 0, 255, 0)), "PNG", np.full((12, 10, 3), 255)),
        (Image.new("RGBA", (10, 12), (0, 0, 200, 255)), "WEBP", np.full((12, 10, 3), (0, 0, 200))),
        (Image.new("LA", (10, 12), (9, 255)), "PNG", np.full((12, 10, 3), 9)),
        (Image.new("1", (10, 12), 1), "PNG", np.full((12, 10, 3), 255)),
        (Image.new("CMYK", (10, 12), (0, 255, 255, 0)), "TIFF", np.full((12, 10, 3), (255, 0, 0))),
        (Image.new("RGB", (10, 12), (9, 99, 199)).quantize(4), "GIF", np.full((12, 10, 3), (9, 99, 199))),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else value if isinstance(value, str) else "",
)
def test_any_mode_becomes_rgb(image, kind, expected):
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = decode(encoded(image, kind, **options))
    assert picture.image.mode == "RGB"
    assert np.abs(np.asarray(picture.image).astype(int) - expected).max() <= 1
    assert picture.jpeg is None


def test_palette_with_transparency_lies_on_white():
    image = Image.new("P", (10, 12), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    picture = decode(encoded(image, "PNG", transparency=1))
    assert picture.image.getpixel((4, 4)) == (255, 255, 255)


def test_rotated_photograph_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise is due
    picture = decode(encoded(Image.new("RGB", (30, 20)), "JPEG", exif=exif))
    assert picture.image.size == (20, 30)
    assert picture.jpeg is None


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_data_do_no_harm():
    data = encoded(Image.new("RGB", (30, 20)), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")
    assert decode(data).image.size == (30, 20)


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_of_three_colours_is_kept(progressive):
    data = encoded(Image.fromarray(noise(40, 30)), "JPEG", progressive=progressive)
    assert decode(data).jpeg == data


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_jpegs_are_not_kept(mode):
    picture = decode(encoded(Image.new("RGB", (30, 20), (250, 120, 10)).convert(mode), "JPEG", quality=100))
    assert picture.image.mode == "RGB"
    assert picture.jpeg is None
    if mode == "CMYK":
        assert np.abs(np.subtract(picture.image.getpixel((5, 5)), (250, 120, 10))).max() < 6


PHOTO = encoded(Image.fromarray(noise(60, 60)), "JPEG")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"these are no pixels", "it is no image of a known format"),
        (PHOTO[: len(PHOTO) // 2], "image file is truncated"),
        (PHOTO[:100], "[Tt]runcated"),
        (encoded(Image.fromarray(noise(60, 60)), "PNG")[:2000], "truncated|unexpected end"),
        (encoded(Image.new("F", (5, 5)), "TIFF"), "its pixels are floating-point numbers"),
    ],
    ids=["empty", "text", "half a JPEG", "head of a JPEG", "part of a PNG", "floating point"],
)
def test_damaged_images_say_what_is_wrong(data, reason):
    with pytest.raises(DamagedImageError, match=reason):
        decode(data)
