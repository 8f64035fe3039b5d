"""Settings as plain dataclasses: what a field means, and within which limits, stands beside it and nowhere else.

The command line's flags and the configuration's keys, with their descriptions and limits, are made from the fields.
"""

import inspect
import math
import operator
import shlex
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, field, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pipeline.common.errors import UserError


def setting(help: str, *, key: str = "", flag: str = "", limits: Mapping[str, Any] | None = None, **more: Any) -> Any:
    """Returns a dataclass field that says what it means.

    Args:
        help: for people.
        key: its name in the configuration and, with dashes, on the command line; the field's own by default.
        flag: its name on the command line, if that is another one, such as ``--dataset`` for the data set's name.
        limits: on its value, as in JSON Schema, such as ``{"minimum": 1}``; on each value and the list, for a list.
        more: keywords of :func:`dataclasses.field`.
    """
    return field(metadata={"help": help, "key": key, "flag": flag, "limits": dict(limits or {})}, **more)


#: Limits of a number: what it must be to keep to each, and how that is said.
LIMITS: Mapping[str, tuple[Callable[[Any, Any], bool], str]] = {
    "minimum": (operator.ge, "at least"),
    "maximum": (operator.le, "at most"),
    "exclusiveMinimum": (operator.gt, "more than"),
    "exclusiveMaximum": (operator.lt, "less than"),
}


def beyond(value: float, limits: Mapping[str, Any]) -> str:
    """Returns which limit a number does not keep to, in words; nothing if it keeps to all.

    >>> beyond(2, {"minimum": 3}), beyond(3, {"minimum": 3})
    ('at least 3', '')
    """
    broken = (name for name in LIMITS if name in limits and not LIMITS[name][0](value, limits[name]))
    return next((f"{LIMITS[name][1]} {limits[name]:g}" for name in broken), "")


_DECORATE = "write @dataclass(frozen=True) above it"


def check_declared(cls: Any, owner: str) -> None:
    """Checks a settings class that somebody has written: that its fields are made by :func:`setting`, and their types.

    Args:
        cls: in place of the class.
        owner: whose it is, such as a module.

    Raises:
        UserError: it is no dataclass, a field is not made by :func:`setting`, or a value of its type cannot be
            configured.
    """
    if not (isinstance(cls, type) and is_dataclass(cls)):
        raise UserError(f"Settings of {owner} is no dataclass", _DECORATE)
    for one in cls.__mro__:
        # A class that is made from a dataclass is one, but what it adds is no field, and nothing that can be set.
        if added := [] if "__dataclass_fields__" in vars(one) else [*inspect.get_annotations(one)]:
            raise UserError(f"Settings of {owner} adds '{added[0]}' and is no dataclass itself", _DECORATE)
    try:
        hints = get_type_hints(cls)
    except Exception as error:  # a type that is imported for type checkers alone, or misspelt
        raise UserError(f"the types of Settings of {owner} cannot be read ({error})", "mend them") from None
    for f in fields(cls):
        where = f"field '{f.name}' of Settings of {owner}"
        if not {"help", "limits"} <= set(f.metadata):
            raise UserError(
                f"{where} is not made by setting(...), which says what it means",
                f"write {f.name}: {_named(hints[f.name])} = setting('what it means', default=…), "
                "from pipeline.common.settings",
            )
        if f.default_factory is not MISSING:
            raise UserError(f"{where} has a default_factory", "give it a default, or none")
        try:
            _schema(hints[f.name], f.metadata["limits"])
        except (KeyError, TypeError, IndexError):
            raise UserError(
                f"{where} has the type {_named(hints[f.name])}, which no setting can have",
                "take int, float, bool or str, one of these | None, a Literal or a tuple[…, ...]",
            ) from None
        if f.default is not None and _is_value(None, hints[f.name], {}):
            # Null in a configuration leaves a setting out, so that it has its default.
            raise UserError(f"{where} may be null and has another default, or none", "make null its default")
        if f.default is not MISSING and not _is_value(f.default, hints[f.name], f.metadata["limits"]):
            limits = "".join(f", {name} {limit}" for name, limit in f.metadata["limits"].items())
            raise UserError(
                f"the default of {where} is {f.default!r}, which a configuration could not give it",
                f"take one of its type and limits ({_named(hints[f.name])}{limits})",
            )


def _is_value(value: Any, hint: Any, limits: Mapping[str, Any]) -> bool:
    """Returns whether a value is of a type that a setting can have, and within its limits."""
    if get_origin(hint) in (Union, types.UnionType):
        return any(_is_value(value, part, limits) for part in get_args(hint))
    if hint is type(None):
        return value is None
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_is_value(part, get_args(hint)[0], limits) for part in value)
    if hint in (int, float):
        number = isinstance(value, (int, hint)) and not isinstance(value, bool) and math.isfinite(value)
        return number and not beyond(value, limits)
    return isinstance(value, hint)


def _named(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)


def key_of(f: "Field[Any]") -> str:
    """Returns a field's name in the configuration."""
    return str(f.metadata.get("key") or f.name)


def flag_of(f: "Field[Any]") -> str:
    """Returns a field's name on the command line."""
    return str(f.metadata.get("flag") or f"--{key_of(f).replace('_', '-')}")


def help_of(cls: type, key: str) -> str:
    """Returns what a setting means."""
    return next(str(f.metadata["help"]) for f in fields(cls) if key_of(f) == key)


def from_mapping(cls: type, mapping: Mapping[str, Any]) -> Any:
    """Returns an instance of a settings class from a configuration's section; keys of other classes are left out."""
    values = {f.name: mapping[key_of(f)] for f in fields(cls) if key_of(f) in mapping}
    return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def flags(cls: type, values: Mapping[str, Any]) -> str:
    """Returns the command-line flags that give a settings class these values; keys of other classes are left out.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Execution:
    ...     device: str = "auto"
    ...     save_minutes: float = 5
    >>> flags(Execution, {"device": "cpu", "save_minutes": 2, "color": "red"})
    '--device cpu --save-minutes 2'
    """
    words: list[str] = []
    for f in fields(cls):
        value = values.get(key_of(f))
        # An empty list is what a step takes of itself, unless there is another default.
        if value is None or (value == [] and f.default in (MISSING, ())):
            continue
        listed = value if isinstance(value, list | tuple) else [value]
        words += [flag_of(f), *map(str, listed)]
    return shlex.join(words)


def schema_of(cls: type) -> dict[str, dict[str, Any]]:
    """Returns the JSON Schema of each key of a settings class, descriptions and limits included.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Execution:
    ...     threads: int = setting("CPU threads", limits={"minimum": 1})
    >>> schema_of(Execution)
    {'threads': {'type': 'integer', 'minimum': 1, 'description': 'CPU threads'}}
    """
    hints = get_type_hints(cls)
    return {
        key_of(f): {**_schema(hints[f.name], f.metadata["limits"]), "description": f.metadata["help"]}
        for f in fields(cls)
    }


def defaults_of(cls: type) -> dict[str, Any]:
    """Returns the defaults of a settings class, by key; keys that must be given are left out."""
    return {key_of(f): f.default for f in fields(cls) if f.default is not MISSING}


_TYPES = {int: "integer", float: "number", bool: "boolean", str: "string"}


#: Limits on a list itself, not on its values.
_OF_LISTS = {"minItems", "uniqueItems"}


def _schema(hint: Any, limits: Mapping[str, Any]) -> dict[str, Any]:
    if get_origin(hint) in (Union, types.UnionType):
        parts = get_args(hint)
        if type(None) in parts:
            return {"type": [*(_TYPES[part] for part in parts if part is not type(None)), "null"], **limits}
        return {"anyOf": [_schema(part, {} if get_origin(part) is Literal else limits) for part in parts]}
    if get_origin(hint) is Literal:
        values = list(get_args(hint))
        return {"enum": values} if len(values) > 1 else {"const": values[0]}
    if get_origin(hint) is tuple:
        of_list = {key: value for key, value in limits.items() if key in _OF_LISTS}
        of_each = {key: value for key, value in limits.items() if key not in _OF_LISTS}
        return {"type": "array", **of_list, "items": {"type": _TYPES[get_args(hint)[0]], **of_each}}
    return {"type": _TYPES[hint], **limits}
