"""What the studies of searches on tables compute: that settings reach the searches, and what a front is worth."""

import numpy as np
import pytest

from benchmarks import choosing, search, search_settings
from pipeline.search.choice import believed
from pipeline.search.individual import Individual
from pipeline.search.objectives import configured
from pipeline.search.tabular import Table, read_table
from pipeline.search.tabular.run import true_worth


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return read_table(search.made_up(tmp_path_factory.mktemp("table") / "made-up.npz"))


@pytest.mark.parametrize("algorithm", search_settings.CHOICES)
def test_every_setting_reaches_the_search(table: Table, algorithm: str) -> None:
    objective = configured({"lambda": 4.0})
    for name, values in search_settings.CHOICES[algorithm].items():
        courses = set()
        for value in values:
            settings = {"population": 8, name: value}
            budget = (80 // settings["population"], settings["population"])
            found = search.searches(table, algorithm, objective, 2, budget, settings)
            courses.add(tuple(one.genome for history in found for generation in history for one in generation))
        assert len(courses) == len(values), name


def test_a_front_is_worth_its_qualities_not_its_scores(table: Table) -> None:
    cheap, dear = (int(place) for place in (table.costs.argmin(), table.costs.argmax()))
    ends = [[table.individual(table.genomes[place]) for place in (cheap, dear)]]
    (found,) = search.volumes(table, [ends])
    assert found == pytest.approx(table.quality[cheap] * (1 - table.costs[cheap] / table.costs[dear]))
    # A worse one that is dearer adds nothing; an unscored one counts for nothing.
    worse = Individual(table.genomes[dear], 0.0, float(table.costs[dear]))
    assert search.volumes(table, [[[ends[0][0], worse, worse._replace(top1=None)]]]) == [found]


def test_a_choice_by_the_model_is_the_best_of_what_is_believed_so_far(table: Table) -> None:
    objective = configured({"lambda": 4.0})
    found = search.searches(table, "random", objective, 3, (3, 16))
    by_score, by_model = (choosing.courses(table, found, objective, chosen_by) for chosen_by in ("score", "model"))
    assert by_score.shape == by_model.shape == (3, choosing.PARTS)
    # As the study of algorithms has it, after 6, 12, … 48 evaluations.
    assert by_score == pytest.approx(search.courses(table, found, objective)[:, 5::6])
    assert (by_model[:, 0] == by_score[:, 0]).all(), "a model needs two scores for each gene"
    assert (by_model != by_score).any()
    history = [one for generation in found[0] for one in generation]
    best = objective.rank(believed(history, objective, "model"), 1)[0]
    assert by_model[0, -1] == true_worth(table, best, objective)


def test_one_score_is_not_counted_twice(table: Table) -> None:
    """The tables that come with the project hold a sample's first scores in two columns."""
    assert search.scorings(table).shape[1] == table.scores.shape[1]
    kept = search.scorings(read_table(search.find_table("digits-4096")))
    both = ~np.isnan(kept).any(axis=1)
    assert kept.shape[1] == 2 and both.sum() == 200 and (kept[both, 0] != kept[both, 1]).mean() > 0.9
    assert "mean of 2 scores" in search.judges(read_table(search.find_table("digits-4096")))


def test_settings_are_chosen_on_one_table_and_judged_on_the_other(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = read_table(search.find_table("digits-4096"))
    asked = []

    def ends(on: Table, algorithm: str, settings: dict[str, int], *_: object) -> list[float]:
        asked.append((on is table, settings["population"]))
        best = 8 if on is table else 32
        return (100.0 - abs(settings["population"] - best) + np.arange(3)).tolist()

    monkeypatch.setattr(search_settings, "ends", ends)
    row = search_settings.study(table, other, "local_search", 4.0, 3, 32)
    assert row[2] == "population 8" and row[4:] == ["+8.00 ± 0.00", "-8.00 ± 0.00"]
    assert {population for studied, population in asked if studied} == {4, 8, 16, 32}
    assert [population for studied, population in asked if not studied] == [8, 16]
