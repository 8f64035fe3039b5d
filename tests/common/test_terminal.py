"""Tables and texts in the width that is there."""

import pytest

from pipeline.common.log import log
from pipeline.common.terminal import complain, draw, draw_markdown, width

HEADER = ("name", "genome", "top-1 %", "memory", "key")
ROWS = [
    ("found-A", "1,3,2,4,2,1", "90.68", "11.6 KiB", "0123456789abcdef" * 2),
    ("b\x1b[2J", "all 1", "7", "1 KiB", "x"),
]


def test_what_fits_is_shown_whole():
    lines = draw(HEADER, ROWS, left={"genome", "key"}, columns=120).splitlines()
    assert lines[0].split() == ["name", "genome", "top-1", "%", "memory", "key"]
    assert set(lines[1]) == {"─"}
    assert lines[2].split() == ["found-A", "1,3,2,4,2,1", "90.68", "11.6", "KiB", "0123456789abcdef" * 2]
    assert lines[2].index("90.68") + 4 == lines[3].index("7"), "numbers end below each other"
    assert "\x1b" not in lines[3] and r"b\x1b[2J" in lines[3]


def test_what_stands_beside_a_spare_column_goes_with_it():
    """Two columns of one name would be taken for figures of what is left before them."""
    header, row = ["row", "FLOPs", "published", "Mbit", "published", "top-1", "published"], ["a", *"123456"]
    first, _, line = draw(header, [row], spare=("Mbit",), columns=45).splitlines()
    assert first.split() == ["row", "FLOPs", "published", "top-1", "published"] and line.split() == ["a", *"1256"]


def test_spare_columns_make_room():
    for columns, shown in (80, 5), (70, 4), (40, 3):
        lines = draw(HEADER, ROWS, left={"genome"}, spare=("key", "memory"), columns=columns).splitlines()
        assert max(map(len, lines)) <= columns
        assert len(lines) == 4 and sum(name in lines[0] for name in HEADER) == shown
    assert max(map(len, draw(HEADER, ROWS, columns=40).splitlines())) <= 40, "what is left is broken"


def test_names_of_lines_are_broken_last():
    rows = [("uniform-iso-A", "1,1,1,1,1.0625,1.0625", "15.72 ± 1.77"), ("found-A", "all 1", "18.15 ± 1.48")]
    lines = draw(("model", "genome", "top-1 %"), rows, left={"genome"}, columns=40).splitlines()
    assert max(map(len, lines)) <= 40 and any(line.startswith("uniform-iso-A ") for line in lines)


@pytest.mark.parametrize("columns", range(48, 100, 3))
def test_genomes_are_broken_behind_commas_alone(columns):
    genome = "1.625,1.625,1.688,1.688,1.719,12.5"
    rows = [("full-precision", "37.84", "98.50 ± 0.31", "all 1"), ("uniform-iso-A", "1.803", "90.89 ± 1.54", genome)]
    header = ("model", "FLOPs (M)", "top-1 %", "genome")
    lines = draw(header, rows, columns=columns).splitlines()
    assert max(map(len, lines)) <= columns
    pieces = [line.split()[-1] for line in lines[2:] if "," in line or line.strip() == "12.5"]
    assert "".join(pieces) == genome and all(piece.endswith(",") for piece in pieces[:-1])


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_numbers_of_thousands_are_no_genomes(columns):
    rows = [("found-A", "runtime, avx512", "13,573", "0.0111", "7.5×"), ("two", "runtime", "1,135,753", "2.22", "1.3×")]
    header = ("model", "engine", "bytes", "ms", "speedup (theoretical, of networks as they were trained)")
    lines = draw(header, rows, left={"engine"}, columns=columns).splitlines()
    assert max(map(len, lines)) <= columns
    assert any(" 13,573 " in line for line in lines) and any(" 1,135,753 " in line for line in lines)


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 120])
def test_no_letter_is_lost_however_long_names_of_lines_are(columns):
    header = ("the paper's claim", "networks", "the paper", "here")
    claim = ("a searched network comes close to full precision", "VGG-Auto-B to Full-precision")
    rows = [(*claim, "−0.42 points at 0.10 times the FLOPs", "no difference seen (−1.5 to 12.3 points); 2 seeds")]
    lines = draw(header, rows, left=header, columns=columns).splitlines()
    assert max(map(len, lines)) <= columns
    shown = "".join(lines).replace("─", "").replace(" ", "")
    assert sorted(shown) == sorted("".join(header + rows[0]).replace(" ", ""))


def test_a_line_above_sums():
    lines = draw(("a",), [("1",), ("2",), ("3",)], columns=40, rule_above_last=True).splitlines()
    assert [line.strip("─") for line in lines] == ["a", "", "1", "2", "", "3"]


TEXT = """# Results

| model   |  FLOPs | top-5 % |
| ------- | -----: | ------: |
| found-A | 0.0169 |   99.91 |

A paragraph that is *longer* than a
narrow screen, which it has to fit into whatever it says.

- **found-A** (evolution)
  - An item within an item that is so long that it must go on below.
"""


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_markdown_is_drawn(columns):
    text = draw_markdown(TEXT, columns=columns, spare=("top-5 %",))
    lines = text.splitlines()
    assert max(map(len, lines)) <= columns and lines[0] == "RESULTS"
    assert "|" not in text and "**" not in text and "found-A" in text
    at = next(number for number, line in enumerate(lines) if line.startswith("  - An item"))
    assert columns > 60 or lines[at + 1].startswith("    ")


def test_what_is_wrong_fits_a_terminal_and_is_one_line_in_a_file(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    text = "error: " + "a sentence that goes on and on " * 5 + "/" + 90 * "p"
    complain(text)
    assert capsys.readouterr().err == text + "\n"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    complain(text)
    *lines, path = capsys.readouterr().err.splitlines()
    assert max(map(len, lines)) <= 80 and path == "/" + 90 * "p", "what is copied from a screen is not cut"
    assert " ".join([*lines, path]) == text


def test_log_lines_on_a_terminal_go_on_below_their_text(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    log(20 * "many words ")
    assert len(capsys.readouterr().err.splitlines()) == 1
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    log(20 * "many words ")
    first, *others = capsys.readouterr().err.splitlines()
    assert len(first) <= 80 and others and all(line[:22].strip() in ("m", "w") for line in others)


def test_the_width_is_the_terminals(monkeypatch):
    monkeypatch.setenv("COLUMNS", "73")
    assert width() == 73
    monkeypatch.setenv("COLUMNS", "1")
    assert width() == 40
