"""The tool that plants faults: that each listed one can be planted, and what it changes in a module."""

import ast

import pytest

from tests.support.faults import FAULTS
from tests.support.mutations import ROOT, by_how_they_run, files_that_test, mutants


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_listed_fault_can_be_planted_and_its_tests_are_there(fault):
    """Whoever changes the line that a fault stands in changes the fault too."""
    mutant = fault.mutant()
    assert ast.unparse(mutant.tree) != ast.unparse(ast.parse((ROOT / fault.path).read_text()))
    assert all((ROOT / test).is_file() for test in fault.tests)


def test_what_is_changed(tmp_path):
    module = tmp_path / "module.py"
    module.write_text(
        '"""A text: 1 + 1."""\n\ndef f(x: int = 1) -> bool:\n    """Of x."""\n    return x < 2 and not x + 3\n'
    )
    changes = [mutant.change for mutant in mutants(module)]
    assert changes == [
        "1  →  2",
        "return x < 2 and (not x + 3)  →  return None",
        "x < 2 and (not x + 3)  →  x < 2 or not x + 3",
        "x < 2  →  x <= 2",
        "2  →  3",
        "not x + 3  →  x + 3",
        "x + 3  →  x - 3",
        "3  →  4",
    ]


def test_changes_in_bodies_of_functions_are_told_from_others(tmp_path):
    module = tmp_path / "module.py"
    module.write_text(
        "N = 1\n\ndef f(x=3):\n    return 5\n\nclass A:\n    n = 7\n    def g(self):\n        self.n += 9\n"
    )
    within, others = ([mutant.change for mutant in these] for these in by_how_they_run(module))
    assert within == ["return 5  →  return None", "5  →  6", "self.n += 9  →  pass", "9  →  10"]
    assert others == ["1  →  2", "3  →  4", "7  →  8"]


def test_the_files_that_test_a_module_are_those_that_import_it():
    assert "tests/search/test_evolution.py" in files_that_test(ROOT / "pipeline/search/algorithms/__init__.py")
    assert files_that_test(ROOT / "pipeline/report/proxy.py")[0].startswith("tests/report/")
