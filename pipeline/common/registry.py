"""Registries of parts chosen by name, such as a search algorithm: one file for each, which nothing else has to name.

A registry knows the modules of its package that have a ``NAME``, what installed packages offer under its entry-point
group, and whatever is named as ``MODULE:NAME``. It also knows what an entry is made of: a digest of its source, which
results that depend on the entry carry, so that a changed entry is never taken for what it was. Comments, docstrings,
help texts and formatting do not move the digest.

Results that were made before there were such digests carry none. So an entry with the source that it had then, its
*founding* source, adds nothing to what results carry.
"""

import hashlib
import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from pipeline.common.errors import UserError
from pipeline.common.settings import check_declared
from pipeline.common.source_code import code_digest, forget, home_of, is_of_python, modules_of, named_modules

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
        last = next((frame for frame in reversed(frames) if not is_of_python(frame.filename)), frames[-1])
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
        parts = [code_digest(module[1]), *sorted(code_digest(path) for _, path in others)]
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
            beside = None if own else home_of(inside)
            return modules_of(module, inside, self._also if own else (), beside, self.package.partition(".")[0])
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
        return named_modules(self.package)

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


def look_again() -> None:
    """Forgets what was read of modules and packages, which may have changed."""
    _offered.cache_clear()
    forget()
