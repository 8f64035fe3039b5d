"""The table tells if its trainings were not all computed in the same way."""

from pipeline.__main__ import main
from pipeline.common.files import read_csv, read_json, write_csv, write_json
from pipeline.search.tables import TIMINGS
from tests.support.measured import write_experiment

OURS, THEIRS = "cpu float32, compiled kernels, EPYC, torch 2.14", "cpu float32, compiled kernels, Xeon, torch 2.11"


def table(folder, flags) -> str:
    assert main(["tables", *flags["tables"], "--output-folder", str(folder / "tables")]) == 0
    return (folder / "tables" / "results.md").read_text()


def test_one_kind_and_older_results_are_not_mentioned(tmp_path):
    flags = write_experiment(tmp_path)
    plain = table(tmp_path, flags)
    for timing in tmp_path.glob("retrain/*/*/timing.json"):
        write_json(timing, {**read_json(timing), "arithmetic": [OURS]})
    assert table(tmp_path, flags) == plain


def test_a_training_that_went_on_elsewhere_and_reused_candidates_are_told(tmp_path):
    flags = write_experiment(tmp_path)
    first, *others = sorted(tmp_path.glob("retrain/*/*/timing.json"))
    for timing in others:
        write_json(timing, {**read_json(timing), "arithmetic": [OURS]})
    write_json(first, {**read_json(first), "arithmetic": [OURS, THEIRS]})
    times = tmp_path / "search" / "A" / "timing.csv"
    columns = ("generation", *TIMINGS)
    rows = [{**row, "arithmetic": THEIRS if i else ""} for i, row in enumerate(read_csv(times, ()))]
    write_csv(times, columns, rows)
    text = table(tmp_path, flags)
    assert "Not all of this was computed in the same way" in text
    assert f"- {OURS}: {len(others) + 1} trainings, 0 candidates" in text
    assert f"- {THEIRS}: 1 training, 3 candidates" in text
