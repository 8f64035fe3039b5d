"""How many examples a property is tried on: in the gate some, always the same; at night many more, at random."""

import os

from hypothesis import settings

NIGHTLY = bool(os.environ.get("BINARY_NAS_NIGHTLY"))
_TIMES = 20


def tried(examples: int = 100) -> settings:
    """Decorates a property that the gate tries on so many examples."""
    times = _TIMES if NIGHTLY else 1
    return settings(max_examples=times * examples, derandomize=not NIGHTLY, deadline=None, database=None)


# For properties that say nothing themselves.
settings.register_profile("project", tried())
settings.load_profile("project")
