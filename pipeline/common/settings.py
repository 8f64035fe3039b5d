"""Settings as plain dataclasses: what a field means stands beside it, and flags are made from it."""

import shlex
from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any


def setting(help: str, **more: Any) -> Any:
    """A dataclass field that says what it means; ``more`` are :func:`dataclasses.field`'s keywords."""
    return field(metadata={"help": help}, **more)


def from_mapping(cls: type, mapping: dict[str, Any]) -> Any:
    """An instance of a settings class from a configuration's section, keys of other classes left out."""
    names = {f.name for f in fields(cls)}
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in mapping.items() if key in names}
    return cls(**values)


def flags(cls: type, values: Mapping[str, Any]) -> str:
    """The command-line flags that give a settings class these values; keys that it does not know are left out.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Execution:
    ...     device: str = "auto"
    ...     save_minutes: float = 5
    >>> flags(Execution, {"device": "cpu", "save_minutes": 2, "color": "red"})
    '--device cpu --save-minutes 2'
    """
    words = []
    for f in fields(cls):
        value = values.get(f.name)
        if value is None or value == []:
            continue
        listed = value if isinstance(value, list | tuple) else [value]
        words += [f"--{f.name.replace('_', '-')}", *map(str, listed)]
    return shlex.join(words)
