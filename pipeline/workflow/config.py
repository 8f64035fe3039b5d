"""The configuration: read, checked against its schema, and then for what no schema can say. No torch, no Snakemake.

Everything wrong that the configuration alone can show is shown here, before any work.
"""

import copy
import difflib
import math
import operator
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields
from functools import cache, reduce
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError, best_match

from pipeline.common.errors import UserError
from pipeline.common.settings import from_mapping, key_of
from pipeline.common.yaml_text import check_values, read_yaml
from pipeline.data.datasets import DATASETS, WITHOUT_FILES, expect_images, resolve_storage
from pipeline.networks.architectures import find_architecture
from pipeline.networks.binary.binarisers import BINARISERS
from pipeline.networks.genome import Genome, check_ratios, format_genome
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.report.published import find_table
from pipeline.search.algorithms import own_keys
from pipeline.search.choice import MODEL, SCORES_PER_GENE
from pipeline.search.objectives import DEFAULT as OBJECTIVE
from pipeline.search.objectives import OBJECTIVES, configured
from pipeline.search.space import Budget
from pipeline.workflow.counting import check_counting, counting_of
from pipeline.workflow.models import ASKED, is_baseline, runs_of, with_controls, with_runs, without_null
from pipeline.workflow.proxy import samples, trains_supernet
from pipeline.workflow.recipes import recipe_of, teacher_of
from pipeline.workflow.schema import ROOT as ROOT
from pipeline.workflow.schema import schema_for
from pipeline.workflow.sections import with_defaults

TRAININGS = ("supernet", "candidate", "retrain")


@cache
def default_config() -> Mapping[str, Any]:
    """Returns the default experiment's configuration, below all others."""
    values: Mapping[str, Any] = read_yaml(ROOT / "config.yaml")
    return values


def check_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the configuration without dropped entries (null), text read as what it means, defaults filled in, when it
    makes sense as a whole.

    Raises:
        UserError: naming the key, what is wrong with it and what would be right.
    """
    check_values(config, "the configuration")
    cleaned = _with_values(config)
    check_values(cleaned, "the configuration")  # text may have become an integer
    for section in ("searches", "models"):
        if isinstance(cleaned.get(section), Mapping):
            cleaned[section] = {
                name: without_null(value) for name, value in cleaned[section].items() if value is not None
            }
    _check_schema(cleaned)
    cleaned = with_defaults(cleaned)
    for section in ("searches", "models"):
        cleaned[section] = _in_order(cleaned[section], section)
    cleaned["searches"] = with_runs(cleaned["searches"], cleaned["seed"])
    cleaned["models"] = with_controls(cleaned)
    for section in ("searches", "models"):
        _check_case(cleaned[section], section)
    _check_dataset(cleaned)
    _check_trainings(cleaned)
    _check_processes(cleaned)
    _check_augmentations(cleaned)
    _check_genomes(cleaned)
    _check_own_settings(cleaned)
    _check_searches(cleaned)
    _check_published(cleaned)
    return cleaned


def _check_case(names: Iterable[str], section: str) -> None:
    """Refuses names that some disks, such as a Mac's, take for one: files of both would lie in one folder."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise UserError(f"{section}.{other} and {section}.{name} differ in nothing but case", "rename one of them")


def _in_order(entries: Mapping[str, Any], section: str) -> dict[str, Any]:
    """Returns the default configuration's entries first and in its order: Snakemake puts those of an overlay before
    them.
    """
    default = list(default_config()[section])
    return {
        name: entries[name]
        for name in [*(n for n in default if n in entries), *(n for n in entries if n not in default)]
    }


def read_config(paths: list[Path], settings: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """Reads YAML files, each laid over the ones before, key by key, and checks the outcome.

    Args:
        paths: of the files.
        settings: laid over all of them.

    Raises:
        UserError: a file is missing or no YAML mapping, or ``check_config`` objects.
    """
    merged: dict[str, Any] = {}
    for path in paths:
        values = read_yaml(path)
        if not isinstance(values, dict):
            raise UserError(f"{path} holds no keys and values")
        _lay_over(merged, values)
    _lay_over(merged, settings)
    return check_config(merged)


def _lay_over(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(below.get(key), dict):
            _lay_over(below[key], value)
        else:
            below[key] = value


def genome_of(config: Mapping[str, Any], model: str) -> Genome:
    """Returns the genome that the configuration gives to a row of the table; one number stands for a uniform one."""
    genome = config["models"][model]["genome"]
    if isinstance(genome, list):
        return tuple(float(ratio) for ratio in genome)
    return uniform_genome(config["network"]["name"], genome)


def _is_integer(checker: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)  # JSON Schema itself takes 2.0 for one


def _is_number(checker: Any, value: Any) -> bool:
    return _is_integer(checker, value) or (isinstance(value, float) and math.isfinite(value))


_types = Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer).redefine("number", _is_number)
_Validator = validators.extend(Draft202012Validator, type_checker=_types)


def _with_values(config: Mapping[str, Any]) -> dict[str, Any]:
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


def _check_schema(config: Mapping[str, Any]) -> None:
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
        "maxLength": "it may have at most {} characters",
    }
    value = error.validator_value
    choices = value if isinstance(value, list) else [value]
    listed = ", ".join("null" if choice is None else kinds.get(choice, str(choice)) for choice in choices)
    remedy = limits[error.validator].format(listed) if error.validator in limits else error.message[:120]
    return f"{where} is {_shown(error.instance)}", remedy


def _known_keys(error: ValidationError) -> list[str]:
    known = list(error.schema.get("properties", {}))
    if "$ref" in error.schema:
        known += schema_for({})["$defs"]["training"]["properties"]
    return known


def _check_dataset(config: Mapping[str, Any]) -> None:
    dataset = config["dataset"]
    if dataset["name"] not in DATASETS:
        raise UserError(
            f"dataset.name is '{dataset['name']}'", f"choose one of {', '.join(DATASETS)}, torchvision:NAME"
        )
    if dataset.get("path") is not None:
        # Digits are the default: an overlay that names a folder, and no data set, would be an experiment on digits.
        if dataset["name"] in WITHOUT_FILES:
            raise UserError(
                f"dataset.path is given, but dataset.name is '{dataset['name']}', which has no folder",
                "set dataset.name as well (image_folder for a folder of your own), or dataset.path to null",
            )
        dataset["path"] = _expanded(dataset["path"])
        if not _exists(dataset["path"]):
            shown = dataset["path"][:120]
            raise UserError(f"dataset.path: there is no folder {shown}", "name the folder of the images")


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # a name that is too long, or a folder above it that may not be read
        return False


def _expanded(path: str) -> str:
    """Returns a path with the home folder in place of ~, as a shell would have it."""
    with suppress(RuntimeError):  # there is no home, or no such user
        return str(Path(path).expanduser()) if path.startswith("~") else path
    return path


def _recipes(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields every training's recipe and where it stands."""
    for section in TRAININGS:
        yield section, config[section]
    for model, row in config["models"].items():
        if "retrain" in row:
            yield f"models.{model}.retrain", recipe_of(config, model)


def _check_trainings(config: Mapping[str, Any]) -> None:
    for section, training in _recipes(config):
        milestones = training["milestones"]
        if training.get("schedule") == "milestones" and not milestones:
            raise UserError(f"{section}.schedule is 'milestones', but {section}.milestones is empty", "list the epochs")
        if milestones != sorted(set(milestones)):
            raise UserError(f"{section}.milestones is {milestones}", "list each epoch once, in ascending order")
        late = [milestone for milestone in milestones if milestone >= training["epochs"]]
        if late:
            raise UserError(
                f"{section}.milestones has {late[0]}, but the training has only {training['epochs']} epochs",
                "milestones must come before the last epoch",
            )
        real, all_epochs = training["real_weight_epochs"], training["epochs"]
        if real >= all_epochs:
            raise UserError(
                f"{section}.real_weight_epochs is {real}, but the training has only {all_epochs} epochs",
                "leave some epochs in which weights are binary",
            )
    early, epochs = config["search"]["early_stop_epochs"], config["candidate"]["epochs"]
    if early is not None and early >= epochs:
        raise UserError(
            f"search.early_stop_epochs is {early}, but a candidate's training has only {epochs} epochs",
            f"give fewer than {epochs}, or null to train all to their end",
        )
    real = config["candidate"]["real_weight_epochs"]
    if early and early <= real:
        raise UserError(
            f"search.early_stop_epochs is {early}, when candidates' weights are still real "
            f"(candidate.real_weight_epochs is {real})",
            f"give more than {real}, or null to train all to their end",
        )
    if early == 0 and not config["supernet"]["enabled"]:
        raise UserError(
            "search.early_stop_epochs is 0, but candidates inherit no weights by which they could be judged untrained",
            "give at least 1, or set supernet.enabled",
        )


def notes_on(config: Mapping[str, Any]) -> list[str]:
    """Returns sentences about settings of a checked configuration that may do something else than whoever has changed
    them thinks: nothing, or limit another network than the one that is trained.
    """
    search, default = config["search"], default_config()
    trained = TRAININGS if config["searches"] else ("retrain",)
    idle = {
        f"{section}.{key}": f"{section}.schedule is '{config[section]['schedule']}'"
        for section in trained
        for key in ("milestones", "gamma")
        if config[section]["schedule"] != "milestones" and config[section][key] != default[section][key]
    }
    idle |= {
        f"models.{model}.retrain.{key}": f"its schedule is '{recipe_of(config, model)['schedule']}'"
        for model, row in config["models"].items()
        for key in ("milestones", "gamma")
        if key in row.get("retrain", {}) and recipe_of(config, model)["schedule"] != "milestones"
    }
    taught = any(teacher_of(config, model) for model in config["models"])
    if config["retrain"]["teacher_weight"] != default["retrain"]["teacher_weight"] and not taught:
        idle["retrain.teacher_weight"] = "no row has a teacher"
    if search["early_stop_epochs"] is None and search["early_stop_keep"] != default["search"]["early_stop_keep"]:
        idle["search.early_stop_keep"] = "search.early_stop_epochs is null"
    notes = [f"{key} has no effect, since {why}" for key, why in idle.items()]
    if config["retrain"]["teacher"] is not None and samples(config):
        notes.append(
            "proxy.sample is trained in full without retrain.teacher, which has learnt from the images that it is "
            "scored on: what the proxy says is of such trainings"
        )
    notes += _left_as_for_digits(config)
    if config["searches"]:
        notes += [*_asked_for_nothing(config), *_alike(config)]
    counted, trained_at = search["cost_width"], config["network"]["base_width"]
    if config["searches"] and counted != trained_at:
        limits = (key for key in ("max_flops", "max_memory", "max_latency") if search[key] is not None)
        notes += [
            f"search.{key} limits the network at base width {counted:g} (search.cost_width), while it is trained at "
            f"{trained_at:g}"
            for key in limits
        ]
    return notes


def _asked_for_nothing(config: Mapping[str, Any]) -> Iterator[str]:
    """Yields accuracies and costs that nearly every network has, such as a share where percent are meant."""
    search, runs = config["search"], config["searches"]
    asking = {f"searches.{name}": run for name, run in runs.items() if run.get("run_of", name) == name}
    asking |= {f"models.{name}": row for name, row in config["models"].items()}
    for where, section in asking.items():
        if 0 < section.get("min_top1", 0) <= 1:
            yield f"{where}.min_top1 is {section['min_top1']:g} %, which every network has: it is in percent"
        if "max_cost" in section:
            spec = _spec(config).at_width(search["cost_width"])
            widest = spec.with_genome(uniform_genome(spec.network, max(search["ratios"])))
            dearest, limit = counting_of(config).relative(widest), section["max_cost"]
            if limit > dearest:
                yield (
                    f"{where}.max_cost is {limit:g} times uniform-1x's cost, which limits nothing: the dearest network "
                    f"has {dearest:.3g} times"
                )


def _alike(config: Mapping[str, Any]) -> Iterator[str]:
    """Yields the first layer in which two ratios make the same number of channels, though their costs differ."""
    spec, ratios = _spec(config), sorted(config["search"]["ratios"])
    made = [spec.with_genome(uniform_genome(spec.network, ratio)).widths for ratio in ratios]
    for (low, widths), (high, others) in pairwise(zip(ratios, made, strict=True)):
        same = [place for place, (one, other) in enumerate(zip(widths, others, strict=True)) if one == other]
        if same:
            gene = find_architecture(spec.network).GENES[same[0]]
            yield (
                f"search.ratios {low:g} and {high:g} both make {widths[same[0]]} channels of {gene} at "
                f"network.base_width {spec.base_width:g}: they are trained alike, whatever they cost at "
                "search.cost_width"
            )
            return


def _left_as_for_digits(config: Mapping[str, Any]) -> Iterator[str]:
    """Yields what an overlay for other images has left as it is for the default experiment's."""
    images, usual = config["dataset"], default_config()["dataset"]
    if images["name"] == usual["name"]:
        return
    if images["image_size"] == usual["image_size"]:
        yield f"dataset.image_size is {images['image_size']}, as for {usual['name']}: a few pixels are seen"
    if config["experiment"] == default_config()["experiment"]:
        yield f"experiment is '{config['experiment']}', as for {usual['name']}: its results are replaced by these"


def _check_processes(config: Mapping[str, Any]) -> None:
    """Checks that every process of a training can take an equal part of each batch."""
    processes = config["execution"]["processes"]
    for section, training in _recipes(config):
        if section == "candidate" or (section == "supernet" and not trains_supernet(config)):
            continue
        batch = training["batch_size"]
        if batch % processes:
            raise UserError(
                f"{section}.batch_size is {batch}, which cannot be divided among {processes} processes",
                f"choose a multiple of {processes}, or another execution.processes",
            )


def _check_augmentations(config: Mapping[str, Any]) -> None:
    """Checks the augmentations: photographs are cropped while they are decoded, small images as whole batches."""
    dataset = config["dataset"]
    storage = resolve_storage(dataset["storage"], dataset["image_size"])
    fitting = {"pixels": ("none", "crop", "crop-flip"), "jpeg": ("none", "resized-crop-flip")}[storage]
    chosen = {section: training["augmentation"] for section, training in _recipes(config)}
    others = [f"{section}.augmentation is '{name}'" for section, name in chosen.items() if name not in fitting]
    if others:
        raise UserError(
            f"{', '.join(others)}, which images stored as {storage} do not offer",
            f"choose one of {', '.join(fitting)}, or another dataset.storage",
        )


def _check_published(config: Mapping[str, Any]) -> None:
    published = config.get("published")
    if published is not None and find_table(published).network != config["network"]["name"]:
        raise UserError(
            f"published is '{published}', a table of another network than {config['network']['name']}",
            "set it to null or to the network's own table",
        )


def _spec(config: Mapping[str, Any]) -> NetworkSpec:
    network = config["network"]
    images = expect_images(config["dataset"])
    genome = uniform_genome(network["name"], 1)
    return NetworkSpec(
        network["name"],
        genome,
        base_width=network["base_width"],
        channels=images.channels,
        size=config["dataset"]["image_size"],
        classes=images.classes or 2,
        binariser=network["binariser"],
    )


def _check_genomes(config: Mapping[str, Any]) -> None:
    find_architecture(config["network"]["name"])
    binariser = config["network"]["binariser"]
    if binariser not in BINARISERS:
        raise UserError(f"network.binariser is '{binariser}'", f"choose one of {', '.join(BINARISERS)}")
    changed = BINARISERS.changed(binariser)  # it is there; importing it would need torch
    if changed and config["inference"]["measure"]:
        raise UserError(
            f"inference.measure is true, but packed networks do not know the binariser '{binariser}'",
            "set it to false",
        )
    spec = _spec(config)
    for model, row in config["models"].items():
        if "control" in row:
            _check_control(config, model)
            continue
        _check_teacher(config, model)
        if ("genome" in row) == ("search" in row):
            raise UserError(f"models.{model} needs either a genome or a search", "give exactly one of the two")
        if "search" in row:
            _check_found(config, model)
            continue
        for key in ("by", *ASKED):
            if key in row:
                raise UserError(
                    f"models.{model} has a genome and {key}", f"leave out {key}, which is for what a search found"
                )
        genome = genome_of(config, model)
        try:
            check_ratios(genome, config["search"]["ratios"])
        except UserError as error:
            remedy = f"add it to search.ratios, or leave the row out (models: {{{model}: null}})"
            raise UserError(f"models.{model}: {error}; {remedy}") from None
        try:
            _ = spec.with_genome(genome).layers
        except UserError as error:
            raise UserError(f"models.{model}: {error}") from None
    smallest = uniform_genome(spec.network, min(config["search"]["ratios"]))
    _ = spec.with_genome(smallest).layers
    _check_digits(spec, config)


def _check_digits(spec: NetworkSpec, config: Mapping[str, Any]) -> None:
    """Refuses widths and ratios of which six digits, which commands are given, make other numbers of channels."""
    search = config["search"]
    ratios = [uniform_genome(spec.network, ratio) for ratio in search["ratios"]]
    widths = {"network.base_width": spec.base_width, "search.cost_width": search["cost_width"]}
    for key, width in widths.items():
        for genome in ratios:
            meant = spec.at_width(width).with_genome(genome).widths
            made = spec.at_width(_six_digits(width)).with_genome(tuple(map(_six_digits, genome))).widths
            differ = [pair for pair in zip(meant, made, strict=True) if pair[0] != pair[1]]
            if differ:
                raise UserError(
                    f"{key} {width!r} with a ratio of {genome[0]!r} makes {differ[0][0]} channels, but six digits of "
                    f"both, which are what counts, make {differ[0][1]}",
                    "round the last of them up",
                )


def _six_digits(value: float) -> float:
    return float(f"{value:g}")


def _check_found(config: Mapping[str, Any], model: str) -> None:
    """Checks that a searched row names a search, and for a baseline, which seeks nothing, whose objective chooses."""
    row = config["models"][model]
    for key in ("search", "by"):
        if key in row and not runs_of(config, row[key]):
            named = dict.fromkeys(run.get("run_of", name) for name, run in config["searches"].items())
            raise UserError(
                f"models.{model}.{key} is '{row[key]}'", f"searches of this experiment: {', '.join(named) or 'none'}"
            )
    if "by" in row and not is_baseline(config, row["search"]):
        raise UserError(
            f"models.{model} is chosen by what {row['by']} looks for, but {row['search']} looked for something itself",
            "leave out by",
        )
    asked = [key for key in ("by", *ASKED) if key in row]
    if len(asked) > 1:
        raise UserError(
            f"models.{model} has {' and '.join(asked)}", "give at most one of them: each says how a genome is chosen"
        )


def _check_teacher(config: Mapping[str, Any], model: str) -> None:
    """Checks a row's recipe where it is its own, and that it learns from a network that is there before any search."""
    own, models = config["models"][model].get("retrain", {}), config["models"]
    if own and "genome" not in models[model]:
        raise UserError(
            f"models.{model} has a recipe of its own, but rows from searches are compared with others of one recipe",
            "give it a genome in place of a search, or leave out its retrain",
        )
    if own.get("teacher") is not None and not models[model].get("binary", True):
        raise UserError(f"models.{model} is of full precision and has a teacher", "leave out its teacher")
    if "teacher_weight" in own and recipe_of(config, model)["teacher"] is None:
        raise UserError(f"models.{model}.retrain has a teacher_weight and no teacher", "name its teacher")
    teacher = teacher_of(config, model)
    named = models.get(teacher, {})
    if teacher is not None and ("genome" not in named or named.get("binary", True)):
        where = f"models.{model}.retrain" if "teacher" in own else "retrain"
        fitting = [name for name, row in models.items() if "genome" in row and not row.get("binary", True)]
        raise UserError(f"{where}.teacher is '{teacher}'", f"rows in full precision: {', '.join(fitting) or 'none'}")


def _check_control(config: Mapping[str, Any], model: str) -> None:
    row, models = config["models"][model], config["models"]
    if set(row) != {"control", "of"}:
        raise UserError(f"models.{model} is a control", "give it 'control' and 'of', and nothing else")
    if "search" not in models.get(row["of"], {}):
        found = [name for name, other in models.items() if "search" in other]
        raise UserError(f"models.{model}.of is '{row['of']}'", f"rows from searches: {', '.join(found) or 'none'}")


def _check_own_settings(config: Mapping[str, Any]) -> None:
    """Checks that a search sets only what its own algorithm and objective know."""
    for name, section in config["searches"].items():
        known = {"algorithm", "objective", "seed", "run_of", *own_keys(section["algorithm"])}
        known |= {key_of(f) for f in fields(OBJECTIVES[section.get("objective", OBJECTIVE)].Settings)}
        strange = next((key for key in section if key not in known), None)
        if strange:
            raise UserError(
                f"searches.{name}.{strange} is no setting of its algorithm or objective",
                f"set it to null to drop it (known keys: {', '.join(sorted((known - {'run_of'}) | {'seeds'}))})",
            )
        try:
            configured(section)
        except TypeError as error:
            raise UserError(f"searches.{name} lacks a setting of its objective ({error})", "add it") from None


def _check_searches(config: Mapping[str, Any]) -> None:
    search = config["search"]
    written: dict[str, float] = {}  # genomes hold six digits of a ratio
    for ratio in search["ratios"]:
        if written.setdefault(f"{ratio:g}", ratio) != ratio:
            raise UserError(
                f"search.ratios has {written[f'{ratio:g}']} and {ratio}, which are one in six digits", "leave one out"
            )
    spec = _spec(config).at_width(search["cost_width"])
    smallest = spec.with_genome(uniform_genome(spec.network, min(search["ratios"])))
    if search.get("latency_table") is not None:
        search["latency_table"] = _expanded(search["latency_table"])
    check_counting(config, spec, expect_images(config["dataset"]).classes)
    over = from_mapping(Budget, search).over(smallest, counting_of(config))
    if over is not None:
        key, limit, unit, least = over
        raise UserError(
            f"search.{key} is {limit:g}, but the smallest genome {format_genome(smallest.genome)} "
            f"needs {least:g} {unit}",
            "raise it or set it to null",
        )
    if samples(config) and not config["split"]["held_out_per_class"]:
        raise UserError(
            f"proxy.sample is {samples(config)}, but split.held_out_per_class holds out no images to judge it on",
            "hold out some, or set proxy.sample to 0",
        )
    if config["searches"] and search["finalists"] and not config["split"]["held_out_per_class"]:
        raise UserError(
            f"search.finalists is {search['finalists']}, but split.held_out_per_class holds out no images for them",
            "hold out some, or set search.finalists to 0",
        )
    needed = SCORES_PER_GENE * len(spec.genome)
    for name in dict.fromkeys(run.get("run_of", name) for name, run in config["searches"].items()):
        most = search["generations"] * search["population"] * len(runs_of(config, name))
        if search["chosen_by"] == MODEL and most < needed:
            raise UserError(
                f"search.chosen_by is model, which needs {needed} scores, but search {name} has {most} candidates",
                "raise search.generations, or choose by score",
            )
    space = len(search["ratios"]) ** len(spec.genome)
    if search["population"] > space:
        raise UserError(f"search.population is {search['population']}, but there are only {space} genomes", "lower it")
