"""The default experiment's configuration, over which all others are laid."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pipeline.common.yaml_text import read_yaml
from pipeline.workflow.schema import ROOT


@cache
def default_config() -> Mapping[str, Any]:
    """Returns the default experiment's configuration, below all others."""
    values: Mapping[str, Any] = read_yaml(ROOT / "config.yaml")
    return values
