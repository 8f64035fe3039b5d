"""Choosing by a model in a workflow: what it reads, what is found, and what runs again."""

import json

import pandas
import pytest

from pipeline.search.choice import believed
from pipeline.search.individual import Individual
from pipeline.search.objectives import configured
from tests.support.workflow import complete, overlay, planned, resume

pytestmark = pytest.mark.slow

#: Candidates learn enough for their scores to differ, and cost nothing.
LEARNT = {
    "candidate": {"epochs": 4, "learning_rate": 0.1, "recalibrate": True},
    "searches": {"A": {"algorithm": "evolution", "lambda": 0, "seeds": 1}},
}
SEARCH = {"generations": 3, "finalists": 0}
FOUND = "results/tiny/finalists/found-A/found.json"
FINALISTS = "results/tiny/finalists/found-A/population.csv"


def test_what_a_model_of_all_scores_expects_most_of_is_found(copied, tmp_path):
    by_score = overlay(tmp_path, {**LEARNT, "search": SEARCH})
    complete(resume("--cores", 2, "results/tiny/search/A/best.json", config=by_score), copied)
    (tmp_path / "model").mkdir()
    by_model = overlay(tmp_path / "model", {**LEARNT, "search": {**SEARCH, "chosen_by": "model"}})
    assert planned(copied, FOUND, config=by_model) == {"select_found": 1}, "the search itself is the same"
    assert "select_found" in planned(copied, config=by_model), "rows are trained by it"
    assert "select_found" not in planned(copied, config=by_score), "of one run the best score is what was found"
    complete(resume("--cores", 2, FOUND, config=by_model), copied)
    found = json.loads((copied / FOUND).read_text())
    history = pandas.read_csv(copied / "results" / "tiny" / "search" / "A" / "history.csv")
    scored = history[history["status"] == "ok"]
    candidates = [
        Individual(tuple(map(float, genome.split(","))), top1, cost)
        for genome, top1, cost in zip(scored["genome"], scored["top1"], scored["relative_flops"], strict=True)
    ]
    objective = configured({"lambda": 0})
    best, *others = objective.rank(believed(candidates, objective, "model"))
    assert tuple(map(float, found["genome"].split(","))) == best.genome
    # Finalists are chosen in the same way.
    (tmp_path / "finalists").mkdir()
    anew = overlay(
        tmp_path / "finalists",
        {**LEARNT, "search": {**SEARCH, "finalists": 12, "chosen_by": "model"}},
    )
    complete(resume("--cores", 2, FINALISTS, config=anew), copied)
    genomes = pandas.read_csv(copied / FINALISTS)["genome"]
    assert [tuple(map(float, genome.split(","))) for genome in genomes] == [one.genome for one in (best, *others)]
    by_their_scores = [one.genome for one in objective.rank(candidates)]
    assert by_their_scores != [one.genome for one in (best, *others)], "scores rank them otherwise"
    assert found["top1"] == pytest.approx(best.top1, abs=1e-3) and found["chosen_by"] == "model"
