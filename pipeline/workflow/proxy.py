"""On how many random genomes the proxy is judged, and whether there is a supernet for them and for other candidates."""

from collections.abc import Mapping
from typing import Any


def samples(config: Mapping[str, Any]) -> int:
    """Returns how many random genomes are scored as candidates and trained in full, to know what scores are worth.

    None without a search: nobody selects by a score then.
    """
    return int(config["proxy"]["sample"]) if config["searches"] else 0


def trains_supernet(config: Mapping[str, Any]) -> bool:
    """Returns whether a supernet is trained: if it is enabled and there are candidates that would inherit from it."""
    return bool(config["supernet"]["enabled"]) and bool(config["searches"])
