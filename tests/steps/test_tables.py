"""The step ``tables`` on small made-up files: what it writes, that it writes the same again, and what it refuses."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.__main__ import main
from pipeline.common.files import write_csv, write_json
from pipeline.data.census import Census
from pipeline.networks.genome import parse_genome
from pipeline.networks.latency import read_latency
from pipeline.report.answers import pack_answers, pack_classes
from pipeline.search.costs import Counting
from pipeline.search.tables import Best, RunBest, write_best
from pipeline.steps.measurements import OfSearch, _with_candidates
from pipeline.workflow.layout import Layout, TableFiles
from tests.support.latencies import made_up, table_file
from tests.support.measured import FOUND, RANDOM, ROWS, SEARCHES, SPEC, timing, write_experiment
from tests.support.tables import forget_seals

OBJECTIVE, RANDOM_OBJECTIVE = (f"={name}|most_accurate|--max-cost 1" for name in ("evolution", "random"))
OUTPUTS = [path.name for path in TableFiles(Path()).all]


def make_tables(folder, output, *more, **how):
    arguments = write_experiment(folder, **how)["tables"]
    assert main(["tables", *arguments, *more, "--output-folder", str(output)]) == 0
    return {name: (output / name).read_text() for name in OUTPUTS}


def test_writes_every_table(tmp_path):
    written = make_tables(tmp_path, tmp_path / "tables")
    assert sorted(path.name for path in (tmp_path / "tables").glob("[!.]*")) == sorted(OUTPUTS)
    lines = list(csv.DictReader(written["results.csv"].splitlines()))
    assert [line["model"] for line in lines] == list(ROWS)
    assert [line["top1_mean"] for line in lines] == ["97.1", "90.1", "93.1", "92.0", "91.7"]
    assert {line["name"] for line in csv.DictReader(written["timing.csv"].splitlines())} == {
        *ROWS,
        *SEARCHES,
        "supernet",
        "everything",
    }


def test_results_for_a_reader(tmp_path):
    text = make_tables(tmp_path, tmp_path / "tables")["results.md"]
    header = next(line for line in text.splitlines() if line.startswith("| model"))
    assert "speedup (theoretical)" in header
    assert "a measured time" in text
    assert "92.00 ± 0.14" in text
    plain = " ".join(text.split())
    assert "**found-A** (evolution, λ = 4, 4 candidates;" in plain
    assert "as trained: FLOPs (M)" not in header, "costs are counted at the width that is trained"
    assert "There is no uniform network of equal or lower cost to compare with." in plain
    assert "Against random-A, found by random search for the same λ" in plain
    assert "- over FLOPs: found-A" in plain
    assert "luck included: A 55.8 %, random-A 30.9 %." in plain
    assert "What a score" not in plain, "the sample is large enough"
    assert max(len(line) for line in text.splitlines() if not line.startswith("|")) <= 110


def test_damaged_images_stand_in_the_table(tmp_path):
    arguments = write_experiment(tmp_path)["tables"]
    tables = ["tables", *arguments, "--output-folder", str(tmp_path / "tables")]
    assert main(tables) == 0
    assert "Images:" not in (tmp_path / "tables" / "results.md").read_text(), "an earlier version's record has none"
    for path in tmp_path.glob("evaluation/*/*.json"):
        replace_json(path, census=Census(1000, 450, (3, 0), (0, 1)).record)
    assert main(tables) == 0
    text = " ".join((tmp_path / "tables" / "results.md").read_text().split())
    assert (
        "Images: 1,000 train images and 450 test images. 3 damaged train images were left out. "
        "1 test image is of one brightness or nearly so." in text
    )


def test_a_class_of_most_test_images_stands_in_the_table(tmp_path):
    """Such as the sound parts beside few that are broken: an accuracy is to be read beside its share."""
    arguments = write_experiment(tmp_path)["tables"]
    tables = ["tables", *arguments, "--output-folder", str(tmp_path / "tables")]
    paths = list(tmp_path.glob("evaluation/*/*.json"))
    classes = [f"class {number}" for number in range(10)]
    for mostly, told in ((0, False), (900, True)):
        labels = np.arange(1000) % len(classes)
        labels[:mostly] = 3
        for path in paths:
            known = pack_answers(labels, labels == labels) | pack_classes(classes, labels, np.ones(1000), [])
            replace_json(path, images=1000, top1=100.0, census=Census(1000, 1000).record, **known)
        assert main(tables) == 0
        text = " ".join((tmp_path / "tables" / "results.md").read_text().split())
        assert (f"1,000 test images. 91.00 % of the test images are of the class '{classes[3]}'" in text) == told
        assert "so accurate is" in text if told else "so accurate is" not in text


def test_sampled_genomes_that_diverged_are_counted(tmp_path):
    arguments = write_experiment(tmp_path)["tables"]
    path = Layout(tmp_path).sample.trained(1)
    first, *others = list(csv.DictReader(path.open()))
    write_csv(path, tuple(first), [{**first, "status": "diverged", "top1": "", "loss": "", "reason": "nan"}, *others])
    assert main(["tables", *arguments, "--output-folder", str(tmp_path / "tables")]) == 0
    for name in ("results.md", "proxy.md"):
        text = " ".join((tmp_path / "tables" / name).read_text().split())
        assert "Over 5 random genomes" in text
        assert "Left out: 1 sampled genome of which a training diverged." in text


def test_costs_at_another_width_stand_beside_those_of_the_trained_network(tmp_path):
    written = make_tables(tmp_path, tmp_path / "tables", "--cost-width", "1")
    assert "as trained: FLOPs (M)" in written["results.md"]
    line = next(csv.DictReader(written["results.csv"].splitlines()))
    assert float(line["flops_m"]) > 50 * float(line["trained_flops_m"])


def test_a_score_from_micro_batches_is_told(tmp_path):
    arguments = write_experiment(tmp_path)["tables"]
    write_best(Layout(tmp_path).finalists("found-A").found, Best("A", FOUND, 86.0, 0.7, 83.2, 1, 0, 4, micro_batch=13))
    assert main(["tables", *arguments, "--output-folder", str(tmp_path / "tables")]) == 0
    text = " ".join((tmp_path / "tables/results.md").read_text().split())
    assert text.count("In the search it was trained in micro-batches of 13 images") == 1


def test_a_search_that_looked_at_no_score_is_told(tmp_path):
    """Such as regularised evolution, which draws at random until half of those that can live are there."""
    words = "All its candidates were drawn at random"
    assert words not in make_tables(tmp_path, tmp_path / "tables")["results.md"], "the baseline always does"
    arguments, history = write_experiment(tmp_path)["tables"], Layout(tmp_path).search("A").history
    lines = list(csv.DictReader(history.open()))
    assert {line["origin"] for line in lines} == {"random", "mutation"}
    write_csv(history, tuple(lines[0]), [{**line, "origin": "random"} for line in lines])
    assert main(["tables", *arguments, "--output-folder", str(tmp_path / "tables")]) == 0
    text = " ".join((tmp_path / "tables/results.md").read_text().split())
    assert text.count(words) == 1 and f"1,1,1,0.5) - {words}" in text


def test_candidates_that_all_have_one_score_are_told(tmp_path):
    """As networks that were trained so shortly that they give every image the same class: cost alone has chosen."""
    words = "have the same score, 20.00 %"
    assert words not in make_tables(tmp_path, tmp_path / "tables")["results.md"]
    arguments, history = write_experiment(tmp_path)["tables"], Layout(tmp_path).search("A").history
    lines = list(csv.DictReader(history.open()))
    write_csv(history, tuple(lines[0]), [{**line, "top1": 20.0} for line in lines])
    assert main(["tables", *arguments, "--output-folder", str(tmp_path / "tables")]) == 0
    text = " ".join((tmp_path / "tables/results.md").read_text().split())
    assert text.count(words) == 1 and f"All candidates of evolution {words}: it was chosen by cost alone." in text
    write_csv(history, tuple(lines[0]), [{**line, "top1": 20.0} for line in lines[:1]])
    assert main(["tables", *arguments, "--output-folder", str(tmp_path / "tables")]) == 0
    assert words not in (tmp_path / "tables/results.md").read_text(), "one candidate says nothing"


def test_candidates_that_failed_are_counted(tmp_path):
    """The widest of a search, say, on a machine of too little memory: it goes on without them."""
    words = "failed for want of memory or another reason of the machine"
    assert words not in make_tables(tmp_path, tmp_path / "tables")["results.md"]
    arguments = write_experiment(tmp_path)["tables"]
    for search, number in (("A", 2), ("random-A", 1)):
        history = Layout(tmp_path).search(search).history
        lines = list(csv.DictReader(history.open()))
        failed = {"status": "failed", "top1": "", "fitness": 0, "reason": "MemoryError"}
        lines[-number:] = [{**line, **failed, "genome": f"4,4,4,4,4,{i + 1}"} for i, line in enumerate(lines[-number:])]
        write_csv(history, tuple(lines[0]), lines)
    assert main(["tables", *arguments, "--output-folder", str(tmp_path / "tables")]) == 0
    text = " ".join((tmp_path / "tables/results.md").read_text().split())
    assert f"Of the 4 candidates of evolution 2 {words}" in text
    assert f"Of the 4 candidates of random search 1 {words}" in text


def test_a_candidate_that_another_run_could_train_has_a_score(tmp_path):
    lines = {"A": [("1,1", "failed"), ("2,2", "failed")], "A-2": [("1,1", "ok"), ("4,4", "diverged")]}
    for run, candidates in lines.items():
        rows = [{"generation": 0, "genome": genome, "status": status} for genome, status in candidates]
        write_csv(tmp_path / run, tuple(rows[0]), rows)
    runs = tuple(RunBest(run, (1.0, 1.0), 80.0) for run in lines)
    best = Best("A", (1.0, 1.0), 80.0, 1.0, 80.0, 0, 0, 3, runs=runs)
    assert _with_candidates(best, None, [OfSearch(run, tmp_path / run) for run in lines]).failed == 1


def test_candidates_that_can_be_the_answer_are_counted(tmp_path):
    """Those with a score and within the cost that was asked for, each once."""
    arguments = write_experiment(tmp_path)["tables"]
    words = [word.replace("=evolution:4", OBJECTIVE).replace("=random:4", RANDOM_OBJECTIVE) for word in arguments]
    assert words != arguments
    for search, costs in (("A", (0.5, 1.0, 0.5, 1.2)), ("random-A", (0.5, 2, 0.5, 4))):
        history = Layout(tmp_path).search(search).history
        lines = list(csv.DictReader(history.open()))
        lines = [{**line, "relative_flops": cost} for line, cost in zip(lines, costs, strict=True)]
        lines.append({**lines[0], "genome": "4,4,4,4,4,4", "status": "diverged", "top1": "", "reason": "nan"})
        write_csv(history, tuple(lines[0]), lines)
    assert main(["tables", *words, "--output-folder", str(tmp_path / "tables")]) == 0
    text = " ".join((tmp_path / "tables/results.md").read_text().split())
    assert "Only 1 of the 4 candidates of random search could be that network, and 2 of those of evolution." in text


def test_table_columns_are_aligned(tmp_path):
    text = make_tables(tmp_path, tmp_path / "tables")["results.md"]
    table = text.split("\n\n")[1].splitlines()
    assert len(table) == 2 + len(ROWS)
    assert len({len(line) for line in table}) == 1


def test_the_proxy_is_judged_on_the_sample(tmp_path):
    written = make_tables(tmp_path, tmp_path / "tables")
    lines = list(csv.DictReader(written["proxy.csv"].splitlines()))
    assert [line["score"] for line in lines] == ["60.0", "63.0", "66.0", "69.0", "72.0", "75.0"]
    assert lines[0]["trained_mean"] == "80.5"
    assert "Over 6 random genomes" in written["proxy.md"]
    assert "is 1.00 (1.00 to 1.00)" in " ".join(written["results.md"].split())


def test_a_genome_that_diverged_is_left_out_of_the_sample(tmp_path):
    arguments = write_experiment(tmp_path)["tables"]
    path = Layout(tmp_path).sample.trained(1)
    path.write_text(path.read_text().replace(",ok,81.0,1.0,", ",diverged,,,the loss"))
    forget_seals(tmp_path)
    assert main(["tables", *arguments, "--output-folder", str(tmp_path / "tables")]) == 0
    lines = list(csv.DictReader((tmp_path / "tables/proxy.csv").open()))
    assert len(lines) == 5 and lines[0]["score"] == "63.0"


def test_every_candidate_is_on_its_fronts(tmp_path):
    written = make_tables(tmp_path, tmp_path / "tables")
    lines = list(csv.DictReader(written["candidates.csv"].splitlines()))
    assert len(lines) == len({line["genome"] for line in lines}) == 6
    assert {line["on_front_flops"] for line in lines} == {"0", "1"}


def test_controls_of_equal_cost_come_first_in_the_verdict(tmp_path):
    iso = (0.7, *(0.9,) * 5)
    rows = {**ROWS, "uniform-iso-A": (iso, True, (88.0, 88.2))}
    arguments = write_experiment(tmp_path, rows=rows)["tables"]
    controls = ["--controls", "uniform-iso-A=uniform:found-A"]
    assert main(["tables", *arguments, *controls, "--output-folder", str(tmp_path / "tables")]) == 0
    text = " ".join((tmp_path / "tables/results.md").read_text().split())
    assert "Against uniform-iso-A, the uniform network of equal cost (" in text
    by_memory = [*controls, "--cost-width", "1", "--cost", "memory", "--output-folder", str(tmp_path / "memory")]
    assert main(["tables", *arguments, *by_memory]) == 0
    text = " ".join((tmp_path / "memory/results.md").read_text().split())
    assert "Searches weighed memory against accuracy, and controls have equal memory." in text


@pytest.mark.parametrize("control", ["x", "x=same:y", "x=uniform"])
def test_malformed_control(tmp_path, control, capsys):
    arguments = write_experiment(tmp_path)["tables"]
    assert main(["tables", *arguments, "--controls", control, "--output-folder", str(tmp_path / "tables")]) == 2
    assert "--controls" in capsys.readouterr().err


def test_second_run_gives_the_same_bytes_and_times_are_kept_apart(tmp_path):
    first = make_tables(tmp_path / "one", tmp_path / "first")
    again = make_tables(tmp_path / "one", tmp_path / "again")
    assert again == first
    slower = make_tables(tmp_path / "two", tmp_path / "slower", seconds=99.0)
    differing = {name for name in OUTPUTS if slower[name] != first[name]}
    assert differing == {"timing.csv", "timing.md"}  # and not balance.csv, whose shares are the same


def test_hours_are_of_all_processes(tmp_path):
    arguments = write_experiment(tmp_path, seconds=36.0)["tables"]
    write_json(tmp_path / "supernet/timing.json", {**timing(36.0), "processes": 2})
    assert main(["tables", *arguments, "--output-folder", str(tmp_path / "tables")]) == 0
    lines = {line["name"]: line for line in csv.DictReader((tmp_path / "tables/timing.csv").open())}
    assert (lines["supernet"]["device_hours"], lines["supernet"]["seconds_per_training"]) == ("0.02", "36.0")
    assert lines["uniform-1x"]["device_hours"] == "0.02", "two seeds of one process"
    assert "2 × cpu, 1 thread" in (tmp_path / "tables/timing.md").read_text()


def test_single_seed(tmp_path):
    rows = {model: (genome, binary, accuracies[:1]) for model, (genome, binary, accuracies) in ROWS.items()}
    written = make_tables(tmp_path, tmp_path / "tables", rows=rows)
    text = " ".join(written["results.md"].split())
    assert "A row with a single seed says nothing of another training" in text
    assert "in these trainings" in text and "better by" not in text and "worse by" not in text
    assert "±" not in written["results.md"].split("\n\n")[1]
    assert {line["top1_std"] for line in csv.DictReader(written["results.csv"].splitlines())} == {""}


def test_without_searches_and_supernet(tmp_path):
    rows = {model: ROWS[model] for model in ("full-precision", "uniform-1x")}
    arguments = write_experiment(tmp_path, rows=rows, searches={})["tables"]
    place = arguments.index("--supernet-timing")
    arguments = arguments[:place] + arguments[place + 2 :]
    assert main(["tables", *arguments, "--output-folder", str(tmp_path / "tables")]) == 0
    text = (tmp_path / "tables/results.md").read_text()
    assert "## Verdict" not in text
    assert "no genome was sampled" in " ".join(text.split())
    assert "| reused" not in (tmp_path / "tables/timing.md").read_text()


def test_published_table_beside(tmp_path):
    written = make_tables(tmp_path, tmp_path / "tables", "--published", "table1")
    lines = {line["model"]: line for line in csv.DictReader(written["results.csv"].splitlines())}
    assert lines["found-A"]["published_model"] == "VGG-Auto-A"
    assert lines["VGG-Auto-B"]["source"] == "published only"
    assert lines["VGG-Auto-B"]["top1_mean"] == ""
    text = " ".join(written["results.md"].split())
    assert "## Beside Table 1 of the paper (CIFAR-10)" in text
    assert "VGG-Auto-B (published only)" in text
    assert "those measured here of 0.0625: they do not compare" in text
    assert "ReCU" in text


def test_latex_is_escaped(tmp_path):
    tex = make_tables(tmp_path, tmp_path / "tables", "--published", "table1")["results.tex"]
    body = [line for line in tex.splitlines() if not line.startswith("%")]
    assert r"uniform\_2x" in tex
    assert r"$92.00" not in tex
    assert r"92.00 $\pm$ 0.14" in tex
    for line in body:
        assert not re.search(r"(?<!\\)[_%#^~]", line), line
        assert line.count("$") % 2 == 0
    rows = [line for line in body if line.endswith(r" \\")]
    columns = [len(spec) for spec in re.findall(r"\\begin\{tabular\}\{([lr]+)\}", tex)]
    assert {line.count(" & ") + 1 for line in rows} == set(columns)
    assert tex.count(r"\begin{tabular}") == tex.count(r"\end{tabular}") == 2


def replace_json(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "evaluation/found-A/seed_0.json").write_text("{"), "seed_0.json is no record"),
        (lambda f: (f / "evaluation/found-A/seed_0.json").write_text("{}"), "seed_0.json is no evaluation"),
        (lambda f: (f / "evaluation/found-A/seed_0.json").unlink(), "there is no file"),
        (lambda f: replace_json(f / "evaluation/found-A/seed_0.json", top1="?"), "is no evaluation"),
        (lambda f: replace_json(f / "evaluation/found-A/seed_0.json", network={}), "is no evaluation"),
        (lambda f: replace_json(f / "evaluation/found-A/seed_0.json", census={"train": 1}), "is no evaluation"),
        (lambda f: replace_json(f / "retrain/found-A/seed_0/timing.json", seconds=None), "what a training took"),
        (lambda f: (f / "search/A/timing.csv").write_text("slot\n"), "has no column 'genome'"),
        (lambda f: (f / "search/A/history.csv").write_text("slot\n"), "has no column 'generation'"),
        (
            lambda f: (f / "search/A/history.csv").write_text("generation,genome,relative_flops\n?,1,1\n"),
            "history.csv is no search's history",
        ),
        (
            lambda f: (f / "search/A/timing.csv").write_text("slot,genome,seconds,reused,shard,machine\n0,1,?,0,0,x\n"),
            "timing.csv does not say what candidates took",
        ),
    ],
)
def test_damaged_files_are_named_in_one_sentence(tmp_path, capsys, damage, message):
    arguments = write_experiment(tmp_path)["tables"]
    damage(tmp_path)
    forget_seals(tmp_path)
    assert main(["tables", *arguments, "--output-folder", str(tmp_path / "tables")]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "tables").exists()


def test_a_row_has_the_network_that_the_configuration_gives_it(tmp_path, capsys):
    arguments = [*write_experiment(tmp_path)["tables"], "--output-folder", str(tmp_path / "tables"), "--given"]
    right = ["uniform-1x=1,1,1,1,1,1", "full-precision=1,1,1,1,1,1:full-precision"]
    assert main(["tables", *arguments, *right]) == 0
    for given in ("uniform-1x=2,2,2,2,2,2", "uniform-1x=1,1,1,1,1,1:full-precision", "full-precision=1,1,1,1,1,1"):
        assert main(["tables", *arguments, given]) == 1
        assert "error: row '" + given.partition("=")[0] + "' was trained as 1,1,1" in capsys.readouterr().err
    for malformed in ("uniform-1x", "uniform-1x=1,1,1,1,1,1:half", "uniform-1x=one"):
        assert main(["tables", *arguments, malformed]) == 2
        assert f"'{malformed}' is not MODEL=GENOME" in capsys.readouterr().err


@pytest.mark.parametrize("search", ["A", "A=annealing:4", "A=evolution", "A=evolution:much"])
def test_malformed_search(tmp_path, search, capsys):
    arguments = write_experiment(tmp_path)["tables"]
    arguments[arguments.index("A=evolution:4")] = search
    assert main(["tables", *arguments, "--output-folder", str(tmp_path / "tables")]) == 2
    assert "--searches" in capsys.readouterr().err


@pytest.mark.parametrize("cost", ["flops", "memory", "latency"])
def test_tables_count_by_the_cost_that_was_meant_and_show_latencies(tmp_path, cost):
    spec = replace(SPEC, base_width=1.0)
    table = table_file(tmp_path / "latency.json", made_up(spec, lambda layer: layer.out_channels * 1e-6))
    counting = Counting(cost, read_latency(table))
    how = ["--cost-width", "1", "--cost", cost, "--latency-table", str(table)]
    written = make_tables(tmp_path, tmp_path / "tables", *how)
    lines = {line["model"]: line for line in csv.DictReader(written["results.csv"].splitlines())}
    found = spec.with_genome(FOUND)
    assert float(lines["found-A"]["latency_ms"]) == pytest.approx(counting.milliseconds(found))
    assert lines["full-precision"]["latency_ms"] == "", "the table is of binary networks"
    plain = " ".join(written["results.md"].split())
    share = counting.value(spec.with_genome(RANDOM)) / counting.value(found)
    assert f"({share:.2f} times its {counting.title}, " in plain
    assert "- over latency: " in plain and "measured on a board (digest " in plain
    weighed = f"Searches weighed {counting.title} against accuracy."  # and there are no controls
    assert (weighed in plain) is (cost != "flops")
    for line in csv.DictReader(written["candidates.csv"].splitlines()):
        network = spec.with_genome(parse_genome(line["genome"]))
        assert float(line["latency_ms"]) == pytest.approx(counting.milliseconds(network))
    for line in csv.DictReader(written["proxy.csv"].splitlines()):
        relative = counting.relative(spec.with_genome(parse_genome(line["genome"])))
        assert float(line[f"relative_{cost}"]) == pytest.approx(relative, abs=1e-6)
    assert f"{counting.title} / 1x" in written["proxy.md"]


def test_figures_are_drawn_over_the_cost_that_was_meant(tmp_path):
    spec = replace(SPEC, base_width=1.0)
    table = table_file(tmp_path / "latency.json", made_up(spec, lambda layer: layer.out_channels * 1e-6))
    drawn = {}
    for cost in ("flops", "memory", "latency"):
        how = ["--cost-width", "1", "--cost", cost, "--latency-table", str(table)]
        words = [*write_experiment(tmp_path)["figures"], *how, "--output-folder", str(tmp_path / cost)]
        assert main(["figures", *words]) == 0
        drawn[cost] = {name: (tmp_path / cost / f"{name}.svg").read_bytes() for name in ("accuracy", "proxy")}
    for name in ("accuracy", "proxy"):
        assert len({figures[name] for figures in drawn.values()}) == 3
