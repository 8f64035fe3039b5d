"""Completion in a shell, asked for as a shell asks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("argcomplete")


@pytest.mark.parametrize(
    ("line", "there", "missing"),
    [
        ("binary-nas re", {"report"}, {"retrain", "run"}),
        ("binary-nas report --exp", {"--experiments"}, {"--watch"}),
        ("binary-nas export --format ", {"packed"}, set()),
    ],
)
def test_what_a_shell_is_told(tmp_path: Path, line: str, there: set[str], missing: set[str]) -> None:
    answer = tmp_path / "answer"
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    asked |= {"_ARGCOMPLETE_STDOUT_FILENAME": str(answer), "COMP_TYPE": "9"}
    done = subprocess.run(
        [sys.executable, "-m", "pipeline"], env={**os.environ, **asked}, capture_output=True, text=True, timeout=120
    )
    found = {word.strip() for word in answer.read_text().splitlines()}
    assert there <= found and not missing & found, (found, done.stderr)
