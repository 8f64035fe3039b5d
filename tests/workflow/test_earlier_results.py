"""Results made by an earlier commit are found again: nothing reruns, the archive and kept trainings answer.

``earlier/results.tar.xz`` holds an experiment's results/ and Snakemake's records, times of files included. The
first commit of method 6 made it, by::

    snakemake --configfile tests/workflow/earlier/experiment.yaml --cores 2

A raised METHOD_VERSION means that earlier results do not hold any more. Then, and only then, make the folder anew.
"""

import csv
import json
import os
import tarfile
from pathlib import Path

import pytest
import yaml

from pipeline.__main__ import main
from pipeline.search.archive import archive_key, read_entry
from tests.support.workflow import ROOT, command, complete, planned

EARLIER = Path(__file__).with_name("earlier")

#: Rules whose outputs have grown since: they read what was measured and train nothing.
GROWN = {"tables", "figures", "write_report"}

ENTRIES = 12
TRAINED = ["supernet/supernet.h5", "retrain/uniform-1x/seed_0/weights.h5", "retrain/found-A/seed_0/weights.h5"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The earlier experiment, unpacked, and its configuration beside it."""
    with tarfile.open(EARLIER / "results.tar.xz") as packed:
        packed.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.fixture
def config(folder: Path) -> Path:
    """What the experiment was: without rows, searches, controls and timings that today's defaults have besides."""
    saved = yaml.safe_load((folder / "results/tiny/config.yaml").read_text())
    defaults = yaml.safe_load((ROOT / "config.yaml").read_text())
    for section in ("models", "searches"):
        saved[section] = dict.fromkeys(defaults[section]) | saved[section]
    saved |= {"controls": [], "inference": {"measure": False}, "proxy": {"sample": 0}}
    saved["search"] |= {"finalists": 0, "cost_width": saved["network"]["base_width"]}  # as costs were counted then
    for section in saved["searches"].values():
        if section is not None:
            section["seeds"] = 1
    (folder / "experiment.yaml").write_text(yaml.safe_dump(saved))
    return folder / "experiment.yaml"


@pytest.mark.slow
def test_nothing_is_to_be_done(folder, config):
    assert set(planned(folder, config=config)) <= GROWN


def test_the_archive_knows_every_entry(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    entries = [read_entry(path) for path in sorted(Path("results/tiny/archive").glob("*/*.json"))]
    assert len(entries) == ENTRIES and all(archive_key(e.facts, e.evaluation.genome) == e.key for e in entries)
    assert main(["archive", "results/tiny", "--check"]) == 0
    assert f"{ENTRIES} entries checked, 0 damaged, 0 set aside" in capsys.readouterr().out
    assert main(["archive", "results/tiny", "--limit", "0"]) == 0
    shown = capsys.readouterr().out
    assert f"{ENTRIES} of {ENTRIES} candidates" in shown and f"{ENTRIES} candidates (current)" in shown
    assert main(["archive", "results/tiny", "--csv", "-"]) == 0
    listed = capsys.readouterr().out
    assert all(entry.key in listed for entry in entries)


@pytest.mark.slow
def test_trainings_and_scores_are_taken_not_made_again(folder, config):
    """Deleted outputs come back from what is kept: the same bytes, times that trainings took included."""
    results = folder / "results" / "tiny"
    first = results / "search" / "A" / "generation_000"
    deleted = [results / name for name in TRAINED]
    deleted += [path.with_name(name) for path in deleted for name in ("timing.json", "history.csv")]
    deleted += [first / "evaluations_0-of-1.csv"]
    before = {path: path.read_bytes() for path in deleted}
    archive = {path: path.read_bytes() for path in results.glob("archive/*/*")}
    kept = {path: path.stat().st_ino for path in results.glob("trainings/*")}
    for path in deleted:
        path.unlink()
    targets = [os.path.relpath(path, folder) for path in deleted]
    # Only what is asked for: whatever depends on a file that comes back with a new time would follow.
    complete(command("--cores", 2, "--rerun-triggers", "input", "--", *targets, config=config), folder)
    assert {path: path.read_bytes() for path in deleted} == before
    assert {path: path.read_bytes() for path in results.glob("archive/*/*")} == archive
    assert {path: path.stat().st_ino for path in results.glob("trainings/*")} == kept
    for name in ("pretrain_supernet", "retrain/uniform-1x_0", "retrain/found-A_0"):
        assert "it was trained before, and is taken from" in (results / "logs" / f"{name}.log").read_text()
    with open(first / "timing_0-of-1.csv") as lines:
        assert [row["reused"] for row in csv.DictReader(lines)] == ["1"] * 4


def test_a_training_s_identity_is_what_it_was(folder):
    """The records beside kept trainings, by the digest that they lie under."""
    from pipeline.common.digests import digest_of

    records = sorted(folder.glob("results/tiny/trainings/*/record.json"))
    assert len(records) == 3
    assert all(digest_of(json.loads(path.read_text())["identity"])[:32] == path.parent.name for path in records)
