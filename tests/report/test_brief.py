"""What of the results is shown at the end of a run."""

from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.report.brief import brief
from pipeline.steps.run import _show
from pipeline.workflow.layout import Layout
from tests.support.measured import write_experiment


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "results" / "mine")
    words = write_experiment(layout.folder)["tables"]
    wide = ["--cost-width", "1"]
    assert main(["tables", *words, *wide, "--output-folder", str(layout.tables.results.parent)]) == 0
    return layout


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_a_run_ends_with_the_table_the_verdicts_and_where_the_rest_is(layout, capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    _show(layout)
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    header = next(line for line in lines if line.startswith("model"))
    assert "VERDICT" in lines and "- found-A (evolution" in shown
    for other in ("PARETO", "Hypervolume", "PROXY", "BY CLASS", "worst on"):
        assert other not in shown
    results = layout.tables.results
    assert lines[-3:] == [
        f"Report: {layout.report}",
        f"Tables: {results} (also: Pareto fronts, Proxy, By class)",
        f"Figures: {layout.figures}",
    ]
    assert len(lines) < 40
    notes = {"speedup": "The speedup is theoretical", "memory": "Memory: weights", "trained": "'as trained' is"}
    plain = " ".join(shown.split())
    for column, note in notes.items():
        assert (column in header) == (note in plain), column
    assert ("speedup" in header) == (columns > 80) and ("trained" in header) == (columns == 200)
    assert "FLOPs: millions of" in plain and "Accuracy: on the test set" in plain and "Costs are counted at" in plain
    assert "Holm" not in plain, "results.md says more of how it was judged"


def test_a_warning_behind_everything_else_is_kept(layout):
    text = layout.tables.results.read_text() + "\n**Not of one kind.** Digits differ.\n\n- one: 2 trainings\n"
    shown, others = brief(text, lambda table: ["model"])
    assert shown.endswith("**Not of one kind.** Digits differ.\n\n- one: 2 trainings\n") and "By class" in others
    assert "worst on" not in shown
