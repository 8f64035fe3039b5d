"""The step ``init``: a configuration for a folder of images that works on it."""

import re
import shlex
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.__main__ import main
from pipeline.common.errors import UserError
from pipeline.data.survey import Survey, survey_folder
from pipeline.networks.cost import network_cost
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.steps import plan
from pipeline.steps.init import _chosen
from pipeline.workflow.config import read_config
from pipeline.workflow.config.notes import notes_on
from pipeline.workflow.forecast.images import count_images, shares
from pipeline.workflow.forecast.step_time import ORDINARY, StepTime
from pipeline.workflow.rules import Flags
from pipeline.workflow.schema import ROOT
from pipeline.workflow.starting import EFFORTS, Effort, described, divide, image_size, learned_from, overlay, worries
from tests.support.workflow import planned


def images(folder: Path, side: int = 30, *, grey: bool = False, **counts: int) -> Path:
    random = np.random.default_rng(0)
    for name, count in counts.items():
        for number in range(count):
            path = folder / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            shape = (side, side + 2) if grey else (side, side + 2, 3)
            Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(path)
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of which one has a damaged image, in a folder whose name YAML would misread."""
    monkeypatch.chdir(tmp_path)
    path = images(tmp_path / "1: {my} cats", ant=12, bee=11)
    (path / "bee" / "cut.png").write_bytes(b"no image")
    return path


@pytest.mark.parametrize("name", ["no", "On", "True", "y", "NULL", "1e3"])
def test_a_name_that_yaml_takes_for_something_else(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    images(tmp_path / name, ant=12, bee=11)
    assert init(name) == 0
    assert read_config([ROOT / "config.yaml", tmp_path / f"{name}.yaml"])["experiment"] == name


def init(*words: object) -> int:
    return main(["init", *map(str, words), "--untimed", "--cores", "2"])


def test_paths_are_never_broken_and_no_listing_is_told_of_that_took_no_time(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    name = "-".join(["a-very-long-name"] * 8)
    images(tmp_path / name, cat=12, eel=12)
    (tmp_path / name / "cat" / "0.png").write_bytes(b"no image")
    assert init(tmp_path / name) == 0
    said = capsys.readouterr()
    assert name in said.out and "listing" not in said.err
    assert not re.search(r"-\n", said.out)


def test_what_it_writes_works(folder, tmp_path, capsys):
    assert init("1: {my} cats") == 0
    said = " ".join(capsys.readouterr().out.split())
    written = tmp_path / "1-my-cats.yaml"
    assert "2 classes of 12 images, no test images apart; 32×30 pixels, in colour" in said
    assert "1 image cannot be read and will be skipped" in said and "cut.png" in said
    assert "candidates are scored on 2 of each class, so scores are rough" in said
    assert "There will be 4 test images: " in said and "and 4 test images (set aside)" in said  # 2.4 of each class
    assert "experiment '1-my-cats'" in said and "of an ordinary machine" in said
    config = read_config([ROOT / "config.yaml", written])
    assert config["dataset"]["path"] == str(folder) and config["dataset"]["image_size"] == 32
    # What is searched for, compared and limited is the network that comes out, and not the published one.
    width, search = config["network"]["base_width"], config["search"]
    twice = NetworkSpec("vgg_small", uniform_genome("vgg_small", 2), base_width=width, size=32, classes=2)
    assert search["cost_width"] == width < 1 and search["max_flops"] == network_cost(twice).flops
    assert notes_on(config) == []
    # The very steps that would fail if a class had too few images for what is asked.
    flags = Flags(config)
    assert main(["prepare-dataset", *_words(flags.dataset()), "--train", "train.h5", "--test", "test.h5"]) == 0
    split = [*_words(flags.split()), "--images", "train.h5"]
    assert main(["sample-subset", *split, "--subset", "s.csv", "--validation", "v.csv"]) == 0
    # As docs/tables.md advises.
    assert config["searches"]["A"]["algorithm"] == "predictor" and search["chosen_by"] == "model"
    assert search["finalists"] == config["proxy"]["sample"] == config["split"]["held_out_per_class"] == 0


def _words(text: object) -> list[str]:
    return shlex.split(str(text))


@pytest.mark.slow
def test_what_it_takes_here(tmp_path, monkeypatch, capsys):
    """Times this machine, once, and says what 'plan' would; the configuration is what was planned."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.workflow.starting.EFFORTS", (Effort(0.03125, 2, 6, 1, 1, 1),))
    images(tmp_path / "small", side=8, ant=9, bee=9)
    assert main(["init", "small", "--cores", "1"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^retrain +\d+ +[\d.e-]+ ", said, re.MULTILINE), said
    assert re.search(r"^hours +[\d.]+ from the command to the tables", said, re.MULTILINE)
    assert (
        "of an ordinary machine" not in said
        and "timed in" in said
        and said.index("small.yaml is written") < said.index("start it with")
    )
    assert max(map(len, said.splitlines())) <= 80


def test_a_slower_machine_is_given_less_to_do(tmp_path):
    survey = survey_folder(images(tmp_path / "some", ant=90, bee=90))
    config = read_config([ROOT / "config.yaml"], overlay(survey, "some", EFFORTS[0]))
    spec = NetworkSpec("vgg_small", uniform_genome("vgg_small", 1), base_width=0.25, size=28, classes=2)
    shared = shares(config, count_images(config), 0.0, 0.0)
    widths = []
    for slower in (1, 200, 1e6):
        times = StepTime(*(slower * part for part in astuple(ORDINARY.step)))
        measured = plan.Measured(shared, spec, None, replace(ORDINARY, step=times), "made up", 0.0)
        values = _chosen(survey, "some", 2, measured)
        widths.append((values["network"]["base_width"], values["search"]["generations"]))
    assert widths[0] == (0.25, 8) and widths[2] == (0.0625, 3) and widths[0] > widths[1] > widths[2]


@pytest.mark.slow
def test_the_workflow_takes_it(folder, tmp_path):
    assert init(folder) == 0
    jobs = planned(tmp_path, config=tmp_path / "1-my-cats.yaml")
    assert jobs["propose_generation"] and jobs["tables"] == 1


def test_nothing_is_overwritten(folder, tmp_path, capsys):
    (tmp_path / "mine.yaml").write_text("mine")
    assert init(folder, "--output", "mine.yaml") == 1
    assert "mine.yaml is there already" in capsys.readouterr().err
    assert (tmp_path / "mine.yaml").read_text() == "mine"
    # An experiment that has results would go on with other images.
    (tmp_path / "results" / "1-my-cats" / "archive").mkdir(parents=True)
    assert init(folder) == 0
    assert 'experiment: "1-my-cats-2"' in (tmp_path / "1-my-cats-2.yaml").read_text()


def test_a_name_that_is_none(folder, capsys):
    assert init(folder, "--name", "a b", "--output", "x.yaml") == 1
    assert "experiment" in capsys.readouterr().err and not Path("x.yaml").exists()


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ({"ant": 5}, "has only one folder, 'ant'"),
        (
            {"ant": 30, "bee": 2},
            "class 'bee' of .* has 1 train image besides those for the test, but the search needs 2",
        ),
    ],
)
def test_what_is_too_little(tmp_path, counts, sentence):
    with pytest.raises(UserError, match=sentence):
        worries(survey_folder(images(tmp_path / "few", **counts)))


def test_images_that_cannot_be_read(tmp_path):
    path = images(tmp_path / "x", ant=3, bee=3)
    for file in path.glob("*/*.png"):
        file.write_bytes(b"?")
    with pytest.raises(UserError, match="no image of .* can be read"):
        worries(survey_folder(path))


def test_grey_images_and_a_split_of_their_own(tmp_path):
    images(tmp_path / "g" / "train", grey=True, side=10, ant=9, bee=4)
    images(tmp_path / "g" / "test", grey=True, side=10, ant=2, bee=2)
    survey = survey_folder(tmp_path / "g")
    assert survey.grey and survey.test == 4 and learned_from(survey) == 4
    assert described(survey) == "2 classes of 4 to 9 images, and 4 test images apart; 12×10 pixels, grey"
    values = overlay(survey, "g", EFFORTS[0])
    assert values["retrain"]["augmentation"] == "crop" and values["dataset"]["image_size"] == 8
    assert values["dataset"]["damaged_images"] == "stop"


def test_a_class_that_damaged_images_leave_too_small_is_told_so(tmp_path, capsys):
    folder = images(tmp_path / "f", ant=3, bee=10)  # of bees 2 are for the test, of ants 1
    for number in range(7):
        (folder / "bee" / f"{number}.png").write_bytes(b"")
    assert init(folder) == 1
    assert (
        "class 'bee' of " in (said := capsys.readouterr().err)
        and "has 1 train image besides those for the test and 7 that cannot be read, but the search needs 2" in said
    )


def _survey(side: int, train: tuple[int, ...], lost: tuple[int, ...]) -> Survey:
    names = tuple(str(number) for number in range(len(train)))
    return Survey(Path("x"), names, train, lost, None, 9, (), (side,), (side + 4,), grey=False)


@pytest.mark.parametrize(("side", "size"), [(3, 8), (17, 16), (25, 28), (31, 32), (60, 64), (500, 64)])
def test_the_nearest_size(side, size):
    assert image_size(_survey(side, (9, 9), (0, 0))) == size


def test_damaged_images_are_not_counted_on():
    assert learned_from(_survey(8, (100, 60), (50, 2))) == 30
    shares = divide(30)
    assert shares.subset + shares.validation <= 30
    assert any("uneven (10 to 90 images)" in worry for worry in worries(_survey(8, (90, 10), (0, 0))))
    assert any("larger (500 pixels)" in worry for worry in worries(_survey(500, (90, 90), (0, 0))))
