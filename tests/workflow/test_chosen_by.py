"""Choosing by a model in a workflow: what it reads, what is found, and what runs again."""

import json

import pandas
import pytest

from pipeline.search.choice import believed
from pipeline.search.individual import Individual
from pipeline.search.objectives import configured
from tests.support.workflow import complete, overlay, planned, resume

pytestmark = pytest.mark.slow

SEARCH = {"generations": 3, "finalists": 0}
FOUND = "results/tiny/finalists/found-A/found.json"


def test_what_a_model_of_all_scores_expects_most_of_is_found(copied, tmp_path):
    by_score = overlay(tmp_path, {"search": SEARCH})
    complete(resume("--cores", 2, "results/tiny/search/A/best.json", config=by_score), copied)
    (tmp_path / "model").mkdir()
    by_model = overlay(tmp_path / "model", {"search": {**SEARCH, "chosen_by": "model"}})
    assert planned(copied, FOUND, config=by_model) == {"select_found": 1}, "the search itself is the same"
    assert "select_found" not in planned(copied, config=by_score), "of one run the best score is what was found"
    complete(resume("--cores", 2, FOUND, config=by_model), copied)
    found = json.loads((copied / FOUND).read_text())
    history = pandas.read_csv(copied / "results" / "tiny" / "search" / "A" / "history.csv")
    scored = history[history["status"] == "ok"]
    candidates = [
        Individual(tuple(map(float, genome.split(","))), top1, cost)
        for genome, top1, cost in zip(scored["genome"], scored["top1"], scored["relative_flops"], strict=True)
    ]
    objective = configured({"lambda": 4})
    best = objective.rank(believed(candidates, objective, "model"), 1)[0]
    assert tuple(map(float, found["genome"].split(","))) == best.genome
    assert found["top1"] == pytest.approx(best.top1, abs=1e-3) and found["chosen_by"] == "model"
