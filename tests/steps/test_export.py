"""Exporting: every format answers as the trained network does, on all test images; mistakes get one sentence."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.__main__ import main
from pipeline.data.loading import load_images
from pipeline.export.agreement import answers_of
from pipeline.export.classifier import load_classifier
from pipeline.report.answers import unpack_answers
from tests.support.exported import sentence, train_digits


@pytest.fixture(scope="module")
def row(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained row of an experiment on digits."""
    home = tmp_path_factory.mktemp("export") / "results" / "digits"
    train_digits(prepared, home, seeds=1)
    return home / "uniform-1x"


def weights(row: Path) -> Path:
    return row.parent / "retrain" / row.name / "seed_0" / "weights.h5"


def images_of(row: Path) -> tuple[np.ndarray, np.ndarray]:
    """Bytes (N, 8, 8, 1) and labels of all test images."""
    with h5py.File(row.parent / "data" / "test.h5", "r", locking=False) as file:
        return file["pixels"][()], file["labels"][()]


def table(row: Path) -> float:
    """The accuracy that evaluation found."""
    return json.loads((row.parent / "evaluation" / row.name / "seed_0.json").read_text())["top1"]


def top1(logits: np.ndarray, labels: np.ndarray) -> float:
    return round(100 * float((logits.argmax(1) == labels).mean()), 4)


def export(row: Path, kind: str, output: Path, *more: object) -> Path:
    assert main(["export", str(row), "--format", kind, "--output", str(output), *map(str, more)]) == 0
    return output


def expected_logits(row: Path, pixels: np.ndarray) -> np.ndarray:
    return load_classifier(weights(row), "torch").logits(pixels)


@pytest.mark.parametrize("kind", ["onnx", "onnx-float", "int8-onnx"])
@pytest.mark.parametrize("source", ["row", "packed"])
def test_onnx_gets_the_tables_accuracy(row: Path, tmp_path: Path, kind: str, source: str) -> None:
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    given = row if source == "row" else export(row, "packed", tmp_path / "found.bnn")
    file = export(given, kind, tmp_path / "found.onnx")
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    pixels, labels = images_of(row)
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"pixels": pixels})
    wanted = expected_logits(row, pixels)
    assert np.abs(logits - wanted).max() <= 1e-4 * np.abs(wanted).max()
    assert 20 < table(row) < 100
    assert top1(logits, labels) == table(row)
    (one,) = session.run(None, {"pixels": pixels[:1]})  # any number of images
    assert np.abs(one - logits[:1]).max() <= 1e-5 * np.abs(wanted).max()
    about = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert about["classes"] == list("0123456789") and about["preparation"]["interpolation"] == "bicubic"


def test_packed_onnx_can_be_expanded_and_is_small(row: Path, tmp_path: Path) -> None:
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    from onnx import inliner

    file = export(row, "onnx", tmp_path / "found.onnx")
    packed = export(row, "packed", tmp_path / "found.bnn")
    # What the functions and the graph take beside the weights does not grow with the network.
    assert file.stat().st_size <= 1.1 * packed.stat().st_size + 2560
    model = onnx.load(file)
    assert {function.name for function in model.functions} == {"Unpack", "BinaryConv", "Threshold"}
    plain = inliner.inline_local_functions(model)
    assert not plain.functions and all(node.domain in ("", "ai.onnx") for node in plain.graph.node)
    pixels, labels = images_of(row)
    session = runtime.InferenceSession(plain.SerializeToString(), providers=["CPUExecutionProvider"])
    assert top1(session.run(None, {"pixels": pixels})[0], labels) == table(row)


def test_qonnx_exec_gets_the_tables_accuracy(row: Path, tmp_path: Path) -> None:
    pytest.importorskip("qonnx")
    file = export(row, "qonnx", tmp_path / "found.onnx")
    pixels, labels = images_of(row)
    source = load_images(row.parent / "data" / "test.h5", "cpu")
    import torch

    ((images, _),) = source.batches([torch.arange(len(source))])
    np.save(tmp_path / "images.npy", images.contiguous().numpy())
    program = Path(sys.executable).with_name("qonnx-exec")
    words = [program, file, tmp_path / "images.npy", f"--override-batchsize={len(pixels)}"]
    done = subprocess.run([*map(str, words), f"--output-prefix={tmp_path}/"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    logits = np.load(tmp_path / "logits_batch0.npy")
    wanted = expected_logits(row, pixels)
    assert np.abs(logits - wanted).max() <= 1e-4 * np.abs(wanted).max()
    assert top1(logits, labels) == table(row)


@pytest.mark.parametrize("engine", ["runtime", "numpy"])
def test_the_packed_file_gets_the_tables_accuracy(row: Path, tmp_path: Path, engine: str) -> None:
    file = export(row, "packed", tmp_path / "new" / "found.bnn")
    pixels, labels = images_of(row)
    assert top1(load_classifier(file, engine).logits(pixels), labels) == table(row)


@pytest.mark.parametrize("kind", ["bfloat16", "int8"])
def test_what_shorter_real_weights_cost_is_printed(row: Path, tmp_path: Path, capsys, kind: str) -> None:
    whole = export(row, "packed", tmp_path / "whole.bnn")
    capsys.readouterr()
    short = export(row, "packed", tmp_path / "short.bnn", "--real-weights", kind)
    said = capsys.readouterr().out
    assert short.stat().st_size < whole.stat().st_size
    pixels, labels = images_of(row)
    logits = load_classifier(short).logits(pixels)
    after = 100 * (logits.argmax(1) == labels).mean()
    assert f"{table(row):.2f} % with float32, {after:.2f} % with {kind}" in said
    runtime = pytest.importorskip("onnxruntime")
    file = export(row, "onnx", tmp_path / "short.onnx", "--real-weights", kind)
    assert file.stat().st_size < export(row, "onnx", tmp_path / "whole.onnx").stat().st_size
    (found,) = runtime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, {"pixels": pixels})
    assert np.abs(found - logits).max() <= 1e-4 * np.abs(logits).max()

    shutil.copy(weights(row), tmp_path / "alone.h5")
    export(tmp_path / "alone.h5", "packed", tmp_path / "alone.bnn", "--real-weights", kind)
    assert "was not measured" in capsys.readouterr().err


def test_a_network_trained_in_bfloat16_is_scored_as_it_is_handed_over(prepared, tmp_path) -> None:
    """In float32: in bfloat16 it answers some images otherwise, and two classes are equally likely more often."""
    home = tmp_path / "digits"
    train_digits(prepared, home, 1, "--precision", "bfloat16")
    test, scores = home / "data" / "test.h5", tmp_path / "scores.json"
    words = ["--weights", weights(home / "uniform-1x"), "--images", test, "--output", scores, "--device", "cpu"]
    assert main(["evaluate", *map(str, words), "--precision", "bfloat16", "--threads", "1"]) == 0
    packed = export(home / "uniform-1x", "packed", tmp_path / "digits.bnn").read_bytes()
    answers = answers_of(packed, load_images(test, "cpu"))
    assert (answers == unpack_answers(json.loads(scores.read_text()))).all()
    assert load_classifier(weights(home / "uniform-1x")).engine.startswith("runtime")


def test_only_test_images_that_were_prepared_with_those_it_learnt_from_tell_its_accuracy(row, tmp_path, capsys) -> None:
    """Of another division into train and test, it may have learnt from some of them."""
    words = ["export", str(weights(row)), "--real-weights", "int8", "--output", str(tmp_path / "short.bnn")]
    assert main([*words, "--test-images", str(row.parent / "data" / "train.h5")]) == 1
    assert "holds train images, but test images are needed here" in sentence(capsys)
    train, test = (
        tmp_path / "results" / "other" / "data" / "train.h5",
        tmp_path / "results" / "other" / "data" / "test.h5",
    )
    division = ["--dataset", "digits", "--test-fraction", "0.4", "--train", str(train), "--test", str(test)]
    assert main(["prepare-dataset", *division]) == 0
    capsys.readouterr()
    assert main([*words, "--test-images", str(test)]) == 1
    assert "holds other images than this network was trained on" in sentence(capsys)
    # Those of the experiment itself may have been prepared anew since; the network is exported all the same.
    alone = test.parent.parent / "weights.h5"
    shutil.copy(weights(row), alone)
    words[1] = str(alone)
    assert main(words) == 0
    printed = capsys.readouterr()
    assert "int8 costs was not measured" in printed.err and "top-1" not in printed.out


def test_mistakes_get_one_sentence(row: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = export(row, "packed", tmp_path / "found.bnn")
    capsys.readouterr()

    def refused(*words: object) -> str:
        assert main(["export", *map(str, words)]) == 1
        return sentence(capsys)

    assert "QONNX needs" in refused(packed, "--format", "qonnx", "--output", tmp_path / "q.onnx")
    assert "packed already" in refused(packed, "--real-weights", "int8", "--output", tmp_path / "p.bnn")
    assert "stores real weights in float32" in refused(
        row, "--format", "int8-onnx", "--real-weights", "int8", "--output", tmp_path / "p.onnx"
    )
    assert "is a folder" in refused(row, "--output", tmp_path)
    (tmp_path / "link.bnn").symlink_to(weights(row))
    for output in (weights(row), tmp_path / "link.bnn"):
        assert "would be overwritten, though it is read" in refused(row, "--output", output)
    assert "cannot write /proc/none/found.bnn" in refused(row, "--output", "/proc/none/found.bnn")
    assert "there is no network" in refused(tmp_path / "none", "--output", tmp_path / "p.bnn")
    data = bytearray(packed.read_bytes())
    data[12:16] = data[12:16][::-1]
    packed.write_bytes(data)
    assert "another byte order" in refused(packed, "--output", tmp_path / "p.bnn")


def test_weights_that_are_no_numbers(row: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "weights.h5"
    shutil.copy(weights(row), bad)
    with h5py.File(bad, "a", locking=False) as file:
        values = file["conv3.weight"][()]
        values[0, 0, 0, 0] = np.nan
        file["conv3.weight"][...] = values
    assert main(["export", str(bad), "--output", str(tmp_path / "found.bnn")]) == 1
    assert f"{bad} is damaged: conv3.weight holds numbers that no training leaves" in sentence(capsys)


def test_what_is_not_installed_is_said(row: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    for kind in ("onnx", "qonnx"):
        assert main(["export", str(row), "--format", kind, "--output", str(tmp_path / "found.onnx")]) == 1
        assert "the package onnx is needed for this format and is not installed: pip install" in sentence(capsys)
