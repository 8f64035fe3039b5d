"""Steps called as from the command line, on the files of a folder."""

import json
from collections.abc import Sequence
from pathlib import Path

from pipeline.__main__ import main
from pipeline.workflow.layout import Layout

NETWORK = ["--network", "vgg_small", "--base-width", "0.0625"]


CPU = ["--device", "cpu", "--precision", "float32"]


TRAINING = ["--epochs", "1", "--batch-size", "25", "--learning-rate", "0.1"]


def call(step: str, *words: object, at: Path) -> int:
    """One step on the files of a folder."""
    common = {"images": at / "train.h5", "subset": at / "subset.csv", "validation": at / "validation.csv"}
    wanted = {
        "propose-generation": ["images"],
        "pretrain-supernet": ["images", "subset"],
        "evaluate-generation": ["images", "subset", "validation"],
        "retrain": ["images"],
        "sample-genomes": ["images"],
        "choose-finalists": ["images"],
        "choose-control": ["images"],
    }.get(step, [])
    files = [word for name in wanted for word in (f"--{name}", common[name])]
    network = NETWORK if wanted else []
    return main([step, *map(str, [*files, *network, *words])])


def supernet(at: Path, *more: str) -> int:
    outputs = ["--supernet", at / "supernet.h5", "--history", at / "h.csv", "--timing", at / "t.json"]
    return call("pretrain-supernet", *TRAINING, *CPU, *outputs, *more, at=at)


def evaluate(at: Path, *more: object) -> int:
    outputs = ["--output", at / "e.csv", "--timing", at / "et.csv", "--archive", at / "archive"]
    population = ["--population", at / "p.csv", "--supernet", at / "supernet.h5"]
    return call("evaluate-generation", *population, *TRAINING, *CPU, *outputs, *more, at=at)


def retrain(at: Path, *more: object) -> int:
    outputs = ["--weights", at / "w.h5", "--history", at / "wh.csv", "--timing", at / "wt.json"]
    return call("retrain", *TRAINING, *CPU, *outputs, *more, at=at)


def outdated(layout: Layout, files: Sequence[Path]) -> None:
    """As a run leaves an experiment that was to make some files again and was interrupted."""
    names = [file.relative_to(layout.folder).as_posix() for file in files]
    lines = [{"run": "a", "folder": str(layout.folder)}, {"outdated": names}]
    layout.made_with.write_text("\n".join(map(json.dumps, lines)))
