"""Whether rows are scored as candidates, to know what the proxy is worth, and whether there is a supernet for them."""

from collections.abc import Mapping
from typing import Any


def scores_rows(config: Mapping[str, Any]) -> bool:
    """Returns whether the rows of the table are scored as candidates too: with a search, unless said otherwise."""
    wanted = config.get("proxy", "auto")
    return bool(config["searches"]) if wanted == "auto" else bool(wanted)


def trains_supernet(config: Mapping[str, Any]) -> bool:
    """Returns whether a supernet is trained: if it is enabled and there are candidates that would inherit from it."""
    return bool(config["supernet"]["enabled"]) and (bool(config["searches"]) or scores_rows(config))
