"""What rules depend on: a part whose source has changed reruns just what is made of it."""

import json
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.data.datasets import DATASETS
from pipeline.networks.architectures import ARCHITECTURES
from pipeline.networks.binary.binarisers import BINARISERS
from pipeline.search.algorithms import ALGORITHMS
from pipeline.search.objectives import OBJECTIVES
from pipeline.workflow.config import read_config
from pipeline.workflow.layout import Layout
from pipeline.workflow.rules import Files, Flags
from pipeline.workflow.schema import ROOT
from tests.support.latencies import table_file


def depends() -> dict[str, object]:
    """What the parameters of the default experiment's rules say of the method."""
    flags = Flags(read_config([ROOT / "config.yaml"], {"inference": {"measure": False}}))
    return {
        "prepare": flags.dataset_source(),
        "train": flags.training_method,
        "count": flags.counting_method,
        "show costs": flags.network_source(),
        "propose by evolution": flags.proposal_method("A"),
        "propose at random": flags.proposal_method("random"),
        "score": flags.objective_identity("A"),
    }


@pytest.mark.parametrize(
    ("registry", "name", "again"),
    [
        (DATASETS, "digits", {"prepare"}),
        (BINARISERS, "dorefa", {"train"}),
        (ARCHITECTURES, "vgg_small", {"count", "show costs", "propose by evolution", "propose at random"}),
        (ALGORITHMS, "evolution", {"propose by evolution"}),
        (ALGORITHMS, "random", {"propose at random"}),
        (OBJECTIVES, "fitness", {"score", "propose by evolution"}),
        (OBJECTIVES, "another", set()),
    ],
)
def test_a_changed_part_reruns_what_is_made_of_it(monkeypatch, registry, name, again):
    before = depends()
    monkeypatch.setattr(registry, "founding", {**registry.founding, name: "another source"})
    after = depends()
    assert {what for what in before if before[what] != after[what]} == again


@pytest.mark.parametrize(("precision", "said"), [("float32", {}), ("auto", {"answered_in": "float32"})])
def test_what_earlier_versions_answered_in_another_precision_is_answered_again(precision, said):
    execution = {"execution": {"precision": precision}}
    assert Flags(read_config([ROOT / "config.yaml"], execution)).answered_in() == said


def costs(**search: object) -> tuple[Flags, Files]:
    config = read_config([ROOT / "config.yaml"], {"inference": {"measure": False}, "search": search})
    return Flags(config), Files(config)


def test_tables_are_told_what_the_configuration_gives_rows() -> None:
    config = read_config([ROOT / "config.yaml"], {"models": {"uniform-4x": {"genome": 4}}})
    words = shlex.split(Flags(config).measurements())
    given = words[words.index("--given") + 1 : words.index("--cost-width")]
    ones, fours = (",".join([ratio] * 6) for ratio in "14")
    assert given == [f"full-precision={ones}:full-precision", f"uniform-1x={ones}", f"uniform-4x={fours}"]


def test_flops_add_nothing_to_what_rules_were_called_with_before() -> None:
    flags, files = costs()
    assert flags.counted_network() == "--network vgg_small --base-width 0.0625 --cost-width 1"
    assert "--cost " not in flags.measurements() and "--latency" not in flags.measurements()
    assert files.latencies() == files.latencies(for_tables=True) == []


def test_every_setting_of_cost_reaches_the_rules_that_depend_on_it(tmp_path: Path) -> None:
    table = table_file(tmp_path / "latency.json")
    flags, files = costs(cost="memory")
    assert flags.counted_network().endswith(" --cost memory") and flags.measurements().endswith(" --cost memory")
    # A table that only tables of results show is no input of the search.
    flags, files = costs(latency_table=str(table))
    assert "--latency-table" not in flags.counted_network() and files.latencies() == []
    assert f"--latency-table {table}" in flags.measurements() and files.latencies(for_tables=True) == [table]
    for search in ({"cost": "latency"}, {"max_latency": 100.0}):
        flags, files = costs(latency_table=str(table), **search)
        assert f"--latency-table {table}" in flags.counted_network() and files.latencies() == [table]
    assert "--max-latency 100.0" in flags.proposal("A") and "--max-latency 100.0" in flags.budget()


def test_a_table_counts_by_its_digest(tmp_path: Path) -> None:
    files = [
        table_file(tmp_path / "a.json"),
        table_file(tmp_path / "b.json", made_with={"machine": "the same"}),
        table_file(tmp_path / "c.json", start=1.0),
    ]
    a, b, c = (repr(costs(cost="latency", latency_table=str(file))[0].counted_network()) for file in files)
    assert a == b != c and str(tmp_path) not in a


def test_rules_are_given_words_that_count_as_others_by_a_function() -> None:
    """Snakemake makes plain text of any other parameter, and compares that."""
    rules = "".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    for name in ("counted_network", "measurements", "dataset"):
        uses = rules.count(f"flags.{name}()")
        assert uses and uses == rules.count(f"=lambda wildcards: flags.{name}()"), name


def test_a_row_asks_its_search_for_something_of_its_own():
    """Another cost or accuracy chooses anew among the search's candidates, and reruns that choice alone."""
    rows = {
        "found-A": {"search": "A"},
        "small": {"search": "A", "max_cost": 0.8},
        "good": {"search": "A", "min_top1": 90.5},
        "random-A": {"search": "random", "by": "A"},
    }
    config = read_config([ROOT / "config.yaml"])
    config = {**config, "models": rows, "search": {**config["search"], "finalists": 0}}
    flags, files = Flags(config), Files(config)
    assert flags.found_objective("found-A") == flags.found_objective("random-A") == flags.objective("A")
    assert flags.found_objective("small") == "--objective most_accurate --max-cost 0.8"
    assert flags.found_objective("good") == "--objective cheapest --min-top1 90.5"
    assert flags.found_objective_identity("small").startswith(flags.found_objective("small"))
    assert "small=evolution|most_accurate|--max-cost 0.8" in flags.measurements()
    layout = Layout.of(config["experiment"])
    small = files.found_genome(SimpleNamespace(model="small"))
    assert small == [layout.finalists("small").found], "chosen anew, though there are no finalists"


@pytest.mark.parametrize(("objective", "anew"), [({"max_cost": 0.3}, True), ({"min_top1": 80}, False)])
def test_a_search_within_a_budget_is_asked_whether_it_has_anything(objective, anew):
    """Without finalists, and with one run, its best score would be that of a network above the budget."""
    name = "most_accurate" if anew else "cheapest"
    section = {"algorithm": "evolution", "objective": name, "lambda": None, "seeds": 1, **objective}
    settings = {"searches": {"A": section}, "search": {"finalists": 0}}
    config = read_config([ROOT / "config.yaml"], settings)
    layout = Layout.of(config["experiment"])
    (found,) = Files(config).found_genome(SimpleNamespace(model="found-A"))
    assert found == (layout.finalists("found-A").found if anew else layout.search("A").best)


def test_a_choice_by_a_model_is_a_flag_and_counts():
    """By score, as ever, it is neither, so that earlier results stay."""
    usual, by_model = (
        Flags(read_config([ROOT / "config.yaml"], {"search": {"chosen_by": chosen_by}}))
        for chosen_by in ("score", "model")
    )
    assert usual.found_objective("found-A") == usual.objective("A")
    assert usual.found_objective_identity("found-A") == usual.objective_identity("A")
    assert by_model.found_objective("found-A") == f"{usual.objective('A')} --chosen-by model"
    assert by_model.found_objective_identity("found-A") == "4 --chosen-by model"
    assert by_model.objective("A") == usual.objective("A"), "the search itself goes by scores"


def test_early_stopping_concerns_the_candidates_of_searches_alone():
    off, on = (
        Flags(read_config([ROOT / "config.yaml"], {"search": {"early_stop_epochs": epochs, "early_stop_keep": 0.25}}))
        for epochs in (None, 2)
    )
    assert "early" not in off.proposal("A") + off.recalibrate(early_stopping=True)
    assert "--early-stop-epochs 2 --early-stop-keep 0.25" in on.proposal("A")
    assert on.recalibrate(early_stopping=True) == "--early-stop-epochs 2"
    # Finalists, and the sample that the proxy is judged on.
    assert on.recalibrate() == off.recalibrate() == ""


def recipes() -> tuple[Flags, Files]:
    rows = {
        "adam": {"genome": 1, "retrain": {"optimizer": "adam", "binary_weight_decay": 0}},
        "stages": {"genome": 1, "retrain": {"real_weight_epochs": 3}},
        "taught": {"genome": 1, "retrain": {"teacher": "full-precision", "teacher_weight": 0.5}},
    }
    config = read_config([ROOT / "config.yaml"], {"models": rows, "inference": {"measure": False}})
    return Flags(config), Files(config)


def test_a_row_is_trained_by_its_own_recipe() -> None:
    flags, files = recipes()
    usual = flags.training("retrain")
    assert flags.row_training("uniform-1x", []) == flags.row_training("found-A", []) == usual
    assert flags.row_training("adam", []) == f"{usual} --optimizer adam --binary-weight-decay 0"
    assert flags.row_training("stages", []) == f"{usual} --real-weight-epochs 3"
    rows = {row: files.teacher(SimpleNamespace(model=row, seed="2")) for row in ("taught", "adam", "full-precision")}
    assert rows == {
        "taught": [Layout.of("digits").training("full-precision", "2").weights],
        "adam": [],
        "full-precision": [],
    }
    assert flags.row_training("taught", ["a b.h5"]) == f"{usual} --teacher 'a b.h5' --teacher-weight 0.5"


def test_in_full_precision_nothing_is_asked_of_binary_weights() -> None:
    """Else a stage of real weights would begin its schedule anew where all of it has real weights."""
    stages = {"real_weight_epochs": 3, "binary_weight_decay": 0, "optimizer": "adam"}
    flags = Flags(read_config([ROOT / "config.yaml"], {"retrain": stages}))
    both = " --binary-weight-decay 0 --real-weight-epochs 3"
    assert flags.row_training("full-precision", []) + both == flags.row_training("uniform-1x", [])
    settings = json.loads(shlex.split(flags.asked_of_row("full-precision"))[1])["settings"]
    assert settings["optimizer"] == "adam" and "real_weight_epochs" not in settings


def test_what_came_later_than_the_first_results_is_said_only_where_it_is_on() -> None:
    config = read_config([ROOT / "config.yaml"], {"candidate": {"optimizer": "adam"}})
    words = [Flags(config).training(section) for section in ("supernet", "candidate", "retrain")]
    assert ["--optimizer" in one for one in words] == [False, True, False]
    assert not any("binary-weight-decay" in one or "real-weight" in one for one in words)


def test_each_row_is_asked_for_by_its_recipe_and_all_by_what_they_share() -> None:
    flags, _ = recipes()
    asked = {row: json.loads(shlex.split(flags.asked_of_row(row))[1])["settings"] for row in ("adam", "taught")}
    assert asked["adam"]["optimizer"] == "adam" and asked["adam"]["binary_weight_decay"] == 0
    assert asked["taught"]["teacher_weight"] == 0.5 and "optimizer" not in asked["taught"]
    shared = json.loads(shlex.split(flags.asked_of_rows())[1])["settings"]
    off = {"optimizer", "binary_weight_decay", "real_weight_epochs", "teacher_weight"}
    assert {name for name, value in shared.items() if value is None} == off and shared["epochs"] == 30
