"""Settings of an experiment that are others than those that it was made with."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.training.settings import OFF

#: Sections and keys that change no file of an experiment.
_HARMLESS = {"experiment", "inference", "execution.save_minutes", "execution.loaders", "search.workers"}
_HARMLESS |= {"search.candidates_per_gpu"}
#: Sections of rows and searches; and what every run of a search is given.
_ENTRIES = ("models.", "searches.")
_OF_RUNS = ("seed", "seeds", "run_of")


def changes(before: Mapping[str, Any], now: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """Yields the keys of a saved configuration that have another value now.

    Those that it did not know are left out, but for what rows and searches that it has did without, and for ingredients
    of a training that were off as long as nobody knew them.
    """
    for key, value in before.items():
        name = f"{within}{key}"
        if name in _HARMLESS or (value is None and now.get(key) is None):
            continue
        if isinstance(value, dict) and isinstance(now.get(key), dict):
            yield from changes(value, now[key], f"{name}.")
        elif key not in now or now[key] != value:
            yield f"{name} (was {json.dumps(value)})"
    for key in now.keys() - before.keys():
        of_entry = within.startswith(_ENTRIES) and within not in _ENTRIES and key not in _OF_RUNS
        if (of_entry and now[key] is not None) or (key in OFF and now[key] != OFF[key]):
            yield f"{within}{key} (was not there)"
