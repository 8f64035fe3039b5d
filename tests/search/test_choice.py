"""By what a search's network is chosen: scores as they are, or what a model makes of all of them."""

import numpy as np
import pytest

from pipeline.common.errors import UserError
from pipeline.search.choice import believed
from pipeline.search.finalists import choose_finalists, select_found
from pipeline.search.individual import Individual
from pipeline.search.objectives import configured
from pipeline.search.tables import Scored, read_best, write_best

PLAIN, EQ4 = configured({"lambda": 0}), configured({"lambda": 4})
#: Accuracy rises with the first of two genes; the third of these had luck, which its neighbours have not.
GENOMES = [(first, second) for first in (0.25, 0.5, 1.0, 2.0, 4.0) for second in (0.5, 1.0, 2.0)]
LUCKY = (0.5, 1.0)
SCORED = [
    Individual(genome, 80.0 + 2 * float(np.log2(genome[0])) + (12 if genome == LUCKY else 0.1 * place % 0.3), genome[0])
    for place, genome in enumerate(GENOMES)
]
RUNS = {
    run: [Scored(one, place, 0) for place, one in enumerate(SCORED) if place % 2 == number]
    for number, run in enumerate(("A-0", "A-1"))
}


def test_scores_are_taken_as_they_are():
    assert believed(SCORED, PLAIN, "score") == SCORED
    assert believed([], PLAIN, "model") == []


def test_a_model_does_not_believe_luck():
    ranked = believed(SCORED, PLAIN, "model")
    assert [(one.genome, one.relative_cost) for one in ranked] == [(one.genome, one.relative_cost) for one in SCORED]
    lucky = next(one for one in ranked if one.genome == LUCKY)
    assert lucky.top1 < next(one.top1 for one in SCORED if one.genome == LUCKY) - 4
    assert all(0 <= one.top1 <= 100 and one.top1 == round(one.top1, 4) for one in ranked)


def test_what_is_found_is_the_best_by_the_model_of_all_runs():
    by_score, by_model = select_found("A", RUNS, PLAIN, 15), select_found("A", RUNS, PLAIN, 15, chosen_by="model")
    assert by_score.genome == LUCKY and by_score.selected is None
    best = PLAIN.rank(believed([one.individual for scored in RUNS.values() for one in scored], PLAIN, "model"), 1)[0]
    assert by_model.genome == best.genome != LUCKY
    assert by_model.top1 == by_model.fitness == pytest.approx(best.top1, abs=0.01)
    own = next(one for one in SCORED if one.genome == best.genome)
    assert by_model.selected == pytest.approx(own.top1)
    # What each run reached is told by its scores, so that runs compare.
    assert [run.genome for run in by_model.runs] == [run.genome for run in by_score.runs]


def test_the_objective_is_of_what_is_believed():
    dear = select_found("A", RUNS, PLAIN, 15, chosen_by="model").genome
    cheap = select_found("A", RUNS, configured({"lambda": 16}), 15, chosen_by="model").genome
    assert cheap[0] < dear[0]
    asked = configured({"objective": "cheapest", "min_top1": 81})
    assert select_found("A", RUNS, asked, 15).genome == LUCKY
    found = select_found("A", RUNS, asked, 15, chosen_by="model")
    assert found.genome != LUCKY and found.top1 >= 81


def test_finalists_by_the_model_and_each_runs_best_by_its_score():
    by_score, by_model = (choose_finalists(RUNS, PLAIN, 2, chosen_by) for chosen_by in ("score", "model"))
    assert by_score[0] == LUCKY and LUCKY not in by_model[:2]
    assert LUCKY in by_model, "the best score of its run"
    anew = [{genome: 80.0 + place for place, genome in enumerate(by_model)}]
    found = select_found("A", RUNS, PLAIN, 15, anew, chosen_by="model")
    assert (found.genome, found.rescorings, found.chosen_by) == (by_model[-1], 1, "model")


def test_too_few_scores_for_a_model():
    with pytest.raises(UserError, match=r"a model of 3 scores was asked for \(search.chosen_by\), but it needs 4"):
        believed(SCORED[:3], PLAIN, "model")
    assert len(believed(SCORED[:4], PLAIN, "model")) == 4


def test_it_is_written_and_read(tmp_path):
    for chosen_by in ("score", "model"):
        best = select_found("A", RUNS, EQ4, 15, chosen_by=chosen_by)
        write_best(tmp_path / "b.json", best)
        assert read_best(tmp_path / "b.json") == best
        assert ("chosen_by" in (tmp_path / "b.json").read_text()) == (chosen_by == "model")
