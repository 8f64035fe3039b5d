"""Trained rows laid out as an experiment lays them out, and their test images as files."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from pipeline.__main__ import main
from tests.support.steps import CPU


def sentence(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a refused command writes."""
    error = capsys.readouterr().err
    assert "Traceback" not in error
    (line,) = [line for line in error.splitlines() if line.startswith("error: ")]
    return line


def _retrain(home: Path, row: str, seed: int, *more: object) -> None:
    folder = home / "retrain" / row / f"seed_{seed}"
    outputs = ["--weights", folder / "weights.h5", "--history", folder / "h.csv", "--timing", folder / "t.json"]
    words = ["--images", home / "data" / "train.h5", "--repetition", seed, *CPU, *more, *outputs]
    assert main(["retrain", *map(str, words)]) == 0
    evaluation = home / "evaluation" / row / f"seed_{seed}.json"
    words = ["--weights", folder / "weights.h5", "--images", home / "data" / "test.h5", *CPU, "--output", evaluation]
    assert main(["evaluate", *map(str, words)]) == 0


def train_digits(prepared: Path, home: Path, seeds: int = 2, *more: object) -> None:
    """Row 'uniform-1x' with some seeds, trained a little on prepared digits; ``more`` are flags of its training."""
    (home / "data").mkdir(parents=True)
    for name in ("train.h5", "test.h5"):
        (home / "data" / name).write_bytes((prepared / name).read_bytes())
    network = ["--network", "vgg_small", "--base-width", 0.0625, "--genome", "1,1,1,1,1,1"]
    training = ["--epochs", 4, "--batch-size", 50, "--learning-rate", 0.1]
    for seed in range(seeds):
        _retrain(home, "uniform-1x", seed, *network, *training, *more)


def export_digits(test: Path, folder: Path) -> None:
    """Prepared test images as grey PNG files in FOLDER/CLASS."""
    with h5py.File(test, "r", locking=False) as file:
        pixels, labels = file["pixels"][()], file["labels"][()]
    for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        path = folder / str(label) / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[:, :, 0]).save(path)


def train_folder(folder: Path, size: int) -> tuple[Path, Path]:
    """A row 'small' on images of many kinds. Returns the experiment's folder and that of the images."""
    images, home = folder / "images", folder / "results" / "mine"
    draw = np.random.default_rng(0)
    for part, count in (("train", 8), ("val", 6)):
        for label, name in enumerate(("dark", "light", "striped")):
            for number in range(count):
                _save(images / part / name, number, _picture(draw, label))
    data = ["--train", home / "data" / "train.h5", "--test", home / "data" / "test.h5"]
    words = ["--dataset", "image_folder", "--path", images, "--image-size", size, *data]
    assert main(["prepare-dataset", *map(str, words)]) == 0
    network = ["--network", "vgg_small", "--base-width", 0.03125, "--genome", "2,2,2,2,2,2"]
    _retrain(home, "small", 0, *network, "--epochs", 2, "--batch-size", 8, "--learning-rate", 0.05)
    return home, images


def _picture(draw: np.random.Generator, label: int) -> np.ndarray:
    height, width = draw.integers(90, 260, 2)
    pixels = draw.integers(0, 90, (height, width, 3)) + 80 * label
    pixels[:: 1 + label] += 60
    return pixels.clip(0, 255).astype(np.uint8)


def _save(folder: Path, number: int, pixels: np.ndarray) -> None:
    """As a JPEG, turned or not, a PNG with transparency, a grey PNG or one of 16 bits."""
    folder.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    match number % 5:
        case 0:
            image.save(folder / f"{number}.jpg", quality=90)
        case 1:
            exif = Image.Exif()
            exif[0x0112] = 6
            image.save(folder / f"{number}.jpg", quality=90, exif=exif)
        case 2:
            image.putalpha(image.convert("L"))
            image.save(folder / f"{number}.png")
        case 3:
            image.convert("L").save(folder / f"{number}.png")
        case 4:
            Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257).save(folder / f"{number}.png")
