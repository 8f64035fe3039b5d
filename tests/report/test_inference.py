"""The table of measured inference."""

from dataclasses import replace

from pipeline.report.inference import (
    MeasuredInference,
    agreement_sentences,
    inference_grid,
    inference_markdown,
    inference_table,
)

ROWS = [
    MeasuredInference("full precision 1x", "torch", [8.0, 4.0, 6.0]),
    MeasuredInference("full precision 1x", "ONNX Runtime", [4.0, 2.0, 3.0]),
    MeasuredInference("found", "runtime, avx2", [0.5, 0.5, 0.3], 2048, 46.1, (719, 719)),
    MeasuredInference("other", "", [], 1024, 3.0),
]


def test_medians_and_the_ratio_of_the_same_round() -> None:
    torch, onnx, found, other = inference_table(ROWS, 1, "a machine")
    assert (torch["milliseconds"], torch["least_milliseconds"], torch["most_milliseconds"]) == (6.0, 4.0, 8.0)
    assert torch["speedup_measured"] == 0.5 and onnx["speedup_measured"] == 1.0
    assert found["milliseconds"] == 0.5
    assert found["speedup_measured"] == 8.0, "ratios 8, 4 and 10 over the fastest, round by round"
    assert other["milliseconds"] is None and other["speedup_measured"] is None and other["speedup_theoretical"] == 3.0


def test_a_full_precision_row_that_is_faster_is_what_speedups_are_over() -> None:
    packed = MeasuredInference("full-precision", "runtime, avx2", [1.0, 1.0, 0.6], 9000, 1.0)
    *_, row, found, _ = inference_table([*ROWS[:2], packed, *ROWS[2:]], 1, "a machine")
    assert row["speedup_measured"] == 1.0 and found["speedup_measured"] == 2.0
    text = " ".join(inference_markdown([*ROWS[:2], packed, *ROWS[2:]], 1, "a machine", 3).split())
    assert "(runtime, avx2)" in text and "of the networks as they were trained, which may be narrower" in text


def test_cells_as_text() -> None:
    grid = inference_grid(inference_table(ROWS, 1, "a machine"))
    # Beside what was measured stands what is counted of the same network, and not of the published width.
    assert "speedup (theoretical, as trained)" in grid.headers
    lines = grid.lines
    found = ["found", "runtime, avx2", "2,048", "0.5000", "0.3000", "0.5000", "6.0 to 8.0×", "46.1×", "719 of 719"]
    assert lines[2] == found
    assert lines[3] == ["other", "", "1,024", "", "", "", "", "3.0×", ""]
    steady = [*ROWS[:2], replace(ROWS[2], milliseconds=[0.5, 0.25, 0.4]), ROWS[3]]
    assert inference_grid(inference_table(steady, 1, "a machine")).lines[2][6] == "8.0×"


def test_a_speedup_that_the_milliseconds_contradict_is_not_given_without_a_word() -> None:
    """As under another program's load, in whose rounds now one and now the other is slow."""
    full = MeasuredInference("full precision 1x", "torch", [0.0234, 0.0120, 0.0250])
    row = MeasuredInference("found-A", "runtime, avx2", [0.0138, 0.0071, 0.0087], 2048, 46.1)
    lines = inference_table([full, row], 1, "a machine")
    assert [line["milliseconds"] for line in lines] == [0.0234, 0.0087] and lines[1]["speedup_measured"] == 1.696
    assert inference_grid(lines).lines[1][6] == "1.7 to 2.7×"
    text = " ".join(inference_markdown([full, row], 1, "a machine", 3).split())
    assert "The machine was BUSY: of found-A, the ratio of" in text and "Measure again" in text
    assert "BUSY" not in inference_markdown([full, replace(row, milliseconds=[0.01, 0.005, 0.01])], 1, "a machine", 3)


def test_answers_that_differ_are_told() -> None:
    assert agreement_sentences([replace(row, agreeing=None) for row in ROWS]) == []
    assert agreement_sentences(ROWS)[0].startswith("Every packed network gives each test image the class")
    other = replace(ROWS[3], agreeing=(717, 719))
    assert "NOT every packed network" in agreement_sentences([*ROWS, other])[0]
    assert "other (2 of 719)" in agreement_sentences([*ROWS, other])[0]
