"""The configuration: read, checked against its schema, and then for what no schema can say. No torch, no Snakemake.

Everything wrong that the configuration alone can show is shown here, before any work.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pipeline.common.errors import UserError
from pipeline.common.yaml_text import check_values, lay_over, read_yaml
from pipeline.workflow.config.against_schema import check_schema, with_values
from pipeline.workflow.config.default import default_config
from pipeline.workflow.config.images import check_augmentations, check_images
from pipeline.workflow.config.networks import check_network, check_published, check_widths
from pipeline.workflow.config.rows import check_rows
from pipeline.workflow.config.searches import check_own_settings, check_searches
from pipeline.workflow.config.trainings import check_processes, check_trainings
from pipeline.workflow.models import with_controls, with_runs, without_null
from pipeline.workflow.sections import with_defaults


def read_config(paths: list[Path], settings: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """Reads YAML files, each laid over the ones before, key by key, and checks the outcome.

    As Snakemake has it: overlays and settings are laid over each other first. So an entry that one of them drops and a
    later one names again still has those keys of the first file that neither names.

    Args:
        paths: of the files, the one that all others are laid over first.
        settings: laid over all of them.

    Raises:
        UserError: a file is missing or no YAML mapping, or ``check_config`` objects.
    """
    merged: dict[str, Any] = {}
    overlays: dict[str, Any] = {}
    for number, path in enumerate(paths):
        values = read_yaml(path)
        if not isinstance(values, dict):
            raise UserError(f"{path} holds no keys and values")
        lay_over(overlays if number else merged, values)
    lay_over(overlays, settings)
    lay_over(merged, overlays)
    return check_config(merged)


def check_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the configuration without dropped entries (null), text read as what it means, defaults filled in, when it
    makes sense as a whole.

    Raises:
        UserError: naming the key, what is wrong with it and what would be right.
    """
    check_values(config, "the configuration")
    cleaned = with_values(config)
    check_values(cleaned, "the configuration")  # text may have become an integer
    for section in ("searches", "models"):
        if isinstance(cleaned.get(section), Mapping):
            cleaned[section] = {
                name: without_null(value) for name, value in cleaned[section].items() if value is not None
            }
    check_schema(cleaned)
    cleaned = _with_home(with_defaults(cleaned))
    for section in ("searches", "models"):
        cleaned[section] = _in_order(cleaned[section], section)
    cleaned["searches"] = with_runs(cleaned["searches"], cleaned["seed"])
    cleaned["models"] = with_controls(cleaned)
    for section in ("searches", "models"):
        _check_case(cleaned[section], section)
    check_images(cleaned)
    check_trainings(cleaned)
    check_processes(cleaned)
    check_augmentations(cleaned)
    check_network(cleaned)
    check_rows(cleaned)
    check_widths(cleaned)
    check_own_settings(cleaned)
    check_searches(cleaned)
    check_published(cleaned)
    return cleaned


def _with_home(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a configuration with the home folder in place of ~ in its paths, as a shell would have it."""
    found = dict(config)
    for section, key in (("dataset", "path"), ("search", "latency_table")):
        if config[section].get(key) is not None:
            found[section] = {**config[section], key: _expanded(config[section][key])}
    return found


def _expanded(path: str) -> str:
    with suppress(RuntimeError):  # there is no home, or no such user
        return str(Path(path).expanduser()) if path.startswith("~") else path
    return path


def _in_order(entries: Mapping[str, Any], section: str) -> dict[str, Any]:
    """Returns the default configuration's entries first and in its order: Snakemake puts those of an overlay before
    them.
    """
    default = list(default_config()[section])
    return {
        name: entries[name]
        for name in [*(n for n in default if n in entries), *(n for n in entries if n not in default)]
    }


def _check_case(names: Iterable[str], section: str) -> None:
    """Refuses names that some disks, such as a Mac's, take for one: files of both would lie in one folder."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise UserError(f"{section}.{other} and {section}.{name} differ in nothing but case", "rename one of them")
