"""Do the tests notice? Changes the code in small ways, one at a time, and runs the tests that concern it.

    python -m tests.support.mutations pipeline/search/objectives/fitness.py      # every small change of a module
    python -m tests.support.mutations --faults                        # the faults listed in tests/support/faults.py

What no test notices (a *survivor*) is printed with its line. Only fast tests run: those that are not marked slow, of
the files of the module's room that import it, and its doctests. Each change runs in a fork of this process, which has
loaded torch and the other libraries already: that takes a fifth of the time of a new process, which is why this is
neither mutmut nor cosmic-ray. Programs that a test starts see the unchanged code. Strings are left alone: most are
messages, and for those that are not, see the listed faults.
"""

import argparse
import ast
import copy
import doctest
import functools
import gc
import importlib
import os
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Add,
    ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list", "ceil": "floor", "floor": "ceil"}
_LEAST_SECONDS = 20.0


class Mutant(NamedTuple):
    """A changed module: where and how, for a reader, and its source as Python runs it."""

    path: Path
    line: int
    change: str
    tree: ast.Module


@dataclass(frozen=True)
class Fault:
    """A named change that tests must notice: ``old``, which stands once in a file of the project, becomes ``new``."""

    name: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]

    def mutant(self) -> Mutant:
        """Raises ValueError where the code has changed so that the fault cannot be planted."""
        source = (ROOT / self.path).read_text()
        if source.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.path} has {self.old!r} {source.count(self.old)} times, not once")
        line = source[: source.index(self.old)].count("\n") + 1
        return Mutant(ROOT / self.path, line, self.name, ast.parse(source.replace(self.old, self.new)))


def mutants(path: Path) -> Iterator[Mutant]:
    """Yields every small change of a module, in the order of its lines."""
    tree = ast.parse(path.read_text())
    skipped = {id(node) for root in _unchanged(tree) for node in ast.walk(root)}
    places = [node for node in ast.walk(tree) if id(node) not in skipped]
    for node in sorted(places, key=lambda node: (getattr(node, "lineno", 0), getattr(node, "col_offset", 0))):
        for variant in _variants(node):
            changed = _Replace(node, variant).visit(copy.deepcopy(tree))
            before, after = (re.sub(r"\s+", " ", ast.unparse(part)) for part in (node, variant))
            yield Mutant(path, node.lineno, f"{before}  →  {after}", ast.fix_missing_locations(changed))


class _Replace(ast.NodeTransformer):
    """Replaces the node at the place of ``old`` (of an equal tree) by ``new``."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._place, self._new = _place(old), new

    def visit(self, node: ast.AST) -> ast.AST:
        return self._new if _place(node) == self._place else self.generic_visit(node)


def _place(node: ast.AST) -> tuple[object, ...]:
    where = (getattr(node, name, None) for name in ("lineno", "col_offset", "end_lineno", "end_col_offset"))
    return (type(node), *where) if hasattr(node, "lineno") else (id(node),)


def _unchanged(tree: ast.Module) -> Iterator[ast.AST]:
    """Docstrings, annotations, imports, type aliases and what only type checkers read."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Import | ast.ImportFrom)
            or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
            or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
            or (isinstance(node, ast.Subscript) and ast.unparse(node.value) in ("Literal", "Callable"))
        ):
            yield node
        elif isinstance(node, ast.FunctionDef):
            yield from (part for part in (node.returns, *node.decorator_list) if part is not None)
        elif isinstance(node, ast.ClassDef):
            yield from node.decorator_list
        elif isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            yield node.annotation


def _variants(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(left, operators, values):
            for i, operator in enumerate(operators):
                changed = [*operators[:i], _COMPARISONS[type(operator)](), *operators[i + 1 :]]
                yield ast.Compare(left, changed, values)
        case ast.BinOp(left, operator, right) if type(operator) in _OPERATORS and not _is_text(left):
            yield ast.BinOp(left, _OPERATORS[type(operator)](), right)
        case ast.BoolOp(operator, values):
            yield ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield operand
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value) | float(value)):
            yield ast.Constant(value + 1)
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.If(test, body, orelse):
            yield ast.If(ast.Constant(False), body, orelse)
            yield ast.If(ast.Constant(True), body, orelse)
        case ast.Return(value) if value is not None and not (isinstance(value, ast.Constant) and value.value is None):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(ast.Call() | ast.Await() | ast.YieldFrom()) | ast.AugAssign() | ast.Raise():
            yield ast.Pass()
        case ast.Break() | ast.Continue():
            yield ast.Pass()
        case ast.comprehension():
            yield from ()
        case ast.Name(name, ast.Load()) if name in _NAMES:
            yield ast.Name(_NAMES[name], ast.Load())
        case ast.Subscript(value, ast.Slice(lower, upper, step), ast.Load()):
            if lower is not None:
                yield ast.Subscript(value, ast.Slice(None, upper, step), ast.Load())
            if upper is not None:
                yield ast.Subscript(value, ast.Slice(lower, None, step), ast.Load())
        case ast.Call(function, arguments, keywords) if keywords:
            for i, keyword in enumerate(keywords):
                if keyword.arg is not None:
                    yield ast.Call(function, arguments, [*keywords[:i], *keywords[i + 1 :]])
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            for i, generator in enumerate(node.generators):
                if generator.ifs:
                    changed = copy.copy(node)
                    without = ast.comprehension(generator.target, generator.iter, [], generator.is_async)
                    changed.generators = [*node.generators[:i], without, *node.generators[i + 1 :]]
                    yield changed


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def name_of(path: Path) -> str:
    """Returns what a module is imported as."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def files_that_test(path: Path) -> list[str]:
    """Returns the test files of the module's room that import it; where there are none, those of other rooms."""
    name = name_of(path)
    parent, _, last = name.rpartition(".")
    says = re.compile(
        rf"^ *(from {re.escape(name)} import|import {re.escape(name)}\b|from {re.escape(parent)} import .*\b{last}\b)",
        re.M,
    )
    found = [file for file in sorted(ROOT.glob("tests/**/test_*.py")) if says.search(file.read_text())]
    room = ROOT / "tests" / path.relative_to(ROOT / "pipeline").parts[0]
    return [str(file.relative_to(ROOT)) for file in [f for f in found if room in f.parents] or found]


def noticed(mutant: Mutant | None, tests: Sequence[str], seconds: float) -> bool:
    """Runs the tests on a mutant in a fork of this process; those that take longer than so many seconds have failed."""
    child = os.fork()
    if child == 0:
        _test(mutant, tests)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) != 0
        time.sleep(0.01)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def _test(mutant: Mutant | None, tests: Sequence[str]) -> None:
    os.setsid()
    import pytest

    output = os.open("/dev/null" if mutant is not None else "/dev/stderr", os.O_WRONLY)
    os.dup2(output, 1)
    if mutant is not None:
        os.dup2(output, 2)
        known = SourceFileLoader.get_code
        code = compile(mutant.tree, str(mutant.path), "exec")

        def get_code(loader: SourceFileLoader, name: str) -> object:
            return code if Path(loader.path) == mutant.path else known(loader, name)

        SourceFileLoader.get_code = get_code  # type: ignore[method-assign,assignment]
    plugins = [word for name in ("cacheprovider", "xdist", "unraisableexception") for word in ("-p", f"no:{name}")]
    failed = 1
    try:
        # Not by pytest, which reads and compiles by itself what it is given to collect.
        failed = mutant is not None and doctest.testmod(importlib.import_module(name_of(mutant.path))).failed
        failed = failed or (
            int(pytest.main(["-x", "-q", "-m", "not slow", "--hypothesis-seed=0", *plugins, *tests])) if tests else 0
        )
    finally:
        os._exit(min(failed, 1))


def _load_libraries() -> None:
    """Loads once what the tests import, and nothing of the project."""
    import h5py
    import hypothesis
    import hypothesis.extra.numpy
    import numpy
    import pandas
    import PIL.Image
    import psutil
    import sklearn.datasets
    import torch
    import torch.optim.sgd
    import yaml

    del h5py, hypothesis, numpy, pandas, PIL, psutil, sklearn, torch, yaml
    assert not any(name.split(".")[0] == "pipeline" for name in sys.modules)


@functools.cache
def _patience(tests: tuple[str, ...]) -> float:
    """Runs the tests without any change, and returns the seconds after which a mutant's are given up."""
    started = time.monotonic()
    if noticed(None, tests, 600):
        sys.exit(f"error: the tests fail without any change: pytest -m 'not slow' {' '.join(tests)}")
    return max(_LEAST_SECONDS, 4 * (time.monotonic() - started))


def _survivors(these: Sequence[Mutant], tests: Sequence[str]) -> Iterator[Mutant]:
    """Yields the mutants that no test notices, as they are found."""
    seconds = _patience(tuple(tests))
    return (mutant for mutant in these if not noticed(mutant, tests, seconds))


def main() -> int:
    """Prints survivors, and for each module how many there are. Returns 1 where a listed fault survives."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], prog="python -m tests.support.mutations")
    parser.add_argument("modules", nargs="*", type=Path, help="files of pipeline/")
    parser.add_argument(
        "--faults", nargs="?", const="", metavar="WORD", help="the listed faults (whose names have WORD)"
    )
    parser.add_argument("--tests", nargs="+", help="these, in place of the files that import the module")
    parser.add_argument("--line", type=int, help="only the changes in this line")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    _load_libraries()
    gc.freeze()  # or every fork would copy what its garbage collector looks at
    survived = 0
    if arguments.faults is not None:
        from tests.support.faults import FAULTS

        chosen = [fault for fault in FAULTS if arguments.faults in fault.name]
        for fault in chosen:
            survivors = list(_survivors([fault.mutant()], arguments.tests or fault.tests))
            survived += len(survivors)
            print(f"{'SURVIVES' if survivors else 'noticed':9} {fault.name}", flush=True)
        print(f"{survived} of {len(chosen)} listed faults survive")
    for module in arguments.modules:
        path = module.resolve()
        these = [one for one in mutants(path) if arguments.line in (None, one.line)]
        count = 0
        for mutant in _survivors(these, arguments.tests or files_that_test(path)):
            print(f"{path.relative_to(ROOT)}:{mutant.line}: {mutant.change}", flush=True)
            count += 1
        print(f"{module}: {count} of {len(these)} survive", flush=True)
    return int(survived > 0)


if __name__ == "__main__":
    sys.exit(main())
