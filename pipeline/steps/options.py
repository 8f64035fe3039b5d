"""Command-line flags made from the settings classes, so that a setting is named and explained in one place."""

import argparse
import json
import math
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from pipeline.common.errors import UserError
from pipeline.common.files import claim
from pipeline.common.registry import Registry
from pipeline.common.settings import beyond, flag_of, key_of
from pipeline.common.terminal import fit, width
from pipeline.networks.genome import Genome, parse_genome
from pipeline.networks.spec import PUBLISHED_WIDTH, NetworkSpec
from pipeline.training.settings import ExecutionSettings, RunSettings
from pipeline.workflow.settings import NetworkSettings, SearchSettings

if TYPE_CHECKING:
    from pipeline.search.costs import Counting

#: The default of a parser that names the flags declared by ``output``.
OUTPUTS = "outputs"
#: Under which name a step is given the words that it was called with, as they were typed.
TYPED = "typed"

T = TypeVar("T")


def add_configuration(parser: argparse.ArgumentParser) -> None:
    """Declares a configuration's overlays and settings without a flag, and the flags that Snakemake takes."""
    parser.add_argument(
        "words", nargs="*", metavar="FILE|KEY=VALUE", help="overlays of config.yaml, in order, and settings over them"
    )
    add_overlays(parser)


def add_overlays(parser: argparse.ArgumentParser) -> None:
    """Declares the flags that give Snakemake its configuration."""
    parser.add_argument(
        "--configfile",
        "--configfiles",
        type=Path,
        nargs="+",
        action="extend",
        metavar="FILE",
        default=[],
        help="overlays of config.yaml, in order",
    )
    for flag in ("--config", "-C", "--set"):
        parser.add_argument(
            flag,
            nargs="+",
            action="extend",
            dest="config",
            metavar="KEY=VALUE",
            default=[],
            help="laid over them: seed=3, search.population=4, or 'search={population: 4}' as in Snakemake",
        )


def take_words(arguments: argparse.Namespace, configs: Sequence[Path], settings: Sequence[str]) -> None:
    """Adds overlays and settings that were given without a flag to those that were given with one, as they were typed:
    a later one lies over an earlier one.
    """
    typed = getattr(arguments, TYPED, [])
    arguments.configfile = _as_typed([*configs, *arguments.configfile], typed, Path)
    arguments.config = _as_typed([*settings, *arguments.config], typed, str)
    arguments.words = []


def _as_typed(values: Sequence[T], typed: Sequence[str], read: Callable[[str], T]) -> list[T]:
    """Returns values in the order in which they stand on a command line; those that do not stand there at the end."""
    places: dict[T, list[int]] = {}
    for place, word in enumerate(typed):
        flag, _, value = word.partition("=")
        if word.startswith("-C"):  # the value may stand in the same word, with or without a sign
            value = word[2:].removeprefix("=")
        places.setdefault(read(value if flag.startswith("-") else word), []).append(place)
    order = [places[value].pop(0) if places.get(value) else len(typed) for value in values]
    return [value for _, value in sorted(zip(order, values, strict=True), key=lambda one: one[0])]


def read_configuration(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns the configuration that Snakemake would have from the same flags, checked.

    Raises:
        UserError: see :func:`pipeline.workflow.config.read_config`; or a setting is none.
    """
    from pipeline.common.log import log
    from pipeline.workflow.config import read_config
    from pipeline.workflow.schema import ROOT
    from pipeline.workflow.words import is_setting, read_settings_of

    settings = [word for word in arguments.words if is_setting(word)]
    take_words(arguments, [Path(word) for word in arguments.words if word not in settings], settings)
    default, here = ROOT / "config.yaml", Path("config.yaml")
    if not arguments.configfile and here.is_file() and not here.samefile(default):
        log(f"note: {here.absolute()} is not read, since it is not named; this is the default experiment's")
    return read_config([default, *arguments.configfile], read_settings_of(arguments.config))


def add_settings(parser: argparse.ArgumentParser, cls: type) -> None:
    """Declares a flag for every field of a settings class: ``learning_rate`` becomes ``--learning-rate``."""
    group = parser.add_argument_group((cls.__doc__ or cls.__name__).split(". ")[0].splitlines()[0].rstrip("."))
    hints = get_type_hints(cls)
    for f in fields(cls):
        group.add_argument(flag_of(f), dest=f.name, help=f.metadata["help"], **_how(f, hints[f.name]))


def add_setting(parser: "argparse._ActionsContainer", cls: type, key: str, **more: Any) -> None:
    """Declares a flag for one field of a settings class.

    Args:
        parser: to which it is added.
        cls: the settings class.
        key: of the field, in the configuration.
        more: keywords of argparse, over what the field says.
    """
    f = next(f for f in fields(cls) if key_of(f) == key)
    how = {"help": f.metadata["help"], **_how(f, get_type_hints(cls)[f.name]), **more}
    parser.add_argument(flag_of(f), dest=f.name, **how)


def add_ratios(parser: argparse.ArgumentParser) -> None:
    """Declares the flag of the values that a gene can take."""
    add_setting(parser, SearchSettings, "ratios", nargs="+")


def add_objective(parser: argparse.ArgumentParser) -> None:
    """Declares what a search looks for. The flags of its own settings are read by :func:`read_chosen`."""
    from pipeline.search.objectives import DEFAULT, OBJECTIVES

    parser.add_argument("--objective", default=DEFAULT, help="what makes a candidate a good one")
    _tell_own_flags(parser, OBJECTIVES)
    parser.set_defaults(others=[])


def add_algorithm(parser: argparse.ArgumentParser) -> None:
    """Declares how a search proposes genomes. The flags of its own settings are read by :func:`read_chosen`."""
    from pipeline.search.algorithms import ALGORITHMS

    parser.add_argument("--algorithm", default="evolution", help="how genomes are proposed")
    _tell_own_flags(parser, ALGORITHMS)
    parser.set_defaults(others=[])


def _tell_own_flags(parser: argparse.ArgumentParser, registry: Registry) -> None:
    """Adds to a parser's help what flags each entry of a registry takes."""
    lines = []
    for name in registry:
        own = [f"    {flag_of(f)}: {f.metadata['help']}" for f in fields(registry[name].Settings)]
        lines += [f"  {name}" + ("" if own else ": none"), *(fit(line, indent=8, columns=width() - 2) for line in own)]
    parser.epilog = "\n\n".join(filter(None, (parser.epilog, f"flags of each {registry.kind}:", "\n".join(lines))))


def read_chosen(words: Sequence[str], *chosen: type, others: Iterable[type] = ()) -> list[Any]:
    """Returns the settings of what was chosen by name, from the flags that the step's own parser left.

    Args:
        words: those flags.
        chosen: the settings classes.
        others: whose flags are taken no notice of: all searches share a section of the configuration, from which each
            algorithm takes its own.

    Raises:
        UserError: a flag is none of theirs, or has no such value.
    """
    parser = _Strict(add_help=False, allow_abbrev=False)
    known: set[str] = set()
    for cls in (*chosen, *others):
        hints = get_type_hints(cls)
        for f in fields(cls):
            if f.name not in known:
                how = _how(f, hints[f.name]) if cls in chosen else {"nargs": "*"}
                parser.add_argument(flag_of(f), dest=f.name, **how)
            known.add(f.name)
    arguments = parser.parse_args(list(words))
    return [read_settings(arguments, cls) for cls in chosen]


class _Strict(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(message, "see --help of this step")


def _how(f: Field[Any], hint: Any) -> dict[str, Any]:
    """Returns argparse's keywords for a field."""
    how: dict[str, Any] = {"required": True} if f.default is MISSING else {"default": f.default}
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(part for part in get_args(hint) if part is not type(None))
    if get_origin(hint) is Literal:
        return {**how, "choices": get_args(hint)}
    if hint is bool:  # alone, the flag says yes
        return {**how, "type": _truth, "nargs": "?", "const": True}
    limits = f.metadata["limits"]
    if get_origin(hint) is tuple:
        return {**how, "type": _within(get_args(hint)[0], limits), "nargs": "*"}
    return {**how, "type": _within(hint, limits)}


def _truth(text: str) -> bool:
    """Reads a truth value as a configuration has it."""
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text} is neither true nor false")
    return text.lower() == "true"


def _within(kind: type, limits: Mapping[str, Any]) -> Callable[[str], Any]:
    """Returns what reads a flag's value, and refuses numbers that a configuration could not give the setting either."""
    if kind not in (int, float):
        return kind

    def read(text: str) -> Any:
        value = kind(text)
        if not math.isfinite(value):
            raise argparse.ArgumentTypeError(f"{text} is no number")
        if limit := beyond(value, limits):
            raise argparse.ArgumentTypeError(f"{text} is not {limit}")
        return value

    read.__name__ = kind.__name__  # which argparse names for what cannot be read at all
    return read


#: For ``type=`` of a flag: a whole number from 1 on, and a fraction of the published widths.
count, width_fraction = _within(int, {"minimum": 1}), _within(float, {"exclusiveMinimum": 0})


def read_settings(arguments: argparse.Namespace, cls: type) -> Any:
    """Returns the settings that were given on the command line."""
    values = {f.name: getattr(arguments, f.name) for f in fields(cls)}
    return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def add_network(parser: argparse.ArgumentParser) -> None:
    """Declares the network's name and width; the images say the rest."""
    group = parser.add_argument_group("Network")
    for key in ("name", "base_width", "binariser"):
        add_setting(group, NetworkSettings, key)


def add_cost_width(parser: "argparse._ActionsContainer", default: float | None = PUBLISHED_WIDTH) -> None:
    """Declares the width at which a genome's cost is counted; with ``default`` None that of the network itself."""
    add_setting(parser, SearchSettings, "cost_width", default=default)


def add_cost(parser: "argparse._ActionsContainer") -> None:
    """Declares what a network's cost is, and the table that it is read from if it is time."""
    from pipeline.search.costs import CostSettings

    add_setting(parser, CostSettings, "cost")
    add_setting(parser, CostSettings, "latency_table", type=Path)


def counting_for(arguments: argparse.Namespace, spec: NetworkSpec, ratios: Sequence[float] = ()) -> "Counting":
    """Returns how cost is counted, from the flags of ``add_cost``.

    Args:
        arguments: with these flags.
        spec: the network at the width at which its cost is counted, with any genome.
        ratios: values that a gene can take, if genomes of all of them are to be counted.

    Raises:
        UserError: time counts and there is no table; or the table is damaged, of another network, or lacks widths.
    """
    from pipeline.networks.latency import read_latency
    from pipeline.search.costs import Counting

    if arguments.latency_table is None:
        if arguments.cost == "latency":
            raise UserError("--cost is latency, which is read from a table", "name one with --latency-table")
        return Counting(arguments.cost)
    table = read_latency(arguments.latency_table)
    table.check(spec, ratios)
    return Counting(arguments.cost, table)


def counted(spec: NetworkSpec, arguments: argparse.Namespace) -> NetworkSpec:
    """Returns the network at the width at which its cost is counted."""
    return spec if arguments.cost_width is None else spec.at_width(arguments.cost_width)


def network_for(arguments: argparse.Namespace, info: Any, genome: Genome, *, binary: bool = True) -> NetworkSpec:
    """Returns the network that was asked for, with the shape that prepared images need.

    Args:
        arguments: with the flags of ``add_network``.
        info: the images' ``channels``, ``size`` and ``classes``.
        genome: one ratio for each gene.
        binary: False for the full-precision counterpart.
    """
    return NetworkSpec(
        network=arguments.network,
        genome=genome,
        base_width=arguments.base_width,
        channels=info.channels,
        size=info.size,
        classes=len(info.classes),
        binary=binary,
        binariser=arguments.binariser,
    )


def add_execution(parser: argparse.ArgumentParser) -> None:
    """Declares device, precision, threads, where they are settled, and processes that decode photographs."""
    add_settings(parser, ExecutionSettings)
    path(
        parser,
        "--arithmetic",
        "keep to the device, precision and kernels of this record (JSON); the first training writes it",
        required=False,
    )
    add_setting(parser, RunSettings, "loaders")


def add_processes(parser: argparse.ArgumentParser) -> None:
    """Declares how many processes share the steps of one training. They change a result's last digits."""
    add_setting(parser, RunSettings, "processes", default=None)


def add_keeping(parser: argparse.ArgumentParser) -> None:
    """Declares what a long training leaves on disk beside its outputs. It has no influence on them."""
    add_setting(parser, RunSettings, "save_minutes")
    path(
        parser,
        "--finished",
        "keep finished trainings in this folder, and take from it one that would be the same",
        required=False,
    )


def add_asked(parser: argparse.ArgumentParser, flag: str, what: str) -> None:
    """Declares what networks must have been trained with, as far as their experiment says it."""
    help = f"notice {what} of another training than this, a part of its identity (JSON)"
    parser.add_argument(flag, type=_object, default={}, metavar="JSON", help=help)


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"'{text}' is no JSON object")
    return found


def genome(text: str) -> Genome:
    """Reads a genome, for ``type=`` of a flag."""
    return parse_genome(text)


def output(parser: argparse.ArgumentParser, flag: str, help: str, **more: Any) -> None:
    """Declares a required flag that takes a file which the step writes."""
    action = parser.add_argument(flag, type=Path, help=help, **{"required": True, **more})
    parser.set_defaults(**{OUTPUTS: (*(parser.get_default(OUTPUTS) or ()), action.dest)})


def claim_outputs(arguments: argparse.Namespace) -> None:
    """Notes which files the step was called to write."""
    given = [getattr(arguments, name) for name in getattr(arguments, OUTPUTS, ())]
    claim(path for value in given for path in (value if isinstance(value, list) else [value]))


def path(parser: "argparse._ActionsContainer", flag: str, help: str, **more: Any) -> None:
    """Declares a flag that takes a file."""
    parser.add_argument(flag, type=Path, help=help, **{"required": True, **more})
