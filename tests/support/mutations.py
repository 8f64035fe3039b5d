"""Do the tests notice? Changes the code in small ways, one at a time, and runs the tests that concern it.

    python -m tests.support.mutations pipeline/search/objectives/fitness.py      # every small change of a module
    python -m tests.support.mutations --faults                        # the faults listed in tests/support/faults.py

What no test notices (a *survivor*) is printed with its line. Only fast tests run: those that are not marked slow, of
the files of the module's room that import it, and its doctests. Each change runs in a fork of this process, which has
loaded torch and the other libraries already, and where only the body of a function changes, has collected the tests as
well: that takes a tenth of the time of a new process, which is why this is neither mutmut nor cosmic-ray. Programs that
a test starts see the unchanged code. Strings are left alone: most are
messages, and for those that are not, see the listed faults.
"""

import argparse
import ast
import copy
import doctest
import functools
import gc
import importlib
import inspect
import os
import re
import signal
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType
from typing import NamedTuple

import pytest

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
_NOT_RUN = 255
_OPTIONS = ["-x", "-m", "not slow", "--hypothesis-seed=0"] + [
    word for name in ("cacheprovider", "xdist", "unraisableexception") for word in ("-p", f"no:{name}")
]


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
    return _fails(child, seconds)


def _fails(child: int, seconds: float) -> bool:
    """Waits for a process, which leads a group of its own, and ends it after so many seconds."""
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
    output = os.open("/dev/null" if mutant is not None else "/dev/stderr", os.O_WRONLY)
    os.dup2(output, 1)
    if mutant is not None:
        os.dup2(output, 2)
        _plant(mutant)
    failed = 1
    try:
        # Not by pytest, which reads and compiles by itself what it is given to collect.
        failed = mutant is not None and doctest.testmod(importlib.import_module(name_of(mutant.path))).failed
        failed = failed or (int(pytest.main([*_OPTIONS, *tests])) if tests else 0)
    finally:
        os._exit(min(failed, 1))


def _plant(mutant: Mutant) -> None:
    """Lets the mutant be loaded wherever its module is imported from now on."""
    known = SourceFileLoader.get_code
    code = compile(mutant.tree, str(mutant.path), "exec")

    def get_code(loader: SourceFileLoader, name: str) -> object:
        return code if Path(loader.path) == mutant.path else known(loader, name)

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign,assignment]


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


class _Collected:
    """Plugin of pytest: once the tests are collected, runs them on each mutant in a fork, and prints the survivors.

    Only for changes in functions' bodies, which are put into the functions that the tests hold already.
    """

    def __init__(self, these: Sequence[Mutant]) -> None:
        self._mutants = these
        self.survived = 0

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        files = {str(mutant.path) for mutant in self._mutants}
        functions = [
            thing for thing in gc.get_objects() if type(thing) is FunctionType and thing.__code__.co_filename in files
        ]
        gc.freeze()
        started, seconds = time.monotonic(), 600.0
        for mutant in (None, *self._mutants):
            sys.stdout.flush()
            child = os.fork()
            if child == 0:
                failed = True
                try:
                    os.setsid()
                    silence = os.open(os.devnull, os.O_WRONLY)
                    os.dup2(silence, 1)
                    os.dup2(silence, 2)
                    if mutant is None or not _fails_in_place(mutant, functions):
                        yield
                        failed = session.testsfailed > 0
                finally:
                    os._exit(failed)
            survives = not _fails(child, seconds)
            if mutant is None:
                if not survives:
                    pytest.exit("the tests fail without any change", _NOT_RUN)
                seconds = max(_LEAST_SECONDS, 10 * (time.monotonic() - started))
            elif survives:
                self.survived += 1
                _show(mutant)
        session.items.clear()
        return (yield)


def _fails_in_place(mutant: Mutant, functions: Sequence[FunctionType]) -> bool:
    """Gives functions of a module, if it is loaded, the code that they have in the mutant. Returns whether its doctests
    fail.
    """
    _plant(mutant)
    new = {_key(code): code for code in _functions(compile(mutant.tree, str(mutant.path), "exec"))}
    for function in functions:
        function.__code__ = new.get(_key(function.__code__), function.__code__)
    return doctest.testmod(importlib.import_module(name_of(mutant.path))).failed > 0


def _key(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno


def _functions(code: CodeType) -> Iterator[CodeType]:
    """Yields the functions and methods of a module, without those inside functions."""
    for part in code.co_consts:
        if isinstance(part, CodeType):
            if part.co_flags & inspect.CO_NEWLOCALS:
                yield part
            else:
                yield from _functions(part)


def _shell(code: CodeType) -> tuple[object, ...]:
    """What is run when a module is imported; of a function, only what it is called and what it takes."""
    parts: list[object] = []
    for part in code.co_consts:
        if not isinstance(part, CodeType):
            parts.append((type(part), part))
        elif part.co_flags & inspect.CO_NEWLOCALS:
            parts.append((_key(part), part.co_freevars, part.co_varnames[: part.co_argcount], part.co_flags))
        else:
            parts.append(_shell(part))
    return (code.co_code, code.co_names, *parts)


def by_how_they_run(path: Path) -> tuple[list[Mutant], list[Mutant]]:
    """Returns a module's mutants in whose functions' bodies alone something has changed, and the others."""
    known = _shell(compile(ast.parse(path.read_text()), str(path), "exec"))
    within, others = [], []
    for mutant in mutants(path):
        same = _shell(compile(mutant.tree, str(path), "exec")) == known
        (within if same else others).append(mutant)
    return within, others


def _show(mutant: Mutant) -> None:
    print(f"{mutant.path.relative_to(ROOT)}:{mutant.line}: {mutant.change}", flush=True)


def main() -> int:
    """Prints survivors, and for each module how many there are. Returns 1 where a listed fault survives."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], prog="python -m tests.support.mutations")
    parser.add_argument("modules", nargs="*", type=Path, help="files of pipeline/")
    parser.add_argument(
        "--faults", nargs="?", const="", metavar="WORD", help="the listed faults (whose names have WORD)"
    )
    parser.add_argument("--tests", nargs="+", help="these, in place of the files that import the module")
    parser.add_argument("--line", type=int, help="only the changes in this line")
    parser.add_argument("-k", metavar="WORDS", help="of the tests only those that pytest chooses by these words")
    parser.add_argument("--bodies", action="store_true", help="only changes inside functions, which are tried fastest")
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
        tests = arguments.tests or files_that_test(path)
        if arguments.k:
            tests = [*tests, "-k", arguments.k]
        within, others = (
            [one for one in these if arguments.line in (None, one.line)] for these in by_how_they_run(path)
        )
        if not tests:
            within, others = [], others + within
        count = 0
        if within:
            collected = _Collected(within)
            child = os.fork()
            if child == 0:  # so that this process goes on without the project, for the next module
                ended = pytest.main([*_OPTIONS, "--capture=no", "-p", "no:terminal", *tests], plugins=[collected])
                os._exit(_NOT_RUN if ended == _NOT_RUN else collected.survived)
            count = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if count == _NOT_RUN:
                sys.exit(f"error: the tests fail without any change: pytest -m 'not slow' {' '.join(tests)}")
        if not arguments.bodies:
            for mutant in _survivors(others, tests):
                _show(mutant)
                count += 1
        total = len(within) + (0 if arguments.bodies else len(others))
        print(f"{module}: {count} of {total} survive", flush=True)
    return int(survived > 0)


if __name__ == "__main__":
    sys.exit(main())
