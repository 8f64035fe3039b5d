"""Registries of parts chosen by name, such as a search algorithm: one file for each, which nothing else has to name.

A registry knows the modules of its package that have a ``NAME``, what installed packages offer under its entry-point
group, and whatever is named as ``MODULE:NAME``. It also knows what an entry is made of: a digest of its source, which
results that depend on the entry carry, so that a changed entry is never taken for what it was. Comments, docstrings,
help texts and formatting do not move the digest.

Results that were made before there were such digests carry none. So an entry with the source that it had then, its
*founding* source, adds nothing to what results carry.
"""

import ast
import hashlib
import inspect
import json
import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from pipeline.common.errors import UserError
from pipeline.common.settings import check_declared

#: Characters of a digest.
_DIGITS = 16


class Registry(Mapping[str, Any]):
    """The entries of one kind, by name. An entry is imported when it is asked for.

    Args:
        kind: what an entry is, for messages, such as 'search algorithm'.
        package: whose modules are entries if they have a NAME.
        group: of entry points of installed packages, such as 'binary_nas.algorithms'.
        needs: attributes that every entry must have; ``Settings`` must be a dataclass of settings.
        calls: by name, the arguments that an entry's functions are called with, such as ``widths, *, size``; of those
            that are not among ``needs``, where an entry has them.
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
        calls: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.kind, self.package, self.group = kind, package, group
        self.founding, self.calls = founding, calls
        self._finders = finders
        self._sound: dict[str, Any] = {}  # entries that were looked at, by name
        self._needs, self._also = needs, also

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
            UserError: there is none of that name; its module cannot be imported; or what has that name is none, since
                something is missing, a setting is not made by ``setting``, or a function takes other arguments.
        """
        module, attribute = self._place(name)
        loaded = self._imported(name, module)
        if name.partition(":")[0] in self._finders:
            found, what = loaded.find(attribute), f"'{attribute}' of module {module}"
        else:
            found, what = self._found(name, loaded, attribute)
        if self._sound.get(name) is not found:
            self._check(name, found, what)
            self._sound[name] = found
        return found

    def _imported(self, name: str, module: str) -> ModuleType:
        try:
            return import_module(module)
        except ModuleNotFoundError as error:
            if f"{module}.".startswith(f"{error.name}."):
                raise UserError(
                    f"{self.kind} '{name}': there is no module {module} ({error})",
                    "install it, or name its folder in PYTHONPATH",
                ) from None
            raise self._broken(name, module, error) from error
        except UserError:
            raise
        except Exception as error:
            raise self._broken(name, module, error) from error

    def _broken(self, name: str, module: str, error: Exception) -> UserError:
        """Returns what to say of a module that is there and ends in an error when it is imported."""
        frames = traceback.extract_tb(error.__traceback__)
        # The last one of somebody's own: a mistake in a dataclass, say, is found in Python's library.
        last = next((frame for frame in reversed(frames) if not _is_pythons(frame.filename)), frames[-1])
        where = "" if isinstance(error, SyntaxError) else f" in line {last.lineno} of {last.filename}"
        reason = f"{type(error).__name__}{where}: {error}"
        return UserError(f"{self.kind} '{name}': module {module} cannot be imported ({reason})")

    def _found(self, name: str, loaded: ModuleType, attribute: str) -> tuple[Any, str]:
        """Returns what a name means in its module, and what to call it: the module itself, if that is its NAME, or
        something in it.
        """
        module = loaded.__name__
        if not attribute:
            return loaded, f"module {module}"
        found, own = getattr(loaded, attribute, None), getattr(loaded, "NAME", None)
        if own == attribute and (found is None or self._lacking(found)):
            return loaded, f"module {module}"
        if found is None:
            known = f"module {module} has {'no NAME' if own is None else f'the NAME {own!r}'}"
            remedy = f"write NAME = {attribute!r} into it" if own is None else f"name it as {module}:{own}"
            raise self._none(name, f"{known}, and nothing else that is called '{attribute}'", remedy)
        if self._lacking(found) and not self._lacking(loaded):  # the module was meant
            remedy = f"name it as {module}:{own}" if own else "give the module a NAME, and name it by that"
            raise self._none(name, f"it is the module {module} that has all of one, not its '{attribute}'", remedy)
        return found, f"'{attribute}' of module {module}"

    def _lacking(self, found: Any) -> list[str]:
        return [need for need in self._needs if not hasattr(found, need)]

    def _check(self, name: str, found: Any, what: str) -> None:
        """Raises UserError where an entry is not what its registry asks for."""
        if missing := self._lacking(found):
            raise self._none(name, f"{what} has no {' and no '.join(map(repr, missing))}")
        if "Settings" in self._needs:
            check_declared(found.Settings, what)
        for function, words in self.calls.items():
            if hasattr(found, function) and (problem := _misfit(getattr(found, function), words)):
                raise self._none(name, f"{function}{problem} of {what} cannot be called as {function}({words})")

    def _none(self, name: str, problem: str, remedy: str = "") -> UserError:
        see = f"see {self.package} for what one consists of"
        return UserError(f"'{name}' is no {self.kind}: {problem}", f"{remedy} ({see})" if remedy else see)

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
        inside = self.package if own else module.partition(".")[0]
        try:
            beside = None if own else _home(inside)
            return _modules(module, inside, self._also if own else (), beside, self.package.partition(".")[0])
        except ImportError as error:
            raise UserError(
                f"{self.kind} '{name}' cannot be found ({error})", "name its folder in PYTHONPATH"
            ) from None
        except SyntaxError as error:
            raise self._broken(name, module, error) from None

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
        raise UserError(f"unknown {self.kind} '{name}'", self.choices)

    @property
    def choices(self) -> str:
        """Advice about a name that is none."""
        found = [*self, *(f"{word}:NAME" for word in self._finders)]
        return f"choose one of {', '.join(found)}, or one of your own by MODULE:NAME"

    @property
    def own(self) -> Mapping[str, str]:
        """The modules of the project's own entries, by name."""
        return _named_modules(self.package)

    def _offered(self) -> Mapping[str, EntryPoint]:
        return _offered(self.group)


def _misfit(function: Callable[..., Any], words: str) -> str:
    """Returns what a function takes, if it cannot be called with these arguments; '' if it can, or nobody knows.

    >>> _misfit(lambda x, y: 0, "x, *, y"), _misfit(lambda x, z: 0, "x, *, y"), _misfit(1, "x")
    ('', '(x, z)', ', which is no function,')
    """
    if not callable(function):
        return ", which is no function,"
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of compiled code
        return ""
    given, _, named = words.partition("*, ")
    positional = [word for word in given.split(", ") if word]
    try:
        signature.bind(*positional, **{word: None for word in named.split(", ") if word})
    except TypeError:
        bare = [one.replace(annotation=inspect.Parameter.empty) for one in signature.parameters.values()]
        return str(inspect.Signature(bare))
    return ""


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
    return ast.parse(path.read_bytes(), str(path))


#: Folders of what is installed, which has versions of its own.
_INSTALLED = ("site-packages", "dist-packages")


def _is_pythons(file: str) -> bool:
    """Returns whether code belongs to Python's library or to what is installed beside it."""
    return file.startswith("<") or Path(file).is_relative_to(Path(os.__file__).parent)


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
