"""Early stopping in a workflow: who is stopped, by what stands in the tables, and what is made with it."""

from statistics import linear_regression

import pandas
import pytest

from tests.support.workflow import complete, overlay, planned, printed, resume

pytestmark = pytest.mark.slow

CHANGE = {
    "candidate": {"epochs": 12, "learning_rate": 0.1, "recalibrate": True},
    "search": {
        "early_stop_epochs": 11,  # so late that a score says what it will be, in any processor's arithmetic
        "early_stop_keep": 0.3,
        "generations": 3,
        "population": 6,
        "shards": 2,
        "finalists": 1,
    },
    "searches": {"B": None, "random": None},
    "models": {"found-A": None, "random-A": None, "found-B": None, "random-B": None, "best": {"search": "A"}},
    "proxy": {"sample": 2},
    "controls": [],
}


def test_a_search_of_two_shards_stops_what_its_tables_say(copied, tmp_path):
    config = overlay(tmp_path, CHANGE)
    complete(resume("--cores", 2, config=config), copied)
    folder = copied / "results" / "tiny" / "search" / "A"
    history = pandas.read_csv(folder / "history.csv")
    assert list(history.columns)[-1] == "partial_top1" and history["partial_top1"].notna().all()
    for number, scores in history.groupby("generation"):
        population = pandas.read_csv(folder / f"generation_{number:03d}" / "population.csv")
        needed = population["needed_top1"].fillna(0)
        assert (scores["status"].eq("ok").to_numpy() == (scores["partial_top1"].to_numpy() >= needed)).all()
        earlier = history[history["generation"] < number]
        ended = earlier[earlier["status"] == "ok"]
        if number and ended["partial_top1"].nunique() >= 3:
            line = linear_regression(ended["partial_top1"].to_list(), ended["top1"].to_list())
            assert line.slope > 0, "choose another seed: nothing is stopped"
            expected = (line.intercept + line.slope * earlier["partial_top1"]).clip(0, 100)
            worths = (expected - 4 * earlier["relative_flops"]).clip(lower=0)
            worst = worths.sort_values(ascending=False).iloc[-(-3 * len(worths) // 10) - 1]
            reach = line.intercept + line.slope * needed - 4 * population["relative_flops"]
            bound = (needed > 0) & (needed <= 100)
            assert reach[bound].to_list() == pytest.approx([worst] * bound.sum(), abs=2e-3)
    stopped = history["status"].eq("stopped")
    assert not stopped[history["generation"] == 0].any() and stopped.any()
    assert history.loc[stopped, "top1"].isna().all() and (history.loc[stopped, "fitness"] == 0).all()
    # Finalists and the sample are what the proxy's and the search's scores are compared with: trained to their end.
    others = [
        *copied.glob("results/tiny/finalists/best/evaluations_*.csv"),
        *copied.glob("results/tiny/proxy/scores_*.csv"),
    ]
    tables = [pandas.read_csv(path) for path in others if "timing" not in path.name]
    assert len(tables) == 2
    assert all(table["status"].eq("ok").all() and "partial_top1" not in table for table in tables)
    # Nothing is left to do; another share to keep proposes anew, and evaluates what it sends elsewhere.
    assert planned(copied, config=config) == {}
    assert "propose_generation" in planned(copied, "--config", "search={early_stop_keep: 0.5}", config=config)
    said = printed(copied, "status", "results/tiny").splitlines()
    heading = next(line for line in said if line.startswith("search"))
    row = next(line for line in said if line.startswith("A"))
    end = heading.index("stopped") + len("stopped")
    assert row[:end].split()[-1] == str(stopped.sum())
    listed = printed(copied, "archive", "results/tiny", "--status", "stopped")
    assert listed.count("stopped") >= stopped.sum()
