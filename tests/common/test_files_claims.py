"""Late writers: outputs that another process completed stay."""

import shutil

from pipeline.__main__ import main
from pipeline.common.files import claim, write_text


def test_what_another_process_completed_stays(tmp_path):
    output = tmp_path / "out.txt"
    claim([output])
    late = tmp_path / "theirs.txt"
    late.write_text("theirs")
    late.replace(output)
    before = output.stat()
    write_text(output, "ours")
    assert output.read_text() == "theirs" and output.stat().st_mtime_ns == before.st_mtime_ns
    assert list(tmp_path.iterdir()) == [output]


def test_what_was_there_before_is_replaced_as_often_as_the_step_likes(tmp_path):
    output = tmp_path / "out.txt"
    output.write_text("of an earlier call")
    claim([output])
    for text in ("first", "second"):
        write_text(output, text)
        assert output.read_text() == text


def test_a_step_keeps_what_a_late_writer_left(prepared, tmp_path, monkeypatch):
    """The real step: while it reads its images, another process completes its outputs."""
    from pipeline.data import splits

    draw = splits.draw

    def slowly(*arguments):
        shutil.copy(prepared / "subset.csv", tmp_path / "subset.csv")
        return draw(*arguments)

    monkeypatch.setattr(splits, "draw", slowly)
    words = ["--images", prepared / "train.h5", "--validation-per-class", 9, "--subset-per-class", 9]
    files = ["--subset", tmp_path / "subset.csv", "--validation", tmp_path / "validation.csv"]
    assert main(["sample-subset", *map(str, [*words, *files])]) == 0
    assert (tmp_path / "subset.csv").read_bytes() == (prepared / "subset.csv").read_bytes()
    assert len((tmp_path / "validation.csv").read_text().splitlines()) == 1 + 90
