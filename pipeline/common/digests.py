"""Digests that name what is stored: equal values give equal names."""

import hashlib
import json
from typing import Any


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON value, the same whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()
