"""Sections of the configuration: which keys each has, and what these are where a configuration leaves them out."""

from collections.abc import Mapping
from typing import Any

from pipeline.common.settings import defaults_of
from pipeline.search.costs import CostSettings
from pipeline.search.early_stopping import EarlyStopping
from pipeline.search.space import Budget
from pipeline.training.settings import ExecutionSettings, RunSettings, TrainingSettings
from pipeline.workflow.settings import (
    CandidateSettings,
    DatasetSettings,
    InferenceSettings,
    NetworkSettings,
    ProxySettings,
    RetrainSettings,
    SearchSettings,
    SplitSettings,
    SupernetSettings,
)

#: Section of the configuration → the classes that its keys are the fields of; more come from algorithms.
SECTIONS: dict[str, tuple[type, ...]] = {
    "dataset": (DatasetSettings,),
    "split": (SplitSettings,),
    "network": (NetworkSettings,),
    "supernet": (SupernetSettings, TrainingSettings),
    "candidate": (CandidateSettings, TrainingSettings),
    "search": (SearchSettings, Budget, CostSettings, EarlyStopping),
    "proxy": (ProxySettings,),
    "retrain": (RetrainSettings, TrainingSettings),
    "inference": (InferenceSettings,),
    "execution": (ExecutionSettings, RunSettings),
}


def with_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a configuration in which every section has all its keys, by default where it leaves them out; what has no
    default is not added.
    """
    filled = {"controls": [], **config}
    for section, classes in SECTIONS.items():
        values = dict(filled.get(section, {}))
        for settings in classes:
            for key, value in defaults_of(settings).items():
                values.setdefault(key, list(value) if isinstance(value, tuple) else value)
        filled[section] = values
    return filled
