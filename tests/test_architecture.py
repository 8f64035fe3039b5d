"""The page about the rooms: its picture shows the imports that there are, and what it names is there."""

import ast
import re
from pathlib import Path

import grimp
import pytest

from tests.support.workflow import ROOT

PAGES = ["docs/architecture.md", "docs/testing.md", "docs/robustness.md", "CONTRIBUTING.md"]
NAMED = re.compile(r"`((?:pipeline|rules|tests|schemas|profiles|docs|benchmarks|configs)/[^`\s:]*)(?::([\w.]+))?`")


def reduced(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Leaves out the arrows whose end is reached by others too."""

    def reached(start: str, without: tuple[str, str]) -> set[str]:
        ends = {end for begin, end in arrows if begin == start and (begin, end) != without}
        return ends.union(*(reached(end, without) for end in ends))

    return {arrow for arrow in arrows if arrow[1] not in reached(arrow[0], arrow)}


def test_arrows_that_are_spared():
    assert reduced({("a", "b"), ("b", "c"), ("a", "c"), ("a", "d")}) == {("a", "b"), ("b", "c"), ("a", "d")}


def test_the_picture_shows_the_imports_between_rooms():
    graph = grimp.build_graph("pipeline", cache_dir=None)
    rooms = sorted(graph.find_children("pipeline") - {"pipeline.__main__"})
    pairs = [(a, b) for a in rooms for b in rooms if a != b]
    real = {(a, b) for a, b in pairs if graph.direct_import_exists(importer=a, imported=b, as_packages=True)}
    shown = re.findall(r"^ +(\w+) --> (\w+)$", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE)
    assert len(shown) == len(set(shown))
    assert {(f"pipeline.{a}", f"pipeline.{b}") for a, b in shown} == reduced(real)


def test_every_room_is_in_the_table_of_rooms():
    rooms = {path.parent.name for path in (ROOT / "pipeline").glob("*/__init__.py")}
    listed = re.findall(r"^\| `pipeline/(\w+)/` \|", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(rooms)


def names_in(path: Path) -> set[str]:
    """What a module defines: functions, classes, their methods (``Class.method``), and constants."""
    tree, names = ast.parse(path.read_text()), set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if type(node) is ast.AnnAssign else []
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_is_there(page):
    named = NAMED.findall((ROOT / page).read_text())
    assert named
    for path, name in named:
        assert list(ROOT.glob(path.rstrip("/"))), f"{page}: {path}"
        assert not name or name in names_in(ROOT / path), f"{page}: {path}:{name}"
