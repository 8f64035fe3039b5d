"""Accuracy over cost."""

from dataclasses import dataclass

from pipeline.common.settings import setting

NAME = "thrift"


@dataclass(frozen=True)
class Settings:
    """What a network costs at least."""

    least: float = setting("Cost that no network goes below.", limits={"exclusiveMinimum": 0})


def value(individual, settings):
    """Accuracy for each unit of cost."""
    return (individual.top1 or 0.0) / max(individual.relative_cost, settings.least)


def title(settings):
    """What to call it."""
    return f"thrift from {settings.least:g}"
