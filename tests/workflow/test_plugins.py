"""Parts from outside of the project make a whole experiment; what depends on one that changes is made again."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.workflow import ROOT, TINY, command, resume

PLUGINS = ROOT / "tests" / "plugins"
CONFIG = {
    "dataset": {"name": "own_parts.images:halves"},
    "network": {"name": "own_parts.network:tiny", "base_width": 1, "binariser": "own_parts.bits:signs"},
    "search": {"generations": 2, "population": 2, "ratios": [0.5, 1, 2], "finalists": 0},
    "searches": {"mine": {"algorithm": "opposites", "objective": "thrift", "least": 0.5, "turns": 0.9}},
    "models": {"found-A": {"search": "mine"}},
    "proxy": {"sample": 0},
    "retrain": {"epochs": 2, "seeds": 1},
}
BEST = "results/tiny/search/mine/best.json"

pytestmark = pytest.mark.slow


class Workplace:
    """A folder with the plug-ins, a configuration that names one of each kind, and its results."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.parts = folder, folder / "plugins" / "own_parts"
        self.results = folder / "results" / "tiny"

    def run(self, *words: str) -> str:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(self.folder / "plugins")])}
        start = command if "-n" in words else resume
        called = start("--cores", 2, *words, config=self.folder / "own.yaml")
        done = subprocess.run(called, cwd=self.folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def planned(self, *targets: str) -> set[str]:
        jobs = re.findall(r"^(\w+) +\d+$", self.run("-n", *targets, "--quiet", "rules"), re.MULTILINE)
        return set(jobs) - {"all", "total"}

    def change(self, part: str, before: str, after: str) -> None:
        path = self.parts / f"{part}.py"
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))

    def trained(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.results.glob("archive/*/*.timing")}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Workplace:
    folder = tmp_path_factory.mktemp("plugins")
    shutil.copytree(PLUGINS, folder / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
    config = yaml.safe_load(TINY.read_text())
    for section, values in CONFIG.items():
        config[section] = {**config.get(section, {}), **values}
    config["searches"] |= {"A": None, "B": None, "random": None}
    config["controls"] = []
    (folder / "own.yaml").write_text(yaml.safe_dump(config))
    place = Workplace(folder)
    place.run()
    return place


@pytest.fixture
def place(made, tmp_path) -> Workplace:
    shutil.copytree(made.folder, tmp_path, dirs_exist_ok=True)
    return Workplace(tmp_path)


def test_an_experiment_of_nothing_but_plug_ins(made):
    table = (made.results / "tables" / "results.md").read_text()
    assert "found-A" in table and "opposites, thrift from 0.5" in " ".join(table.split())
    best = json.loads((made.results / "search/mine/best.json").read_text())
    assert best["fitness"] == pytest.approx(best["top1"] / max(best["relative_flops"], 0.5), abs=1e-5)
    facts = json.loads(next(made.results.glob("archive/*/*.json")).read_text())["facts"]
    assert facts["network"]["binariser"] == "own_parts.bits:signs" and facts["binariser"]
    history = (made.results / "search/mine/history.csv").read_text()
    assert ",drawn," in history, "an algorithm has words of its own for how a child came about"
    assert made.planned() == set()


def test_a_comment_makes_nothing_again(place):
    for part in ("goal", "proposals", "bits", "images", "network"):
        (place.parts / f"{part}.py").write_text("# mine\n" + (place.parts / f"{part}.py").read_text())
    assert place.planned() == set()


def test_another_objective_scores_again_and_trains_no_candidate(place):
    place.change("goal", "(individual.top1 or 0.0) /", "2 * (individual.top1 or 0.0) /")
    before = place.trained()
    assert {"score_generation", "select_best", "tables", "propose_generation"} <= place.planned()
    assert not {"prepare_dataset", "sample_subset", "pretrain_supernet"} & place.planned()
    place.run(BEST)
    best = json.loads((place.results / "search/mine/best.json").read_text())
    assert best["fitness"] == pytest.approx(2 * best["top1"] / max(best["relative_flops"], 0.5), abs=1e-5)
    assert place.trained() == before
    assert place.planned(BEST) == set()


def test_another_algorithm_proposes_again(place):
    place.change("proposals", "[::-1]", "[:]")
    assert "propose_generation" in place.planned()
    assert not {"prepare_dataset", "pretrain_supernet"} & place.planned()


def test_another_binariser_trains_again(place):
    place.change("bits", "x.abs() <= 1", "x.abs() <= 2")
    assert {"pretrain_supernet", "evaluate_generation", "retrain"} <= place.planned()
    assert not {"prepare_dataset", "sample_subset"} & place.planned()


def test_another_way_of_counting_a_network_is_shown(place):
    """Without a search nobody but the tables looks at what networks cost."""
    config = yaml.safe_load((place.folder / "own.yaml").read_text())
    config |= {"experiment": "given", "searches": {"mine": None, "A": None, "B": None, "random": None}}
    found = dict.fromkeys(("full-precision", "found-A", "random-A", "found-B", "random-B"))
    config |= {"models": {"uniform-1x": {"genome": 1}, **found}}
    (place.folder / "own.yaml").write_text(yaml.safe_dump(config))
    place.run()
    table = place.folder / "results" / "given" / "tables" / "results.csv"
    before = table.read_text()
    assert place.planned() == set()
    place.change("network", 'CONVENTION = "macs"', 'CONVENTION = "everything"')
    assert {"tables", "figures", "write_report"} == place.planned()
    place.run()
    assert table.read_text() != before


def test_another_data_set_is_prepared_again(place):
    place.change("images", "integers(0, 128", "integers(1, 128")
    assert "prepare_dataset" in place.planned()
