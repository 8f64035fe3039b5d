"""The pages: every key of the configuration is explained, by the comment that stands above it."""

import importlib.util
import re

import pytest
import yaml

from pipeline.steps import STEPS
from tests.support.workflow import ROOT


def reference():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "site" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def leaves(values, path=()):
    for key, value in values.items():
        if isinstance(value, dict) and (*path, key) not in {("searches",), ("models",)} and len(path) < 1:
            yield from leaves(value, (*path, key))
        else:
            yield ".".join((*path, key))


def test_every_key_of_the_default_configuration_is_on_the_page():
    page = reference().keys()
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    for key in leaves(config):
        section, _, name = key.partition(".")
        assert f"## {section}\n" in page
        assert not name or f"| `{key}` |" in page, key


def test_every_key_that_is_explained_has_its_values_and_its_meaning():
    page = reference().keys()
    rows = re.findall(r"^\| `([\w.-]+)` \| (.*?) \| `(.*?)` \| (.*) \|$", page, re.MULTILINE)
    assert len(rows) > 50
    # What the keys of a recipe mean is said once, above the supernet's.
    silent = {key for key, values, default, meaning in rows if not meaning}
    assert {key.partition(".")[0] for key in silent} <= {"candidate", "retrain", "searches", "models"}
    assert [key for key, values, *_ in rows if not values and not key.startswith(("searches.", "models."))] == []


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_is_there(page):
    """Files of the project, commands of the pipeline, benchmarks, and what links lead to."""
    text = page.read_text()
    folders = "pipeline|rules|tests|configs|benchmarks|docs|schemas|profiles|envs"
    for name in re.findall(rf"`((?:{folders})/[\w/.-]*)", text):
        assert (ROOT / name).exists(), name
    for command in re.findall(r"(?:python -m pipeline|binary-nas) ([a-z][a-z-]+)", text):
        assert command in STEPS or command in ("run", "resume"), command
    for program in re.findall(r"python -m benchmarks\.([\w.]+)", text):
        assert (ROOT / "benchmarks" / f"{program.rstrip('.').replace('.', '/')}.py").exists(), program
    for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", text):
        assert (page.parent / link).exists(), link


def test_the_readme_is_a_door():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120
