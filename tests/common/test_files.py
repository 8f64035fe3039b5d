"""Files: what is read is what was written, a spreadsheet runs none of it, and nothing but a file is replaced."""

import os

import pytest

from pipeline.common.errors import UserError
from pipeline.common.files import read_csv, read_json, write_csv, write_text

#: Begin with what a spreadsheet takes for a formula.
FORMULAS = ['=HYPERLINK("http://example.org")', "+1+1", "-cmd", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''-x"]
PLAIN = ["cat", "", "'cat'", "-1.5", "+3", "größer", b"caf\xe9".decode("utf-8", "surrogateescape"), 'a"b,c\nd']


@pytest.mark.parametrize("name", FORMULAS + PLAIN)
def test_a_name_is_read_as_it_was_written(tmp_path, name):
    write_csv(tmp_path / "t.csv", ("class", "label"), [{"class": name, "label": -1}])
    assert read_csv(tmp_path / "t.csv", ("class",)) == [{"class": name, "label": "-1"}]


@pytest.mark.parametrize("name", FORMULAS)
def test_no_cell_is_a_formula(tmp_path, name):
    write_csv(tmp_path / "t.csv", ("class",), [{"class": name}])
    cell = (tmp_path / "t.csv").read_text().split("\n", 1)[1].lstrip('"')
    assert cell[0] == "'"


def test_records_nested_too_deep(tmp_path):
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match="deep.json is no record"):
        read_json(tmp_path / "deep.json")


@pytest.mark.parametrize("link", [False, True])
def test_what_is_no_file_is_not_replaced_by_one(tmp_path, link):
    """Such as /dev/null, which root may replace."""
    pipe = path = tmp_path / "pipe"
    os.mkfifo(pipe)
    if link:
        path = tmp_path / "link"
        path.symlink_to(pipe)
    for write in (lambda: write_text(path, "text"), lambda: write_csv(path, ("a",), [{"a": 1}])):
        with pytest.raises(UserError, match=f"{path} is a device or a pipe"):
            write()
    assert pipe.is_fifo()
    assert {entry.name for entry in tmp_path.iterdir()} == {pipe.name, path.name}
