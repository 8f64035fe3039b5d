"""Files that stand for far more than they hold are told in a sentence, at once and in little memory."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.common.errors import UserError
from pipeline.common.yaml_text import DEEPEST, LARGEST, check_values, parse_yaml, read_yaml

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
MERGES = "m0: &m0 {k: 1}\n" + "".join(f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}]}}\n" for n in range(1, 12))
BOMBS = [
    (LAUGHS, "more than 50,000 values"),
    (MERGES, "more than 50,000 values"),
    ("a: " + "[" * 200_000, "levels deep|no valid YAML"),
    ("a: " + "{a: " * 100_000, "levels deep|no valid YAML"),
    ("".join("  " * depth + "a:\n" for depth in range(600)), "levels deep"),
    ("a: &a [*a]\n", r"\*a stands within itself"),
    ("a: &a {b: {c: *a}}\n", r"\*a stands within itself"),
    ("a: {<<: &a {b: *a}}\n", r"\*a stands within itself"),
    (f"retrain: {{epochs: {'9' * 5000}}}\n", "no valid YAML"),
    (f"retrain: {{epochs: {'9' * 4000}}}\n", "retrain.epochs is an integer of more than 64 bits"),
    (f"retrain: {{epochs: 0x{'f' * 100_000}}}\n", "retrain.epochs is an integer of more than 64 bits"),
    (f"retrain: {{epochs: 0b{'1' * 100_000}}}\n", "retrain.epochs is an integer of more than 64 bits"),
    ("date: 2026-13-45\n", "no valid YAML"),
    ("x" * 600_000, "more than 500,000 characters"),
    ("[" + "1, " * 100_000 + "1]", "more than 50,000 values"),
    ("{" + ", ".join(f"k{n}: 1" for n in range(40_000)) + "}", "more than 50,000 values"),
    ("a: 1\0", "no valid YAML"),
    ("a: !!python/object/apply:os.system [ls]\n", "no valid YAML"),
]
#: Runs in a process of its own, which may take 200 MB beyond what the imports take, and a second of the processor.
LIMITED = """
import resource, sys
from pathlib import Path
from pipeline.common.errors import UserError
from pipeline.workflow.config import read_config
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 200_000_000,) * 2)
for path in sys.argv[1:]:
    before = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    try:
        read_config([Path(path)])
    except UserError as error:
        assert len(str(error)) < 500 and "\\n" not in str(error), str(error)
    else:
        raise AssertionError(path)
    print(path, sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - before)
"""


@pytest.mark.parametrize(("text", "sentence"), BOMBS, ids=range(len(BOMBS)))
def test_a_bomb_is_told_in_a_sentence(text, sentence):
    with pytest.raises(UserError, match=sentence) as caught:
        parse_yaml(text, "mine.yaml")
    assert len(str(caught.value)) < 500


def test_bombs_take_no_more_than_a_second_and_200_megabytes(tmp_path):
    paths = []
    for number, (text, _) in enumerate(BOMBS):
        paths.append(tmp_path / f"bomb_{number}.yaml")
        paths[-1].write_text(text)
    done = subprocess.run([sys.executable, "-c", LIMITED, *map(str, paths)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    seconds = [float(line.rpartition(" ")[2]) for line in done.stdout.splitlines()]
    assert len(seconds) == len(BOMBS)
    assert max(seconds) < 1.0, seconds  # of processor time, however busy the machine is


def test_values_that_snakemake_has_read():
    itself: dict = {}
    itself["a"] = [itself]
    many: list = ["x"] * 9
    for _ in range(12):
        many = [many] * 9
    deep: list = []
    for _ in range(DEEPEST + 5):
        deep = [deep]
    for value in (itself, {"a": many}, {"a": deep}, {"a": 10**5000}, {"a": [LARGEST + 1]}):
        with pytest.raises(UserError):
            check_values(value, "the configuration")
    check_values({"a": [LARGEST, -LARGEST, True, None, 1.5, "x"]}, "the configuration")


@pytest.mark.parametrize(("number", "taken"), [("010", 8), ("-0017", -15), ("1:30", 90), ("1:30.5", 90.5), ("0_10", 8)])
def test_numbers_that_yaml_reads_otherwise_than_people_are_refused(number, taken):
    said = f"mine.yaml is no valid YAML: {number} stands for {taken} in YAML: write the number that is meant"
    with pytest.raises(UserError, match=re.escape(said)):
        parse_yaml(f"retrain: {{epochs: {number}}}", "mine.yaml")
    assert parse_yaml(f"a: '{number}'", "mine.yaml") == {"a": number}


def test_numbers_are_as_they_stand_there():
    read = parse_yaml("[10, 0, 00, 07, -3, 1_000, 0x10, 0b11, 1.5, 0.5e-1, .5, 5e-4]", "mine.yaml")
    assert read == [10, 0, 0, 7, -3, 1000, 16, 3, 1.5, 0.05, 0.5, "5e-4"]


def test_aliases_and_merges_are_welcome():
    text = "base: &base {epochs: 3, batch_size: 4}\nretrain: {<<: *base, epochs: 5}\nlist: [*base, *base]\n"
    value = parse_yaml(text, "mine.yaml")
    assert value["retrain"] == {"epochs": 5, "batch_size": 4} and value["list"] == [value["base"]] * 2


def test_a_setting_among_the_files_is_called_one(tmp_path):
    with pytest.raises(UserError, match="No such file or directory; a setting .KEY=VALUE. is given behind --config"):
        read_yaml(tmp_path / "seed=3")
    with pytest.raises(UserError, match="No such file or directory$"):
        read_yaml(tmp_path / "mine.yaml")


def test_files_that_are_none(tmp_path):
    with pytest.raises(UserError, match="cannot read the configuration .*: Is a directory"):
        read_yaml(tmp_path)
    with pytest.raises(UserError, match="more than 500,000 characters"):
        read_yaml(Path("/dev/zero"))
    with pytest.raises(UserError, match="cannot read"):
        read_yaml(tmp_path / ("x" * 5000))
    with pytest.raises(UserError, match=r"cannot read the configuration .*\\x1b"):
        read_yaml(tmp_path / "\x1b[2J.yaml")
    (tmp_path / "windows.yaml").write_bytes(b"\xef\xbb\xbfseed: 3\r\n")
    assert read_yaml(tmp_path / "windows.yaml") == {"seed": 3}
