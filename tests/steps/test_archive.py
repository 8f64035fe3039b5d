"""The archive listed, filtered, exported and checked, on entries made by the real step and on damaged ones."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.networks.cost import network_cost, relative_flops
from pipeline.networks.genome import parse_genome
from pipeline.networks.spec import NetworkSpec
from pipeline.search.archive import Archive, Evaluation, Timing, archive_files, read_entry
from pipeline.search.costs import Counting
from pipeline.search.objectives.fitness import fitness
from pipeline.workflow.layout import Layout
from pipeline.workflow.saved_config import read_saved_config, save_config
from tests.support.latencies import DIGITS, made_up, table_file
from tests.support.mid_search import folder, made  # noqa: F401 - fixtures

GENOMES = ["0.25,0.25,0.25,0.25,0.25,0.25", "1,1,1,1,1,1", "4,4,4,4,4,4", "2,1,1,1,1,1"]


@pytest.fixture
def archive(folder: Path) -> Path:
    """The experiment's archive with further entries of its settings: known scores, and one that diverged."""
    facts = json.loads(next(folder.glob("archive/*/*.json")).read_text())["facts"]
    shared = Archive(folder / "archive", facts)
    for genome, top1, seconds in zip(GENOMES, (97.0, 98.0, 99.0, None), (1.0, 2.0, 3.0, 4.0), strict=True):
        outcome = ("ok", top1, 0.5) if top1 is not None else ("diverged", None, None, "loss nan in epoch 1 of 1")
        shared.put(Evaluation(parse_genome(genome), *outcome), Timing(seconds, "a machine"))
    return folder / "archive"


def listed(capsys, *words: object) -> list[dict[str, str]]:
    assert main(["archive", "exp", "--csv", "-", *map(str, words)]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def genomes(rows: list[dict[str, str]]) -> list[str]:
    return [row["genome"] for row in rows]


@pytest.mark.parametrize(("flags", "width"), [((), 1.0), (("--cost-width", 0.5), 0.5)])
def test_everything_is_exported_with_its_cost(archive, capsys, tmp_path, flags, width):
    rows = listed(capsys, "--lambda", "2", *flags)
    assert len(rows) == 8 and len({row["key"] for row in rows}) == 8
    for row in rows:
        entry = read_entry(archive / row["key"][:2] / f"{row['key']}.json")
        spec = NetworkSpec(**entry.facts["network"], genome=entry.evaluation.genome).at_width(width)
        top1 = float(row["top1"]) if row["top1"] else None
        assert (parse_genome(row["genome"]), row["status"], top1) == (
            entry.evaluation.genome,
            entry.evaluation.status,
            entry.evaluation.top1,
        )
        cost = network_cost(spec)
        assert (float(row["flops"]), float(row["memory_bytes"])) == (cost.flops, cost.bytes)
        assert float(row["relative_flops"]) == pytest.approx(relative_flops(spec))
        assert float(row["fitness"]) == pytest.approx(fitness(top1, relative_flops(spec), 2.0), abs=1e-6)
    assert main(["archive", "exp", "--csv", str(tmp_path / "all.csv")]) == 0
    assert "8 of 8 candidates in" in capsys.readouterr().out
    assert len(list(csv.DictReader((tmp_path / "all.csv").open()))) == 8
    assert main(["archive", "exp", "--status", "diverged", "--csv", str(tmp_path / "some.csv")]) == 0
    assert "1 of 8 candidates in" in capsys.readouterr().out, "what is left out, other settings too, is counted"


def test_filters(archive, capsys):
    assert genomes(listed(capsys, "--status", "diverged")) == [GENOMES[3]]
    assert set(genomes(listed(capsys, "--min-top1", 98))) == {GENOMES[1], GENOMES[2]}
    (one,) = listed(capsys, "--genome", "1,1,1.0,1,1,1")
    assert one["seconds"] == "2.0" and one["machine"] == "a machine"
    limit = float(one["flops"])
    rows = listed(capsys, "--max-flops", limit, "--min-top1", 97)
    assert genomes(rows) == [GENOMES[1], GENOMES[0]]
    assert listed(capsys, "--min-top1", 99.5) == []


def test_filters_that_are_none(archive, capsys):
    assert main(["archive", "exp", "--min-top1", "99.9", "--genome", "1,1,1"]) == 1
    assert "error: --genome has 3 ratios: a candidate here has 6" in capsys.readouterr().err
    for flag, value in [("--lambda", "-1"), ("--max-flops", "nan"), ("--min-top1", "200"), ("--limit", "-1")]:
        assert main(["archive", "exp", flag, value]) == 2
        assert f"argument {flag}: {value} is " in capsys.readouterr().err


def test_order_and_limit(archive, capsys):
    assert genomes(listed(capsys, "--limit", 3)) == [GENOMES[2], GENOMES[1], GENOMES[0]]
    assert genomes(listed(capsys, "--limit", 1, "--sort", "seconds", "--status", "diverged")) == [GENOMES[3]]
    flops = [float(row["flops"]) for row in listed(capsys, "--sort", "flops")]
    assert flops == sorted(flops) and len(flops) == 8
    values = [float(row["fitness"]) for row in listed(capsys, "--sort", "fitness")]
    assert values == sorted(values, reverse=True)
    # The first by fitness among all, not the best of the first few.
    (first,) = listed(capsys, "--sort", "fitness", "--limit", 1)
    assert float(first["fitness"]) == max(values)


def test_settings_that_share_a_folder(archive, capsys):
    facts = json.loads(next(archive.glob("*/*.json")).read_text())["facts"]
    other = {**facts, "settings": {**facts["settings"], "epochs": 5}, "seed": 7}
    Archive(archive, other).put(Evaluation(parse_genome(GENOMES[1]), "ok", 12.0, 0.5), Timing(1.0, "m"))
    assert len(listed(capsys)) == 8, "the newest entry is not of the configured settings"
    rows = listed(capsys, "--settings", "all")
    assert len(rows) == 9
    digest = next(row["settings"] for row in rows if row["top1"] == "12.0")
    assert [row["top1"] for row in listed(capsys, "--settings", digest[:5])] == ["12.0"]
    assert main(["archive", "exp"]) == 0
    printed = capsys.readouterr().out
    assert "8 candidates (current)" in printed
    assert f"settings {digest}: 1 candidate (other settings.epochs, seed)" in printed
    assert main(["archive", "exp", "--settings", "x"]) == 1
    assert f"no entry has settings 'x': settings in this archive: {digest}, " in capsys.readouterr().err


def test_the_list_is_for_people(archive, capsys):
    assert main(["archive", str(archive), "--limit", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["genome", "status", "top-1", "%"]
    assert lines[2].split()[:3] == [GENOMES[2], "ok", "99.00"]
    assert "2 of 8 candidates, by top1; fitness for λ 4, costs at base width 1" in lines


def test_the_list_of_an_archive_without_times(archive, capsys):
    """Such as one that was copied without them: a column of nothing is no numbers to pandas."""
    for file in archive.rglob("*.timing"):
        file.unlink()
    assert main(["archive", "exp"]) == 0
    assert "99.00" in capsys.readouterr().out


def test_micro_batches_are_shown(archive, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["archive", "exp"]) == 0
    assert "micro-batch" not in capsys.readouterr().out
    facts = json.loads(next(archive.glob("*/*.json")).read_text())["facts"]
    small = Evaluation(parse_genome("3,3,3,3,3,3"), "ok", 99.5, 0.5, micro_batch=13)
    Archive(archive, facts).put(small, Timing(1.0, "m"))
    assert main(["archive", "exp", "--limit", "2"]) == 0
    header, _, first, second, *_ = capsys.readouterr().out.splitlines()
    assert header.split()[-4:] == ["micro-batch", "machine", "settings", "key"]
    assert first.split()[-4] == "13" and " - " in second
    assert [row["micro_batch"] for row in listed(capsys, "--limit", 2)] == ["13", ""]


DAMAGE = ["", "{", "[]", "null", "\x00", '{"evaluation": {"genome": 5}, "facts": {}}', "[" * 100_000]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda text: repr(text[:20]))
def test_damaged_entries_are_named(archive, capsys, damage):
    broken, aside, *_ = sorted(archive.glob("*/*.json"))
    broken.write_text(damage)
    aside.rename(aside.with_suffix(".damaged"))
    assert main(["archive", "exp"]) == 0
    printed = capsys.readouterr()
    assert f"warning: {broken.relative_to(archive.parent.parent.parent)} is damaged" in printed.err
    assert "1 damaged entries were set aside earlier" in printed.err
    assert "6 of 6 candidates" in printed.out
    assert main(["archive", "exp", "--check"]) == 1
    printed = capsys.readouterr().out
    assert "7 entries checked, 1 damaged, 1 set aside earlier, 0 without a time" in printed
    assert broken.name in printed and f"{aside.stem}.damaged" in printed
    assert broken.exists(), "it only looks"


def test_check_sees_what_was_edited(archive, capsys):
    assert main(["archive", "exp", "--check"]) == 0
    first, second, third, *_ = sorted(archive.glob("*/*.json"))
    older = {key: json.loads(first.read_text())[key] for key in ("evaluation", "facts")}
    first.write_text(json.dumps(older).replace('"seed": 0', '"seed": 1'))
    record = json.loads(second.read_text())
    record["evaluation"]["top1"] = 100.0
    second.write_text(json.dumps(record))
    third.with_suffix(".timing").unlink()
    capsys.readouterr()
    assert main(["archive", "exp", "--check"]) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "2 damaged, 0 set aside earlier, 1 without a time" in printed
    assert f"{first.name} is damaged: what it holds belongs under the key" in printed
    assert f"{second.name} is damaged: ValueError, it was changed after it was written" in printed


def test_a_network_that_is_none(archive, capsys):
    """Facts and key agree, but no network can have such a genome."""
    facts = json.loads(next(archive.glob("*/*.json")).read_text())["facts"]
    Archive(archive, facts).put(Evaluation((1.0, 1.0), "ok", 50.0, 0.5), Timing(1.0, "m"))
    Archive(archive, {**facts, "network": {"network": "none"}}).put(
        Evaluation((1.0, 1.0), "ok", 50.0, 0.5), Timing(1.0, "m")
    )
    Archive(archive, {}).put(Evaluation((1.0, 1.0), "ok", 50.0, 0.5), Timing(1.0, "m"))
    assert main(["archive", "exp", "--check"]) == 1
    assert "3 damaged" in capsys.readouterr().out


def test_nothing_there(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["archive", "exp"]) == 1
    assert "there is no experiment 'exp'" in capsys.readouterr().err
    (tmp_path / "results" / "exp" / "data").mkdir(parents=True)
    assert main(["archive", "exp"]) == 1
    assert "there is no archive results/exp/archive" in capsys.readouterr().err
    (tmp_path / "results" / "exp" / "archive" / "00").mkdir(parents=True)
    (tmp_path / "results" / "exp" / "archive" / "00" / ".half.partial").write_text("{")
    assert list(archive_files(tmp_path / "results" / "exp" / "archive")) == []
    assert main(["archive", "exp"]) == 0
    assert "0 of 0 candidates" in capsys.readouterr().out


def test_costs_are_those_that_the_experiment_counts(archive, folder, capsys):
    """At its width, and of its kind, as in its tables; unless flags say otherwise."""
    config = read_saved_config(Layout(folder)).config
    search = {**config["search"], "cost_width": 0.25, "cost": "memory"}
    save_config({**config, "search": search}, Layout(folder))
    rows = listed(capsys)
    assert rows == listed(capsys, "--cost-width", 0.25, "--cost", "memory") and "relative_memory" in rows[0]
    assert main(["archive", "exp"]) == 0
    assert "fitness for λ 4, costs at base width 0.25" in capsys.readouterr().out
    assert "relative_flops" in listed(capsys, "--cost", "flops")[0]
    table = table_file(folder / "latency.json", made_up(replace(DIGITS, base_width=0.25)))
    search |= {"cost": "latency", "latency_table": str(table)}
    save_config({**config, "search": search}, Layout(folder))
    assert float(listed(capsys, "--genome", "4,4,4,4,4,4")[0]["relative_latency"]) == 4
    table.unlink()
    assert main(["archive", "exp", "--csv", "-"]) == 0
    printed = capsys.readouterr()
    assert "relative_flops" in printed.out and "costs are counted in FLOPs" in printed.err


def test_fitness_by_another_cost(archive, capsys):
    rows = listed(capsys, "--lambda", "2", "--cost", "memory")
    for row in rows:
        spec = NetworkSpec(
            **read_entry(archive / row["key"][:2] / f"{row['key']}.json").facts["network"],
            genome=parse_genome(row["genome"]),
        ).at_width(1.0)
        relative = Counting("memory").relative(spec)
        assert float(row["relative_memory"]) == pytest.approx(relative)
        top1 = float(row["top1"]) if row["top1"] else None
        assert float(row["fitness"]) == pytest.approx(fitness(top1, relative, 2.0), abs=1e-6)
    assert main(["archive", "exp", "--cost", "memory"]) == 0
