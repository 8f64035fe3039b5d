"""What the order of imports cannot say: who knows the rules' code, where results lie, and SLURM.

The order itself is in pyproject.toml (``lint-imports``).
"""

import ast
import io
import re
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.data.datasets import DATASETS
from pipeline.networks.architectures import ARCHITECTURES
from pipeline.networks.binary.binarisers import BINARISERS
from pipeline.search.algorithms import ALGORITHMS
from pipeline.search.objectives import OBJECTIVES
from tests.support.workflow import ROOT

MODULES = sorted((ROOT / "pipeline").rglob("*.py"))
RULES = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]

#: Names of files and folders under results/EXPERIMENT.
_FILES = "train test subset validation supernet weights population evaluations scores history timing best results "
_FILES += "balance proxy report"
RESULTS = re.compile(
    r"\bresults/(?!EXPERIMENT)[{\w]|\bgeneration_[{\d]|\bseed_[{\d]|"
    r"\b(" + "|".join(_FILES.split()) + r")(_[\w{}-]+)?\.(h5|csv|json|md|tex|html|png|svg)\b"
)
SLURM = re.compile(r"^(sbatch|squeue|scancel|sinfo|scontrol|sacct|sacctmgr|srun|salloc)$")


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """The strings of a file's code with their lines; docstrings are none of them."""
    if path.suffix == ".py":
        tree = ast.parse(path.read_text())
        said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                yield node.lineno, "".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
                yield node.lineno, node.value
        return
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.STRING:
            yield token.start[0], token.string.lstrip("f")[1:-1]


def found(pattern: re.Pattern[str], paths: list[Path], allowed: tuple[str, ...]) -> list[str]:
    """Where strings match, outside of the files and folders that may say so."""
    return [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in paths
        if not str(path.relative_to(ROOT)).startswith(allowed)
        for line, text in texts(path)
        if pattern.search(text)
    ]


def test_rules_import_what_the_workflow_room_gives_them_and_nothing_else():
    imports = re.compile(r"^\s*(?:from\s+(pipeline\S*)\s+import\s+(.+)|import\s+(pipeline\S*))", re.MULTILINE)
    for path in RULES:
        for room, names, whole in imports.findall(path.read_text()):
            assert not whole, f"{path.name} imports {whole}"
            workflow = room == "pipeline.workflow" or room.startswith("pipeline.workflow.")
            assert workflow or (room, names) == ("pipeline", "METHOD_VERSION"), f"{path.name} imports from {room}"


@pytest.mark.parametrize("registry", [ALGORITHMS, ARCHITECTURES, BINARISERS, DATASETS, OBJECTIVES])
def test_a_contract_keeps_the_entries_of_each_registry_apart(registry):
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    apart = {module for contract in contracts if contract["type"] == "independence" for module in contract["modules"]}
    assert {f"{module.rpartition('.')[0]}.*" for module in registry.own.values()} <= apart


def test_only_the_layout_says_where_results_lie():
    assert found(RESULTS, MODULES + RULES, ("pipeline/workflow/layout.py",)) == []


def test_only_one_room_calls_slurm():
    assert found(SLURM, MODULES + RULES, ("pipeline/workflow/slurm/",)) == []


@pytest.mark.parametrize(
    ("pattern", "code"),
    [
        (RESULTS, 'f"results/{experiment}/tables"'),
        (RESULTS, 'folder / "population.csv"'),
        (RESULTS, 'f"evaluations_{shard}-of-{shards}.csv"'),
        (RESULTS, 'f"generation_{number:03d}"'),
        (RESULTS, 'f"seed_{seed}"'),
        (SLURM, 'run(["squeue", "--me"])'),
    ],
)
def test_what_is_looked_for_is_found(pattern, code, tmp_path):
    for name in ("module.py", "rules.smk"):
        written = tmp_path / name
        written.write_text(f"value = {code}\n")
        assert any(pattern.search(said) for _, said in texts(written))
