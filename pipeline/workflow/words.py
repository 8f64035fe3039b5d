"""The words after ``run``: configurations and settings are ours, flags and targets are Snakemake's."""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.common.errors import UserError
from pipeline.common.yaml_text import lay_over, parse_yaml

#: ``search.population=4`` or ``seed=3``.
_SETTING = re.compile(r"[A-Za-z_][\w-]*(\.[\w.-]+)?=.*", re.DOTALL)
#: The usual flags, by how many words they take, so that most calls need not wait for Snakemake to tell.
_USUAL: Mapping[str, int | str | None] = {
    **dict.fromkeys(("--cores", "-c", "--jobs", "-j", "--workflow-profile", "--profile", "--directory", "-d")),
    **dict.fromkeys(("-n", "--dry-run", "-p", "--verbose", "--keep-going", "-k", "--unlock"), 0),
    "--quiet": "*",
    "-q": "*",
    "--resources": "+",
    "--until": "+",
    "-U": "+",
}


def is_setting(word: str) -> bool:
    """Returns whether a word sets a key of the configuration.

    >>> [is_setting(word) for word in ("search.population=4", "seed=3", "mine.yaml", "results/a=b/x", "--cores=2")]
    [True, True, False, False, False]
    """
    return _SETTING.fullmatch(word) is not None


@dataclass(frozen=True)
class Words:
    """The words of a command line.

    Attributes:
        configs: files to lay over config.yaml.
        settings: to lay over these.
        others: Snakemake's own, as they were typed.
        targets: those of them that name what is to be made; none for all of it.
        flags: the others with every flag by itself and by its whole name, to be looked at: ``-np`` as ``-n -p``,
            ``-dwork`` as ``-d=work``, ``--direc work`` as ``--directory work``.
    """

    configs: tuple[Path, ...]
    settings: tuple[str, ...]
    others: tuple[str, ...]
    targets: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


def sort_words(words: Iterable[str]) -> Words:
    """Tells ours from Snakemake's.

    Args:
        words: of a command line, without the flags that are ours.

    Raises:
        UserError: Snakemake has no such flag, or several by such a beginning, or -C is hidden in a word.
    """
    configs, settings, others, targets, flags = [], [], [], [], []
    for word, parts, free in _with_freedom(words):
        if free and word.endswith((".yaml", ".yml")):
            configs.append(Path(word))
        elif free and is_setting(word):
            settings.append(word)
        elif any(part.startswith("-C") for part in parts):
            raise UserError(
                f"-C stands behind another flag in {word}", "write it by itself: its settings are ours to read"
            )
        else:
            others.append(word)
            flags += parts
            targets += [word] * free
    return Words(tuple(configs), tuple(settings), tuple(others), tuple(targets), tuple(flags))


def check_given_once(words: Iterable[str]) -> None:
    """Checks that no flag of the configuration is given to plain ``snakemake`` twice: it would take the last alone.

    Raises:
        UserError: one is.
    """
    given = [word.partition("=")[0] for word in words]
    for flags, values in ((("--configfile", "--configfiles"), "files"), (("--config", "-C"), "settings")):
        if sum(map(given.count, flags)) > 1:
            raise UserError(
                f"{flags[0]} is given more than once, and Snakemake takes the last one alone",
                f"put all {values} behind one",
            )


def _with_freedom(words: Iterable[str]) -> Iterator[tuple[str, list[str], bool]]:
    """Yields each word, its parts (see ``Words.flags``), and whether it stands by itself, so that it is no flag and no
    flag's value.
    """
    taking: int | str | None = 0
    for word in words:
        if re.match(r"--?[A-Za-z]", word):
            parts = _in_full(word)
            flag, sign, _ = parts[-1].partition("=")
            taking = 0 if sign else _takes(flag)
            yield word, parts, False
        elif taking in ("+", "*"):
            yield word, [word], False
        else:
            yield word, [word], taking == 0
            taking = 0


def _in_full(word: str) -> list[str]:
    """Returns the flags of a word by their whole names, a value in the same word behind ``=``.

    >>> _in_full("-np"), _in_full("-dwork"), _in_full("--cores=2")
    (['-n', '-p'], ['-d=work'], ['--cores=2'])
    """
    name, sign, value = word.partition("=")
    if name.startswith("--"):
        return [f"{_whole_name(name)}{sign}{value}"]
    flag, rest = word[:2], word[2:]
    takes = _takes(flag)
    if not rest or rest.startswith("="):
        return [word]
    return [flag, *_in_full(f"-{rest}")] if takes == 0 else [f"{flag}={rest}"]


def _takes(flag: str) -> int | str | None:
    """Returns how many words follow a flag of Snakemake: none (0), one (None or '?'), or all up to the next flag."""
    return _USUAL[flag] if flag in _USUAL else _of_snakemake()[_whole_name(flag)].nargs


def _whole_name(flag: str) -> str:
    """Returns the name of a flag of Snakemake that is given by itself or by its beginning."""
    if flag in _USUAL or flag in _of_snakemake():
        return flag
    found = [name for name in _of_snakemake() if flag.startswith("--") and name.startswith(flag)]
    if not found:
        near = difflib.get_close_matches(flag, [*_of_snakemake(), "--set"], 1)
        remedy = f"did you mean {near[0]}?" if near else "snakemake --help lists Snakemake's"
        raise UserError(f"neither this command nor Snakemake has a flag {flag}", remedy)
    if len(found) > 1:
        raise UserError(f"{flag} can be {' or '.join(found)} of Snakemake's flags", "write one of them")
    return found[0]


@cache
def _of_snakemake() -> Mapping[str, Any]:
    """Returns Snakemake's flags, which take a while to import."""
    from snakemake.cli import get_argument_parser

    flags: Mapping[str, Any] = get_argument_parser()._option_string_actions
    return flags


def read_settings_of(words: Iterable[str]) -> dict[str, Any]:
    """Returns what settings lay over a configuration, as sections within each other.

    Values are read as Snakemake reads them; the configuration's schema says what a text means.

    Raises:
        UserError: a word is no setting.

    >>> read_settings_of(["search.population=4", "search.ratios=[1, 2]", "dataset={path: /data}", "seed=3"])
    {'search': {'population': '4', 'ratios': [1, 2]}, 'dataset': {'path': '/data'}, 'seed': 3}
    """
    settings: dict[str, Any] = {}
    for word in words:
        key, _, text = word.partition("=")
        if not is_setting(word) or ".." in key or key.endswith("."):
            raise UserError(f"'{word[:80]}' is no setting", "give KEY=VALUE, such as seed=3 or search.population=4")
        *sections, last = key.split(".")
        value = {last: _value(text, word)} if sections else _top_value(word)
        for section in reversed(sections):
            value = {section: value}
        lay_over(settings, value)
    return settings


def _value(text: str, word: str) -> Any:
    if text[:1] in ("[", "{"):
        return parse_yaml(text, word[:80])
    return text if text else None


def _top_value(word: str) -> dict[str, Any]:
    if word.partition("=")[2][:1] in ("[", "{"):
        return {word.partition("=")[0]: _value(word.partition("=")[2], word)}
    from snakemake.cli import parse_config

    try:
        parsed: dict[str, Any] = parse_config([word])
    except ValueError as error:
        raise UserError(f"'{word[:80]}' is no setting", str(error)) from None
    return parsed


def for_snakemake(settings: Mapping[str, Any]) -> list[str]:
    """Returns the flag that gives settings to Snakemake.

    >>> for_snakemake({"search": {"population": "4"}, "seed": 3})
    ['--config', 'search={"population": "4"}', 'seed=3']
    """
    words = [f"{key}={_as_text(value)}" for key, value in settings.items()]
    return ["--config", *words] if words else []


def _as_text(value: Any) -> str:
    if isinstance(value, Mapping | list):
        return json.dumps(value, default=str)
    return "" if value is None else str(value)
