"""YAML and what it is read to, within limits: a few lines of it can stand for billions of values.

A configuration may come from anywhere. Aliases that double at each line ("billion laughs"), values that hold
themselves, deep nesting and integers of thousands of digits would take all memory, or end in a trace far from the line
that is to blame.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.common.errors import UserError

#: Characters of a file, values once all aliases are resolved, and levels within each other. The configuration of the
#: default experiment has 9,000, 250 and 3.
MOST_CHARACTERS = 500_000
MOST_VALUES = 50_000
DEEPEST = 40
#: Integers are of 64 bits, as in the files and libraries that they are handed to.
LARGEST = 2**63 - 1

_DIGITS = re.compile(r"[-+]?[0-9_]*[0-9]")

_TOO_DEEP = f"values lie more than {DEEPEST} levels deep, or hold themselves"
_TOO_MANY = f"more than {MOST_VALUES:,} values"
#: libyaml's, which PyYAML brings along on all common platforms, is ten times as fast.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> Any:
    """Reads a YAML file of one document, in which no key may be given twice.

    Raises:
        UserError: the file cannot be read, is no valid YAML, or goes beyond the limits.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(MOST_CHARACTERS + 1)
    except OSError as error:
        why = error.strerror or str(error)
        if isinstance(error, FileNotFoundError) and "=" in path.name:
            why += "; a setting (KEY=VALUE) is given behind --config, not among the files"
        raise UserError(f"cannot read the configuration {path}", why) from None
    except UnicodeDecodeError:
        raise UserError(f"the configuration {path} is no text in UTF-8") from None
    except ValueError as error:  # a name with a null in it
        raise UserError(f"cannot read the configuration {path}", str(error)) from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> Any:
    """Returns the values in a text.

    Args:
        text: one document.
        name: of the text, for messages.

    Raises:
        UserError: it is no valid YAML, or goes beyond the limits.
    """
    if len(text) > MOST_CHARACTERS:
        raise UserError(f"{name} is no configuration", f"it has more than {MOST_CHARACTERS:,} characters")
    try:
        _check_events(text, name)
        value = yaml.load(text, _KeysOnce)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date or a number that is none
        reason = " ".join(str(error).split()).replace('in "<unicode string>", line', "at line")
        raise UserError(f"{name} is no valid YAML", reason[:300]) from None
    check_values(value, name)
    return value


def check_values(value: Any, name: str) -> None:
    """Checks values that somebody else has read, such as Snakemake.

    Args:
        value: mappings and lists of values.
        name: of the whole, for messages.

    Raises:
        UserError: there are too many, too deep within each other, or an integer needs more than 64 bits.
    """
    if _size(value, name, 0, {}) > MOST_VALUES:
        raise UserError(f"{name} holds too much", _TOO_MANY)


def lay_over(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    """Lays a mapping over another one, key by key, in place; what is no mapping in both is replaced.

    >>> below = {"search": {"population": 4, "ratios": [1]}, "seed": 0}
    >>> lay_over(below, {"search": {"ratios": [1, 2]}})
    >>> below
    {'search': {'population': 4, 'ratios': [1, 2]}, 'seed': 0}
    """
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(below.get(key), dict):
            lay_over(below[key], value)
        else:
            below[key] = value


def _size(value: Any, where: str, depth: int, known: dict[int, int]) -> int:
    """Returns how many values there are in a value, each object looked at once however often it is meant."""
    if isinstance(value, int) and abs(value) > LARGEST:
        raise UserError(f"{where} is an integer of more than 64 bits", "choose a smaller one")
    if not isinstance(value, Mapping | list | tuple | set):
        return 1
    if depth > DEEPEST:
        raise UserError(f"{where[:60]} cannot be used", _TOO_DEEP)
    if id(value) not in known:
        parts = value.items() if isinstance(value, Mapping) else enumerate(value)
        start = f"{where}." if depth else ""
        known[id(value)] = 1 + sum(_size(part, f"{start}{key}"[:200], depth + 1, known) for key, part in parts)
    return known[id(value)]


def _check_events(text: str, name: str) -> None:
    """Raises UserError for what would be too large or too deep, before any of it is built."""
    sizes = [0]  # of the collections that are open, the innermost last
    anchors: dict[str, int] = {}
    names: list[str | None] = []
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            names.append(event.anchor)
            sizes.append(1)
        elif isinstance(event, yaml.ScalarEvent):
            sizes[-1] += 1
            if event.anchor:
                anchors[event.anchor] = 1
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in names:
                raise UserError(f"{name} cannot be used", f"*{event.anchor} stands within itself")
            sizes[-1] += anchors.get(event.anchor or "", 1)
        elif isinstance(event, yaml.CollectionEndEvent):
            size, anchor = sizes.pop(), names.pop()
            if anchor:
                anchors[anchor] = size
            sizes[-1] += size
        if len(sizes) > DEEPEST:
            raise UserError(f"{name} cannot be used", _TOO_DEEP)
        if sizes[-1] > MOST_VALUES:
            raise UserError(f"{name} cannot be used", _TOO_MANY)


class _KeysOnce(_Loader):  # type: ignore[misc]  # either of PyYAML's
    """Refuses a key that is given twice, of which YAML would take the second, and numbers that it reads otherwise than
    people do: 010 as the octal number 8, 1:30 as 90.
    """

    def _as_written(self, node: yaml.ScalarNode) -> int | float:
        text = str(node.value)
        whole = node.tag.endswith(":int")
        number: int | float = self.construct_yaml_int(node) if whole else self.construct_yaml_float(node)
        if ":" in text or (_DIGITS.fullmatch(text) and int(text) != number):
            problem = f"{text} stands for {number} in YAML: write the number that is meant, or a text in quotes"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return number

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key.value}' is given twice", key.start_mark
                )
            seen.add(key.value)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


for _kind in ("int", "float"):
    _KeysOnce.add_constructor(f"tag:yaml.org,2002:{_kind}", _KeysOnce._as_written)
