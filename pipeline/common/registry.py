"""Registries of parts chosen by name, such as a search algorithm: one file for each, which nothing else has to name.

A registry knows the modules of its package that have a ``NAME``, what installed packages offer under its entry-point
group, and whatever is named as ``module:name``. It also knows what an entry is made of: a digest of its source, which
results that depend on the entry carry, so that a changed entry is never taken for what it was. Comments, docstrings,
help texts and formatting do not move the digest.

Results that were made before there were such digests carry none. So an entry with the source that it had then, its
*founding* source, adds nothing to what results carry.
"""

import ast
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pipeline.common.errors import UserError

#: Characters of a digest.
_DIGITS = 16


class Registry(Mapping[str, Any]):
    """The entries of one kind, by name. An entry is imported when it is asked for.

    Args:
        kind: what an entry is, for messages, such as 'search algorithm'.
        package: whose modules are entries if they have a NAME.
        group: of entry points of installed packages, such as 'binary_nas.algorithms'.
        needs: attributes that every entry must have.
        founding: digests of entries with which results were made that carry none, by name.
        also: modules outside of ``package`` that entries are made of, if they import them.
        finders: what names of the form ``WORD:NAME`` begin with, and the module whose ``find(NAME)`` gives the entry.
    """

    def __init__(
        self,
        kind: str,
        package: str,
        group: str,
        needs: tuple[str, ...],
        founding: Mapping[str, str],
        also: tuple[str, ...] = (),
        finders: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.kind, self.group, self.founding = kind, group, founding
        self._finders = finders
        self._package, self._needs, self._also = package, needs, also

    def __iter__(self) -> Iterator[str]:
        """Yields the names of the project's own entries and those of installed packages."""
        own = self.own
        yield from own
        yield from (name for name in self._offered() if name not in own)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self.own or ":" in name or name in self._offered())

    def __getitem__(self, name: str) -> Any:
        """Returns the entry.

        Raises:
            UserError: there is none of that name, or what has that name is none.
        """
        module, attribute = self._place(name)
        try:
            loaded = import_module(module)
        except ImportError as error:
            raise UserError(
                f"{self.kind} '{name}': there is no module {module} ({error})",
                "install it, or name its folder in PYTHONPATH",
            ) from None
        found = getattr(loaded, attribute, None) if attribute else loaded
        if name.partition(":")[0] in self._finders:
            found = loaded.find(attribute)
        if found is None and getattr(loaded, "NAME", None) == attribute:
            found = loaded
        missing = [need for need in self._needs if not hasattr(found, need)]
        if found is None or missing:
            raise UserError(
                f"'{name}' is no {self.kind}" + (f": it has no '{missing[0]}'" if found is not None else ""),
                f"see {self._package} for what one consists of",
            )
        return found

    def check(self, name: str) -> None:
        """Raises UserError if there is no entry of that name. Nothing is imported."""
        self._place(name)

    def digest(self, name: str) -> str:
        """Returns a digest of the source that an entry is made of: its module and what that imports beside it.

        Raises:
            UserError: there is none of that name.
        """
        module, *others = self._modules(name).items()
        parts = [_code(module[1]), *sorted(_code(path) for _, path in others)]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:_DIGITS]

    def sources(self, name: str) -> list[Path]:
        """Returns the files that this digest is of.

        Raises:
            UserError: there is none of that name.
        """
        return list(self._modules(name).values())

    def _modules(self, name: str) -> Mapping[str, Path]:
        module, _ = self._place(name)
        own = name in self.own or module in self._finders.values()
        inside = self._package if own else module.partition(".")[0]
        try:
            beside = None if own else _home(inside)
            return _modules(module, inside, self._also if own else (), beside, self._package.partition(".")[0])
        except ImportError as error:
            raise UserError(
                f"{self.kind} '{name}' cannot be found ({error})", "name its folder in PYTHONPATH"
            ) from None

    def changed(self, name: str) -> str:
        """Returns the digest of an entry that is not what it was at first; '' for one that is."""
        digest = self.digest(name)
        return "" if name in self.own and self.founding.get(name) == digest else digest

    def _place(self, name: str) -> tuple[str, str]:
        """Returns the module of an entry, and its name there ('' for the module itself)."""
        if name in self.own:
            return self.own[name], ""
        if name in self._offered():
            point = self._offered()[name]
            return point.module, point.attr
        module, _, attribute = name.partition(":")
        if module and attribute:
            return self._finders.get(module, module), attribute
        raise UserError(f"unknown {self.kind} '{name}'", f"choose one of {', '.join(self)}")

    @property
    def own(self) -> Mapping[str, str]:
        """The modules of the project's own entries, by name."""
        return _named_modules(self._package)

    def _offered(self) -> Mapping[str, EntryPoint]:
        return _offered(self.group)


@cache
def _offered(group: str) -> Mapping[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise UserError(
                f"two installed packages offer '{point.name}' as one of {group}: {other.value} and {point.value}",
                "uninstall one of them",
            )
    return found


@cache
def _named_modules(package: str) -> Mapping[str, str]:
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
    return ast.parse(path.read_bytes())


#: Folders of what is installed, which has versions of its own.
_INSTALLED = ("site-packages", "dist-packages")


def _home(module: str) -> Path | None:
    """Returns the folder in which a person keeps a module of their own, and perhaps others; None if it is installed."""
    file = _file(module)
    home = file.parent.parent if file.name == "__init__.py" else file.parent
    standard = Path(os.__file__).parent
    return None if home == standard or any(part in _INSTALLED for part in home.parts) else home


@cache
def _modules(module: str, inside: str, also: tuple[str, ...], beside: Path | None, project: str) -> Mapping[str, Path]:
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


def _code(path: Path) -> str:
    """Returns a digest of what a module's file says."""
    return source_digest(_tree(path)) if path.suffix == ".py" else hashlib.sha256(path.read_bytes()).hexdigest()


def look_again() -> None:
    """Forgets what was read of modules, which may have changed."""
    for known in (_offered, _named_modules, _file, _tree, _modules):
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
