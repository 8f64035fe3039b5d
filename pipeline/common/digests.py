"""Digests that name what is stored: equal values give equal names."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def digest_of(value: Any) -> str:
    """Returns SHA-256 of a JSON value, the same whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


#: Under which name a record holds the digest of what else is in it.
DIGEST = "digest"


def with_digest(record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a record with the digest of its values, so that :func:`holds` notices when one has changed.

    >>> holds(with_digest({"top1": 91.2})), holds({**with_digest({"top1": 91.2}), "top1": 100.0})
    (True, False)
    """
    return {**record, DIGEST: digest_of(dict(record))}


def holds(record: Mapping[str, Any], *, required: bool = False) -> bool:
    """Returns whether a record is as it was written. One without a digest passes, unless it is ``required``.

    >>> holds({**with_digest({"top1": 91.2}), "top1": float("nan")})
    False
    """
    values = {name: value for name, value in record.items() if name != DIGEST}
    try:
        return record[DIGEST] == digest_of(values) if DIGEST in record else not required
    except ValueError:  # numbers that no record has
        return False
