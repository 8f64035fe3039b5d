"""Steps that count costs do so by the cost they are told, and name it in what they write."""

import csv
import json
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.common.files import write_csv, write_record
from pipeline.networks.cost import network_cost
from pipeline.networks.genome import format_genome, parse_genome
from pipeline.networks.spec import NetworkSpec
from pipeline.search.costs import COSTS, Counting
from pipeline.search.tables import EVALUATIONS, TIMINGS
from tests.support.latencies import DIGITS, made_up, table_file
from tests.support.steps import call


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    """The prepared images, and a table on whose machine the widest layer is the fastest."""
    (tmp_path / "train.h5").symlink_to(prepared / "train.h5")
    table_file(tmp_path / "latency.json", made_up(seconds=lambda layer: 1e-4 + 1e-2 / layer.out_channels))
    return tmp_path


def how(folder: Path, cost: str) -> list[object]:
    table = ["--latency-table", folder / "latency.json"] if cost == "latency" else []
    return ["--cost-width", 1, "--cost", cost, *table]


def counting(folder: Path, cost: str) -> Counting:
    from pipeline.networks.latency import read_latency

    return Counting(cost, read_latency(folder / "latency.json"))  # type: ignore[arg-type]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def assert_counted(path: Path, folder: Path, cost: str) -> None:
    for row in rows(path):
        assert [key for key in row if key.startswith("relative_")] == [f"relative_{cost}"]
        wanted = counting(folder, cost).relative(DIGITS.with_genome(parse_genome(row["genome"])))
        assert float(row[f"relative_{cost}"]) == pytest.approx(wanted)


@pytest.mark.parametrize("cost", COSTS)
def test_from_the_proposal_to_what_was_found(folder: Path, cost: str) -> None:
    population = folder / "p.csv"
    words = ["--generation", 0, "--population", 6, *how(folder, cost), "--output", population]
    assert call("propose-generation", *words, at=folder) == 0
    assert_counted(population, folder, cost)
    made = [
        {"slot": i, "genome": row["genome"], "status": "ok", "top1": 90, "loss": 1}
        for i, row in enumerate(rows(population))
    ]
    write_csv(folder / "e.csv", EVALUATIONS, made)
    write_csv(folder / "t.csv", TIMINGS, [{"slot": i, "seconds": 1, "reused": 0, "shard": 0} for i in range(6)])
    scores = ["--population", population, "--evaluations", folder / "e.csv", "--timings", folder / "t.csv"]
    outputs = ["--output", folder / "s.csv", "--timing", folder / "st.csv"]
    assert call("score-generation", *scores, "--lambda", 4, *outputs, at=folder) == 0
    assert_counted(folder / "s.csv", folder, cost)
    for row in rows(folder / "s.csv"):
        assert float(row["fitness"]) == pytest.approx(max(90 - 4 * float(row[f"relative_{cost}"]), 0), abs=1e-5)
    files = ["--scores", folder / "s.csv", "--timings", folder / "st.csv"]
    outputs = ["--output", folder / "best.json", "--history", folder / "h.csv", "--timing", folder / "ht.csv"]
    assert call("select-best", "--search", "A", *files, "--lambda", 4, *outputs, at=folder) == 0
    assert_counted(folder / "h.csv", folder, cost)
    cheapest = min(rows(folder / "h.csv"), key=lambda row: float(row[f"relative_{cost}"]))
    best = json.loads((folder / "best.json").read_text())
    assert best["genome"] == cheapest["genome"]
    assert best[f"relative_{cost}"] == pytest.approx(float(cheapest[f"relative_{cost}"]))
    # Equal scores: what is found is the cheapest, by the cost that was meant, also of finalists.
    history = ["--histories", f"A={folder / 'h.csv'}", "--lambda", 4]
    finalists = ["--finalists", 2, *how(folder, cost), "--output", folder / "f.csv"]
    assert call("choose-finalists", *history, *finalists, at=folder) == 0
    assert_counted(folder / "f.csv", folder, cost)
    assert call("select-found", "--search", "A", *history, "--output", folder / "found.json", at=folder) == 0
    found = json.loads((folder / "found.json").read_text())
    assert (found["genome"], found[f"relative_{cost}"]) == (best["genome"], best[f"relative_{cost}"])


@pytest.mark.parametrize("cost", COSTS)
def test_the_proxys_sample_is_spread_over_that_cost(folder: Path, cost: str) -> None:
    assert call("sample-genomes", "--genomes", 6, *how(folder, cost), "--output", folder / "p.csv", at=folder) == 0
    assert_counted(folder / "p.csv", folder, cost)
    costs = [float(row[f"relative_{cost}"]) for row in rows(folder / "p.csv")]
    assert costs == sorted(costs)


def test_a_budget_of_time(folder: Path) -> None:
    table_file(folder / "latency.json")  # only the first layer takes time: 128 ms at ratio 1
    words = ["--genomes", 6, *how(folder, "latency"), "--max-latency", 64, "--output", folder / "p.csv"]
    assert call("sample-genomes", *words, at=folder) == 0
    assert {parse_genome(row["genome"])[0] for row in rows(folder / "p.csv")} <= {0.25, 0.5}


@pytest.mark.parametrize("cost", COSTS)
def test_a_control_has_the_equal_of_that_cost(folder: Path, cost: str) -> None:
    table_file(folder / "latency.json", made_up(seconds=lambda layer: layer.out_channels * 1e-6))
    genome = (0.5, 2.0, 1.0, 4.0, 0.25, 3.0)
    write_record(folder / "found.json", {"genome": format_genome(genome)})
    words = ["--found", folder / "found.json", "--control", "uniform", *how(folder, cost)]
    assert call("choose-control", *words, "--output", folder / "c.json", at=folder) == 0
    control = parse_genome(json.loads((folder / "c.json").read_text())["genome"])
    value = counting(folder, cost).value
    # The step chooses whole channels at a sixteenth of the width, whose steps are coarse.
    assert 0.85 < value(DIGITS.with_genome(control)) / value(DIGITS.with_genome(genome)) <= 1
    others = [other for other in COSTS if other != cost]
    shares = [counting(folder, other).value(DIGITS.with_genome(control)) for other in others]
    wanted = [counting(folder, other).value(DIGITS.with_genome(genome)) for other in others]
    assert any(not 0.85 < share / whole <= 1 for share, whole in zip(shares, wanted, strict=True))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--cost", "latency"], "--cost is latency, which is read from a table: name one with --latency-table"),
        (["--cost", "latency", "--latency-table", "none.json"], "there is no file none.json"),
        (
            ["--cost", "latency", "--latency-table", "latency.json"],
            "the latency table is for base width 1.0, and this search has 0.0625",
        ),
    ],
)
def test_mistakes_get_one_sentence(folder: Path, monkeypatch, capsys, words: list[str], says: str) -> None:
    monkeypatch.chdir(folder)
    assert call("sample-genomes", "--genomes", 2, *words, "--output", "p.csv", at=folder) == 1
    assert says in " ".join(capsys.readouterr().err.split())


def test_check_says_what_is_weighed(tmp_path: Path, capsys) -> None:
    table = table_file(tmp_path / "latency.json")
    assert main(["check", "search.cost=latency", f"search.latency_table={table}"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "cost latency on a board, at base width 1, where uniform-1x has 128 ms" in text
    assert main(["check", "search.cost=memory"]) == 0
    size = network_cost(NetworkSpec("vgg_small", DIGITS.genome, channels=1, size=8)).bytes
    assert f"uniform-1x has {size / 2**10:.1f} KiB" in " ".join(capsys.readouterr().out.split())
    assert main(["check"]) == 0
    assert "cost" not in capsys.readouterr().out
    assert main(["check", "search.cost=latency"]) == 1
    assert "search.latency_table names no file" in capsys.readouterr().err


def test_a_genome_is_taken_as_a_word(capsys):
    assert main(["cost", "--genome", "2,2,1,3,1,2", "--base-width", "0.25"]) == 0
    flagged = capsys.readouterr().out
    assert main(["cost", "--base-width", "0.25", "2,2,1,3,1,2"]) == 0
    assert capsys.readouterr().out == flagged
    for words in (["2,x"], ["2", "--genome", "2"]):
        assert main(["cost", *words]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
