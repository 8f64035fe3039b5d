"""What commands print fits a terminal of 80 columns."""

import pytest

from pipeline.__main__ import main
from tests.support.mid_search import folder, made  # noqa: F401 - fixtures


@pytest.mark.parametrize(
    ("command", "shows"),
    [
        ("cost", "conv1"),
        ("cost --network resnet18 --genome 2", "ResNet-18"),
        ("check", "experiment 'digits'"),
        ("search --table digits-4096 --seeds 2 --generations 2", "evaluations"),
        ("archive exp", "settings"),
        ("archive exp --check", "entries checked"),
        ("status exp", "search"),
    ],
)
def test_every_line_fits(command, shows, folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(command.split()) == 0
    text = capsys.readouterr().out
    assert shows in text
    assert [line for line in text.splitlines() if len(line) > 80] == []
