"""The page that tells an experiment: what stands in it, that it needs nothing else, that a browser shows all of it."""

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.__main__ import main
from pipeline.common.files import read_csv, read_json, write_csv, write_json
from pipeline.data.census import Census
from pipeline.report.answers import Answered, Mistake
from pipeline.report.figures import Curve, accuracies_figure
from pipeline.report.inference import INFERENCE_COLUMNS, MeasuredInference, inference_table
from pipeline.report.mixture import MIXED
from pipeline.report.page.build import Findings, build_page
from pipeline.report.page.comparison import build_comparison
from pipeline.report.page.grid import millions_cell
from pipeline.report.page.inline import inline_svg
from pipeline.report.page.mistakes import mistakes_body
from pipeline.report.rows import Interval, Row, Search
from pipeline.report.statistics import Sample
from pipeline.search.costs import Counting
from pipeline.search.facts import training_settings
from pipeline.search.individual import Individual
from pipeline.search.objectives import configured
from pipeline.search.tables import read_best, write_best
from pipeline.workflow.config import read_config
from pipeline.workflow.layout import COMPARISON, Layout
from pipeline.workflow.saved_config import read_saved_config, save_config
from pipeline.workflow.schema import ROOT
from tests.support.latencies import made_up, table_file
from tests.support.measured import FOUND, ROWS, SPEC, write_experiment
from tests.support.steps import outdated

CHROMIUM = shutil.which("chromium")
CONFIG = read_config([ROOT / "config.yaml"])
#: Five of six cats and eight of ten dogs are recognised.
LABELS = np.repeat([0, 1], [6, 10])
GIVEN = np.array([0, 0, 0, 0, 0, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1])
ANSWERED = Answered(
    ("cat", "<dog>"), LABELS, GIVEN, np.full(16, 0.75), (Mistake(5, 0, 1, 0.998, b"png"), Mistake(6, 1, 0, 0.9, b"p"))
)


class Reader(HTMLParser):
    """Collects elements, and checks that they are closed in the order in which they are opened."""

    VOID = frozenset({"meta", "br", "img", "input", "hr", "link"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values["href"]] if tag == "a" else []
        self.sources += [values[name] for name in ("src", "xlink:href") if name in values]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    """A page of made-up measurements, with names that HTML would take for its own."""
    rows = [
        Row("uniform <1x> & co", SPEC, Interval(90.0, 0.5, 3), answered=(ANSWERED,)),
        Row("old one", SPEC.with_genome(SPEC.genome), Interval(80.0, None, 1)),
    ]
    generation = [Individual((1.0, 2.0, 1.0, 1.0, 1.0, float(g)), 60.0 + g, 1.0 + g / 5) for g in range(5)]
    return build_page(
        Findings(
            config={**CONFIG, "experiment": "<script>alert(1)</script>"},
            config_text="experiment: <b>bold</b>\n",
            rows=rows,
            searches={},
            generations={"A": [generation, generation[::-1]]},
            commands={"Use it": "python -m pipeline predict 'a b'"},
            versions={"torch": "2"},
        )
    )


def test_millions_are_no_powers_of_ten():
    values = (0.0, 1_234_567.0, 9_999_400_000.0, 9_999_600_000.0, 27_123_400_000.0)
    assert [millions_cell(value).shown for value in values] == ["0", "1.235", "9999", "10000", "27123"]


def test_the_words_of_the_curves_are_of_what_is_drawn():
    curves = [Curve("m", [[50, 60, 90], [55, 65]]), Curve("n", [[40, 70]]), Curve("cut", [[1], []]), Curve("none", [])]
    shown = build_page(Findings(CONFIG, "", [], {}, {}, curves=curves))
    assert "m ends at 62.5 %; n ends at 70.0 %<" in shown, "the mean over seeds, and not the first of them"


def test_the_papers_claims_stand_where_its_table_is_asked_for(page):
    rows = [Row("uniform-1x", SPEC, Interval(90.0, 0.5, 3))]
    shown = build_page(Findings({**CONFIG, "published": "table1"}, "", rows, {}, {}))
    assert "a searched network beats Uniform-1x for less" in shown and "not trained here" in shown
    assert "The paper&#39;s claims" in shown and "The paper&#39;s claims" not in page


def test_a_search_that_has_tried_all_there_is_has_looked_at_no_more():
    config = {**CONFIG, "search": {**CONFIG["search"], "generations": 3, "population": 4}}
    objective = configured({"lambda": 4})
    searches = {name: Search(name, "evolution", objective) for name in ("A", "B")}

    def asked(*generations, note=""):
        found = [
            [[Individual((1.0, 2.0, 1.0, 1.0, 1.0, 0.1 + g), 60.0, 1.0) for g in range(size)] for size in sizes]
            for sizes in generations
        ]
        found = dict(zip(searches, found, strict=False))
        shown = build_page(Findings(config, "", [], searches, found, note=note))
        for name, generations in found.items():
            scored = [objective.value(one) for generation in generations for one in generation]
            assert f"{name}: a fitness of {max(scored):.2f} at best, of {len(scored)} candidates" in shown
        return re.search(r"2 searches [^<]*? looked at (.*?)\.", shown)[1]

    whole = "3 generations of 4 candidates each"
    assert asked((4, 4, 4), (4, 4, 4)) == asked((4, 4, 4)) == asked() == whole
    why = "of 12 asked for, since no more genomes can be proposed"
    assert asked((4, 2), (4, 2)) == f"6 candidates each, {why}"
    assert asked((4, 4, 4), (4, 2)) == f"6 to 12 candidates each, {why}"
    assert asked((4, 2), note="The run is not finished.") == whole


def test_what_is_wrong_with_the_images_is_told(page):
    row = Row("row", SPEC, Interval(90.0, 0.5, 3), census=Census(9, 8, shared=2))
    shown = build_page(Findings(CONFIG, "", [row], {}, {}))
    assert "<p>Images: 9 train images and 8 test images. 2 test images are train images too.</p>" in shown
    assert "Images: " not in page, "an earlier version's record has none"


def test_what_a_recipe_gives_is_told():
    usual = Row("usual", SPEC, Interval(90.0, 0.5, 3), sample=Sample((89.5, 90.0, 90.5), (), 1000))
    adam = replace(usual, model="adam", top1=Interval(91.0, 0.5, 3), recipe=("optimizer adam",))
    shown, alone = (build_page(Findings(CONFIG, "", rows, {}, {})) for rows in ([usual, adam], [usual]))
    assert "adam (optimizer adam): 91.00 ± 0.50 % beside 90.00 ± 0.50 % of usual" in shown
    assert "<h3>Recipes</h3>" in shown and "<h3>Recipes</h3>" not in alone


def test_it_is_whole_and_needs_nothing_from_elsewhere(page):
    reader = Reader(page)
    assert reader.open == []
    assert [name for name, count in Counter(reader.ids).items() if count > 1] == []
    assert all(link.startswith("#") and link[1:] in reader.ids for link in reader.links)
    assert all(source.startswith(("#", "data:")) for source in reader.sources)
    without_namespaces = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    assert not re.search(r"https?://|@import|url\((?!#)", without_namespaces)


def test_names_are_text_and_nothing_else(page):
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    assert "uniform &lt;1x&gt; &amp; co" in page
    assert "<b>bold" not in page


def test_every_figure_says_what_it_shows_and_has_real_text(page):
    figures = re.findall(r"<svg class=\"figure\".*?</svg>", page, re.DOTALL)
    assert len(figures) == 2
    for figure in figures:
        assert re.search(r"<title [^>]*>[^<]+</title>", figure) and re.search(r"<desc [^>]*>[^<]+</desc>", figure)
        assert figure.count("<text") > 5
        assert "var(--" in figure and 'fill="currentColor"' in figure


def test_right_and_wrong_by_class(page):
    part = page[page.index('id="mistakes"') :]
    assert re.search(r"cat</td><td[^>]*>6</td><td[^>]*>83\.33<", part)
    assert re.search(r"&lt;dog&gt;</td><td[^>]*>10</td><td[^>]*>80\.00<", part)
    lines = re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', part, re.DOTALL)
    assert [(name, re.findall(r">(\d+)</td>", cells)) for name, cells in lines] == [
        ("cat", ["5", "1"]),
        ("&lt;dog&gt;", ["2", "8"]),
    ]
    assert '--share:83%" class="right">5<' in part and '--share:20%">2<' in part
    assert "gives its answer 75.0 %, and 81.2 % of the answers are right" in part
    surest, other = re.findall(r'<li><img src="data:image/png;base64,(.*?)".*?<b>(.*?)</b><br>(.*?)</li>', part)
    assert surest == ("cG5n", "cat taken for &lt;dog&gt;", "99.8 % sure; wrong with 1 of 1 seed")
    assert other[1:] == ("&lt;dog&gt; taken for cat", "90.0 % sure; wrong with 1 of 1 seed")
    assert "Not known by class: old one, evaluated before" in part


def test_of_many_classes_the_hardest_are_shown():
    labels = np.repeat(np.arange(30), 10)
    given = np.where(np.arange(300) % 10 < labels // 4, (labels + 1) % 30, labels)
    answered = Answered(tuple(f"class {n}" for n in range(30)), labels, given, np.ones(300), ())
    body = str(mistakes_body([Row("many", SPEC, Interval(65.0, None, 1), answered=(answered,))]))
    assert "Of 30 classes, the 20 on which many is least accurate." in body and 'class="confusion"' not in body
    shown = re.findall(r"<tr><td>(class \d+)</td>", body)
    assert shown[:20] == shown[20:] and shown[:2] == ["class 28", "class 29"] and "class 0" not in shown
    assert re.search(r"<td>class 28</td><td[^>]*>30\.00</td><td[^>]*>class 29</td><td[^>]*>70\.0</td>", body)


def test_a_part_that_has_nothing_to_tell_is_left_out(page):
    assert 'id="time"' not in page and 'id="proxy"' not in page
    empty = build_page(Findings(CONFIG, "", [], {}, {}, note="The run is not finished."), refresh=5)
    assert 'http-equiv="refresh" content="5"' in empty and "not finished" in empty
    assert 'id="table"' not in empty


def test_two_figures_of_one_page_do_not_share_names():
    from pipeline.report.page.cloud import cloud_figure

    generation = [Individual((1.0,), 50.0, 1.0), Individual((2.0,), 60.0, 2.0)]
    first, second = (str(inline_svg(cloud_figure({"A": [generation]}), "t", "d")) for _ in range(2))
    names = [set(re.findall(r'id="([^"]+)"', svg)) for svg in (first, second)]
    assert names[0].isdisjoint(names[1])
    assert all(set(re.findall(r"url\(#([^)]+)\)", svg)) <= ids for svg, ids in zip((first, second), names, strict=True))


# --- from the files of an experiment ---


def measured(name, rows=ROWS, **changes) -> Layout:
    """Measured files of an experiment whose configuration names just those rows."""
    layout = Layout.of(name)
    write_experiment(layout.folder, rows, answered=True)
    config = {
        **CONFIG,
        "experiment": name,
        "searches": {
            "A": {"algorithm": "evolution", "lambda": 4, "seed": 0},
            "random-A": {"algorithm": "random", "lambda": 4, "seed": 0},
        },
        "models": {
            "full-precision": {"genome": 1, "binary": False},
            "uniform-1x": {"genome": 1},
            "uniform_2x": {"genome": 2},
            "found-A": {"search": "A"},
            "random-A": {"search": "random-A"},
        },
        "retrain": {**CONFIG["retrain"], "seeds": 2},
        **changes,
    }
    save_config(config, layout)
    return layout


@pytest.fixture
def experiment(tmp_path, monkeypatch) -> Layout:
    """An experiment in the working folder."""
    monkeypatch.chdir(tmp_path)
    return measured("measured")


@pytest.fixture
def two(experiment) -> list[str]:
    """Two experiments, of which the second has other rows, other images and another name."""
    measured("other", {**ROWS, "found-A": (FOUND, True, (94.0, 94.4))}, seed=7)
    return ["measured", "other"]


def test_the_command_writes_the_page_of_an_experiment(experiment):
    assert main(["report", "measured"]) == 0
    page = experiment.report.read_text()
    for part in ("summary", "table", "cost", "channels", "search", "curves", "mistakes", "time", "made"):
        assert f'<section id="{part}"' in page, part
    glance = re.search(r'<dl class="glance">(.*?)</dl>', page, re.DOTALL)[1]
    assert [re.sub("<.*?>", "", line) for line in re.findall("<dt>.*?</dt>", glance)] == [
        *("Asked", "Found", "Worth it?", "Use it")
    ]
    assert "A binary network keeps weights and activations in one bit" in glance
    assert "found-A: 92.00 ± 0.00 % of the test images right, 0.6333M FLOPs, 0.94 times uniform-1x." in glance
    assert "found-A: not known. There is no uniform network of equal or lower cost to compare with." in glance
    assert "<code>python -m pipeline predict results/measured/retrain/found-A photo.jpg</code>" in glance
    assert "2 searches (evolution (λ = 4), 1 run; random search, 1 run) looked at" in page
    assert "pipeline predict results/measured/retrain/found-A" in page
    assert len(page) < 2_000_000
    assert main(["report", "measured"]) == 0
    assert re.sub(r"\bf\d+-", "", experiment.report.read_text()) == re.sub(r"\bf\d+-", "", page)


def test_without_a_name_it_is_the_page_of_the_newest_experiment(two, capsys):
    for times, newest in (((2000, 1000), "measured"), ((1000, 2000), "other")):
        for name, time in zip(two, times, strict=True):
            for path in Path("results", name).rglob("*"):
                os.utime(path, (time, time))
        assert main(["report"]) == 0
        assert capsys.readouterr().out == f"results/{newest}/report.html is written\n"


def test_a_row_whose_search_has_found_something_else_waits_for_its_training(experiment):
    found = experiment.finalists("found-A").found
    write_best(found, replace(read_best(found), genome=(4.0, 2.0, 1.0, 1.0, 1.0, 0.5)))
    assert main(["report", "measured"]) == 0
    page = experiment.report.read_text()
    assert "The run is not finished: there is no accuracy yet of found-A." in page and "<h3>random-A</h3>" in page


def test_a_row_that_is_given_another_genome_waits_for_its_training(experiment):
    values = yaml.safe_load(experiment.config.read_text())
    values["models"]["uniform_2x"] = {"genome": 3}
    experiment.config.write_text(yaml.safe_dump(values))
    assert main(["report", "measured"]) == 0
    assert "there is no accuracy yet of uniform_2x." in experiment.report.read_text()
    values["models"]["uniform-1x"]["binary"] = False
    experiment.config.write_text(yaml.safe_dump(values))
    shutil.rmtree(experiment.measurement("full-precision", 0).parent)
    assert main(["report", "measured"]) == 0
    assert "no accuracy yet of full-precision, uniform-1x, uniform_2x." in experiment.report.read_text()


def test_a_row_that_is_to_be_trained_otherwise_waits_for_it(experiment):
    """By a recipe of its own, or by one of its own no more."""
    for file in experiment.measurement("uniform_2x", 0).parent.glob("*.json"):
        settings = {**training_settings(CONFIG["retrain"]), "optimizer": "adam"}
        write_json(file, {**json.loads(file.read_text()), "training": {"settings": settings}})
    assert main(["report", "measured"]) == 0
    assert "there is no accuracy yet of uniform_2x." in experiment.report.read_text()
    values = yaml.safe_load(experiment.config.read_text())
    values["models"]["uniform_2x"]["retrain"] = {"optimizer": "adam"}
    experiment.config.write_text(yaml.safe_dump(values))
    assert main(["report", "measured"]) == 0
    assert "there is no accuracy yet" not in experiment.report.read_text()


def test_what_is_left_of_more_seeds_holds_up_nothing(experiment):
    """Fewer seeds were asked for, and other settings at the same time or later."""
    file = experiment.measurement("uniform_2x", 0)
    settings = {**training_settings(CONFIG["retrain"]), "optimizer": "adam"}
    write_json(file.with_name("seed_2.json"), {**json.loads(file.read_text()), "training": {"settings": settings}})
    assert main(["report", "measured"]) == 0
    assert "there is no accuracy yet" not in experiment.report.read_text()


def test_what_is_of_the_settings_before_is_told(experiment):
    """A run with other settings was interrupted: the search that is shown is of those before."""
    history = experiment.search("A").history
    outdated(experiment, [history, experiment.search("of-another").history])
    assert main(["report", "measured"]) == 0
    said = f"1 file is of other settings or images than the experiment&#39;s, such as {history};"
    assert said in experiment.report.read_text() and "not finished" not in experiment.report.read_text()
    # Evaluations may be on images that have changed: the row waits, as if it had none.
    outdated(experiment, [experiment.measurement("found-A", 0)])
    assert main(["report", "measured"]) == 0
    assert "The run is not finished: there is no accuracy yet of found-A. 1 file is" in experiment.report.read_text()


def test_what_lies_there_of_another_copy_of_the_experiment_is_told(experiment):
    """As after a copy of its folder, from another machine, that was broken off: of other settings, at its own place."""
    found, history, config = experiment.measurement("found-A", 0), experiment.search("A").history, "0" * 64
    lines = [{"run": "a", "folder": str(experiment.folder)}, {"config": config}]
    lines += [
        {"file": str(one.relative_to(experiment.folder)), "record": {}, "digest": "0"} for one in (found, history)
    ]
    experiment.made_with.write_text("\n".join(map(json.dumps, lines)))
    assert main(["report", "measured"]) == 0
    page = experiment.report.read_text()
    assert f"{experiment.config} is not the configuration that the other files here were made with" in page
    said = "2 files are not as this experiment&#39;s runs left them, or made from others than lie here now, such as"
    assert f"{said} {found}" in page
    assert "there is no accuracy yet of found-A." in page


def test_latencies_by_another_table_than_the_searches_looked_at_are_told(experiment, tmp_path):
    table = table_file(tmp_path / "board.json")
    search = {**CONFIG["search"], "cost": "latency", "latency_table": str(table)}
    layout = measured("timed", search=search)
    for row in ("found-A", "random-A"):
        found = read_best(layout.finalists(row).found)
        spec = SPEC.with_genome(found.genome).at_width(1.0)
        write_best(
            layout.finalists(row).found,
            replace(found, cost="latency", relative_cost=Counting("latency", made_up()).relative(spec)),
        )
    said = "The table of latencies is not the one that the searches looked at"
    assert main(["report", "timed"]) == 0
    assert said not in layout.report.read_text()
    table_file(table, start=0.01)  # measured anew, in its place
    assert main(["report", "timed"]) == 0
    assert said in layout.report.read_text()


def test_it_tells_if_not_all_was_computed_in_the_same_way(experiment):
    assert main(["report", "measured"]) == 0
    assert MIXED not in experiment.report.read_text()
    first, *others = sorted(experiment.folder.glob("retrain/*/*/timing.json"))
    for timing in others:
        write_json(timing, {**read_json(timing), "arithmetic": ["cpu float32, EPYC"]})
    write_json(first, {**read_json(first), "arithmetic": ["cpu float32, <Xeon>"]})
    assert main(["report", "measured"]) == 0
    page = experiment.report.read_text()
    assert f"<strong>{MIXED}</strong>" in page
    assert f"<li>cpu float32, EPYC: {len(others)} trainings, 0 candidates</li>" in page
    assert "<li>cpu float32, &lt;Xeon&gt;: 1 training, 0 candidates</li>" in page


def test_a_run_in_progress_shows_what_is_there(experiment):
    shutil.rmtree(experiment.measurements / "found-A")
    assert main(["report", "measured"]) == 0
    page = experiment.report.read_text()
    assert "The run is not finished: there is no accuracy yet of found-A." in page
    shutil.rmtree(experiment.measurements)
    shutil.rmtree(experiment.retrainings)
    assert main(["report", "measured"]) == 0
    assert 'id="search"' in experiment.report.read_text() and 'id="table"' not in experiment.report.read_text()


def test_a_row_of_which_some_seeds_are_scored_says_so(experiment):
    """More seeds were asked for, and the run is under way or was interrupted: the mean is of the first ones."""
    assert main(["report", "measured"]) == 0
    assert "not finished" not in experiment.report.read_text()
    experiment.measurement("found-A", 1).unlink()
    assert main(["report", "measured"]) == 0
    said = "The run is not finished: some trainings are not scored yet, of found-A (1 of 2), and what is said here is"
    assert said in experiment.report.read_text()
    shutil.rmtree(experiment.measurements / "random-A")
    assert main(["report", "measured"]) == 0
    said = "there is no accuracy yet of random-A; some trainings are not scored yet, of found-A (1 of 2), and"
    assert said in experiment.report.read_text()


def test_measured_times_and_sizes_are_shown_as_soon_as_they_are_there(experiment):
    assert main(["report"]) == 0
    assert "ms for one image" not in experiment.report.read_text()
    rows = [
        MeasuredInference("full precision 1x", "torch", [4.0]),
        MeasuredInference("found-A", "runtime, avx2", [0.5], 2048, 46.1, (718, 719)),
    ]
    write_csv(experiment.tables.inference_csv, INFERENCE_COLUMNS, inference_table(rows, 1, "EPYC"))
    assert main(["report"]) == 0
    text = experiment.report.read_text()
    part = text[text.index('<section id="inference"') :].partition("</section>")[0]
    for shown in ("2,048", "0.5", "8.0×", "46.1×", "718 of 719", "on EPYC, threads: 1"):
        assert shown in part
    # They are none of these networks' if others have been trained since, and nobody has measured those.
    lines = [{"run": "a", "folder": "results/measured"}]
    lines += [
        {"file": "tables/inference.csv", "record": {}, "made_from": {"evaluation/found-A/seed_0.json": "another"}}
    ]
    experiment.made_with.write_text("\n".join(map(json.dumps, lines)))
    assert main(["report"]) == 0
    text = experiment.report.read_text()
    assert "of other networks than these, and is left out" in text and "ms for one image" not in text
    outdated(experiment, [experiment.tables.inference_csv])
    assert main(["report"]) == 0
    assert "ms for one image" not in experiment.report.read_text()


def test_sampled_genomes_that_diverged_are_counted(experiment):
    save_config(
        {**read_saved_config(experiment).config, "proxy": {"sample": 6, "scores": 2, "trainings": 2}}, experiment
    )
    path = experiment.sample.trained(1)
    first, *others = read_csv(path, ("genome",))
    write_csv(path, tuple(first), [{**first, "status": "diverged", "top1": "", "loss": "", "reason": "nan"}, *others])
    assert main(["report", "measured"]) == 0
    assert "Left out: 1 sampled genome of which a training diverged." in experiment.report.read_text()


def test_a_damaged_file_is_named(experiment, capsys):
    write_csv(experiment.search("A").history, ("slot",), [{"slot": 1}])
    assert main(["report", "measured"]) == 1
    assert "history.csv" in capsys.readouterr().err


# --- several experiments ---


def test_experiments_stand_side_by_side(two):
    best = Layout.of("measured").finalists("found-A").found
    write_best(best, replace(read_best(best), evaluations=8, micro_batch=16))
    assert main(["report", "--experiments", *two]) == 0
    page = COMPARISON.read_text()
    reader = Reader(page)
    assert reader.open == [] and all(link[1:] in reader.ids for link in reader.links)
    assert "<title>measured · other" in page
    for part in ("summary", "settings", "table", "cost"):
        assert f'<section id="{part}"' in page, part
    assert re.search(r'<td>seed</td><td class="text">0</td><td class="text">7</td>', page)
    assert len(re.findall(r"<td>found-A</td>", page)) == 2 and ">94.22 ± 0.31<" in page and ">92.00 ± 0.00<" in page
    assert page.count("<h3>") == 2
    assert main(["report", "measured"]) == 0
    alone = Layout.of("measured").report.read_text()
    said = re.findall(r"<p>(.*?)</p>", alone[alone.index("<h3>found-A") : alone.index("</section>")])
    assert len(said) > 3 and all(f"<p>{sentence}</p>" in page for sentence in said), "no reservation is left out"
    assert "not of the same images: their accuracies do not compare" in page


def test_the_same_configuration_twice(experiment, tmp_path):
    shutil.copytree("results", "elsewhere/results")
    assert main(["report", "measured", "--experiments", "elsewhere/results/measured", "--output", "both.html"]) == 0
    page = (tmp_path / "both.html").read_text()
    assert "<title>measured · measured (2)" in page and "Their configurations are the same." in page
    assert "do not compare" not in page and ">measured (2)</td>" in page


def test_other_test_images_by_the_same_settings(experiment, tmp_path):
    """The folder's images have changed in between, or lie on another machine."""
    shutil.copytree("results", "elsewhere/results")
    for number, root in enumerate(("results", "elsewhere/results")):
        for path in (tmp_path / root).glob("measured/evaluation/*/*.json"):
            write_json(path, {**read_json(path), "test_images": f"digest {number}"})
    words = ["--experiments", "measured", "elsewhere/results/measured", "--output", "both.html"]
    assert main(["report", *words]) == 0
    assert "not of the same images: their accuracies do not compare" in (tmp_path / "both.html").read_text()


def test_the_same_test_images_by_other_settings(two):
    """Another seed, where the test images are apart, or another spelling of their folder."""
    for path in COMPARISON.parent.glob("*/evaluation/*/*.json"):
        write_json(path, {**read_json(path), "test_images": "one digest"})
    assert main(["report", "--experiments", *two]) == 0
    assert "not of the same images" not in COMPARISON.read_text()


def test_other_arithmetic_by_the_same_settings(experiment, tmp_path):
    """What 'auto' became on another machine: a GPU, bfloat16, other kernels."""
    shutil.copytree("results", "elsewhere/results")
    words = ["--experiments", "measured", "elsewhere/results/measured", "--output", "both.html"]
    for second, said in (("cpu float32, EPYC", False), ("cuda bfloat16, H100", True)):
        for root, how in (("results", "cpu float32, EPYC"), ("elsewhere/results", second)):
            for path in (tmp_path / root).glob("measured/retrain/*/*/timing.json"):
                write_json(path, {**read_json(path), "arithmetic": [how]})
        assert main(["report", *words]) == 0
        page = (tmp_path / "both.html").read_text()
        both = "not computed in the same way (measured: cpu float32, EPYC; measured (2): cuda bfloat16, H100)"
        assert (both in page) == said and ("not computed in the same way" in page) == said


def test_networks_whose_published_tables_count_otherwise():
    """The paper counts one batch norm of VGG-small, and all batch norms and poolings of ResNet-18."""
    genomes = {"vgg_small": SPEC.genome, "resnet18": (1.0,) * 12}
    vgg, resnet = (
        Findings(
            config={**CONFIG, "experiment": name, "network": {**CONFIG["network"], "name": name}},
            config_text="",
            rows=[Row("a", replace(SPEC, network=name, genome=genome, size=32), Interval(50.0, 1.0, 2))],
            searches={},
            generations={},
        )
        for name, genome in genomes.items()
    )
    said = "by different conventions (VGG-small: &#39;table1&#39;, ResNet-18: &#39;table2&#39;)"
    assert build_comparison([vgg, resnet]).count(said) == 2, "under the table and under the figure"
    assert "conventions" not in build_comparison([vgg, vgg])


def test_one_experiment_stands_beside_nothing(experiment, capsys):
    assert main(["report", "--experiments", "measured", "measured"]) == 1
    assert "beside nothing: name two or more" in " ".join(capsys.readouterr().err.split())


def test_panels_that_are_compared_share_their_axes():
    cheap = [Row("a", SPEC, Interval(50.0, 1.0, 2)), Row("b", SPEC.with_genome(FOUND), Interval(60.0, None, 1))]
    good = [Row("c", replace(SPEC, base_width=1.0), Interval(99.9, 0.5, 2))]
    first, second = accuracies_figure({"cheap": cheap, "good": good}).axes
    assert first.get_xlim() == second.get_xlim() and first.get_ylim() == second.get_ylim()
    assert first.get_ylim()[0] < 50 and first.get_ylim()[1] == 100
    assert {text.get_text() for text in second.texts} >= {"c"} and first.get_title() == "cheap"


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
@pytest.mark.parametrize(("width", "beside"), [(360, []), (1400, []), (360, ["--experiments", "other"])])
def test_a_browser_shows_all_of_it(two, tmp_path, width, beside):
    """No error in its console, nothing wider than the window, no text of a figure over another; no table cut if it is
    wide.
    """
    assert main(["report", "measured", *beside, "--output", "page.html"]) == 0
    probe = """<script>addEventListener("load", () => {
      const wide = [...document.querySelectorAll("body *")].filter((e) => !e.closest(".scroll, svg, pre > *")
        && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.tagName);
      const over = [];
      for (const svg of document.querySelectorAll("svg.figure")) {
        const boxes = [...svg.querySelectorAll("text")].filter((t) => t.textContent.trim())
          .map((t) => [t.textContent.trim(), t.getBoundingClientRect()]);
        boxes.forEach(([a, p], i) => boxes.slice(i + 1).forEach(([b, q]) => {
          const x = Math.min(p.right, q.right) - Math.max(p.left, q.left);
          const y = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
          if (x > 0.3 * Math.min(p.width, q.width) && y > 0.5 * Math.min(p.height, q.height)) over.push(a + " / " + b);
        }));
      }
      const cut = innerWidth < 1000 ? [] : [...document.querySelectorAll(".scroll")]
        .filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.ariaLabel);
      const scroll = document.documentElement.scrollWidth <= innerWidth;
      document.body.dataset.probe = JSON.stringify({wide, over, scroll, cut});
    });</script>"""
    copy = tmp_path / "probed.html"
    copy.write_text((tmp_path / "page.html").read_text().replace("</body>", probe + "</body>"))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--dump-dom"]
    flags += [
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--enable-logging=stderr",
    ]
    flags += [f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900", "--virtual-time-budget=3000"]
    done = subprocess.run([CHROMIUM, *flags, copy.as_uri()], capture_output=True, text=True, timeout=120)
    assert ":CONSOLE" not in done.stderr, done.stderr
    found = re.search(r'data-probe="([^"]*)"', done.stdout)[1].replace("&quot;", '"')
    assert '"wide":[]' in found and '"over":[]' in found and '"scroll":true' in found and '"cut":[]' in found, found
