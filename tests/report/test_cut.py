"""A disk that is full while tables, figures or the page are written: nothing cut is taken for finished."""

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.workflow.config import read_config
from pipeline.workflow.layout import Layout
from pipeline.workflow.saved_config import save_config
from pipeline.workflow.schema import ROOT
from tests.support.measured import ROWS, write_experiment

EARLIER = b"of an earlier run"


@contextmanager
def room_for(count: int) -> Iterator[None]:
    """Lets this process write no file of more bytes, as on a disk that is almost full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Python would cut off what it compiles of modules that are imported meanwhile, and fail to import them ever after.
    compiles, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        sys.dont_write_bytecode = compiles


def files(folder: Path) -> dict[str, bytes]:
    """The files of a folder, without seals."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".sha256"}


def refused(words: list[str], capsys) -> Path:
    """Calls a step that must fail for want of room. Returns the file that it could not write."""
    assert main(words) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: cannot write ") and said.endswith(": File too large\n")
    return Path(said.removeprefix("error: cannot write ").removesuffix(": File too large\n"))


@pytest.mark.parametrize(
    ("step", "there"), [("tables", False), ("tables", True), pytest.param("figures", True, marks=pytest.mark.slow)]
)
def test_a_table_or_figure_is_whole_or_not_there(tmp_path, capsys, step, there):
    words = [step, *write_experiment(tmp_path / "measured")[step], "--output-folder"]
    assert main([*words, str(tmp_path / "whole")]) == 0
    whole = files(tmp_path / "whole")
    cut = tmp_path / "cut"
    cut.mkdir()
    for name in whole if there else ():
        (cut / name).write_bytes(EARLIER)
    sizes = sorted(len(content) for content in whole.values())
    with room_for(sizes[len(sizes) // 2] - 1):
        missing = refused([*words, str(cut)], capsys)
    found = files(cut)
    assert found.pop(missing.name, EARLIER) == EARLIER
    assert found.keys() <= whole.keys()  # and so nothing half written under another name
    assert all(content in (whole[name], EARLIER) for name, content in found.items())


def test_a_page_is_whole_or_not_there(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    layout = Layout.of("measured")
    write_experiment(layout.folder)
    config = read_config([ROOT / "config.yaml"])
    rows = {name: {"genome": list(genome), "binary": binary} for name, (genome, binary, _) in ROWS.items()}
    save_config({**config, "experiment": "measured", "models": rows, "searches": {}}, layout)
    before = set(layout.folder.iterdir())
    with room_for(10_000):
        assert refused(["report", "measured"], capsys) == layout.report
    assert set(layout.folder.iterdir()) == before
    assert main(["report", "measured"]) == 0
    page = layout.report.read_bytes()
    with room_for(10_000):
        assert refused(["report", "measured"], capsys) == layout.report
    assert layout.report.read_bytes() == page and page.endswith(b"</html>")
