"""A table that was changed or cut after it was written is noticed; writing it again is no damage."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.common.errors import UserError
from pipeline.common.files import read_csv, read_record, write_csv, write_record
from tests.support.tables import forget_seals

ROWS = [{"slot": i, "top1": 90.0 + i} for i in range(3)]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "scores.csv"
    write_csv(path, ("slot", "top1"), ROWS)
    return path


def test_what_was_written_is_read(table):
    assert [row["top1"] for row in read_csv(table, ("slot",))] == ["90.0", "91.0", "92.0"]


@pytest.mark.parametrize("change", [lambda text: text[: text.rindex("2,")], lambda text: text.replace("90.0", "99.0")])
def test_a_change_is_noticed_unless_the_version_left_no_digest(table, change):
    table.write_text(change(table.read_text()))
    with pytest.raises(UserError, match=r"scores.csv was changed after it was written: .*delete it"):
        read_csv(table, ("slot",))
    forget_seals(table.parent)
    assert read_csv(table, ("slot",))


def test_writing_again_is_no_damage_whatever_stays(table):
    before = table.read_text()
    write_csv(table, ("slot", "top1"), ROWS[:1])
    assert len(read_csv(table, ())) == 1
    write_csv(table, ("slot", "top1"), ROWS[:1])
    table.write_text(before)  # as if another job's file had stayed
    assert len(read_csv(table, ())) == 3
    [seals] = table.parent.glob(".*.sha256")
    assert len(seals.read_text().split()) == 2


def test_a_copy_by_hard_links_is_not_written_along(table):
    copy = table.parent / "copy"
    shutil.copytree(table.parent, copy, copy_function=os.link)
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    write_csv(table, ("slot", "top1"), ROWS[:1])
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before and len(before) == 2


def test_an_exchanged_table_is_noticed_though_its_seal_came_along(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one, other = (Path(f"results/tiny/search/{search}/generation_000/scores.csv") for search in "AB")
    for path, rows in ((one, ROWS), (other, ROWS[:2])):
        write_csv(path, ("slot", "top1"), rows)
    shutil.copytree(one.parent, other.parent, dirs_exist_ok=True)
    said = (
        r"^results/tiny/search/B/.*scores.csv was written as search/A/generation_000/scores.csv, and is none of its own"
    )
    with pytest.raises(UserError, match=f"{said}: .*delete it"):
        read_csv(other, ())
    # Equal tables are no exchange, and an experiment may be called otherwise or be looked at from elsewhere.
    write_csv(other, ("slot", "top1"), ROWS)
    assert read_csv(other, ()) == read_csv(one, ())
    Path("results/tiny").rename("results/another")
    monkeypatch.chdir(tmp_path / "results")
    assert read_csv(Path("another/search/A/generation_000/scores.csv"), ())
    # What lies in no experiment may lie anywhere.
    write_csv(tmp_path / "mine.csv", ("slot", "top1"), ROWS)
    for name in ("mine.csv", ".mine.csv.sha256"):
        (tmp_path / name).rename(tmp_path / name.replace("mine", "yours"))
    assert read_csv(tmp_path / "yours.csv", ())


def test_an_exchanged_record_is_noticed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one, other = (Path(f"results/tiny/evaluation/{row}/seed_0.json") for row in ("uniform-iso-A", "first-iso-A"))
    for path, top1 in ((one, 90.0), (other, 80.0)):
        write_record(path, {"top1": top1})
    assert read_record(one) == {"top1": 90.0} == read_record(one.absolute())
    other.write_bytes(one.read_bytes())
    with pytest.raises(
        UserError, match=r"seed_0.json was written as evaluation/uniform-iso-A/seed_0.json, and is none"
    ):
        read_record(other)


def test_a_line_that_was_cut_spoils_no_other(table):
    [seals] = table.parent.glob(".*.sha256")
    seals.write_text(seals.read_text() + "0123")
    write_csv(table, ("slot", "top1"), ROWS[:2])
    assert len(read_csv(table, ())) == 2


def test_jobs_that_write_the_same_table_at_once_leave_a_good_one(tmp_path):
    program = (
        "import sys; from pathlib import Path; from pipeline.common.files import write_csv\n"
        "for i in range(100): write_csv(Path(sys.argv[1]), ('a',), [{'a': f'{sys.argv[2]} {i}'}])"
    )
    path = tmp_path / "t.csv"
    jobs = [subprocess.Popen([sys.executable, "-c", program, str(path), str(job)]) for job in range(2)]
    assert [job.wait() for job in jobs] == [0, 0]
    assert read_csv(path, ("a",))[0]["a"].endswith(" 99")


def test_a_record_that_was_edited_is_noticed(tmp_path):
    path = tmp_path / "best.json"
    write_record(path, {"top1": 91.5, "genome": "1,1"})
    assert read_record(path) == {"top1": 91.5, "genome": "1,1"}
    path.write_text(path.read_text().replace("91.5", "100.0"))
    with pytest.raises(UserError, match="changed after it was written"):
        read_record(path)
    path.write_text('{"top1": 91.5}')
    assert read_record(path) == {"top1": 91.5}, "of an older version"
