"""How many candidates one job trains side by side."""

from collections.abc import Mapping
from typing import Any


def workers(config: Mapping[str, Any], cores: int | None, gpus: int = 0) -> int:
    """Returns the candidates that one job trains side by side; 'auto' divides the cores among searches and shards.

    Args:
        config: checked.
        cores: of the whole run on this machine; None where every job is sent to a machine whose cores are not known.
        gpus: that the job has; with one, ``search.candidates_per_gpu`` counts.

    >>> search = {"shards": 2, "workers": "auto", "candidates_per_gpu": 1}
    >>> config = {"search": search, "searches": {"A": {}, "B": {}}, "execution": {"threads": 1}}
    >>> workers(config, cores=8), workers(config, cores=None), workers(config, cores=8, gpus=1)
    (2, 1, 1)
    """
    search = config["search"]
    if gpus:
        return int(search["candidates_per_gpu"])
    wanted = search["workers"]
    if wanted != "auto":
        return int(wanted)
    if cores is None:
        return 1  # on a cluster every shard is a job of its own, and a node's cores are not all its
    shares: int = max(1, len(config["searches"])) * search["shards"] * config["execution"]["threads"]
    return max(1, cores // shares)
