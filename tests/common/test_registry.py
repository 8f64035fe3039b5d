"""What can be chosen by name: one file for each, known by its registry alone, and part of what depends on it."""

import importlib
import sys
from functools import partial
from types import MappingProxyType

import pytest

from pipeline.common.errors import UserError
from pipeline.common.registry import Registry, look_again
from pipeline.data.datasets import DATASETS
from pipeline.networks.architectures import ARCHITECTURES
from pipeline.networks.binary.binarisers import BINARISERS
from pipeline.search.algorithms import ALGORITHMS
from pipeline.search.objectives import OBJECTIVES

REGISTRIES = {"algorithms": ALGORITHMS, "objectives": OBJECTIVES, "architectures": ARCHITECTURES}
REGISTRIES |= {"binarisers": BINARISERS, "datasets": DATASETS}


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A package of entries, of which one imports a helper beside it and one from elsewhere."""
    package = tmp_path / "shelf"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "helper.py").write_text("STEP = 1\n")
    (package / "first.py").write_text(
        'NAME = "one"\nfrom shelf.helper import STEP\n\n\ndef work(x):\n    return x + STEP\n'
    )
    (package / "second.py").write_text('NAME = "two"\n\n\ndef work(x):\n    return 2 * x\n')
    monkeypatch.syspath_prepend(str(tmp_path))

    def opened(needs=("work",), calls=MappingProxyType({}), **founding):
        """The registry as a new process would see it."""
        for name in [name for name in sys.modules if name.partition(".")[0] in ("shelf", "mine")]:
            del sys.modules[name]
        importlib.invalidate_caches()
        look_again()
        return Registry("thing", "shelf", "shelf.things", needs, founding, calls=calls)

    yield package, opened
    opened()


def test_a_file_is_an_entry_and_nothing_else_names_it(shelf):
    package, opened = shelf
    assert list(opened()) == ["one", "two"] and opened()["two"].work(3) == 6
    (package / "third.py").write_text('NAME = "three"\n\n\ndef work(x):\n    return 3 * x\n')
    assert list(opened()) == ["one", "two", "three"] and opened()["three"].work(3) == 9


def test_entries_from_elsewhere(shelf, tmp_path):
    package, opened = shelf
    (tmp_path / "mine.py").write_text("class Own:\n    @staticmethod\n    def work(x):\n        return -x\n")
    offered = tmp_path / "mine-1.0.dist-info"
    offered.mkdir()
    (offered / "METADATA").write_text("Name: mine\nVersion: 1.0\n")
    (offered / "entry_points.txt").write_text("[shelf.things]\nown = mine:Own\n")
    assert list(opened()) == ["one", "two", "own"]
    assert opened()["own"].work(3) == opened()["mine:Own"].work(3) == -3


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("three", "unknown thing 'three': choose one of one, two, or one of your own by MODULE:NAME"),
        ("nowhere:thing", "thing 'nowhere:thing': there is no module nowhere"),
        ("json:dumps", "'json:dumps' is no thing: 'dumps' of module json has no 'work': see shelf for what"),
        ("json:nothing", "'json:nothing' is no thing: module json has no NAME, and nothing else that is called"),
    ],
)
def test_what_is_none_is_told(shelf, name, sentence):
    with pytest.raises(UserError) as caught:
        _ = shelf[1]()[name]
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("text", "name", "sentence"),
    [
        ("work = len\n", "mine:own", "module mine has no NAME, and nothing else .* 'own': write NAME = 'own' into it"),
        ("NAME = 'self'\n", "mine:own", "module mine has the NAME 'self', and nothing .* 'own': name it as mine:self"),
        (
            "NAME = 'own'\nx = 1\nwork = len\n",
            "mine:x",
            "module mine that has all .*: name it as mine:own",
        ),
        ("x = 1\nwork = len\n", "mine:x", "module mine that has all .*, not its 'x': give the module a NAME"),
        ("NAME = 'own'\n", "mine:own", "module mine has no 'work'"),
    ],
)
def test_it_is_said_what_is_missing_in_what(shelf, tmp_path, text, name, sentence):
    _, opened = shelf
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(UserError, match=f"'{name}' is no thing: .*{sentence}.*see shelf for what one consists of"):
        _ = opened()[name]


def test_a_module_is_found_by_its_name_though_something_in_it_is_called_so_too(shelf, tmp_path):
    (tmp_path / "mine.py").write_text("NAME = 'own'\n\n\ndef own():\n    pass\n\n\ndef work(x):\n    return own\n")
    entry = shelf[1]()["mine:own"]
    assert entry.work(1) is entry.own


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("NAME = 'own'\nx = (\n", r"SyntaxError: .*mine\.py, line 2"),
        ("NAME = 'own'\nx = 1 / 0\n", r"ZeroDivisionError in line 2 of .*mine\.py: division by zero"),
        ("NAME = 'own'\nimport nowhere_at_all\n", "ModuleNotFoundError in line 2 .*No module named 'nowhere_at_all'"),
        ("NAME = 'own'\nfrom json import nothing\n", "ImportError in line 2 .*cannot import name 'nothing'"),
    ],
)
def test_a_module_that_is_there_and_cannot_be_imported(shelf, tmp_path, text, reason):
    _, opened = shelf
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(UserError, match=f"thing 'mine:own': module mine cannot be imported .{reason}"):
        _ = opened()["mine:own"]
    if "SyntaxError" in reason:
        with pytest.raises(UserError, match=reason):
            opened().digest("mine:own")


HEAD = (
    "from dataclasses import dataclass, field\nfrom pipeline.common.settings import setting\nNAME, work = 'own', len\n"
)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("heat: float = 0.3", "field 'heat' of Settings of module mine is not made by setting"),
        ("heat: float", "field 'heat' of .*: write heat: float = setting"),
        ("heat: float = field(default=0.3)", "field 'heat' of .* is not made by setting"),
        ("heat: dict = setting('How hot.', default=None)", "field 'heat' of .* has the type dict, which no setting"),
        ("heat: 'Heat' = setting('How hot.')", "types of Settings of module mine cannot be read .*'Heat'"),
        ("heat: tuple = setting('How hot.', default=())", "field 'heat' of .* has the type tuple"),
        ("heat: tuple[int, ...] = setting('How hot.', default_factory=tuple)", "field 'heat' .* has a default_factory"),
        ("heat: int = setting('How hot.', default=2.5)", "default of field 'heat' .* is 2.5, which a configuration"),
        ("heat: str = setting('How hot.', default=7)", "default of field 'heat' .* is 7, .*: take one .*str"),
        ("heat: bool = setting('How hot.', default=1)", "default of field 'heat' .* is 1,"),
        ("heat: int = setting('How hot.', default=True)", "default of field 'heat' .* is True,"),
        ("heat: int | None = setting('How hot.', default=3)", "field 'heat' .* may be null and has another default"),
        ("heat: float = setting('How hot.', default=None)", "default of field 'heat' .* is None,"),
        ("heat: float = setting('How hot.', default=float('nan'))", "default of field 'heat' .* is nan,"),
        ("heat: int = setting('How hot.', limits={'minimum': 3}, default=2)", "default .* is 2, .*int, minimum 3"),
        ("heat: tuple[int, ...] = setting('How hot.', default=(1, 'a'))", r"default .* is \(1, 'a'\),"),
        (
            "heat = setting('How hot.')",
            r"cannot be imported .TypeError in line \d+ of \S+/mine.py: 'heat' is a field but has no type annotation",
        ),
    ],
)
def test_settings_are_made_by_setting(shelf, tmp_path, line, sentence):
    opened = partial(shelf[1], needs=("Settings", "work"))
    (tmp_path / "mine.py").write_text(f"{HEAD}@dataclass\nclass Settings:\n    {line}\n")
    with pytest.raises(UserError, match=sentence):
        _ = opened()["mine:own"]


@pytest.mark.parametrize(
    "field",
    [
        "float = setting('How hot.', default=1)",
        "bool = setting('How hot.', default=True)",
        "float | None = setting('How hot.', limits={'exclusiveMinimum': 0}, default=None)",
        "tuple[float, ...] = setting('How hot.', limits={'minimum': 0}, default=(0, 0.5))",
        "int = setting('How hot.', limits={'minimum': 3}, default=3)",
    ],
)
def test_defaults_that_a_configuration_could_give(shelf, tmp_path, field):
    (tmp_path / "mine.py").write_text(f"{HEAD}@dataclass\nclass Settings:\n    heat: {field}\n")
    assert hasattr(shelf[1](needs=("Settings", "work"))["mine:own"].Settings(), "heat")


def test_settings_that_are_made_so_are_taken_and_are_a_dataclass(shelf, tmp_path):
    opened = partial(shelf[1], needs=("Settings", "work"))
    (tmp_path / "mine.py").write_text(f"{HEAD}class Settings:\n    heat: float = 0.3\n")
    with pytest.raises(UserError, match="Settings of module mine is no dataclass"):
        _ = opened()["mine:own"]
    right = "heat: float | None = setting('How hot.', default=None)"
    more = "class Settings(Base):\n    cold: float = setting('How cold.', default=0.1)\n"
    base = f"{HEAD}@dataclass(frozen=True)\nclass Base:\n    {right}\n"
    (tmp_path / "mine.py").write_text(f"{base}{more}")
    with pytest.raises(UserError, match="Settings of module mine adds 'cold' and is no dataclass itself"):
        _ = opened()["mine:own"]
    (tmp_path / "mine.py").write_text(f"{base}@dataclass(frozen=True)\n{more}")
    assert opened()["mine:own"].Settings().cold == 0.1
    (tmp_path / "mine.py").write_text(f"{base}class Settings(Base):\n    'The same.'\n")
    assert opened()["mine:own"].Settings().heat is None
    (tmp_path / "mine.py").write_text(f"{HEAD}@dataclass\nclass Settings:\n    {right}\n")
    assert opened()["mine:own"].Settings().heat is None


@pytest.mark.parametrize(
    ("function", "taken"),
    [
        ("def work(first, x, *, y): pass", r"\(first, x, \*, y\)"),
        ("def work(x: int, y: int, z: str) -> int: pass", r"\(x, y, z\)"),
        ("def work(x): pass", r"\(x\)"),
        ("def work(): pass", r"\(\)"),
        ("work = 3", ", which is no function,"),
    ],
)
def test_functions_take_the_arguments_that_they_are_called_with(shelf, tmp_path, function, taken):
    opened = partial(shelf[1], calls={"work": "x, *, y", "other": "x"})
    (tmp_path / "mine.py").write_text(f"NAME = 'own'\n{function}\n")
    with pytest.raises(UserError, match=rf"work{taken} of module mine cannot be called as work\(x, \*, y\): see shelf"):
        _ = opened()["mine:own"]


def test_a_function_that_an_entry_need_not_have_is_looked_at_where_it_is(shelf, tmp_path):
    opened = partial(shelf[1], calls={"work": "x, *, y", "other": "x"})
    (tmp_path / "mine.py").write_text("NAME = 'own'\n\n\ndef work(x, z=1, **more): pass\n")
    assert opened()["mine:own"].NAME == "own"
    (tmp_path / "mine.py").write_text("NAME = 'own'\n\n\ndef work(x, y): pass\n\n\ndef other(): pass\n")
    with pytest.raises(UserError, match=r"other\(\) of module mine cannot be called as other\(x\)"):
        _ = opened()["mine:own"]


@pytest.mark.parametrize("kind", REGISTRIES)
def test_a_package_says_what_its_functions_are_called_with(kind):
    registry = REGISTRIES[kind]
    said = " ".join(importlib.import_module(registry.package).__doc__.split())
    assert registry.calls and all(f"``{name}({words})``" in said for name, words in registry.calls.items())


def test_an_entry_has_changed_when_its_code_has(shelf):
    package, opened = shelf
    first, second = package / "first.py", package / "second.py"
    founding = {name: opened().digest(name) for name in ("one", "two")}
    assert [opened(**founding).changed(name) for name in ("one", "two")] == ["", ""]
    second.write_text(
        '"""Twice."""\n\nNAME = "two"  # a name\n\n\ndef work(x):\n    "Doubles."\n    return (2 *\n        x)\n'
    )
    assert opened(**founding).changed("two") == ""
    second.write_text(second.read_text().replace("2 *", "3 *"))
    assert opened(**founding).changed("two") and not opened(**founding).changed("one")
    (package / "helper.py").write_text("STEP = 2\n")
    assert opened(**founding).changed("one"), "it is made of what it imports beside it"
    first.write_text(first.read_text().replace("x + STEP", "x"))
    assert opened().changed("one"), "what was not there at first is always named"


def test_a_plugin_is_made_of_the_files_beside_it_that_it_imports(shelf, tmp_path):
    """Its author's own, that is: not what is installed, nor this project, which may lie in the same folder."""
    package, opened = shelf
    home = tmp_path / "home"
    home.mkdir()
    sys.path.insert(0, str(home))  # the fixture's way back takes it out again
    try:
        text = (
            "import json\nimport numpy\nfrom shelf.helper import STEP\nfrom {} import K\n\nclass Own:\n    work = K\n"
        )
        (home / "aside.py").write_text("K = 1\n")
        (home / "mine.py").write_text(text.format("aside"))
        before = opened().digest("mine:Own")
        (home / "aside.py").write_text("K = 2\n")
        after = opened().digest("mine:Own")
        assert after != before
        (package / "helper.py").write_text("STEP = 3\n")
        assert opened().digest("mine:Own") == after
        # In a package of its own as well, which imports what lies beside the package.
        (home / "mine.py").unlink()
        (home / "mine").mkdir()
        (home / "mine" / "__init__.py").write_text(text.format("aside"))
        before = opened().digest("mine:Own")
        (home / "aside.py").write_text("K = 3\n")
        assert opened().digest("mine:Own") != before
        # Installed, it has a version.
        installed = home / "site-packages"
        installed.mkdir()
        (home / "aside.py").rename(installed / "aside.py")
        (installed / "mine.py").write_text(text.format("aside"))
        (home / "mine" / "__init__.py").unlink()
        (home / "mine").rmdir()
        sys.path[0] = str(installed)
        before = opened().digest("mine:Own")
        (installed / "aside.py").write_text("K = 4\n")
        assert opened().digest("mine:Own") == before
    finally:
        sys.path.remove(str(installed))
        sys.modules.pop("aside", None)


def test_two_packages_that_offer_one_name_are_refused(shelf, tmp_path):
    _, opened = shelf
    for name in ("mine", "other"):
        offered = tmp_path / f"{name}-1.0.dist-info"
        offered.mkdir()
        (offered / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
        (offered / "entry_points.txt").write_text("[shelf.things]\nown = mine:Own\n")
    assert list(opened()) == ["one", "two", "own"], "the same one twice"
    (tmp_path / "other-1.0.dist-info" / "entry_points.txt").write_text("[shelf.things]\nown = other:Own\n")
    with pytest.raises(UserError, match="two installed packages offer 'own' .*other:Own.*: uninstall one of them"):
        list(opened())


def test_help_texts_do_not_count(shelf):
    package, opened = shelf
    digests = set()
    for text in ("once", "twice"):
        (package / "second.py").write_text(f'NAME = "two"\nx: int = setting("{text}", default=1)\n')
        digests.add(opened().digest("two"))
    (package / "second.py").write_text('NAME = "two"\nx: int = setting("once", default=2)\n')
    assert len(digests) == 1 and opened().digest("two") not in digests


@pytest.mark.parametrize("kind", REGISTRIES)
def test_founding_entries_are_what_they_were(kind):
    """Results of earlier versions are found as long as this holds.

    If you have changed what an entry does, remove it from ``founding`` in its registry: what depends on it is then made
    again, and never mixed with what was. If you have not, such as by renaming a variable, write down the new digest.
    """
    chosen = REGISTRIES[kind]
    digests = {name: chosen.digest(name) for name in chosen.founding}
    assert digests == dict(chosen.founding)
