"""What a terminal gets to see of names that come from anywhere."""

import pytest

from pipeline.common.errors import UserError
from pipeline.common.text import counted, printable


@pytest.mark.parametrize("name", ["größer", "猫", "a b", "-x", "{braces}", "~"])
def test_names_stay_as_they_are(name):
    assert printable(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\x1b[2Jcat", r"\x1b[2Jcat"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("cat\n", r"cat\n"),
        ("cat\rdog", r"cat\rdog"),
        ("\u202egpj.tac", r"\u202egpj.tac"),
        ("\u2028", r"\u2028"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), r"caf\xe9"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_instead(name, shown):
    assert printable(name) == shown
    assert str(UserError(f"there is no {name}", name)) == f"there is no {shown}: {shown}"
    shown.encode()


def test_one_is_no_plural():
    assert [counted(n, "candidate") for n in (0, 1, 2)] == ["0 candidates", "1 candidate", "2 candidates"]
    assert counted(2, "child", "children") == "2 children"
