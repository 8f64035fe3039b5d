"""Predicting: the same answers as evaluation's, from image files; mistakes get one sentence."""

import csv
import json
import os
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.__main__ import main
from pipeline.common.errors import UserError
from pipeline.common.hdf5 import read_attributes
from pipeline.data.loading import load_images
from pipeline.data.preprocessing import Preprocessing
from pipeline.export.classifier import Answer, Classifier, load_classifier
from pipeline.export.packing import pack
from pipeline.export.trained import read_trained
from pipeline.networks.weights import load_network
from pipeline.steps.predict import _print
from pipeline.workflow.layout import Layout
from pipeline.workflow.rows import find_network, train_images_of
from tests.support.exported import export_digits, sentence, train_digits, train_folder
from tests.support.steps import outdated
from tests.support.workflow import ROOT

ENGINES = ["torch", "runtime", "numpy"]


@pytest.fixture(scope="module")
def digits_row(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """results/digits with one row of two seeds and the test images as files in test/CLASS."""
    home = tmp_path_factory.mktemp("digits") / "results" / "digits"
    train_digits(prepared, home)
    export_digits(prepared / "test.h5", home.parent / "test")
    return home


def accuracy(table: Path) -> float:
    """Top-1 of a table of images that lie in folders named by their class."""
    rows = list(csv.DictReader(table.open()))
    return 100 * sum(Path(row["image"]).parent.name == row["class"] for row in rows) / len(rows)


@pytest.mark.parametrize("engine", ENGINES)
def test_digits_as_files_get_the_tables_accuracy(digits_row: Path, tmp_path: Path, engine: str) -> None:
    table = tmp_path / "answers.csv"
    words = [digits_row / "uniform-1x", digits_row.parent / "test", "--csv", table, "--engine", engine]
    assert main(["predict", *map(str, words)]) == 0
    expected = json.loads((digits_row / "evaluation" / "uniform-1x" / "seed_0.json").read_text())
    assert 20 < expected["top1"] < 100
    assert round(accuracy(table), 4) == expected["top1"]
    rows = list(csv.DictReader(table.open()))
    assert len(rows) == expected["images"]
    for row in rows:
        assert sum(float(row[f"p({name})"]) for name in "0123456789") == pytest.approx(1, abs=1e-4)


def test_a_network_of_another_binariser_is_computed_as_it_was_evaluated(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "plugins"))
    home, images, table = tmp_path / "results" / "digits", tmp_path / "test", tmp_path / "answers.csv"
    train_digits(prepared, home, 1, "--binariser", "own_parts.bits:signs")
    export_digits(prepared / "test.h5", images)
    words = ["predict", str(home / "uniform-1x"), str(images), "--csv", str(table)]
    assert main(words) == 0
    expected = json.loads((home / "evaluation" / "uniform-1x" / "seed_0.json").read_text())["top1"]
    assert round(accuracy(table), 4) == expected > 15
    assert main([*words, "--engine", "runtime"]) == 1
    assert "packed networks compute the paper's binarisation alone" in sentence(capsys)


@pytest.mark.parametrize("size", [24, 80], ids=["pixels", "photographs"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_folder_of_images_gets_the_tables_accuracy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], size: int, engine: str
) -> None:
    home, images = train_folder(tmp_path, size)
    table = tmp_path / "answers.csv"
    words = [home / "small", images / "val", "--csv", table, "--engine", engine]
    assert main(["predict", *map(str, words)]) == 0
    expected = json.loads((home / "evaluation" / "small" / "seed_0.json").read_text())
    assert round(accuracy(table), 4) == expected["top1"]
    # Accuracies of few images are equal by chance easily; what the network sees is not.
    trained = read_trained(home / "retrain" / "small" / "seed_0" / "weights.h5")
    source = load_images(home / "data" / "test.h5", "cpu")
    ((seen, _),) = source.batches([torch.arange(len(source))])
    from pipeline.data.preprocessing import read_picture

    files = sorted((images / "val").rglob("*.*"))
    assert len(files) == len(source)
    ours = trained.preprocessing.normalised(np.stack([trained.preprocessing.pixels(read_picture(f)) for f in files]))
    assert torch.equal(ours, seen)


def test_a_packed_file_an_array_and_several_paths(digits_row: Path, tmp_path: Path, capsys) -> None:
    weights = digits_row / "retrain" / "uniform-1x" / "seed_1" / "weights.h5"
    trained = read_trained(weights)
    (tmp_path / "found.bnn").write_bytes(pack(trained.network, trained.about))
    image = sorted((digits_row.parent / "test" / "3").iterdir())[0]
    assert main(["predict", str(tmp_path / "found.bnn"), str(image), str(image.parent), "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(list(image.parent.iterdir()))
    assert lines[0].split()[0] == str(image) and lines[0].count("%") == 2

    classify = load_classifier(weights, "torch")
    pixels = np.asarray(Image.open(image))
    as_file, as_text, as_grey, as_rgb = classify.probabilities([image, str(image), pixels, np.stack([pixels] * 3, 2)])
    assert np.array_equal(as_file, as_text) and np.array_equal(as_file, as_grey) and np.array_equal(as_grey, as_rgb)
    packed = load_classifier(tmp_path / "found.bnn").probabilities([image])
    assert np.abs(packed - as_file).max() < 1e-5
    with pytest.raises(UserError, match="no image"):
        classify.probabilities([pixels.astype(float)])
    assert classify.probabilities([]).shape == (0, 10)
    # An image by itself is no list of its rows, an array of images is one of these.
    rgb = np.stack([pixels] * 3, axis=2)
    rgba = np.dstack([rgb, pixels])
    for alone in (pixels, rgb, rgba, rgba[:, :, :2], pixels[:, :, None], pixels[0], image, str(image)):
        with pytest.raises(UserError, match="is one image: give a list"):
            classify.probabilities(alone)
    for several in (np.stack([pixels, pixels.T]), np.stack([rgb, rgb.transpose(1, 0, 2)])):
        assert np.array_equal(classify.probabilities(several), classify.probabilities([pixels, pixels.T]))


def knowing(channels: int) -> Classifier:
    how = Preprocessing("pixels", channels, 8, (0.5,) * channels, (0.5,) * channels)
    return Classifier(("a", "b"), how, "none", lambda pixels: np.zeros((len(pixels), 2), np.float32))


def test_what_is_neither_a_file_nor_an_array_is_told() -> None:
    image, classify = Image.new("RGB", (9, 8)), knowing(3)
    for each in (image, b"\x89PNG", None):
        with pytest.raises(UserError, match=rf"of type {type(each).__name__} is neither .*: give its path, or"):
            classify.probabilities([each])
    for several in (image, b"\x89PNG", iter([Path("a.png")]), None):
        with pytest.raises(UserError, match=rf"images of type {type(several).__name__} are no list: give a list"):
            classify.probabilities(several)
    assert classify.probabilities([np.asarray(image)]).shape == (1, 2)


def test_an_image_whose_colours_come_first_is_not_taken_for_three_grey_ones() -> None:
    colours = knowing(3)
    image = np.arange(3 * 8 * 9, dtype=np.uint8).reshape(3, 8, 9)
    with pytest.raises(UserError, match=r"may be one image, its colours first: give \[pixels\.transpose\(1, 2, 0\)\]"):
        colours.probabilities(image)
    assert colours.probabilities([image.transpose(1, 2, 0)]).shape == (1, 2)
    assert colours.probabilities(list(image)).shape == knowing(1).probabilities(image).shape == (3, 2)
    assert colours.probabilities(image[:2]).shape == (2, 2), "no image has two colours"


def test_files_are_named_by_strings_as_well(digits_row: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    weights = digits_row / "retrain" / "uniform-1x" / "seed_0" / "weights.h5"
    trained = read_trained(weights)
    (tmp_path / "found.bnn").write_bytes(pack(trained.network, trained.about))
    image = str(next((digits_row.parent / "test" / "3").iterdir()))
    expected = load_classifier(weights).probabilities([image])
    for file in (str(weights), str(tmp_path / "found.bnn")):
        assert np.array_equal(load_classifier(file).probabilities([image]), expected)
    assert np.array_equal(
        load_classifier(str(weights), images=str(digits_row / "data" / "train.h5")).probabilities([image]), expected
    )
    network = load_network(str(weights))
    assert network.spec == trained.network.spec
    # As it answers: its batch norms do not look at which images there are besides.
    shape = (6, network.spec.channels, network.spec.size, network.spec.size)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(network(x)[:2], network(x[:2]), atol=1e-5) and not network.training
    monkeypatch.chdir(digits_row.parent.parent)
    assert find_network("results/digits/uniform-1x").resolve() == weights.resolve()


def test_the_classifier_says_which_file_is_meant_by_a_row(digits_row: Path) -> None:
    """It lies in a room below that of the rows."""
    trained = digits_row / "retrain" / "uniform-1x"
    for row in (digits_row / "uniform-1x", str(digits_row / "uniform-1x"), trained, trained / "seed_0"):
        with pytest.raises(UserError) as caught:
            load_classifier(row)
        said = (
            f"{row} is no file that can be read: name one, such as {trained}/seed_0/weights.h5; pipeline.workflow.rows."
        )
        assert str(caught.value).startswith(said)
    for other in (digits_row, digits_row / "found-A", Path("/"), digits_row / "*"):
        with pytest.raises(UserError, match=f"{re.escape(str(other))} cannot be read: "):
            load_classifier(other)


def test_a_packed_network_of_weights_before_is_said_to_be_one(digits_row: Path, tmp_path: Path, capsys) -> None:
    """Where measuring was switched off since, nobody makes it anew when its row is trained again."""
    image = next((digits_row.parent / "test" / "3").iterdir())
    layout = Layout(tmp_path / "results" / "digits")
    shutil.copytree(digits_row, layout.folder)
    weights = layout.training("uniform-1x", 0).weights
    packed = layout.packed("uniform-1x")
    assert main(["export", str(weights), "--output", str(packed)]) == 0
    line = {"file": "packed/uniform-1x.bnn", "record": {}, "made_from": {}}
    for digest, noted in ((str(read_attributes(weights)["digest"])[:16], False), ("another", True)):
        line["made_from"] = {"retrain/uniform-1x/seed_0/weights.h5": digest}
        layout.made_with.write_text("\n".join(map(json.dumps, [{"run": "a", "folder": str(layout.folder)}, line])))
        for words in (["predict", packed, image], ["export", packed, "--output", tmp_path / "x.bnn"]):
            capsys.readouterr()
            assert main(list(map(str, words))) == 0
            assert ("is not what" in capsys.readouterr().err) == noted
    outdated(layout, [weights])
    assert main(["predict", str(weights), str(image)]) == 0
    assert "is not what" in capsys.readouterr().err


def test_which_seed_is_taken_is_said(digits_row: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = next((digits_row.parent / "test" / "3").iterdir())
    for row in (digits_row / "uniform-1x", digits_row / "retrain" / "uniform-1x"):
        assert main(["predict", str(row), str(image)]) == 0
        said = capsys.readouterr().err
        assert "taking seed 0, the first of 2\n" in said and "choose the best by" not in said, "--help says why"
    first = digits_row / "retrain" / "uniform-1x" / "seed_0" / "weights.h5"
    aside = first.rename(first.with_name("aside"))  # as while it is trained again
    try:
        assert main(["predict", str(digits_row / "uniform-1x"), str(image)]) == 0
    finally:
        aside.rename(first)
    assert "taking seed 1, the first of 1 whose weights are there\n" in capsys.readouterr().err
    assert main(["predict", str(digits_row / "retrain" / "uniform-1x" / "seed_1"), str(image)]) == 0
    assert "taking" not in capsys.readouterr().err


def without_preprocessing(weights: Path) -> None:
    with h5py.File(weights, "a", locking=False) as file:
        for name in ("classes", "preprocessing", "dataset"):
            del file.attrs[name]


def test_older_weights_take_what_is_missing_from_the_experiment(digits_row: Path, tmp_path: Path, capsys) -> None:
    image = next((digits_row.parent / "test" / "3").iterdir())
    shutil.copytree(digits_row, tmp_path / "digits")
    weights = tmp_path / "digits" / "retrain" / "uniform-1x" / "seed_0" / "weights.h5"
    expected = load_classifier(weights).probabilities([image])
    without_preprocessing(weights)
    images = train_images_of(weights)
    assert np.array_equal(load_classifier(weights, images=images).probabilities([image]), expected)
    said = capsys.readouterr().err
    assert "older version: it does not hold its classes and preprocessing" in said and "data/train.h5" in said

    (tmp_path / "digits" / "data" / "train.h5").rename(tmp_path / "moved.h5")
    assert main(["predict", str(weights), str(image)]) == 1
    assert "older version" in (line := sentence(capsys)) and "--train-images" in line
    assert main(["predict", str(weights), str(image), "--train-images", str(tmp_path / "moved.h5")]) == 0
    capsys.readouterr()
    test = tmp_path / "digits" / "data" / "test.h5"
    assert main(["predict", str(weights), str(image), "--train-images", str(test)]) == 1
    assert "it was not trained on" in sentence(capsys)


def test_weights_of_an_unknown_preparation(digits_row: Path, tmp_path: Path, capsys) -> None:
    weights = tmp_path / "weights.h5"
    shutil.copy(digits_row / "retrain" / "uniform-1x" / "seed_0" / "weights.h5", weights)
    with h5py.File(weights, "a", locking=False) as file:
        record = {**json.loads(file.attrs["preprocessing"]), "interpolation": "lanczos"}
        file.attrs["preprocessing"] = json.dumps(record)
    assert main(["predict", str(weights), str(weights)]) == 1
    assert "a way which this version does not know" in sentence(capsys)


def test_images_that_cannot_be_read(digits_row: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row, image = str(digits_row / "uniform-1x"), next((digits_row.parent / "test" / "3").iterdir())
    (tmp_path / "photo.jpg").write_bytes(b"no photo")
    assert main(["predict", row, str(tmp_path / "photo.jpg")]) == 1
    assert "photo.jpg cannot be read as an image (it is no image of a known format)" in sentence(capsys)
    shutil.copy(image, tmp_path / "three.png")
    assert main(["predict", row, str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert "photo.jpg cannot be read" in captured.err and "three.png" in captured.out
    assert main(["predict", row, str(tmp_path / "none.png")]) == 1
    assert "there is no file" in sentence(capsys)
    (tmp_path / "empty" / ".hidden").mkdir(parents=True)
    assert main(["predict", row, str(tmp_path / "empty")]) == 1
    assert "there is no image in" in sentence(capsys)


def test_no_table_takes_the_place_of_an_image_or_the_network(digits_row: Path, tmp_path: Path, capsys) -> None:
    image, network = tmp_path / "three.png", tmp_path / "found.bnn"
    shutil.copy(next((digits_row.parent / "test" / "3").iterdir()), image)
    assert main(["export", str(digits_row / "uniform-1x"), "--output", str(network)]) == 0
    before = image.read_bytes(), network.read_bytes()
    for output in (image, network):
        assert main(["predict", str(network), str(image), "--csv", str(output)]) == 1
        assert f"{output} would be overwritten, though it is read" in capsys.readouterr().err
    assert (image.read_bytes(), network.read_bytes()) == before


def test_no_image_of_a_folder_is_left_out(digits_row: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    """Neither one behind a link, as class folders often are, nor one that is not there any more."""
    row, images = str(digits_row / "uniform-1x"), digits_row.parent / "test"
    monkeypatch.chdir(tmp_path)
    Path("all").mkdir()
    Path("all/three").symlink_to(images / "3")
    Path("all/again").symlink_to(images / "3")
    Path("all/loop").symlink_to(tmp_path / "all")
    Path("all/.hidden").mkdir()
    assert main(["predict", row, "all", "--csv", "answers.csv"]) == 0
    found = [line["image"] for line in csv.DictReader(Path("answers.csv").read_text().splitlines())]
    names = sorted(file.name for file in (images / "3").iterdir())
    assert found == [f"all/{link}/{name}" for link in ("again", "three") for name in names]
    Path("all/gone.png").symlink_to("nowhere.png")
    assert main(["predict", row, "all"]) == 1
    assert "all/gone.png cannot be read as an image (No such file or directory)" in capsys.readouterr().err
    monkeypatch.setattr("os.scandir", refused)
    assert main(["predict", row, "all"]) == 1
    assert sentence(capsys) == "error: the folder all cannot be read: Permission denied"


def refused(folder: Path) -> None:
    raise PermissionError(13, "Permission denied")


def test_of_equal_classes_the_first_is_the_answer(tmp_path: Path, capsys) -> None:
    """As in the table, in evaluation and in the exported formats."""
    answers = [Answer(np.array([0.2, 0.4, 0.4])), Answer(np.array([0.5, 0.5, 0.0]))]
    _print([Path("a"), Path("b")], answers, ("x", "y", "z"), top=2)
    assert capsys.readouterr().out == "a  y 40.0 %, z 40.0 %\nb  x 50.0 %, y 50.0 %\n"


def test_networks_that_are_not_there(digits_row: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = str(next((digits_row.parent / "test" / "3").iterdir()))
    assert main(["predict", str(digits_row / "found-A"), image]) == 1
    assert f"no trained network 'found-A': name one of its rows: {digits_row}/uniform-1x" in sentence(capsys)
    assert main(["predict", str(digits_row), image]) == 1
    assert "is an experiment: name one of its rows" in sentence(capsys)
    assert main(["predict", str(tmp_path / "nothing"), image]) == 1
    assert "there is no network" in sentence(capsys)
    assert main(["predict", image, image]) == 1
    assert "no packed network" in sentence(capsys)
    assert main(["predict", str(digits_row / "uniform-1x"), image, "--csv", "/proc/no/table.csv"]) == 1
    assert "cannot write /proc/no/table.csv" in sentence(capsys)


def test_files_of_any_name(digits_row: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    """Nothing in a name moves the cursor, is run by a spreadsheet, or stops the answers to the others."""
    monkeypatch.chdir(tmp_path)
    image = next((digits_row.parent / "test" / "3").iterdir()).read_bytes()
    names = ["=1+1.png", 'a,"b.png', "new\nline.png", "re\rturn.png", os.fsdecode(b"caf\xe9.png"), "\x1b[31mred.png"]
    for name in names:
        Path(name).write_bytes(image)
    assert main(["predict", str(digits_row / "uniform-1x"), *names, "--csv", "answers.csv"]) == 0
    with open("answers.csv", newline="", encoding="utf-8", errors="surrogateescape") as table:
        rows = list(csv.DictReader(table))
    assert [row["image"] for row in rows] == ["'=1+1.png", *names[1:]]
    assert len({row["probability"] for row in rows}) == 1
    capsys.readouterr()
    assert main(["predict", str(digits_row / "uniform-1x"), *names]) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = [line.split("  ")[0].rstrip() for line in lines]
    assert shown == ["=1+1.png", 'a,"b.png', r"new\nline.png", r"re\rturn.png", r"caf\xe9.png", r"\x1b[31mred.png"]
