"""Prepared files: what goes in comes out, equal input gives equal bytes, and interrupted work is not done again."""

import io
import itertools
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from pipeline.__main__ import main
from pipeline.common.errors import UserError
from pipeline.common.hdf5 import write_tensors
from pipeline.data import loading, prepared
from pipeline.data import prepare as preparation
from pipeline.data.census import Census
from pipeline.data.datasets import open_dataset
from pipeline.data.datasets.image_folder import FileSplit
from pipeline.data.datasets.sources import ArraySplit, Dataset, Picture
from pipeline.data.loading import load_images
from pipeline.data.prepared import read_info, read_labels
from pipeline.data.splits import read_split
from tests.support.photographs import photographs

CPU = torch.device("cpu")


def prepare(folder: Path, *words: object) -> tuple[Path, Path]:
    """Runs the step; the files lie in ``folder``."""
    train, test = folder / "train.h5", folder / "test.h5"
    assert main(["prepare-dataset", *map(str, words), "--train", str(train), "--test", str(test)]) == 0
    return train, test


def failing(capsys: pytest.CaptureFixture[str], folder: Path, *words: object) -> str:
    """The sentence with which the step ends."""
    files = ["--train", str(folder / "train.h5"), "--test", str(folder / "test.h5")]
    assert main(["prepare-dataset", *map(str, words), *files]) in (1, 2)
    return capsys.readouterr().err.strip().splitlines()[-1].removeprefix("error: ")


def bytes_of(path: Path) -> list[bytes]:
    """The images of a file in storage 'jpeg'."""
    with h5py.File(path) as file:
        ends = file["offsets"][()]
        return [file["encoded"][start:end].tobytes() for start, end in itertools.pairwise(ends)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Small images of several sizes, 12 of each of two classes, no test images."""
    generator = np.random.default_rng(0)
    for number in range(24):
        path = tmp_path / "images" / ("cat", "dog")[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (16 + number % 3, 16 + number % 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return tmp_path / "images"


# What is in the files


def test_digits_come_back(tmp_path):
    train, test = prepare(tmp_path, "--dataset", "digits", "--test-fraction", 0.25, "--seed", 1)
    info, other = read_info(train), read_info(test)
    assert (info.dataset, info.storage, info.channels, info.size) == ("digits", "pixels", 1, 8)
    assert info.classes == tuple("0123456789")
    assert info.count + other.count == 1797
    assert (info.mean, info.std) == (other.mean, other.std)
    assert info.digest != other.digest
    with h5py.File(train) as file:
        pixels = file["pixels"][()]
    assert info.mean == pytest.approx([pixels.mean() / 255])
    assert info.std == pytest.approx([pixels.std() / 255])
    source = load_images(train, CPU)
    ((x, y),) = source.batches([torch.arange(5)])
    wanted = (pixels[:5, :, :, 0] / 255 - info.mean[0]) / info.std[0]
    torch.testing.assert_close(x[:, 0], torch.from_numpy(wanted).float())
    assert y.tolist() == read_labels(train)[:5].tolist()
    source = open_dataset("digits").train
    assert {image.tobytes() for image in pixels} <= {source.read(index).image.tobytes() for index in range(1797)}


def test_small_images_are_brought_to_one_size(folder, tmp_path):
    train, _ = prepare(tmp_path, "--dataset", "image_folder", "--path", folder, "--image-size", 10)
    info = read_info(train)
    assert (info.storage, info.size, info.channels) == ("pixels", 10, 3)
    with h5py.File(train) as file:
        first = file["pixels"][0]
    candidates = [Image.open(path) for path in sorted(folder.glob("cat/*"))]
    assert first.tolist() in [np.asarray(ImageOps.fit(image, (10, 10))).tolist() for image in candidates]


def test_test_images_are_split_off_class_by_class(folder, tmp_path):
    train, test = prepare(tmp_path, "--dataset", "image_folder", "--path", folder, "--test-fraction", 0.25)
    assert np.bincount(read_labels(train)).tolist() == [9, 9]
    assert np.bincount(read_labels(test)).tolist() == [3, 3]


def test_photographs_keep_their_bytes(tmp_path):
    source = photographs(tmp_path / "photos")
    train, test = prepare(tmp_path, "--dataset", "image_folder", "--path", source, "--image-size", 96)
    info = read_info(train)
    assert (info.storage, info.size, info.channels) == ("jpeg", 96, 3)
    paths = [path for part in sorted((source / "train").iterdir()) for path in sorted(part.iterdir())]
    stored = bytes_of(train)
    assert len(stored) == len(paths) == info.count
    for path, data in zip(paths, stored, strict=True):
        with Image.open(path) as image:
            assert Image.open(io.BytesIO(data)).size == image.size
            if (image.format, image.mode) == ("JPEG", "RGB") and image.getexif().get(0x0112, 1) == 1:
                assert data == path.read_bytes()
    ((x, _),) = load_images(train, CPU).batches([torch.arange(info.count)])
    # Both are taken over the same centre crops, but resized by Pillow here and by torch there.
    assert x.mean((0, 2, 3)).abs().max() < 0.02
    assert (x.std((0, 2, 3)) - 1).abs().max() < 0.02
    assert read_info(test).mean == info.mean


def test_what_is_no_jpeg_becomes_one(folder, tmp_path):
    train, _ = prepare(tmp_path, "--dataset", "image_folder", "--path", folder, "--storage", "jpeg", "--image-size", 16)
    for data in bytes_of(train):
        with Image.open(io.BytesIO(data)) as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")


def test_grey_images_stay_grey_as_jpeg(tmp_path):
    train, _ = prepare(tmp_path, "--dataset", "digits", "--storage", "jpeg")
    ((x, _),) = load_images(train, CPU).batches([torch.arange(3)], "resized-crop-flip", ("a",))
    assert x.shape == (3, 1, 8, 8)


def test_indices_choose_images_and_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "_BLOCK", 100)
    train, _ = prepare(tmp_path, "--dataset", "digits")
    everything = load_images(train, CPU)
    chosen = [700, 3, 1200, 3, 99, 100]
    some = load_images(train, CPU, chosen)
    ((x, y),) = some.batches([torch.arange(6)])
    ((wanted, labels),) = everything.batches([torch.tensor(chosen)])
    assert torch.equal(x, wanted)
    assert torch.equal(y, labels)
    assert torch.equal(some.labels, everything.labels[chosen])


@pytest.mark.parametrize("index", [-1, 5000])
def test_index_that_is_not_there(tmp_path, index):
    train, _ = prepare(tmp_path, "--dataset", "digits")
    with pytest.raises(UserError, match=rf"has 1438 images, but image {index} is asked for"):
        load_images(train, CPU, [0, index])


def test_thousands_of_long_class_names(tmp_path):
    names = tuple(f"a long name of a class that is number {number}" for number in range(20000))
    info = prepared.ImagesInfo("many", "pixels", names, 1, 2, 1, (0.5,), (0.5,))
    part = {"pixels": np.zeros((1, 2, 2, 1), np.uint8), "labels": np.array([7])}
    prepared.write_images(tmp_path / "a.h5", info, 4, [part])
    assert read_info(tmp_path / "a.h5").classes == names


def test_channel_without_contrast_can_be_normalised(tmp_path):
    for name in ("cat", "dog"):
        for number in range(2):
            path = tmp_path / "images" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (50, 50 * number, 0)).save(path)
    train, _ = prepare(tmp_path, "--dataset", "image_folder", "--path", tmp_path / "images", "--test-fraction", 0.5)
    ((x, _),) = load_images(train, CPU).batches([torch.arange(2)])
    assert x.isfinite().all()


# Digest and equal bytes


def test_equal_input_gives_equal_bytes_wherever_it_lies(folder, tmp_path):
    words = ("--dataset", "image_folder", "--path", folder, "--seed", 5)
    first = prepare(tmp_path / "a", *words)
    second = prepare(tmp_path / "b", *words, "--threads", 3)
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_digest_does_not_depend_on_how_the_work_was_divided(folder, tmp_path, monkeypatch):
    words = ("--dataset", "image_folder", "--path", folder)
    whole = prepare(tmp_path / "a", *words)
    monkeypatch.setattr(preparation, "_PART_IMAGES", 5)
    divided = prepare(tmp_path / "b", *words)
    assert [path.read_bytes() for path in whole] == [path.read_bytes() for path in divided]


def test_digest_follows_everything_that_a_training_sees(tmp_path):
    info = prepared.ImagesInfo("some", "pixels", ("a", "b"), 1, 2, 2, (0.5,), (0.5,))
    part = {"pixels": np.arange(8, dtype=np.uint8).reshape(2, 2, 2, 1), "labels": np.array([0, 1])}
    changes = [
        (info, part),
        (info, {**part, "labels": np.array([1, 0])}),
        (info, {**part, "pixels": part["pixels"][::-1].copy()}),
        (prepared.ImagesInfo("some", "pixels", ("b", "a"), 1, 2, 2, (0.5,), (0.5,)), part),
        (prepared.ImagesInfo("some", "pixels", ("a", "b"), 1, 2, 2, (0.4,), (0.5,)), part),
    ]
    digests = []
    for number, (some_info, some_part) in enumerate(changes):
        prepared.write_images(tmp_path / f"{number}.h5", some_info, 8, [some_part])
        digests.append(read_info(tmp_path / f"{number}.h5").digest)
    assert len(set(digests)) == len(changes)


def test_file_says_what_made_it(tmp_path):
    train, _ = prepare(tmp_path, "--dataset", "digits", "--seed", 3)
    made_with = json.loads(read_info(train).made_with)
    assert made_with["seed"] == 3
    assert made_with["versions"]["numpy"] == np.__version__


# Interruption


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of images in the order in which they are read; small parts."""
    monkeypatch.setattr(preparation, "_PART_IMAGES", 4)
    seen: list[str] = []
    read = FileSplit.read

    def recording(split, index):
        if os.environ.get("STOP_AFTER") == str(len(seen)):
            raise KeyboardInterrupt
        seen.append(split.name(index))
        return read(split, index)

    monkeypatch.setattr(FileSplit, "read", recording)
    return seen


def test_interrupted_preparation_goes_on(folder, tmp_path, reads, monkeypatch):
    words = ["--dataset", "image_folder", "--path", str(folder), "--test-fraction", "0.25"]
    words += ["--train", str(tmp_path / "a" / "train.h5"), "--test", str(tmp_path / "a" / "test.h5")]
    monkeypatch.setenv("STOP_AFTER", "10")
    assert main(["prepare-dataset", *words]) == 130
    assert not list((tmp_path / "a").glob("*.h5"))
    first, reads[:] = reads[:], []
    monkeypatch.delenv("STOP_AFTER")
    assert main(["prepare-dataset", *words]) == 0
    assert not set(first[:8]) & set(reads)  # two finished parts of four images
    assert len(reads) == 24 - 8
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["sources.h5", "test.h5", "train.h5"]
    whole = prepare(tmp_path / "b", *words[:6])
    assert [path.read_bytes() for path in whole] == [(tmp_path / "a" / path.name).read_bytes() for path in whole]


def test_killed_while_the_file_was_written_nothing_is_read_again(folder, tmp_path, reads, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    words = ["--dataset", "image_folder", "--path", str(folder)]
    words += ["--train", str(tmp_path / "a" / "train.h5"), "--test", str(tmp_path / "a" / "test.h5")]
    with monkeypatch.context() as patch:
        patch.setattr(preparation, "write_images", killed)
        assert main(["prepare-dataset", *words]) == 130
    assert len(reads) == 24
    assert main(["prepare-dataset", *words]) == 0
    assert len(reads) == 24


def bitmaps(folder: Path) -> None:
    """12 images of each of two classes of the same names, all of one length and one time."""
    generator = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            path = folder / name / f"{number}.bmp"
            Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
            os.utime(path, (10**9, 10**9))


@pytest.mark.parametrize("change", ["folders", "images"])
def test_parts_of_images_that_only_their_places_tell_apart_are_not_used(tmp_path, reads, monkeypatch, change):
    """Class folders, or images of one length and time, that change places before an interrupted preparation goes on."""
    bitmaps(tmp_path / "images")
    words = ["--dataset", "image_folder", "--path", str(tmp_path / "images")]
    files = ["--train", str(tmp_path / "a" / "train.h5"), "--test", str(tmp_path / "a" / "test.h5")]
    monkeypatch.setenv("STOP_AFTER", "10")
    assert main(["prepare-dataset", *words, *files]) == 130
    monkeypatch.delenv("STOP_AFTER")
    cat, dog = (tmp_path / "images" / name for name in ("cat", "dog"))
    if change == "folders":
        cat.rename(tmp_path / "other")
        dog.rename(cat)
        (tmp_path / "other").rename(dog)
    else:
        for number in range(12):
            pair = cat / f"{number}.bmp", dog / f"{number}.bmp"
            for path, content in zip(pair, [path.read_bytes() for path in pair][::-1], strict=True):
                path.write_bytes(content)
                os.utime(path, (10**9, 10**9))
    assert main(["prepare-dataset", *words, *files]) == 0
    whole = prepare(tmp_path / "b", *words)
    assert [path.read_bytes() for path in whole] == [(tmp_path / "a" / path.name).read_bytes() for path in whole]


@pytest.mark.parametrize("change", ["image", "size"])
def test_parts_of_something_else_are_not_used(folder, tmp_path, reads, monkeypatch, change):
    words = ["--dataset", "image_folder", "--path", str(folder), "--image-size", "8"]
    files = ["--train", str(tmp_path / "a" / "train.h5"), "--test", str(tmp_path / "a" / "test.h5")]
    monkeypatch.setenv("STOP_AFTER", "10")
    assert main(["prepare-dataset", *words, *files]) == 130
    monkeypatch.delenv("STOP_AFTER")
    reads.clear()
    if change == "image":
        for name in ("cat/00.png", "cat/02.png", "cat/04.png", "cat/06.png", "cat/08.png", "cat/10.png"):
            Image.new("RGB", (16, 16), "red").save(folder / name)
    else:
        words[-1] = "9"
    assert main(["prepare-dataset", *words, *files]) == 0
    assert len(reads) == 24
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["sources.h5", "test.h5", "train.h5"]
    whole = prepare(tmp_path / "b", *words)
    assert [path.read_bytes() for path in whole] == [(tmp_path / "a" / path.name).read_bytes() for path in whole]


# Damaged images


@pytest.fixture
def damaged(folder: Path) -> Path:
    """One file cut short and one that is no image."""
    data = (folder / "dog" / "05.png").read_bytes()
    (folder / "dog" / "05.png").write_bytes(data[: len(data) // 2])
    (folder / "cat" / "notes.txt").write_text("what these are")
    return folder


def test_damaged_images_stop_with_their_paths_all_at_once(damaged, tmp_path, capsys):
    sentence = failing(capsys, tmp_path, "--dataset", "image_folder", "--path", damaged)
    assert sentence == (
        f"2 files cannot be read as images: {damaged}/cat/notes.txt (it is no image of a known format), "
        f"{damaged}/dog/05.png (image file is truncated): "
        "replace them, remove them, or set dataset.damaged_images to 'skip'"
    )
    (damaged / "dog" / "05.png").unlink()
    sentence = failing(capsys, tmp_path, "--dataset", "image_folder", "--path", damaged)
    assert sentence == (
        f"{damaged}/cat/notes.txt cannot be read as an image (it is no image of a known format): "
        "replace it, remove it, or set dataset.damaged_images to 'skip'"
    )
    for number in range(20):
        (damaged / "cat" / f"notes {number}.txt").write_text("what these are")
    sentence = failing(capsys, tmp_path, "--dataset", "image_folder", "--path", damaged)
    assert sentence.startswith("21 files cannot be read") and " and 11 more, which are named above: " in sentence
    assert not list(tmp_path.glob("*.h5"))


def test_among_very_many_images_strangers_are_told_first(damaged, tmp_path, capsys, reads, monkeypatch):
    monkeypatch.setattr(preparation, "_MANY", 10)
    sentence = failing(capsys, tmp_path, "--dataset", "image_folder", "--path", damaged)
    assert sentence.startswith(f"{damaged}/cat/notes.txt cannot be read as an image")
    assert reads == [f"{damaged}/cat/notes.txt"]
    (damaged / "cat" / "notes.txt").rename(damaged / "cat" / "notes.png")
    assert failing(capsys, tmp_path, "--dataset", "image_folder", "--path", damaged).startswith("2 files")


def test_damaged_images_are_skipped_and_counted(damaged, tmp_path, capsys):
    words = ("--dataset", "image_folder", "--path", damaged, "--damaged-images", "skip")
    train, test = prepare(tmp_path, *words)
    assert read_info(train).skipped + read_info(test).skipped == 2
    assert read_info(train).count + read_info(test).count == 23
    with h5py.File(train) as file:
        stored = len(file["pixels"]), len(file["labels"])
    assert stored == (read_info(train).count,) * 2
    log = capsys.readouterr().err
    assert f"skipped {damaged}/cat/notes.txt: it is no image of a known format" in log


def test_after_stopping_skipping_goes_on_and_the_reverse_stops_again(damaged, tmp_path, capsys, reads):
    words = ("--dataset", "image_folder", "--path", damaged, "--seed", 2)
    failing(capsys, tmp_path, *words)
    before = len(reads)
    prepare(tmp_path, *words, "--damaged-images", "skip")
    assert len(reads) < before + 25
    assert "cannot be read as images" in failing(capsys, tmp_path, *words)


def test_parts_that_skipped_will_not_do_when_damage_shall_stop(damaged, tmp_path, capsys, reads, monkeypatch):
    words = ["--dataset", "image_folder", "--path", str(damaged)]
    files = ["--train", str(tmp_path / "train.h5"), "--test", str(tmp_path / "test.h5")]
    monkeypatch.setenv("STOP_AFTER", "20")
    assert main(["prepare-dataset", *words, *files, "--damaged-images", "skip"]) == 130
    monkeypatch.delenv("STOP_AFTER")
    assert "cannot be read as images" in failing(capsys, tmp_path, *words)


def test_class_of_damaged_images_only(folder, tmp_path, capsys):
    for path in (folder / "dog").iterdir():
        path.write_bytes(b"")
    words = ("--dataset", "image_folder", "--path", folder, "--damaged-images", "skip")
    assert failing(capsys, tmp_path, *words) == "class 'dog' has no train image that can be read: add images"
    for path in (folder / "cat").iterdir():
        path.write_bytes(b"")
    assert failing(capsys, tmp_path, *words) == (
        "2 classes have no train image that can be read, 'cat', 'dog': add images"
    )


def test_class_of_damaged_test_images_only(folder, tmp_path, capsys):
    (folder / "train").mkdir()
    for name in ("cat", "dog"):
        (folder / name).rename(folder / "train" / name)
        (folder / "val" / name).mkdir(parents=True)
        data = (folder / "train" / "cat" / "00.png").read_bytes()
        (folder / "val" / name / "0.png").write_bytes(data if name == "cat" else data[:-30])
    sentence = failing(
        capsys, tmp_path, "--dataset", "image_folder", "--path", folder, "--damaged-images", "skip", "--image-size", 8
    )
    assert sentence == "class 'dog' has no test image that can be read: add images"


# What is not wrong enough to stop


def test_blank_images_are_named_and_counted(folder, tmp_path, capsys):
    dark = np.random.default_rng(0).integers(0, 4096, (16, 16), dtype=np.uint16)
    Image.fromarray(dark).save(folder / "cat" / "90.png")  # 12 bits in a file of 16 that does not say so
    Image.new("RGBA", (16, 16), (255, 255, 255, 99)).save(folder / "cat" / "91.png")
    white_ink = np.stack([np.full((16, 16), 255, np.uint8), np.arange(256, dtype=np.uint8).reshape(16, 16)], axis=2)
    Image.fromarray(white_ink).save(folder / "dog" / "92.png")
    Image.fromarray((np.arange(256) < 3).reshape(16, 16)).save(folder / "dog" / "93.png")  # little, but to be seen
    words = ("--dataset", "image_folder", "--path", folder, "--image-size", 16, "--seed", 3)
    train, test = prepare(tmp_path, *words)
    told = capsys.readouterr().err
    for name in ("cat/90.png", "cat/91.png", "dog/92.png"):
        assert f"warning: {folder / name} is of one brightness or nearly so" in told
    assert told.count("brightness") == 3 + len(Census.from_record(json.loads(read_info(test).census)).sentences())
    census = Census.from_record(json.loads(read_info(train).census))
    assert sum(census.blank) == 3
    assert census == Census.from_record(json.loads(read_info(test).census))
    assert (census.train, census.test) == (read_info(train).count, read_info(test).count)


@pytest.mark.parametrize(("bits", "brightest"), [(14, 63), (15, 127), (16, 0)])
def test_images_of_fewer_bits_than_their_files_claim_are_told(tmp_path, capsys, bits, brightest):
    generator = np.random.default_rng(0)
    for number in range(8):
        path = tmp_path / "images" / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        values = generator.integers(0, 2**bits, (16, 16), dtype=np.uint16)
        values[0, 0] = 2**bits - 1
        Image.fromarray(values).save(path)
    train, _ = prepare(tmp_path, "--dataset", "image_folder", "--path", tmp_path / "images", "--image-size", 16)
    assert Census.from_record(json.loads(read_info(train).census)).dark == brightest
    told = f"warning: No train image is brighter than {brightest} of 255: do the files hold fewer bits" in (
        capsys.readouterr().err
    )
    assert told == (brightest > 0)


def test_a_message_of_blank_images_does_not_grow_without_end(folder, tmp_path, capsys):
    for number in range(30):
        Image.new("L", (16, 16), number).save(folder / "cat" / f"blank {number}.png")
    prepare(tmp_path, "--dataset", "image_folder", "--path", folder)
    told = capsys.readouterr().err
    assert len(re.findall(r"warning: .*blank \d+\.png is of one brightness", told)) == 10
    assert "warning: so are 20 more" in told


def test_test_images_that_are_train_images_are_counted(folder, tmp_path, capsys):
    (folder / "train").mkdir()
    for name in ("cat", "dog"):
        (folder / name).rename(folder / "train" / name)
        (folder / "test" / name).mkdir(parents=True)
    for number, name in enumerate(("cat/00.png", "cat/02.png", "dog/01.png")):
        (folder / "test" / name).write_bytes((folder / "train" / name).read_bytes())
        pixels = np.asarray(Image.open(folder / "train" / name)) // 2 + number
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "test" / f"{name}.png")
    _, test = prepare(tmp_path, "--dataset", "image_folder", "--path", folder)
    assert Census.from_record(json.loads(read_info(test).census)).shared == 3
    assert "warning: 3 test images are train images too." in capsys.readouterr().err


def test_copies_and_images_in_several_classes_are_counted(folder, tmp_path, capsys):
    (folder / "cat" / "copy.png").write_bytes((folder / "cat" / "00.png").read_bytes())
    for name in ("02.png", "04.png"):  # a cat that is a dog too
        (folder / "dog" / f"cat {name}").write_bytes((folder / "cat" / name).read_bytes())
    train, _ = prepare(tmp_path, "--dataset", "image_folder", "--path", folder)
    census = Census.from_record(json.loads(read_info(train).census))
    told = capsys.readouterr().err
    assert census.contradicting == 4 and "warning: 4 images are in several classes." in told
    # By where the images were set aside for the test.
    assert census.repeated + census.shared + census.repeated_test >= 1
    assert ("warning: 1 train image is a copy of another." in told) == (census.repeated == 1)


def test_test_images_that_are_copies_of_each_other_are_counted(folder, tmp_path, capsys):
    """An accuracy counts each of them, and the intervals take them for independent."""
    (folder / "train").mkdir()
    for name in ("cat", "dog"):
        (folder / name).rename(folder / "train" / name)
        (folder / "test" / name).mkdir(parents=True)
        image = Image.effect_noise((16, 16), 90)
        for number in range(3):
            image.save(folder / "test" / name / f"{number}.png")
    _, test = prepare(tmp_path, "--dataset", "image_folder", "--path", folder)
    census = Census.from_record(json.loads(read_info(test).census))
    assert (census.shared, census.repeated, census.contradicting, census.repeated_test) == (0, 0, 0, 4)
    assert "warning: 4 test images are copies of others." in capsys.readouterr().err


@pytest.mark.parametrize("apart", [True, False])
def test_damaged_files_that_are_equal_are_no_copies(folder, tmp_path, capsys, apart):
    """Such as what a server sent in place of images: it is in all classes, and in both parts."""
    if apart:
        for name in ("cat", "dog"):
            (folder / "train").mkdir(exist_ok=True)
            (folder / name).rename(folder / "train" / name)
            (folder / "test" / name).mkdir(parents=True)
            Image.effect_noise((16, 16), 90).save(folder / "test" / name / "00.png")
    for place in [path for path in folder.glob("**/*") if path.name in ("cat", "dog")]:
        for number in range(5):
            (place / f"{number}.jpg").write_text("<html>404 Not Found</html>")
    words = ("--dataset", "image_folder", "--path", folder, "--damaged-images", "skip")
    train, _ = prepare(tmp_path, *words)
    census = Census.from_record(json.loads(read_info(train).census))
    assert sum(census.damaged) == (20 if apart else 10)
    assert (census.shared, census.repeated, census.contradicting) == (0, 0, 0)
    assert "cop" not in (told := capsys.readouterr().err) and "several classes" not in told


def test_digits_have_nothing_to_be_told(tmp_path, capsys):
    train, _ = prepare(tmp_path, "--dataset", "digits")
    assert Census.from_record(json.loads(read_info(train).census)).sentences() == []
    assert "warning" not in capsys.readouterr().err


# Files that will not do


@pytest.mark.parametrize("read", [read_info, read_labels, lambda path: load_images(path, CPU)])
def test_file_that_is_not_there_or_not_one_of_these(tmp_path, read):
    path = tmp_path / "a.h5"
    with pytest.raises(UserError, match="there is no file"):
        read(path)
    path.write_bytes(b"these are no images")
    with pytest.raises(UserError, match="is damaged or no HDF5 file"):
        read(path)
    write_tensors(path, {"a": np.zeros(2)}, {})
    with pytest.raises(UserError, match="but 'binary-nas images 1' is needed here"):
        read(path)


def test_file_cut_short(tmp_path):
    train, _ = prepare(tmp_path, "--dataset", "digits")
    train.write_bytes(train.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"train\.h5 is damaged"):
        read_info(train)


def test_output_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert "cannot write" in failing(capsys, tmp_path / "file", "--dataset", "digits")


def test_settings_that_make_no_sense(tmp_path, capsys):
    for flag, value, wrong in (("--image-size", 0, "not at least 1"), ("--test-fraction", 1.5, "not less than 1")):
        sentence = failing(capsys, tmp_path, "--dataset", "digits", flag, value)
        assert sentence.startswith(f"argument {flag}: {value} is {wrong}")


# The steps as commands


def test_subset_and_validation_are_drawn_from_the_train_images(tmp_path):
    train, _ = prepare(tmp_path, "--dataset", "digits")
    files = {name: tmp_path / f"{name}.csv" for name in ("subset", "validation")}
    words = ["sample-subset", "--images", str(train), "--validation-per-class", "20", "--subset-per-class", "30"]
    words += [f"--{name}={path}" for name, path in files.items()]
    assert main(words) == 0
    info, labels = read_info(train), read_labels(train)
    subset, validation = (read_split(path, info) for path in files.values())
    assert not set(subset) & set(validation)
    assert np.bincount(labels[subset]).tolist() == [30] * 10
    assert np.bincount(labels[validation]).tolist() == [20] * 10
    before = [path.read_bytes() for path in files.values()]
    assert main(words) == 0
    assert [path.read_bytes() for path in files.values()] == before


def test_neither_step_pays_for_torch(tmp_path):
    steps = [
        "prepare-dataset --dataset digits --train train.h5 --test test.h5",
        "sample-subset --images train.h5 --validation-per-class 9 --subset subset.csv --validation validation.csv",
    ]
    code = f"import sys; from pipeline.__main__ import main; codes = [main(s.split()) for s in {steps}]; "
    code += "assert codes == [0, 0] and 'torch' not in sys.modules"
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(root)}, check=True)


@pytest.mark.parametrize(
    ("labels", "mode", "sentence"),
    [
        (np.array([0.0, 0.9] * 6), "L", "labels of type float64 that are not the numbers of its classes: give whole"),
        (np.array([1, 2] * 6), "L", "give whole numbers from 0 to 1"),
        (np.array([-1, 1] * 6), "L", "give whole numbers from 0 to 1"),
        (np.array([0, 1] * 5), "L", "strange of the data set 'strange:images' are 12 images, with 10 labels"),
        (np.array([0, 1] * 6), "P", "is an image of mode 'P', and its data set has 1 channel: convert it to 'L'"),
        (np.array([0, 1] * 6), "RGB", "is an image of mode 'RGB', and its data set has 1 channel"),
    ],
)
def test_what_a_data_set_from_elsewhere_must_not_give(labels, mode, sentence, tmp_path):
    """A label cut to a whole number would be another class; numbers of a palette are no brightness."""

    class Strange(ArraySplit):
        def read(self, index: int) -> Picture:
            return Picture(super().read(index).image.convert(mode))

    split = Strange(np.random.default_rng(0).integers(0, 256, (12, 8, 8, 1), np.uint8), labels, "strange")
    dataset = Dataset("strange:images", ("a", "b"), 1, split, split, 8)
    how = preparation.Preparation(8, "pixels")
    with pytest.raises(UserError, match=re.escape(sentence)):
        preparation.prepare(dataset, (split, tmp_path / "a.h5"), (split, tmp_path / "b.h5"), how, {})
    with pytest.raises(UserError, match="has two classes that are called 'a': give each its own name"):
        preparation.prepare(
            replace(dataset, classes=("a", "b", "a")), (split, tmp_path / "a.h5"), (split, tmp_path / "b.h5"), how, {}
        )
