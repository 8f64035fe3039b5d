"""What tests hold to: none judges by a clock, and none imports another."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
FILES = sorted(TESTS.rglob("*.py"))
CLOCKS = {"time.monotonic", "time.perf_counter", "time.process_time", "timeit.timeit", "timeit.repeat"}


def reads_a_clock(node: ast.AST) -> bool:
    """Whether an expression calls a clock of the modules ``time`` and ``timeit``."""
    calls = (part.func for part in ast.walk(node) if isinstance(part, ast.Call))
    return any(ast.unparse(function) in CLOCKS for function in calls)


def judges_by_a_clock(tree: ast.AST) -> list[int]:
    """Lines of asserts about a clock, or about a name that a clock's reading was given."""
    given = [node for node in ast.walk(tree) if isinstance(node, ast.Assign) and reads_a_clock(node.value)]
    names = {
        name.id for node in given for target in node.targets for name in ast.walk(target) if type(name) is ast.Name
    }
    asserts = [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    used = [{part.id for part in ast.walk(node.test) if isinstance(part, ast.Name)} for node in asserts]
    return [node.lineno for node, known in zip(asserts, used, strict=True) if reads_a_clock(node.test) or known & names]


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("start = time.monotonic()\nassert time.monotonic() - start < 9", [2]),
        ("start = time.monotonic()\nseconds = time.monotonic() - start\nassert seconds < 9", [3]),
        ("assert min(timeit.repeat(f)) < 1", [1]),
        ("end = time.monotonic() + 5\nassert made == 3", []),
    ],
)
def test_a_judgement_by_a_clock_is_seen(code, lines):
    assert judges_by_a_clock(ast.parse(code)) == lines


def test_no_test_judges_by_a_clock():
    """What is fast enough on one machine is too slow beside others' work; benchmarks/ measures instead."""
    found = {str(f.relative_to(TESTS)): lines for f in FILES if (lines := judges_by_a_clock(ast.parse(f.read_text())))}
    assert found == {}


def test_no_test_imports_a_test():
    """What several need lies in tests/support."""
    modules = [
        (str(file.relative_to(TESTS)), node.module or "")
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom)
    ]
    assert [pair for pair in modules if pair[1].split(".")[-1].startswith("test_")] == []


#: Words that say too late what a docstring is about.
LATE = re.compile(r"(Of|Those|The same|What|Whether)\b")
#: How the docstring of a function starts: with a verb, or with where to find it.
VERB = re.compile(r"([A-Z][a-z-]*[^s\W]s|See)\b")


def docstrings(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (said := ast.get_docstring(node)):
            yield node, said


def is_thing(node: ast.AST) -> bool:
    """Whether a docstring's subject is a thing: a module, a class, a property or a context."""
    marks = [ast.unparse(mark) for mark in getattr(node, "decorator_list", [])]
    return not isinstance(node, ast.FunctionDef) or any("property" in mark or "context" in mark for mark in marks)


def test_docstrings_say_at_once_what_they_are_about():
    """Those of functions start with a verb, such as Returns; those of things with a noun."""
    found = [
        f"{path.relative_to(TESTS.parent)}:{node.name if hasattr(node, 'name') else ''}: {said.splitlines()[0]}"
        for path in sorted((TESTS.parent / "pipeline").rglob("*.py"))
        for node, said in docstrings(ast.parse(path.read_text()))
        if LATE.match(said) or (not is_thing(node) and not VERB.match(said))
    ]
    assert found == []
