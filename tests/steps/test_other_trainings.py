"""Weights of another training in a row's place, or the supernet's, are noticed by every step that reads them."""

import json
import shutil
from pathlib import Path

import h5py
import pytest

from pipeline import METHOD_VERSION
from pipeline.__main__ import main
from pipeline.common.files import read_record, write_json, write_record
from pipeline.common.hdf5 import read_attributes
from pipeline.data.prepared import read_info
from pipeline.workflow.asked import asked_of_row, asked_of_supernet
from pipeline.workflow.config import read_config
from pipeline.workflow.layout import Layout
from pipeline.workflow.rows import rows_asked_for
from pipeline.workflow.saved_config import save_config
from tests.support.exported import sentence
from tests.support.steps import CPU, call, evaluate, outdated, supernet
from tests.support.workflow import ROOT

WIDTH = 0.0625
CHOSEN, OTHER = "1,1,1,1,1,1", "0.5,1,1,1,1,0.5"


@pytest.fixture(scope="module")
def made(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """results/other of a control that was trained from two seeds, and weights of three other trainings of its."""
    home = tmp_path_factory.mktemp("made") / "results" / "other"
    (home / "data").mkdir(parents=True)
    for name in ("train.h5", "test.h5", "subset.csv", "validation.csv"):
        shutil.copy(prepared / name, home / "data" / name)
    layout = Layout(home)
    write_record(layout.control("iso"), {"genome": CHOSEN, "cost_of_found": 0.9})
    for seed in range(2):
        train(home, layout.training("iso", seed).weights, "--repetition", seed)
    write_json(home / "another.json", {"genome": OTHER})
    train(home, home / "genome.h5", best=home / "another.json")
    train(home, home / "epochs.h5", "--epochs", 2)
    train(home, home / "seed.h5", "--seed", 1)
    save_config(config(), layout)
    return home


def train(home: Path, weights: Path, *more: object, best: Path | None = None) -> None:
    network = ["--base-width", WIDTH, "--best", best or Layout(home).control("iso"), "--batch-size", 50]
    outputs = ["--weights", weights, "--history", weights.with_suffix(".csv"), "--timing", weights.with_suffix(".json")]
    how = ["--network", "vgg_small", *network, "--epochs", 1, "--learning-rate", 0.1, *CPU, *outputs, *more]
    assert main(["retrain", "--images", str(home / "data" / "train.h5"), *map(str, how)]) == 0


def config() -> dict:
    return read_config(
        [ROOT / "config.yaml"],
        {
            "experiment": "other",
            "network": {"base_width": WIDTH},
            "split": {"subset_per_class": 5, "validation_per_class": 5},
            "retrain": {"epochs": 1, "batch_size": 50, "weight_decay": 0.0, "augmentation": "none", "seeds": 2},
            "supernet": {"epochs": 1, "batch_size": 25, "weight_decay": 0.0, "augmentation": "none"},
            "models": {"iso": {"control": "uniform", "of": "found-A"}},
        },
    )


def test_what_a_network_learnt_from_is_part_of_it(made: Path, tmp_path: Path) -> None:
    teachers = [tmp_path / f"teacher-{seed}.h5" for seed in range(2)]
    for seed, teacher in enumerate(teachers):
        train(made, teacher, "--full-precision", "--seed", seed)
    digests = [read_attributes(teacher)["digest"] for teacher in teachers]
    keeping, found = ["--finished", tmp_path / "finished"], []
    for number, (teacher, weight) in enumerate([(0, 0.5), (1, 0.5), (0, 0.25), (0, 0.5)]):
        weights = tmp_path / f"taught-{number}.h5"
        train(made, weights, "--teacher", teachers[teacher], "--teacher-weight", weight, *keeping)
        found.append(read_attributes(weights))
        assert found[-1]["teacher"] == digests[teacher] and found[-1]["settings"]["teacher_weight"] == weight
    assert len({one["digest"] for one in found[:3]}) == 3 and found[3]["digest"] == found[0]["digest"]
    assert len(list((tmp_path / "finished").iterdir())) == 3


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "results" / "other"))


def test_set(home: Path, *more: object) -> int:
    """Evaluates the control as the workflow does."""
    layout = Layout(home)
    weights = [layout.training("iso", seed).weights for seed in range(2)]
    outputs = [layout.measurement("iso", seed) for seed in range(2)]
    asked = ["--asked", json.dumps(asked_of_row(config(), "iso")), "--best", layout.control("iso")]
    words = ["--images", layout.test, *CPU, "--train-images", layout.train, *asked, *more]
    return main(["evaluate", "--weights", *map(str, [*weights, *words]), "--output", *map(str, outputs)])


test_set.__test__ = False


def into_place(home: Path, other: str, seed: int = 0) -> None:
    shutil.copy(home / other, Layout(home).training("iso", seed).weights)


OTHERS = [
    ("genome.h5", r"genome 0.5,1,1,1,1,0.5 in place of 1,1,1,1,1,1"),
    ("epochs.h5", "epochs 2 in place of 1"),
    ("seed.h5", "seed "),
    ("retrain/iso/seed_1/weights.h5", "seed "),
]


@pytest.mark.parametrize(("other", "said"), OTHERS)
def test_evaluation_notices_them(home: Path, capsys: pytest.CaptureFixture[str], other: str, said: str) -> None:
    into_place(home, other)
    assert test_set(home) == 1
    line = sentence(capsys)
    assert "seed_0/weights.h5 comes from another training than this experiment's" in line and said in line
    assert "delete it, and it is trained again" in line


def test_those_of_the_row_are_taken_and_evaluations_say_what_they_were_trained_with(home: Path) -> None:
    assert test_set(home) == 0
    record = read_record(Layout(home).measurement("iso", 1))
    assert record["training"]["settings"]["epochs"] == 1 and record["training"]["method"] == METHOD_VERSION
    assert record["test_images"] == read_info(Layout(home).test).digest
    assert record["training"]["seed"] != read_record(Layout(home).measurement("iso", 0))["training"]["seed"]


def test_other_train_images_are_noticed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["prepare-dataset", "--dataset", "digits", "--image-size", "8", "--seed", "1"]
    assert main([*words, "--train", str(home / "data/train.h5"), "--test", str(home / "data/test1.h5")]) == 0
    assert test_set(home) == 1
    assert "another training than this experiment's (images " in sentence(capsys)
    Layout(home).train.unlink()  # then it is not known
    assert test_set(home) == 0


def test_test_images_of_another_division_are_noticed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of these, the networks have learnt from some."""
    words = ["prepare-dataset", "--dataset", "digits", "--image-size", "8", "--seed", "1"]
    assert main([*words, "--train", str(home / "data/train1.h5"), "--test", str(Layout(home).test)]) == 0
    assert test_set(home) == 1
    line = sentence(capsys)
    assert "test.h5 was not prepared together with the images that " in line and "seed_0/weights.h5 learnt from" in line
    Layout(home).train.unlink()
    assert test_set(home) == 1


def without_identity(weights: Path) -> None:
    """As the earliest versions wrote them."""
    with h5py.File(weights, "r+") as file:
        for key in ("settings", "seed", "images", "subset", "architecture", "method"):
            file.attrs.pop(key, None)


def test_weights_of_an_older_version_say_less_and_are_taken(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(2):
        without_identity(Layout(home).training("iso", seed).weights)
    assert test_set(home) == 0
    assert "settings" not in read_record(Layout(home).measurement("iso", 0))["training"]
    assert main(["bench", str(home)]) == 0
    into_place(home, "genome.h5")  # which network it is was always said
    without_identity(Layout(home).training("iso", 0).weights)
    capsys.readouterr()
    assert test_set(home) == 1
    assert "genome 0.5" in sentence(capsys)


@pytest.mark.parametrize(("other", "said"), OTHERS)
@pytest.mark.parametrize(
    "step",
    [
        lambda home: main(["predict", str(home / "iso"), str(home)]),
        lambda home: main(["predict", str(home / "retrain" / "iso" / "seed_0"), str(home)]),
        lambda home: main(["export", str(home / "iso"), "--output", str(home / "x.bnn")]),
        lambda home: main(["bench", str(home)]),
    ],
    ids=["predict", "predict a seed", "export", "bench"],
)
def test_whoever_names_a_row_hears_of_them(home, capsys, step, other, said):
    into_place(home, other)
    assert step(home) == 1
    line = sentence(capsys)
    assert "comes from another training than the experiment's" in line and said in line
    assert "run the experiment again, or name the file itself to take it as it is" in line


def test_a_file_that_is_named_itself_is_taken_as_it_is(home: Path) -> None:
    into_place(home, "epochs.h5")
    weights = Layout(home).training("iso", 0).weights
    assert main(["export", str(weights), "--output", str(home / "x.bnn")]) == 0


def test_weights_of_the_settings_before_are_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its search runs again, may find another genome, and was interrupted."""
    layout, words = Layout(home), ["export", str(home / "iso"), "--output", str(home / "x.bnn")]
    outdated(layout, [layout.training("iso", 1).weights])
    assert main(words) == 0 and "of other settings" not in capsys.readouterr().err
    outdated(layout, [layout.training("iso", 0).weights])
    assert main(words) == 0
    assert (
        "seed_0/weights.h5 is of other settings or images than the experiment's, and is trained again"
        in capsys.readouterr().err
    )


def test_a_row_of_which_nothing_is_known_is_taken(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    into_place(home, "epochs.h5")
    layout, words = Layout(home), ["export", str(home / "iso"), "--output", str(home / "x.bnn")]
    text = layout.config.read_text()
    layout.config.write_text(text.replace("iso:", "iso-of-another-name:").split("# sha256")[0] + "{}")
    assert main(words) == 0
    assert "what the experiment asks for is not known, since" in capsys.readouterr().err
    layout.config.unlink()
    assert main(words) == 0
    layout.control("iso").unlink()
    layout.config.write_text(text)
    assert main(words) == 1


def test_a_row_that_the_experiment_has_no_more_is_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may have another name now, and other settings."""
    shutil.copytree(home / "retrain" / "iso", home / "retrain" / "of-old")
    for named in (home / "of-old", home / "retrain" / "of-old" / "seed_1"):
        assert main(["export", str(named), "--output", str(home / "x.bnn")]) == 0
        assert "the experiment has no row 'of-old' any more" in capsys.readouterr().err
    assert main(["export", str(home / "iso"), "--output", str(home / "x.bnn")]) == 0
    assert "any more" not in capsys.readouterr().err


def test_bench_leaves_out_rows_that_the_experiment_has_no_more(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(home / "retrain" / "iso", home / "retrain" / "of-old")
    assert main(["bench", str(home)]) == 0
    shown = capsys.readouterr()
    assert "of-old" not in shown.out and "the experiment has no such rows any more: of-old" in shown.err
    Layout(home).config.unlink()
    assert main(["bench", str(home)]) == 0
    assert "of-old" in capsys.readouterr().out


def test_rows_stand_in_the_tables_order(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "results" / "digits")
    save_config(read_config([ROOT / "config.yaml"]), layout)
    for row in ("found-A", "full-precision", "uniform-1x"):
        weights = layout.training(row, 0).weights
        weights.parent.mkdir(parents=True)
        weights.write_bytes(b"weights")
    assert rows_asked_for(layout) == ["full-precision", "uniform-1x", "found-A"]


# --- the supernet ---


@pytest.mark.parametrize(
    ("trained", "said"),
    [(["--epochs", "2"], "epochs 2 in place of 1"), (["--seed", "3"], "seed 3 in place of 0"), ([], None)],
)
def test_a_supernet_of_another_training(prepared, tmp_path, capsys, trained, said):
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    assert call("propose-generation", "--generation", 0, "--population", 1, "--output", tmp_path / "p.csv",
                at=tmp_path) == 0  # fmt: skip
    assert supernet(tmp_path, *trained) == 0
    capsys.readouterr()
    asked = ["--supernet-asked", json.dumps(asked_of_supernet(config()))]
    assert evaluate(tmp_path, *asked) == (1 if said else 0)
    if said:
        line = sentence(capsys)
        assert f"supernet.h5 comes from another training than this experiment's ({said})" in line
        assert evaluate(tmp_path) == 0  # by hand, nothing is asked for


def test_a_supernet_that_learnt_from_other_images(prepared, tmp_path, capsys):
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    assert call("propose-generation", "--generation", 0, "--population", 1, "--output", tmp_path / "p.csv",
                at=tmp_path) == 0  # fmt: skip
    assert supernet(tmp_path) == 0
    draw = ["--images", tmp_path / "train.h5", "--validation-per-class", 5, "--subset-per-class", 6]
    files = ["--subset", tmp_path / "subset.csv", "--validation", tmp_path / "validation.csv"]
    assert main(["sample-subset", *map(str, [*draw, *files])]) == 0
    assert evaluate(tmp_path, "--supernet-asked", json.dumps(asked_of_supernet(config()))) == 1
    assert "another training than this experiment's (subset " in sentence(capsys)


def test_what_is_asked_is_an_object(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ("[]", "{", "1"):
        assert test_set(home, "--asked", words) != 0
        assert f"'{words}' is no JSON object" in sentence(capsys)
