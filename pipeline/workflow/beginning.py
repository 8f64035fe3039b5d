"""The beginning of a run: what an experiment is made by must stay as it is then while the run goes on.

A run looks at its configuration when it begins, and Snakemake notes with each file what it was made with as of then.
But a step that begins days later reads the source of a plug-in and the table of latencies for itself, and a job of
SLURM's the configuration too. If one of them has been edited meanwhile, one table would mix what was made before and
after, under one note. So what a run began with is handed to its steps, and a step that finds something else stops with
a sentence.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline import METHOD_VERSION
from pipeline.common.errors import UserError
from pipeline.common.files import write_json
from pipeline.common.registry import look_again
from pipeline.common.untouched import BEGAN_WITH, stamps
from pipeline.data.datasets import DATASETS
from pipeline.networks.architectures import ARCHITECTURES
from pipeline.networks.binary.binarisers import BINARISERS
from pipeline.networks.latency import read_latency
from pipeline.search.algorithms import ALGORITHMS
from pipeline.search.objectives import DEFAULT as OBJECTIVE
from pipeline.search.objectives import OBJECTIVES
from pipeline.workflow.lock import RECORDS
from pipeline.workflow.made_with import changes
from pipeline.workflow.saved_config import as_saved

_REGISTRIES = {registry.kind: registry for registry in (DATASETS, ARCHITECTURES, BINARISERS, ALGORITHMS, OBJECTIVES)}
_METHOD, _LATENCIES = "method", "table of latencies"
#: A kind of part, its name, and the digest or the version of what it is.
_Part = tuple[str, str, str]


def begin_with(config: Mapping[str, Any]) -> dict[str, str]:
    """Returns what tells steps, in their environment, what an experiment is made by as of now.

    Args:
        config: the experiment's, as checked.

    Raises:
        UserError: a part of it is not there.
    """
    parts = _states(config)
    files = stamps(file for kind, name, _ in parts for file in _files(kind, name))
    return {BEGAN_WITH: json.dumps({"parts": parts, "files": files})}


def check_beginning() -> None:
    """Checks in a step that what its run began with is what there is.

    Raises:
        UserError: a part has changed since.
    """
    look_again()
    _check_parts(json.loads(os.environ[BEGAN_WITH])["parts"])


def note_beginning(config: Mapping[str, Any]) -> None:
    """Notes for the jobs of this run with which configuration, and with which parts, it has begun.

    Raises:
        UserError: the note cannot be written.
    """
    write_json(_note(config), {"config": as_saved(config), "parts": _states(config)})


def check_job(config: Mapping[str, Any]) -> None:
    """Checks in a job that reads the configuration anew that its run has begun with the same, and with the same parts.

    Args:
        config: as the job has read and checked it.

    Raises:
        UserError: something has changed since.
    """
    try:
        began = json.loads(_note(config).read_bytes())
    except (OSError, ValueError):
        return  # of an earlier version's run
    changed = list(changes(began["config"], as_saved(config)))
    if changed:
        raise UserError(f"the settings were changed while the run goes on: {', '.join(changed)}", _remedy("them"))
    _check_parts(began["parts"])


def _check_parts(parts: list[_Part]) -> None:
    for kind, name, state in parts:
        if _state(kind, name) != state:
            what = "the project's method" if kind == _METHOD else f"the {kind} {name}"
            raise UserError(f"{what} was changed while the run goes on", _remedy("it"))


def _remedy(what: str) -> str:
    return f"end the run and start it anew, and what depends on the change is made again; or take {what} back and go on"


def _note(config: Mapping[str, Any]) -> Path:
    return RECORDS / f"{config['experiment']}.began.json"


def _states(config: Mapping[str, Any]) -> list[_Part]:
    return [(kind, name, _state(kind, name)) for kind, name in _parts(config)]


def _parts(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the parts of an experiment beside its configuration and images: kinds and names."""
    yield _METHOD, ""
    yield DATASETS.kind, config["dataset"]["name"]
    yield ARCHITECTURES.kind, config["network"]["name"]
    yield BINARISERS.kind, config["network"]["binariser"]
    searches = config["searches"].values()
    yield from dict.fromkeys((ALGORITHMS.kind, search["algorithm"]) for search in searches)
    yield from dict.fromkeys((OBJECTIVES.kind, search.get("objective", OBJECTIVE)) for search in searches)
    if config["search"].get("latency_table") is not None:
        yield _LATENCIES, config["search"]["latency_table"]


def _state(kind: str, name: str) -> str:
    if kind == _METHOD:
        return str(METHOD_VERSION)
    if kind == _LATENCIES:
        return read_latency(Path(name)).digest
    return _REGISTRIES[kind].digest(name)


def _files(kind: str, name: str) -> list[Path]:
    if kind == _METHOD:
        import pipeline

        return [Path(pipeline.__file__)]
    return [Path(name)] if kind == _LATENCIES else _REGISTRIES[kind].sources(name)
