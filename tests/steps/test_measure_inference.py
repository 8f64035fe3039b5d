"""Measuring inference: packed networks for every row, and a table of their size and time beside the counted speedup."""

import csv
import json
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.common.files import read_record, write_record
from pipeline.export.packed import read
from pipeline.kernels.build import CompilationError
from pipeline.networks.cost import speedup
from pipeline.networks.weights import load_network
from tests.support.exported import sentence, train_digits


@pytest.fixture(scope="module")
def home(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measure") / "results" / "digits"
    train_digits(prepared, folder)
    return folder


def measure(home: Path, folder: Path, *more: object) -> int:
    rows = {f"row-{seed}": home / "retrain" / "uniform-1x" / f"seed_{seed}" / "weights.h5" for seed in range(2)}
    networks = [f"{row}={weights}" for row, weights in rows.items()]
    packed = [f"{row}={folder}/{row}.bnn" for row in rows]
    outputs = ["--table", folder / "i.md", "--output", folder / "i.csv"]
    return main(["measure-inference", "--networks", *networks, "--packed", *packed, *map(str, [*outputs, *more])])


def test_every_row_is_packed_and_timed(home: Path, tmp_path: Path) -> None:
    assert measure(home, tmp_path) == 0
    lines = list(csv.DictReader((tmp_path / "i.csv").open()))
    beside = [line for line in lines if not line["speedup_theoretical"]]
    assert beside[0]["engine"].startswith("torch")
    times = [float(line["milliseconds"]) for line in lines]
    assert min(times) > 0
    assert max(float(line["speedup_measured"]) for line in beside) == 1
    theory = speedup(load_network(home / "retrain" / "uniform-1x" / "seed_0" / "weights.h5").spec)
    for line in lines[len(beside) :]:
        data = (tmp_path / f"{line['model']}.bnn").read_bytes()
        assert read(data).classes == tuple("0123456789")
        assert int(line["bytes"]) == len(data)
        assert float(line["speedup_theoretical"]) == pytest.approx(theory, rel=1e-3)
        assert line["engine"].startswith("runtime, ") and float(line["speedup_measured"]) > 0
        assert float(line["least_milliseconds"]) <= float(line["milliseconds"]) <= float(line["most_milliseconds"])
    text = (tmp_path / "i.md").read_text()
    assert "speedup (measured)" in text and "row-1" in text and lines[0]["machine"] in " ".join(text.split())


def test_without_a_compiler_rows_are_packed_and_not_timed(home: Path, tmp_path: Path, monkeypatch) -> None:
    def no_runtime(*_: object) -> None:
        raise CompilationError("there is no C++ compiler (g++)")

    monkeypatch.setattr("pipeline.kernels.inference.load", no_runtime)
    assert measure(home, tmp_path) == 0
    last = list(csv.DictReader((tmp_path / "i.csv").open()))[-1]
    assert last["milliseconds"] == "" and int(last["bytes"]) == (tmp_path / "row-1.bnn").stat().st_size
    assert "The rows were not timed: there is no C++ compiler" in (tmp_path / "i.md").read_text()


def test_bench_prints_the_rows_of_an_experiment(home: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["bench", str(home)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("uniform-1x ") for line in lines) and max(map(len, lines)) <= 80
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").symlink_to(home.parent)
    assert main(["bench", home.name]) == 0
    assert "uniform-1x " in capsys.readouterr().out
    assert main(["bench", "other"]) == 1
    assert f"there is no experiment 'other': experiments under results/: {home.name}" in sentence(capsys)
    assert main(["bench", str(home), "--threads", "0"]) == 2
    assert "argument --threads: 0 is not at least 1" in sentence(capsys)


def test_the_packed_networks_answer_as_was_evaluated_and_the_table_says_if_not(home, tmp_path, monkeypatch, capsys):
    evaluations = [f"row-{seed}={home / 'evaluation' / 'uniform-1x' / f'seed_{seed}.json'}" for seed in range(2)]
    how = ["--images", home / "data" / "test.h5", "--evaluations"]
    monkeypatch.setattr("pipeline.steps.measure_inference.ROUNDS", 1)
    assert measure(home, tmp_path, *how, *evaluations) == 0
    lines = list(csv.DictReader((tmp_path / "i.csv").open()))[-2:]
    assert [(line["answers_as_evaluated"], line["images"]) for line in lines] == [("359", "359")] * 2
    assert "Every packed network gives each test image the class" in " ".join((tmp_path / "i.md").read_text().split())
    # The evaluations of two networks changed for each other.
    others = [evaluations[1 - seed].partition("=")[2] for seed in range(2)]
    capsys.readouterr()
    assert measure(home, tmp_path, *how, *(f"row-{seed}={other}" for seed, other in enumerate(others))) == 1
    assert "seed_0/weights.h5 is not the network that was evaluated in" in sentence(capsys)
    # Of an older version, they do not say of which network they are: not all answers are those of the packed one.
    for seed, other in enumerate(others):
        record = json.loads(Path(other).read_text())
        old = {name: value for name, value in record.items() if name not in ("weights", "digest", "file")}
        (tmp_path / f"{seed}.json").write_text(json.dumps(old))
    others = [f"row-{seed}={tmp_path}/{seed}.json" for seed in range(2)]
    assert measure(home, tmp_path, *how, *others) == 0
    text = " ".join((tmp_path / "i.md").read_text().split())
    lines = list(csv.DictReader((tmp_path / "i.csv").open()))[-2:]
    assert all(0 < int(line["answers_as_evaluated"]) < 359 for line in lines)
    differ = 359 - int(lines[0]["answers_as_evaluated"])
    assert f"NOT every packed network answers as the trained one did: row-0 ({differ} of 359)" in text
    assert f"warning: packed, row-0 answers {differ} of 359 test images otherwise" in capsys.readouterr().err


def test_evaluations_of_other_images_are_refused(home, tmp_path, capsys):
    written = read_record(home / "evaluation" / "uniform-1x" / "seed_0.json")
    evaluation = f"row-0={home / 'evaluation' / 'uniform-1x' / 'seed_0.json'}"
    assert measure(home, tmp_path, "--images", home / "data" / "train.h5", "--evaluations", evaluation) == 1
    assert "seed_0.json is of other images than " in sentence(capsys)
    del written["test_images"]  # of an earlier version
    write_record(tmp_path / "old.json", {key: value for key, value in written.items() if key != "digest"})
    evaluation = f"row-0={tmp_path / 'old.json'}"
    assert measure(home, tmp_path, "--images", home / "data" / "train.h5", "--evaluations", evaluation) == 1
    assert "is of 359 images, but" in sentence(capsys)
    assert measure(home, tmp_path, "--evaluations", evaluation) == 1
    assert "--evaluations and --images belong together" in sentence(capsys)
