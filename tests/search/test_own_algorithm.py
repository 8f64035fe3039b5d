"""Algorithms from elsewhere: what they may propose, what is refused, and in which sentence."""

import argparse
import re
import shlex
import sys
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.common.errors import UserError
from pipeline.common.files import write_csv
from pipeline.common.registry import look_again
from pipeline.networks.genome import RATIOS
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.search.algorithms import ALGORITHMS, configured_settings, propose
from pipeline.search.individual import Individual
from pipeline.search.objectives import OBJECTIVES
from pipeline.search.space import SearchSpace
from pipeline.search.tables import POPULATION, population_row, read_population
from pipeline.steps import propose_generation
from pipeline.steps.options import read_chosen
from pipeline.workflow.config import read_config
from pipeline.workflow.rules.flags import Flags
from pipeline.workflow.words import read_settings_of
from tests.support.exported import sentence
from tests.support.workflow import ROOT

MODULE = """
from pipeline.search.algorithms.base import Child, SearchSettings as Settings, draw_unseen

NAME, TITLE, LOOKS_AT_SCORES, BASELINE = "hill", "hill climbing", True, False


def propose(space, settings, history, seed, generation, objective):
    def draw(random):
        return Child(space.draw(random), ORIGIN)

    return draw_unseen(space, settings.population, history, seed, generation, draw)
"""
SPACE = SearchSpace(2, (0.5, 1.0, 2.0))


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes a module ``climbing`` that a new process would find."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(text: str) -> None:
        (tmp_path / "climbing.py").write_text(text)
        sys.modules.pop("climbing", None)
        look_again()

    yield write
    sys.modules.pop("climbing", None)
    look_again()


def children(population: int = 3):
    settings = ALGORITHMS["climbing:hill"].Settings(population=population)
    return propose("climbing:hill", SPACE, settings, [], seed=0, generation=0)


@pytest.mark.parametrize("word", ["hill", "step-2", "x" * 30])
def test_how_a_child_came_about_is_any_plain_word_from_proposal_to_population(written, word, tmp_path):
    written(MODULE.replace("ORIGIN", repr(word)))
    assert [child.origin for child in children()] == [word] * 3
    spec = NetworkSpec("vgg_small", uniform_genome("vgg_small", 1), base_width=1 / 16, channels=1, size=8, classes=10)
    write_csv(tmp_path / "population.csv", POPULATION, [population_row(0, spec, word)])
    assert [row["origin"] for row in read_population(tmp_path / "population.csv", 6, RATIOS)] == [word]


@pytest.mark.parametrize("origin", ["", "two words", "a,b", "-x", "x" * 31, "näher", None])
def test_another_origin_is_refused_at_the_proposal_on_a_table_too(written, origin, capsys, tmp_path):
    written(MODULE.replace("ORIGIN", repr(origin)))
    with pytest.raises(UserError, match="'climbing:hill' proposed .* with the origin .*one plain word"):
        children()
    words = ["--algorithm", "climbing:hill", "--seeds", "2", "--generations", "1"]
    assert main(["search", "--table", "digits-4096", *words]) == 1
    assert "search algorithm 'climbing:hill' proposed 0" in sentence(capsys)
    spec = NetworkSpec("vgg_small", uniform_genome("vgg_small", 1), base_width=1 / 16, channels=1, size=8, classes=10)
    write_csv(tmp_path / "population.csv", POPULATION, [population_row(0, spec, origin)])
    with pytest.raises(UserError, match="row 1 of .*: origin is"):
        read_population(tmp_path / "population.csv", 6, RATIOS)


@pytest.mark.parametrize(
    ("proposed", "says"),
    [
        ("None", "proposed None: return a list of Child"),
        ("[(0.5, 1.0)]", r"proposed \(0.5, 1.0\), which is no Child: return each as Child\(genome, origin\)"),
        ("[Child([0.5, 1.0], 'hill')]", "which is no Child"),
        ("[Child(('a', 1.0), 'hill')]", "which is no Child"),
        ("[Child((0.5, 3.0), 'hill')]", "proposed 0.5,3, which is not in the search's space"),
        ("[Child((0.5, 1.0), 'hill')] * 2", "proposed 0.5,1, which was proposed before"),
    ],
)
def test_what_is_no_list_of_new_children_is_refused(written, proposed, says):
    head = MODULE.partition("    def draw")[0]
    written(f"{head}    return {proposed}\n")
    with pytest.raises(UserError, match=f"search algorithm 'climbing:hill' .*{says}"):
        children()


FIELDS = """

from dataclasses import dataclass
from pipeline.common.settings import setting


@dataclass(frozen=True)
class Settings(Settings):
    heat: float = {}
"""
RIGHT = MODULE.replace("ORIGIN", "'hill'")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            RIGHT + FIELDS.format("0.3"),
            ".algorithm: field 'heat' of Settings of module climbing is not made by setting(",
        ),
        (RIGHT + FIELDS.format("setting('Heat.', kw_only=True)"), " lacks a setting of its algorithm ("),
        (
            RIGHT.replace("propose(space,", "propose(algorithm, space,"),
            ".algorithm: 'climbing:hill' is no search algorithm: propose(algorithm, space, settings, history, seed, "
            "generation, objective) of module climbing cannot be called as propose(space, settings, history, seed, "
            "generation, objective)",
        ),
        (
            RIGHT.replace("NAME", "WORD"),
            ".algorithm: 'climbing:hill' is no search algorithm: module climbing has no NAME",
        ),
        (RIGHT + "(", ".algorithm: search algorithm 'climbing:hill': module climbing cannot be imported (SyntaxError"),
    ],
    ids=["field", "lacking", "arguments", "name", "syntax"],
)
def test_check_says_what_is_wrong_with_an_algorithm_before_a_run_would(written, text, says, capsys):
    written(text)
    assert main(["check", "searches.A.algorithm=climbing:hill"]) == 1
    assert f"searches.A{says}" in sentence(capsys)


def test_check_takes_one_that_is_right(written):
    written(RIGHT + FIELDS.format("setting('Heat.', default=0.3)"))
    assert main(["check", "searches.A.algorithm=climbing:hill", "searches.A.heat=1"]) == 0


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ([], (True, False, (0.5, 1.0))),
        (["searches.A.greedy=false", "searches.A.slow=true"], (False, True, (0.5, 1.0))),
        (["search.greedy=true", "search.slow=false", "search.rates=[]"], (True, False, ())),
    ],
)
def test_a_step_takes_what_the_configuration_means(written, given, meant):
    """Yes and no, and lists: by the flags that a rule calls it with."""
    fields = "greedy: bool = setting('G.', default=True)\n    slow: bool = setting('S.', default=False)\n    "
    fields += "rates: tuple[float, ...] = setting('R.', default=(0.5, 1.0))"
    written(RIGHT + FIELDS.replace("heat: float = {}", fields))
    words = ["searches.A.algorithm=climbing:hill", *given]
    config = read_config([ROOT / "config.yaml"], read_settings_of(words))
    parser = argparse.ArgumentParser()
    propose_generation.add_arguments(parser)
    _, others = parser.parse_known_args(
        ["--images", "i", "--generation", "0", "--output", "o", *shlex.split(Flags(config).proposal("A"))]
    )
    chosen = ALGORITHMS["climbing:hill"].Settings, OBJECTIVES["fitness"].Settings
    settings, _ = read_chosen(others, *chosen)
    assert (settings.greedy, settings.slow, settings.rates) == meant
    assert settings == configured_settings(config["search"], config["searches"]["A"])


def test_the_page_has_a_whole_algorithm_and_the_commands_that_try_it(tmp_path, monkeypatch, capsys):
    """Its settings are the page's second block, in place of those that it takes over."""
    page = (ROOT / "docs" / "extend.md").read_text()
    whole, settings = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.syspath_prepend(str(tmp_path))
    (command,) = re.findall(r"^    python -m pipeline (search .* hill:climbing .*) --seeds 50$", page, re.MULTILINE)
    try:
        (tmp_path / "hill.py").write_text(whole)
        assert main([*command.split(), "--seeds", "2"]) == 0
        assert "hill climbing, λ = 4, 2 seeds" in capsys.readouterr().out
        own = "from dataclasses import dataclass\nfrom pipeline.common.settings import setting\n\n\n"
        (tmp_path / "hill.py").write_text(whole.replace(" as Settings", "") + own + settings)
        sys.modules.pop("hill")
        assert main([*command.split(), "--seeds", "2", "--heat", "2"]) == 0
        history = [[Individual(genome, 80.0, 1.0) for genome in [(0.5, 1.0), (1.0, 1.0)]]]
        made = propose("hill:climbing", SPACE, ALGORITHMS["hill:climbing"].Settings(population=3), history, 0, 1)
        assert [child.origin for child in made] == ["step"] * 3
        nearest = [min(sum(a != b for a, b in zip(c.genome, o.genome, strict=True)) for o in history[0]) for c in made]
        assert nearest == [1, 1, 1]
    finally:
        sys.modules.pop("hill", None)
        look_again()
