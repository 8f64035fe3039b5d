"""The workflow's own commands notice what comes from another training: they are told what its experiment asks for."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.common.files import read_record, write_record
from pipeline.workflow.layout import Layout
from tests.support.exported import sentence
from tests.support.workflow import command, run

pytestmark = pytest.mark.slow


@pytest.fixture
def commands(copied: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The words of every job's command, in the finished experiment's folder."""
    done = run(command("-n", "-p", "--forceall", "--cores", 2), copied)
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.chdir(copied)
    found = re.findall(r"python -m pipeline (.*?)(?: > \S+ 2>&1)?$", done.stdout + done.stderr, re.MULTILINE)
    return [shlex.split(words) for words in found]


def words_of(commands: list[list[str]], name: str, about: str = "") -> list[str]:
    return next(words for words in commands if words[0] == name and about in " ".join(words))


def step(commands: list[list[str]], name: str, about: str = "") -> int:
    """Runs the first such command on a file of that name."""
    return main(words_of(commands, name, about))


def test_each_command_hears_what_it_should_be(copied, commands, capsys):
    layout = Layout.of("tiny")
    # As the workflow made them, they are right.
    assert step(commands, "evaluate", "retrain/uniform-iso-A") == step(commands, "tables") == 0
    assert step(commands, "evaluate-generation", "results/tiny/search/A/") == 0
    # A control's weights are another row's, of the same shape in all but the genome.
    one, other = (layout.training(model, 0).weights for model in ("uniform-iso-A", "uniform-1x"))
    mine = one.read_bytes()
    one.unlink()
    shutil.copy(other, one)
    capsys.readouterr()
    assert step(commands, "evaluate", "retrain/uniform-iso-A") == 1
    assert "comes from another training than this experiment's (genome 1,1,1,1,1,1 in place of" in sentence(capsys)
    # The same network, trained otherwise; and one that learnt from other images.
    words = words_of(commands, "retrain", "retrain/uniform-iso-A/seed_0")
    assert main([*words, "--epochs", "1"]) == 0
    capsys.readouterr()
    assert step(commands, "evaluate", "retrain/uniform-iso-A") == 1
    assert "this experiment's (epochs 1 in place of 2)" in sentence(capsys)
    one.write_bytes(mine)
    images = layout.train.read_bytes()
    words = words_of(commands, "prepare-dataset")
    assert main([*words, "--seed", "1", "--test", "other.h5"]) == 0
    assert step(commands, "evaluate", "retrain/uniform-iso-A") == 1
    assert "comes from another training than this experiment's (images " in sentence(capsys)
    layout.train.write_bytes(images)
    # An evaluation of weights that were trained otherwise, and one of another control.
    place = layout.measurement("uniform-iso-A", 1)
    record = {key: value for key, value in read_record(place).items() if key != "digest"}
    write_record(place, {**record, "training": {**record["training"], "settings": {"epochs": 1}}})
    for name in ("tables", "figures"):
        assert step(commands, name) == 1
        said = sentence(capsys)
        assert "seed 1 of row 'uniform-iso-A' was trained otherwise" in said and "epochs 1 in place of 2" in said
    assert main(["report", "tiny"]) == 0
    assert "no accuracy yet of uniform-iso-A" in layout.report.read_text()
    write_record(place, record)
    chosen = read_record(layout.control("uniform-iso-A"))
    write_record(layout.control("uniform-iso-A"), {**chosen, "genome": "1,1,1,1,1,2"})
    assert step(commands, "tables") == 1
    assert "what was chosen for it is 1,1,1,1,1,2" in sentence(capsys)
    assert main(["report", "tiny"]) == 0
    assert "no accuracy yet of uniform-iso-A" in layout.report.read_text()
    # A supernet of the same shape.
    net = layout.supernet.weights
    words = words_of(commands, "pretrain-supernet")
    assert main([*words, "--epochs", "1", "--supernet", str(net.with_name("other.h5"))]) == 0
    net.unlink()
    net.with_name("other.h5").rename(net)
    capsys.readouterr()
    assert step(commands, "evaluate-generation", "results/tiny/search/A/") == 1
    assert "supernet.h5 comes from another training than this experiment's (epochs 1 in place of 2)" in sentence(capsys)
