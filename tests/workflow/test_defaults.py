"""What a setting is for whoever does not name it. Another default would be another experiment under the same words."""

import pytest

from pipeline.common.settings import defaults_of
from pipeline.search.algorithms import ALGORITHMS
from pipeline.search.costs import CostSettings
from pipeline.search.objectives import OBJECTIVES
from pipeline.search.space import Budget
from pipeline.training.settings import ExecutionSettings, RunSettings, TrainingSettings
from pipeline.workflow import settings

RATIOS = (0.25, 0.5, 1, 2, 3, 4)
SECTIONS = [
    (TrainingSettings, {"schedule": "cosine", "milestones": (), "gamma": 0.1, "momentum": 0.9, "weight_decay": 0,
                        "augmentation": "none", "optimizer": "sgd", "binary_weight_decay": None,
                        "real_weight_epochs": 0}),
    (ExecutionSettings, {"device": "auto", "precision": "auto", "threads": 1, "kernels": "auto"}),
    (RunSettings, {"processes": 1, "loaders": 0, "save_minutes": 5}),
    (Budget, {"max_flops": None, "max_memory": None, "max_latency": None}),
    (CostSettings, {"cost": "flops", "latency_table": None}),
    (settings.DatasetSettings, {"storage": "auto", "test_fraction": 0.2, "damaged_images": "stop", "path": None}),
    (settings.SplitSettings, {"subset_per_class": None, "held_out_per_class": 0}),
    (settings.NetworkSettings, {"name": "vgg_small", "base_width": 1, "binariser": "dorefa"}),
    (settings.SupernetSettings, {"enabled": True}),
    (settings.CandidateSettings, {"recalibrate": False}),
    (settings.SearchSettings, {"ratios": RATIOS, "generations": 50, "shards": 1, "workers": "auto",
                               "candidates_per_gpu": 1, "finalists": 0, "rescorings": 1, "chosen_by": "score",
                               "cost_width": 1}),
    (settings.ProxySettings, {"sample": 0, "scores": 1, "trainings": 1}),
    (settings.RetrainSettings, {"seeds": 1, "teacher": None, "teacher_weight": 1}),
    (settings.InferenceSettings, {"measure": True, "threads": 1}),
]  # fmt: skip

#: The paper's 32 candidates in each of 50 generations; its own text names no parents, rates or tournaments.
OF_ALGORITHMS = {
    "evolution": {"parents": 5, "crossover_rate": 0.5, "mutation_rate": 0.1},
    "nsga2": {"crossover_rate": 0.5, "mutation_rate": 0.1},
    "predictor": {"parents": 5},
    "regularised_evolution": {"alive": 40, "tournament": 10},
    "exhaustive": {},
    "local_search": {},
    "random": {},
}
OF_OBJECTIVES = {"fitness": {"lambda": 4}, "most_accurate": {"max_cost": 1}, "cheapest": {}}


@pytest.mark.parametrize(("section", "defaults"), SECTIONS, ids=[section.__name__ for section, _ in SECTIONS])
def test_a_section(section, defaults):
    assert defaults_of(section) == defaults


@pytest.mark.parametrize("name", ALGORITHMS.own)
def test_an_algorithm(name):
    assert defaults_of(ALGORITHMS[name].Settings) == {"population": 32, **OF_ALGORITHMS[name]}


@pytest.mark.parametrize("name", OBJECTIVES.own)
def test_an_objective(name):
    assert defaults_of(OBJECTIVES[name].Settings) == OF_OBJECTIVES[name]
