"""ResNet-18 learns from real photographs for some steps, the whole way from files in a folder to a test score."""

import json

from pipeline.__main__ import main
from tests.support.photographs import photographs

NETWORK = ["--network", "resnet18", "--base-width", "0.125"]
CPU = ["--device", "cpu", "--precision", "float32", "--loaders", "1"]


def test_from_a_folder_to_a_score(tmp_path):
    folder = photographs(tmp_path / "photographs")
    train, test = tmp_path / "train.h5", tmp_path / "test.h5"
    prepare = ["prepare-dataset", "--dataset", "image_folder", "--path", str(folder), "--image-size", "224"]
    assert main([*prepare, "--train", str(train), "--test", str(test)]) == 0
    recipe = ["--epochs", "2", "--batch-size", "8", "--learning-rate", "0.05", "--augmentation", "resized-crop-flip"]
    outputs = ["--weights", f"{tmp_path}/w.h5", "--history", f"{tmp_path}/h.csv", "--timing", f"{tmp_path}/t.json"]
    genome = ["--genome", "2,1,1,1,1,1,1,1,1,0.5,1,1"]
    assert main(["retrain", "--images", str(train), *NETWORK, *genome, *recipe, *CPU, *outputs]) == 0
    losses = [float(line.split(",")[2]) for line in (tmp_path / "h.csv").read_text().splitlines()[1:]]
    assert len(losses) == 2 and all(0 < loss < 10 for loss in losses)
    score = ["--weights", f"{tmp_path}/w.h5", "--images", str(test), *CPU, "--output", f"{tmp_path}/r.json"]
    assert main(["evaluate", *score]) == 0
    result = json.loads((tmp_path / "r.json").read_text())
    assert 0 <= result["top1"] <= 100 and result["network"]["network"] == "resnet18"
