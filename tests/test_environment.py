"""The ways to install it name the same packages."""

import re
import tomllib

import yaml

import pipeline
from tests.support.workflow import ROOT

CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
#: What runs the workflow, not its steps.
ENGINE = {"snakemake", "psutil", "pygments"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def split(requirement: str) -> tuple[str, str]:
    name, version = re.fullmatch(r"([A-Za-z0-9_.-]+) *(.*)", requirement).groups()
    return name, version


def test_conda_and_pip_ask_for_the_same():
    wanted = {CONDA_NAMES.get(n, n): v for n, v in map(split, PROJECT["dependencies"]) if n not in ENGINE}
    wanted["python"] = PROJECT["requires-python"]
    environment = yaml.safe_load((ROOT / "envs" / "pipeline.yaml").read_text())
    assert dict(map(split, environment["dependencies"])) == wanted


def test_constraints_pin_every_dependency():
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    extras = [requirement for group in PROJECT["optional-dependencies"].values() for requirement in group]
    own = f"{PROJECT['name']}["  # an extra that takes in another one
    for requirement in PROJECT["dependencies"] + [extra for extra in extras if not extra.startswith(own)]:
        name, _ = split(requirement)
        assert name.lower() in {pin.lower() for pin in pinned}, f"{name} is not in constraints.txt"


def test_version_is_in_the_changelog():
    assert f"## {pipeline.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_gate_installs_every_extra():
    extras = PROJECT["optional-dependencies"]
    (own,) = [word for word in extras["test"] if word.startswith(f"{PROJECT['name']}[")]
    assert set(own.partition("[")[2].rstrip("]").split(",")) == set(extras) - {"test"}
