"""The command line: damaged and mistaken files get one sentence and exit code 1, never a stack trace."""

import csv
import io
import json
import shutil
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import h5py
import numpy as np
import pytest
from PIL import Image

from pipeline.__main__ import main
from pipeline.common.errors import StoppedError
from pipeline.common.files import write_csv
from pipeline.common.hdf5 import read_attributes
from pipeline.data.prepared import read_info, read_labels
from pipeline.report.answers import MOST_MISTAKES, unpack_answered
from pipeline.steps import STEPS
from pipeline.training.loop import Training
from tests.support.steps import CPU, call, evaluate, retrain, supernet
from tests.support.tables import forget_seals
from tests.support.workflow import ROOT


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    """A copy of the prepared images with a proposed population and a trained supernet."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    assert (
        call(
            "propose-generation", "--generation", "0", "--population", "3", "--output", tmp_path / "p.csv", at=tmp_path
        )
        == 0
    )
    assert supernet(tmp_path) == 0
    return tmp_path


def test_a_sample_is_spread_over_cost_and_within_the_budget(folder):
    assert call("sample-genomes", "--genomes", 8, "--output", folder / "p.csv", at=folder) == 0
    costs = [float(row["relative_flops"]) for row in csv.DictReader((folder / "p.csv").open())]
    assert len(costs) == 8 and costs == sorted(costs)
    assert all(1 < b / a < 4 for a, b in pairwise(costs)), "even steps of the logarithm"
    budget = ["--max-flops", "1e6"]
    assert call("sample-genomes", "--genomes", 2, *budget, "--output", folder / "p.csv", at=folder) == 0
    assert all(float(row["flops"]) <= 1e6 for row in csv.DictReader((folder / "p.csv").open()))
    assert evaluate(folder) == 0
    assert len(list(csv.DictReader((folder / "e.csv").open()))) == 2


def test_finalists_are_trained_from_other_seeds_on_other_images(folder):
    per_class = ["--validation-per-class", 20, "--subset-per-class", 20, "--held-out-per-class", 5]
    held_out = ["--held-out", folder / "held_out.csv", "--not-held-out", folder / "others.csv"]
    assert call("hold-out", "--images", folder / "train.h5", *per_class, *held_out, at=folder) == 0
    assert evaluate(folder) == 0
    assert select(folder) == 0
    histories = ["--histories", f"A={folder / 'sh.csv'}", "--lambda", 4]
    assert call("choose-finalists", *histories, "--finalists", 2, "--output", folder / "p.csv", at=folder) == 0
    searched = {path.name for path in folder.glob("archive/*/*.json")}
    evaluations = []
    for repetition in (1, 2):
        more = ["--repetition", repetition, "--validation", folder / "held_out.csv"]
        assert evaluate(folder, *more, "--output", folder / f"f{repetition}.csv") == 0
        evaluations.append((folder / f"f{repetition}.csv").read_text())
    assert len(list(folder.glob("archive/*/*.json"))) == len(searched) + 4, "each is another training"
    assert evaluations[0] != evaluations[1]
    rescored = ["--rescored", folder / "f1.csv", folder / "f2.csv"]
    assert call("select-found", "--search", "A", *histories, *rescored, "--output", folder / "b.json", at=folder) == 0
    found = json.loads((folder / "b.json").read_text())
    means = [
        fmean(float(row["top1"]) for row in rows)
        for rows in zip(*(csv.DictReader((folder / f"f{n}.csv").open()) for n in (1, 2)), strict=True)
    ]
    assert (found["rescorings"], found["finalists"], found["evaluations"]) == (2, 2, 3)
    assert found["top1"] in [pytest.approx(mean, abs=1e-4) for mean in means]
    assert retrain(folder, "--best", folder / "b.json") == 0


def sentence(capsys) -> str:
    error = capsys.readouterr().err
    assert "Traceback" not in error
    (line,) = [line for line in error.splitlines() if line.startswith("error: ")]
    return line


def select(folder: Path) -> int:
    """Scores the evaluations and takes the best."""
    score = ["--population", folder / "p.csv", "--evaluations", folder / "e.csv", "--timings", folder / "et.csv"]
    assert call("score-generation", *score, "--output", folder / "s.csv", "--timing", folder / "st.csv", at=folder) == 0
    tables = ["--scores", folder / "s.csv", "--timings", folder / "st.csv"]
    outputs = ["--output", folder / "b.json", "--history", folder / "sh.csv", "--timing", folder / "sht.csv"]
    return call("select-best", "--search", "A", *tables, *outputs, at=folder)


def test_micro_batches_reach_what_was_found_and_older_tables_have_none(folder):
    assert evaluate(folder) == 0
    lines = (folder / "e.csv").read_text().splitlines()
    assert all(line.endswith(",") for line in lines[1:]), "whole batches leave the cell empty"
    for cells, found in ((["micro_batch", *["13"] * len(lines)], 13), (None, None)):
        rows = [line.rsplit(",", 1)[0] for line in lines]
        rows = rows if cells is None else [f"{row},{cell}" for row, cell in zip(rows, cells, strict=False)]
        (folder / "e.csv").write_text("\n".join(rows) + "\n")
        forget_seals(folder)
        assert select(folder) == 0
        assert json.loads((folder / "b.json").read_text())["micro_batch"] == found
        assert {row["micro_batch"] for row in csv.DictReader((folder / "sh.csv").open())} == {str(found or "")}


def test_the_steps_work_by_hand(folder):
    assert evaluate(folder) == 0
    assert select(folder) == 0
    control = ["--found", folder / "b.json", "--control", "uniform", "--output", folder / "c.json"]
    assert call("choose-control", *control, at=folder) == 0
    assert 0.5 < json.loads((folder / "c.json").read_text())["cost_of_found"] <= 1
    assert retrain(folder, "--best", folder / "c.json") == 0
    assert retrain(folder, "--best", folder / "b.json") == 0
    test = ["--weights", folder / "w.h5", "--images", folder / "test.h5", *CPU, "--output", folder / "r.json"]
    assert call("evaluate", *test, at=folder) == 0
    record = json.loads((folder / "r.json").read_text())
    assert record["weights"] == read_attributes(folder / "w.h5")["digest"]
    answered = unpack_answered(record)
    right = answered.answers == answered.labels
    assert 100 * right.mean() == pytest.approx(record["top1"], abs=1e-4)
    assert (answered.labels == read_labels(folder / "test.h5")).all()
    assert answered.classes == read_info(folder / "test.h5").classes
    assert answered.confidences.min() > 1 / len(answered.classes) - 0.01, "an answer is the likeliest class"
    assert len(answered.mistakes) == MOST_MISTAKES
    surest = answered.confidences[~right].max()
    assert answered.mistakes[0].confidence == pytest.approx(surest, abs=1 / 255)
    with h5py.File(folder / "test.h5") as file:
        for mistake in answered.mistakes:
            picture = np.asarray(Image.open(io.BytesIO(mistake.picture)))
            assert (picture == file["pixels"][mistake.image][:, :, 0]).all()


@pytest.mark.parametrize(
    ("name", "step"),
    [("train.h5", retrain), ("train.h5", evaluate), ("supernet.h5", evaluate)],
    ids=lambda value: getattr(value, "__name__", value),
)
@pytest.mark.parametrize("length", [0, 64, 0.5])
def test_an_hdf5_file_cut_short(folder, capsys, name, step, length):
    path = folder / name
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * length) if isinstance(length, float) else length])
    assert step(folder, *(["--genome", "1,1,1,1,1,1"] if step is retrain else [])) == 1
    assert f"{name} is damaged" in sentence(capsys)


def test_an_hdf5_file_of_another_kind(folder, capsys):
    shutil.copy(folder / "train.h5", folder / "supernet.h5")
    assert evaluate(folder) == 1
    assert "supernet.h5 holds 'binary-nas images 1', but 'binary-nas tensors 1' is needed" in sentence(capsys)
    with h5py.File(folder / "supernet.h5", "w"):
        pass
    assert evaluate(folder) == 1
    assert "supernet.h5 holds" in sentence(capsys)


def test_a_supernet_of_another_experiment(folder, capsys):
    assert evaluate(folder, "--base-width", "0.125") == 1
    assert "has base width 0.0625, these candidates have 0.125" in sentence(capsys)


def test_files_that_are_not_there(folder, capsys):
    (folder / "supernet.h5").unlink()
    assert evaluate(folder) == 1
    assert "there is no file" in sentence(capsys)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("0,", "7,", "slot '7' should be 0"),
        ('"', '"9,', "is 9: allowed ratios are 0.25,0.5,1,2,3,4"),
        (',"', ',"1,', "7 genes"),
        ('"', "'", "cells"),
        ("genome", "gnome", "no column 'genome'"),
        ("random,", "random,-", "is '"),
        (',"', ',"x', "is no genome"),
    ],
)
def test_a_population_edited_into_nonsense(folder, capsys, old, new, complaint):
    path = folder / "p.csv"
    header, first, *rest = path.read_text().splitlines()
    if old in header:
        header = header.replace(old, new)
    else:
        first = first.replace(old, new, 1)
    if complaint == "is '":
        first = first.rsplit(",", 2)[0] + ",minus one," + first.rsplit(",", 1)[1]
    path.write_text("\n".join([header, first, *rest]) + "\n")
    forget_seals(folder)
    assert evaluate(folder) == 1
    assert complaint in sentence(capsys)
    assert "p.csv" in sentence_again(folder, capsys)
    assert not (folder / "e.csv").exists()


def sentence_again(folder, capsys) -> str:
    assert evaluate(folder) == 1
    return sentence(capsys)


def test_a_genome_twice_in_a_population(folder, capsys):
    header, first, second, third = (folder / "p.csv").read_text().splitlines()
    (folder / "p.csv").write_text("\n".join([header, first, "1" + first[1:], third]) + "\n")
    forget_seals(folder)
    assert evaluate(folder) == 1
    assert "stands there twice" in sentence(capsys)


def test_evaluations_of_another_population(folder, capsys):
    assert evaluate(folder) == 0
    text = (folder / "p.csv").read_text().splitlines()
    other = text[1].split('"')[1]
    (folder / "e.csv").write_text((folder / "e.csv").read_text().replace(other, "4,4,4,4,4,4"))
    forget_seals(folder)
    score = ["--population", folder / "p.csv", "--evaluations", folder / "e.csv", "--timings", folder / "et.csv"]
    outputs = ["--output", folder / "s.csv", "--timing", folder / "st.csv"]
    assert call("score-generation", *score, *outputs, at=folder) == 1
    assert "the evaluations do not fit" in sentence(capsys)


def test_a_diverging_retraining_says_so(folder, capsys):
    assert retrain(folder, "--genome", "1,1,1,1,1,1", "--learning-rate", "1e30") == 1
    assert "diverged" in sentence(capsys)


def test_more_images_than_there_are(folder, capsys):
    words = ["--validation-per-class", "50", "--subset-per-class", "500", "--images", folder / "train.h5"]
    assert call("sample-subset", *words, "--subset", folder / "a.csv", "--validation", folder / "b.csv", at=folder) == 1
    assert "train images, but 50 are asked for validation and 500 for the subset" in sentence(capsys)


def test_cuda_where_there_is_none(folder, capsys, monkeypatch):
    monkeypatch.setattr("pipeline.training.execution._has_gpu", lambda: False)
    assert retrain(folder, "--genome", "1,1,1,1,1,1", "--device", "cuda") == 1
    assert "torch finds no GPU here" in sentence(capsys)


@pytest.mark.parametrize("step", STEPS)
def test_every_step_has_help(step, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([step, "--help"])
    assert stopped.value.code == 0
    assert f"usage: python -m pipeline {step}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("predict", "[flags] network images [images ...]"),
        ("init", "[flags] folder"),
        ("export", "--output OUTPUT [flags] network"),
        ("plan", "[flags] [FILE|KEY=VALUE ...]"),
        ("cost", "[flags] [GENOME]"),
        ("run", "[flags] [FILE.yaml|KEY=VALUE ...] [Snakemake's flags and targets ...]"),
        ("resume", "[flags] [FILE.yaml|KEY=VALUE ...] [Snakemake's flags and targets ...]"),
    ],
)
def test_the_first_line_of_help_names_words_without_a_flag(step, words, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        main([step, "--help"])
    usage, rest = capsys.readouterr().out.split("\n\n", 1)
    assert " ".join(usage.split()) == f"usage: python -m pipeline {'run' if step == 'resume' else step} {words}"
    assert step not in ("run", "resume") or "KEY=VALUE: settings over them" in " ".join(rest.split())


def test_a_hint_names_no_flag_that_the_command_has_not(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in (["init", "nothing"], ["check", str(ROOT / "configs" / "imagenet.yaml"), "dataset.path=nothing"]):
        assert main(words) == 1
        said = capsys.readouterr().err
        assert "name the folder of the images" in said and "--" not in said


def test_unknown_steps_and_no_step(capsys):
    assert main(["trian"]) == 2
    assert "there is no command 'trian'" in capsys.readouterr().err
    assert main([]) == 0
    assert "retrain" in capsys.readouterr().out


LIGHT = ["propose-generation", "score-generation", "select-best", "cost", "check", "sample-subset", "run"]


@pytest.mark.parametrize("step", LIGHT)
def test_steps_that_need_no_torch_do_not_import_it(step, folder):
    commands = {
        "propose-generation": f"--images {folder}/train.h5 --generation 0 --output {folder}/q.csv --base-width 0.0625",
        "cost": "--genome 1,1,1,1,1,1",
        "check": "",
        "sample-subset": f"--images {folder}/train.h5 --validation-per-class 2 --subset {folder}/q "
        f"--validation {folder}/r",
    }
    words = commands.get(step, "--help").split()
    program = (
        "import sys; from pipeline.__main__ import main\n"
        f"try: code = main({[step, *words]!r})\n"
        "except SystemExit as stop: code = stop.code\n"
        "print('torch' in sys.modules, 'pandas' in sys.modules, 'matplotlib' in sys.modules); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False False False"


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("top1", "1e9", "top1 is '1e9'"),
        ("top1", "-1", "top1 is '-1'"),
        ("top1", "nan", "top1 is 'nan'"),
        ("top1", "abc", "top1 is 'abc'"),
        ("top1", "", "status 'ok' with top1 ''"),
        ("status", "fine", "status 'fine'"),
        ("slot", "x", "slot 'x'"),
    ],
)
def test_evaluations_edited_into_nonsense(folder, capsys, column, value, complaint):
    assert evaluate(folder) == 0
    with open(folder / "e.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[1][column] = value
    write_csv(folder / "e.csv", list(rows[0]), rows)
    score = ["--population", folder / "p.csv", "--evaluations", folder / "e.csv", "--timings", folder / "et.csv"]
    outputs = ["--output", folder / "s.csv", "--timing", folder / "st.csv"]
    assert call("score-generation", *score, *outputs, at=folder) == 1
    message = sentence(capsys)
    assert complaint in message and "line 3" in message and "e.csv" in message


@pytest.mark.parametrize("name", ["train.h5", "supernet.h5"])
def test_flipped_values_are_noticed(folder, capsys, name):
    """The file opens and its structure is whole, but its content is not what was written."""
    with h5py.File(folder / name) as file:
        dataset = file["pixels" if name == "train.h5" else "conv4.weight"]
        offset = dataset.id.get_chunk_info(0).byte_offset
    data = bytearray((folder / name).read_bytes())
    data[offset + 100] ^= 0x40
    (folder / name).write_bytes(data)
    assert evaluate(folder) == 1
    assert f"{name} is damaged" in capsys.readouterr().err


def test_train_images_are_no_test_images(folder, capsys):
    assert retrain(folder, "--genome", "1,1,1,1,1,1") == 0
    test = ["--weights", folder / "w.h5", "--images", folder / "train.h5", *CPU, "--output", folder / "r.json"]
    assert call("evaluate", *test, at=folder) == 1
    assert "train.h5 holds train images, but test images are needed here" in sentence(capsys)


def test_subset_and_validation_do_not_share_images(folder, capsys):
    shutil.copy(folder / "subset.csv", folder / "validation.csv")
    forget_seals(folder)
    assert evaluate(folder) == 1
    assert "share images" in sentence(capsys)


@pytest.mark.parametrize(("subset", "sentence"), [("subset", "going on from"), ("validation", "other settings")])
def test_a_saved_state_is_taken_up_for_the_same_images_only(folder, monkeypatch, capsys, subset, sentence):
    """As many images, but not the same ones: as when validation_per_class changes under an interrupted supernet."""

    def stop(training, saved, task, save_minutes, stops):
        next(training.steps())
        saved.save(training)
        raise StoppedError(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.training.full.train", stop)
        assert supernet(folder) == 128 + signal.SIGTERM
    assert (folder / "supernet.state.h5").exists()
    (folder / "subset.csv").write_text((folder / f"{subset}.csv").read_text())
    forget_seals(folder)
    assert supernet(folder) == 0
    assert sentence in capsys.readouterr().err


def test_a_step_trains_nothing_twice(folder, monkeypatch, capsys):
    words = ["--genome", "1,1,1,1,1,1", "--finished", folder / "trainings"]
    assert retrain(folder, *words) == 0
    files = [folder / name for name in ("w.h5", "wh.csv", "wt.json")]
    before = [path.read_bytes() for path in files]
    trained = []
    steps = Training.steps
    monkeypatch.setattr(Training, "steps", lambda self: trained.append(self) or steps(self))
    for path in files:
        path.unlink()
    assert retrain(folder, *words) == 0
    assert [path.read_bytes() for path in files] == before and not trained
    assert "it was trained before" in capsys.readouterr().err
    for other in (["--repetition", "1"], ["--weight-decay", "0.1"], ["--full-precision"]):
        assert retrain(folder, *words, *other) == 0
        assert files[0].read_bytes() != before[0]
    assert len(trained) == 3
    assert retrain(folder, *words[:2]) == 0
    assert len(trained) == 4, "without the folder it is trained whatever lies there"


@pytest.mark.parametrize(
    ("step", "flag", "value"),
    [
        *(
            (step, flag, value)
            for step in ("cost", "measure-latency --output l.json")
            for flag, value in (
                *(("--classes", "0"), ("--classes", "-5"), ("--image-size", "0"), ("--channels", "0")),
                *(("--base-width", "nan"), ("--base-width", "0")),
            )
        ),
        *(("plan", flag, "0") for flag in ("--train-images", "--test-images", "--classes")),
        ("init .", "--cores", "0"),
    ],
)
def test_numbers_that_are_none_are_not_taken_for_the_usual_ones(step, flag, value, capsys):
    assert main([*step.split(), flag, value]) == 2
    wrong = {"nan": "no number", "0": "not more than 0"}[value] if flag == "--base-width" else "not at least 1"
    assert f"argument {flag}: {value} is {wrong}" in capsys.readouterr().err
