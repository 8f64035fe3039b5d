"""A configuration against its schema: text read as what it means, and the schema's objections as sentences."""

import copy
import difflib
import math
import operator
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import reduce
from typing import Any

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError, best_match

from pipeline.common.errors import UserError
from pipeline.workflow.schema import schema_for


def _is_integer(checker: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)  # JSON Schema itself takes 2.0 for one


def _is_number(checker: Any, value: Any) -> bool:
    return _is_integer(checker, value) or (isinstance(value, float) and math.isfinite(value))


_types = Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer).redefine("number", _is_number)
_Validator = validators.extend(Draft202012Validator, type_checker=_types)


def with_values(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a copy in which what has arrived as text is what it means: numbers, truth values, null.

    YAML takes 5e-4 for text, since it has no dot; Snakemake all that stands inside the braces of --config 'KEY={…}'.
    """
    copied: dict[str, Any] = _without_text_null(config)
    for error in _innermost(_Validator(schema_for(copied)).iter_errors(copied)):
        if error.validator == "type" and isinstance(error.instance, str):
            wanted = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
            value = _value(error.instance)
            if any(_types.is_type(value, kind) for kind in wanted):
                *above, last = error.absolute_path
                reduce(operator.getitem, above, copied)[last] = value
    return copied


def _without_text_null(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_text_null(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_text_null(part) for part in value]
    return None if value == "null" else copy.deepcopy(value)


def _innermost(errors: Iterable[ValidationError]) -> Iterator[ValidationError]:
    """Yields the errors themselves, and in place of one about several choices what is wrong with each choice."""
    for error in errors:
        yield from _innermost(error.context) if error.context else [error]


def _value(text: str) -> float | bool | str:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def check_schema(config: Mapping[str, Any]) -> None:
    """Checks a configuration against its schema. Raises UserError with what the schema objects to most."""
    error = best_match(_Validator(schema_for(config)).iter_errors(config))
    if error is not None:
        raise UserError(*_explain(error))


_short = reprlib.Repr()
_short.maxstring = _short.maxother = 60
_short.maxdict = _short.maxlist = 8
#: Characters of a value that a sentence shows.
_SHOWN = 80


def _shown(value: Any) -> str:
    text = "null" if value is None else _short.repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _explain(error: ValidationError) -> tuple[str, str]:
    """Returns a schema's objection as a sentence for people."""
    where = ".".join(map(str, error.absolute_path))
    section = where or "the configuration"
    if error.validator in ("additionalProperties", "unevaluatedProperties"):
        known = _known_keys(error)
        unknown = next((key for key in error.instance if key not in known), "?")
        near = difflib.get_close_matches(str(unknown), known, 1)
        remedy = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}"
        return f"unknown key '{str(unknown)[:60]}' in {section}", remedy
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"the key '{missing}' is missing in {section}", "add it"
    if error.validator == "pattern":
        return f"{_shown(error.instance)} in {section} is no good name", "use letters, digits, '.', '_' and '-'"
    kinds = {"object": "keys and values", "array": "list"}
    limits = {
        "minimum": "it must be at least {}",
        "maximum": "it must be at most {}",
        "exclusiveMinimum": "it must be more than {}",
        "exclusiveMaximum": "it must be less than {}",
        "enum": "choose one of {}",
        "type": "it must be of type {}",
        "anyOf": "it must be of type {}",
        "maxLength": "it may have at most {} characters",
    }
    value = error.validator_value
    choices = value if isinstance(value, list) else [value]
    if error.validator == "anyOf":
        choices = [choice.get("type") for choice in choices]
    listed = ", ".join("null" if choice is None else kinds.get(choice, str(choice)) for choice in choices)
    remedy = limits[error.validator].format(listed) if error.validator in limits else error.message[:120]
    return f"{where} is {_shown(error.instance)}", remedy


def _known_keys(error: ValidationError) -> list[str]:
    known = list(error.schema.get("properties", {}))
    if "$ref" in error.schema:
        known += schema_for({})["$defs"]["training"]["properties"]
    return known
