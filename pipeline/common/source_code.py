"""The source of modules, read and not run: which have a NAME, what one imports, and a digest of what it says."""

import ast
import hashlib
import json
import os
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@cache
def named_modules(package: str) -> Mapping[str, str]:
    """Returns the modules of a package that have a NAME, by that name. Their files are read and not run."""
    folder = _file(package).parent
    found = {}
    for path in sorted(folder.glob("*.py")):
        for statement in _tree(path).body:
            match statement:
                case ast.Assign([ast.Name("NAME")], ast.Constant(str() as name)):
                    found[name] = f"{package}.{path.stem}"
    return found


@cache
def _file(module: str) -> Path:
    try:
        spec = find_spec(module)
    except ModuleNotFoundError as error:
        raise ImportError(str(error)) from None
    if spec is None or spec.origin is None:
        raise ImportError(f"no module named '{module}'")
    return Path(spec.origin)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), str(path))


#: Folders of what is installed, which has versions of its own.
_INSTALLED = ("site-packages", "dist-packages")


def is_of_python(file: str) -> bool:
    """Returns whether code belongs to Python's library or to what is installed beside it."""
    return file.startswith("<") or Path(file).is_relative_to(Path(os.__file__).parent)


def home_of(module: str) -> Path | None:
    """Returns the folder in which a person keeps a module of their own, and perhaps others; None if it is installed."""
    file = _file(module)
    home = file.parent.parent if file.name == "__init__.py" else file.parent
    standard = Path(os.__file__).parent
    return None if home == standard or any(part in _INSTALLED for part in home.parts) else home


@cache
def modules_of(
    module: str, inside: str, also: tuple[str, ...], beside: Path | None, project: str
) -> Mapping[str, Path]:
    """Returns a module, and those that it imports from ``inside``, ``also`` or ``beside``, and so on, with their files.

    What it imports of ``project``, this one, does not count: what has changed there is announced.
    """
    waiting, found = [module], dict[str, Path]()
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if name in found:
            continue
        found[name] = path
        if path.suffix != ".py":
            continue
        imported = _imports(_tree(path), name if path.name == "__init__.py" else name.rpartition(".")[0])
        ours = {one for one in imported if one.startswith(f"{inside}.") or one in also}
        if beside is not None:
            others = [one for one in imported if one.partition(".")[0] != project and _is_module(one)]
            ours |= {one for one in others if _file(one).is_relative_to(beside)}
        waiting += [one for one in imported if one in ours and _is_module(one)]
    return found


def code_digest(path: Path) -> str:
    """Returns a digest of what a module's file says."""
    return source_digest(_tree(path)) if path.suffix == ".py" else hashlib.sha256(path.read_bytes()).hexdigest()


def forget() -> None:
    """Forgets what was read of modules, which may have changed."""
    for known in (named_modules, _file, _tree, modules_of):
        known.cache_clear()


def _imports(tree: ast.Module, package: str) -> list[str]:
    """Returns what a module imports, or might: from a package, a module or something in one. Its own package is
    named.
    """
    names = []
    for node in ast.walk(tree):
        match node:
            case ast.Import(aliases):
                names += [alias.name for alias in aliases]
            case ast.ImportFrom(base, aliases, level):
                above = package.rsplit(".", level - 1)[0] if level else ""
                base = ".".join(filter(None, (above, base)))
                names += [base, *(f"{base}.{alias.name}" for alias in aliases)]
    return names


def _is_module(name: str) -> bool:
    try:
        return _file(name).exists()
    except (ImportError, ValueError):
        return False


def source_digest(tree: ast.Module) -> str:
    """Returns a digest of what a module's code says, the same in every version of Python.

    >>> before = 'def half(x):\\n    "Returns a half."\\n    return x / 2'
    >>> after = 'def half(x):  # of x\\n    return (x /\\n            2)'
    >>> source_digest(ast.parse(before)) == source_digest(ast.parse(after))
    True
    >>> source_digest(ast.parse(before)) == source_digest(ast.parse(before.replace("2", "3")))
    False
    """
    return hashlib.sha256(json.dumps(_shape(tree)).encode()).hexdigest()


def _shape(node: Any) -> Any:
    """Returns what a syntax tree says, as JSON values. Empty fields are left out: versions of Python differ in them."""
    if isinstance(node, list):
        return [_shape(part) for part in node if not _is_text(part)]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = [(name, value) for name, value in ast.iter_fields(node) if name not in ("ctx", "kind", "type_comment")]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setting":
        fields = [(name, value[1:] if name == "args" else value) for name, value in fields]  # a help text
    return [
        type(node).__name__,
        *([name, _shape(value)] for name, value in fields if value is not None and value != []),
    ]


def _is_text(node: Any) -> bool:
    """Returns whether it is a docstring, or another string that stands for itself."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
