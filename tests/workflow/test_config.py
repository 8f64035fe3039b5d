"""The configuration: every mistake that it alone can show gets one sentence that says where and what to do."""

import copy
import itertools
import re
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from pipeline.__main__ import main
from pipeline.common.errors import UserError
from pipeline.common.settings import from_mapping
from pipeline.common.yaml_text import read_yaml
from pipeline.search.algorithms import ALGORITHMS, own_keys
from pipeline.search.objectives import OBJECTIVES
from pipeline.training.settings import TrainingSettings
from pipeline.workflow.config import check_config, read_config
from pipeline.workflow.config.notes import notes_on
from pipeline.workflow.config.trainings import TRAININGS
from pipeline.workflow.layout import Layout
from pipeline.workflow.models import genome_of, search_of
from pipeline.workflow.proxy import samples, trains_supernet
from pipeline.workflow.recipes import recipe_of, teacher_of
from pipeline.workflow.saved_config import as_saved, read_saved_config, save_config
from pipeline.workflow.schema import ROOT, schema_for
from pipeline.workflow.sections import with_defaults
from tests.support.latencies import table_file

DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())
OVERLAYS = sorted((ROOT / "configs").glob("*.yaml"))


def changed(changes):
    config = copy.deepcopy(DEFAULT)
    for path, value in changes.items():
        *sections, key = path.split(".")
        place = config
        for section in sections:
            place = place[section]
        place[key] = value
    return config


FOLDER = {"dataset.name": "image_folder", "dataset.path": str(ROOT), "dataset.image_size": 32, "experiment": "mine"}
MISTAKES = [
    ({"retrain.epoch": 3}, "unknown key 'epoch' in retrain: did you mean 'epochs'?"),
    ({"serch": {}}, "unknown key 'serch' in the configuration: did you mean 'search'?"),
    ({"network.colour": 1}, "unknown key 'colour' in network: known keys: name, base_width, binariser"),
    ({"searches.A.lamda": 1}, "unknown key 'lamda' in searches.A: did you mean 'lambda'?"),
    ({"seed": "one"}, "seed is 'one': it must be of type integer"),
    ({"retrain.epochs": "ten"}, "retrain.epochs is 'ten': it must be of type integer"),
    ({"retrain.epochs": "2.5"}, "retrain.epochs is '2.5': it must be of type integer"),
    ({"search.ratios": {}}, "search.ratios is {}: it must be of type list"),
    ({"models.found-A": {"genome": "0.5,2,1,1,1,0.5"}}, "genome is '0.5,2,1,1,1,0.5': it must be of type number, list"),
    ({"retrain.seeds": 2.0}, "retrain.seeds is 2.0: it must be of type integer"),
    ({"candidate.learning_rate": float("nan")}, "candidate.learning_rate is nan: it must be of type number"),
    ({"network.base_width": float("inf")}, "network.base_width is inf: it must be of type number"),
    ({"retrain.batch_size": 1}, "retrain.batch_size is 1: it must be at least 2"),
    ({"retrain.epochs": 0}, "retrain.epochs is 0: it must be at least 1"),
    ({"candidate.epochs": -10}, "candidate.epochs is -10: it must be at least 1"),
    ({"supernet.learning_rate": 0}, "supernet.learning_rate is 0: it must be more than 0"),
    ({"searches.A.lambda": -4}, "searches.A.lambda is -4: it must be at least 0"),
    ({"search.ratios": []}, "search.ratios"),
    (
        {"models.x": {"genome": [1, 1, 1, 1, 1, 0.2]}},
        "models.x: gene 6 of genome 1,1,1,1,1,0.2 is 0.2, which is not between 0.25 and 4, the least and",
    ),
    ({"models.x": {"genome": 5}}, "models.x: gene 1 of genome 5,5,5,5,5,5 is 5, which is not between 0.25 and 4"),
    ({"models.x": {"genome": [171 / 512, 1, 1, 1, 1, 1]}}, "search.cost_width 1 with a ratio of 0.333984375 makes 171"),
    ({"models.x": {"genome": [1, 2]}}, "models.x: genome 1,2 has 2 genes: VGG-small takes 6"),
    ({"models.x": {}}, "models.x needs either a genome or a search"),
    ({"models.x": {"genome": 1, "search": "A"}}, "models.x needs either a genome or a search"),
    ({"models.x": {"search": "Z"}}, "models.x.search is 'Z': searches of this experiment: A, B, random"),
    ({"models.a/b": {"genome": 1}}, "'a/b' in models is no good name"),
    ({"network.base_width": 171 / 512}, "network.base_width 0.333984375 with a ratio of 1.0 makes 171 channels, but"),
    ({"search.cost_width": 171 / 512}, "search.cost_width 0.333984375 with a ratio of 1.0 makes 171 channels, but"),
    ({"search.ratios": [1, 171 / 512]}, "search.cost_width 1 with a ratio of 0.333984375 makes 171 channels, but"),
    ({"network.base_width": 0.01}, "conv1 of VGG-small would have no channels"),
    ({"network.base_width": 0.02}, "conv1 of VGG-small would have no channels"),
    ({"network.binariser": "sign"}, "network.binariser is 'sign': choose one of dorefa"),
    ({"network.binariser": "json:dumps"}, "packed networks do not know the binariser 'json:dumps': set it to false"),
    ({"searches.A.algorithm": "genetic"}, "searches.A.algorithm is 'genetic': choose one of evolution, "),
    ({"searches.A.objective": "luck"}, "searches.A.objective is 'luck': choose one of "),
    (
        {"searches.random.parents": 3},
        "searches.random.parents is no setting of its algorithm or objective",
    ),
    ({"network.name": "vgg"}, "unknown network 'vgg': choose one of resnet18, vgg_small"),
    ({"dataset.name": "mnist"}, "dataset.name is 'mnist': choose one of cifar10, digits, fashion_mnist, image_folder"),
    (
        {"dataset.name": "image_folder", "dataset.path": "/no/such/folder"},
        "dataset.path: there is no folder /no/such/folder",
    ),
    (
        {"dataset.path": "/"},
        "dataset.path is given, but dataset.name is 'digits', which has no folder: set dataset.name",
    ),
    ({"dataset.image_size": 4}, "images are too small"),
    ({"retrain.schedule": "milestones", "retrain.milestones": [10, 30]}, "retrain.milestones has 30, but the training"),
    ({"retrain.schedule": "milestones", "retrain.milestones": [20, 10]}, "list each epoch once, in ascending order"),
    ({"retrain.schedule": "milestones"}, "retrain.schedule is 'milestones', but retrain.milestones is empty"),
    ({"search.early_stop_epochs": 10}, "search.early_stop_epochs is 10, but a candidate's training has only 10 epochs"),
    ({"search.early_stop_keep": 0}, "search.early_stop_keep is 0"),
    ({"search.early_stop_keep": 1.1}, "search.early_stop_keep is 1.1"),
    ({"search.chosen_by": "luck"}, "search.chosen_by is 'luck'"),
    (
        {"search.chosen_by": "model", "search.generations": 1, "search.population": 11, "searches.A.seeds": 1},
        "search.chosen_by is model, which needs 12 scores, but search A has 11 candidates",
    ),
    ({"search.early_stop_epochs": -1}, "search.early_stop_epochs is -1"),
    ({"search.early_stop_epochs": 0, "supernet.enabled": False}, "candidates inherit no weights by which"),
    ({"search.max_flops": 10}, "search.max_flops is 10, but the smallest genome 0.25,0.25,0.25,0.25,0.25,0.25 needs"),
    ({"search.max_memory": 1}, "search.max_memory is 1, but the smallest genome"),
    (
        {"search.ratios": [1], "models": {"x": {"genome": 1}}},
        "search.population is 10, but search.ratios allow 1 genome",
    ),
    ({"candidate.augmentation": "resized-crop-flip"}, "candidate.augmentation is 'resized-crop-flip', which images"),
    (
        {"dataset.storage": "jpeg"},
        "retrain.augmentation is 'crop', which images stored as jpeg do not offer",
    ),
    ({"published": "table2"}, "published is 'table2', a table of another network than vgg_small"),
    ({"published": "table3"}, "published is 'table3': choose one of table1, table2, null"),
    ({"execution.threads": 0}, "execution.threads is 0: it must be at least 1"),
    ({"dataset.name": "image_folder", "dataset.path": "x" * 100_000}, "dataset.path: there is no folder xxx"),
    ({"dataset.name": "image_folder", "dataset.path": "a\0b"}, r"dataset.path: there is no folder a\x00b"),
    (
        {"dataset.name": "image_folder", "dataset.path": "~nobody-of-this-name/x"},
        "dataset.path: there is no folder ~nobody-of-this-name/x",
    ),
    ({"experiment": "mine\n"}, r"'mine\n' in experiment is no good name"),
    ({"experiment": ".."}, "'..' in experiment is no good name"),
    ({"experiment": "x" * 5000}, "experiment is 'xxx"),
    ({"models.mine\n": {"genome": 1}}, r"'mine\n' in models is no good name"),
    ({"\x1b[2Jseed": 1}, r"unknown key '\x1b[2Jseed' in the configuration"),
    ({"seed": 10**5000}, "seed is an integer of more than 64 bits"),
    ({"seed": "9" * 4000}, "seed is an integer of more than 64 bits"),
    ({"seed": ["x" * 99] * 30_000}, "seed is ['xxx"),
    ({"split.subset_per_class": 0}, "split.subset_per_class is 0: it must be at least 1"),
    ({"retrain.real_weight_epochs": 30}, "retrain.real_weight_epochs is 30, but the training has only 30 epochs"),
    ({"candidate.optimizer": "lion"}, "candidate.optimizer is 'lion': choose one of sgd, adam"),
    (
        {"candidate.real_weight_epochs": 3, "search.early_stop_epochs": 3},
        "search.early_stop_epochs is 3, when candidates' weights are still real",
    ),
    ({"retrain.teacher": "uniform-1x"}, "retrain.teacher is 'uniform-1x': rows in full precision: full-precision"),
    ({"retrain.teacher": "found-A"}, "retrain.teacher is 'found-A': rows in full precision: full-precision"),
    ({"retrain.teacher": "nobody"}, "retrain.teacher is 'nobody': rows in full precision: full-precision"),
    ({"retrain.teacher_weight": 0}, "retrain.teacher_weight is 0: it must be more than 0"),
    ({"models.x": {"genome": 1, "retrain": {"teacher": "y"}}}, "models.x.retrain.teacher is 'y': rows in full"),
    ({"models.x": {"genome": 1, "retrain": {"teacher_weight": 0.5}}}, "models.x.retrain has a teacher_weight and no"),
    (
        {"models.x": {"genome": 1, "binary": False, "retrain": {"teacher": "full-precision"}}},
        "models.x is of full precision and has a teacher",
    ),
    (
        {"models.x": {"search": "A", "retrain": {"epochs": 3}}},
        "models.x has a recipe of its own, but rows from searches",
    ),
    ({"models.x": {"genome": 1, "retrain": {"seeds": 3}}}, "unknown key 'seeds' in models.x.retrain"),
    ({"models.x": {"genome": 1, "retrain": {"epoch": 3}}}, "in models.x.retrain: did you mean 'epochs'?"),
    (
        {"models.x": {"genome": 1, "retrain": {"real_weight_epochs": 40}}},
        "models.x.retrain.real_weight_epochs is 40, but the training has only 30 epochs",
    ),
    (
        {"models.x": {"genome": 1, "retrain": {"augmentation": "resized-crop-flip"}}},
        "models.x.retrain.augmentation is 'resized-crop-flip'",
    ),
    (
        {"models.x": {"genome": 1, "retrain": {"batch_size": 5}}, "execution.processes": 2},
        "models.x.retrain.batch_size is 5, which cannot be divided among 2 processes",
    ),
]


@pytest.mark.parametrize(("changes", "sentence"), MISTAKES, ids=[sentence[:60] for _, sentence in MISTAKES])
def test_a_mistake_gets_one_sentence(changes, sentence):
    with pytest.raises(UserError) as caught:
        check_config(changed(changes))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"retrain.schedule": "milestones", "retrain.milestones": [10], "retrain.gamma": 0.2}, []),
        (
            {"retrain.milestones": [10, 20], "candidate.gamma": 0.2},
            ["candidate.gamma has no effect, since candidate.schedule is 'cosine'",
             "retrain.milestones has no effect, since retrain.schedule is 'cosine'"],
        ),
        ({"candidate.gamma": 0.2, "searches": {}, "models": {"a": {"genome": 1}}}, []),
        ({"models.x": {"genome": 1, "retrain": {"gamma": 0.3}}},
         ["models.x.retrain.gamma has no effect, since its schedule is 'cosine'"]),
        ({"retrain.teacher_weight": 0.5}, ["retrain.teacher_weight has no effect, since no row has a teacher"]),
        ({"retrain.teacher_weight": 0.5, "retrain.teacher": "full-precision", "proxy.sample": 0}, []),
        ({"retrain.teacher": "full-precision"},
         ["proxy.sample is trained in full without retrain.teacher, which has learnt from the images that it is "
          "scored on: what the proxy says is of such trainings"]),
        ({"models.x": {"genome": 1, "retrain": {"teacher": "full-precision"}}}, []),
        ({"search.early_stop_keep": 0.3},
         ["search.early_stop_keep has no effect, since search.early_stop_epochs is null"]),
        ({"search.early_stop_keep": 0.3, "search.early_stop_epochs": 3}, []),
        ({"search.mutation_rate": 0.3}, []),
        ({"search.mutation_rate": 0.3, "searches.A.algorithm": "local_search"},
         ["search.mutation_rate has no effect, since no search here looks at it (local search, random search)"]),
        ({"search.tournament": 3},
         ["search.tournament has no effect, since no search here looks at it (evolution, local search, random "
          "search)"]),
        ({"search.tournament": 3, "searches.A.algorithm": "regularised_evolution"}, []),
        ({"search.tournament": 3, "searches": {}, "models": {"a": {"genome": 1}}}, []),
        ({"search.early_stop_epochs": 3, "searches": {"F": {"algorithm": "nsga2"}}, "models": {"a": {"genome": 1}},
          "controls": []},
         ["search.early_stop_epochs has no effect, since no search here stops a candidate early (NSGA-II)"]),
        ({"search.early_stop_epochs": 3, "searches": {"all": {"algorithm": "exhaustive"}},
          "models": {"a": {"genome": 1}}, "controls": []}, []),  # scores after so many epochs are what is wanted
        ({"search.finalists": 0, "search.rescorings": 5},
         ["search.rescorings has no effect, since search.finalists is 0"]),
        ({"search.rescorings": 5}, []),
        ({"proxy.sample": 0, "proxy.trainings": 3}, ["proxy.trainings has no effect, since proxy.sample is 0"]),
        ({"seed": 3},
         ["seed is 3, but searches.A, B, random keep the default's own (seed: 0): their first genomes, and all of a "
          "random search, are those of an experiment with another seed; give each its seed, or null for the "
          "experiment's"]),
        ({"seed": 3, "searches.A.seed": 3, "searches.B.seed": None, "searches.random.seed": 4}, []),
        ({"search.max_memory": 1e6},
         ["search.max_memory limits the network at base width 1 (search.cost_width), while it is trained at 0.0625"]),
        ({"search.max_memory": 1e6, "search.cost_width": 0.0625}, []),
        ({**FOLDER, "network.base_width": 0.25},
         ["costs are those of networks at base width 1 (search.cost_width), in searches, controls and tables, and not "
          "of what is trained at 0.25: give search.cost_width 0.25 too, if that is what will be used"]),
        ({**FOLDER, "network.base_width": 0.25, "search.cost_width": 0.25}, []),
        ({"dataset.name": "cifar10"},
         ["dataset.image_size is 8, as for digits: a few pixels are seen",
          "experiment is 'digits', as for digits: its results are replaced by these"]),
        ({"dataset.name": "cifar10", "dataset.image_size": 32, "experiment": "mine"}, []),
        ({"searches.A": {"algorithm": "evolution", "objective": "cheapest", "min_top1": 0.8, "seeds": 2}},
         ["searches.A.min_top1 is 0.8 %, which every network has: it is in percent"]),
        ({"searches.A": {"algorithm": "evolution", "objective": "cheapest", "min_top1": 1.5}}, []),
        ({"searches.A": {"algorithm": "evolution", "objective": "most_accurate", "max_cost": 80}},
         ["searches.A.max_cost is 80 times uniform-1x's cost, which limits nothing: the dearest network has "
          "14.5 times"]),
        ({"searches.A": {"algorithm": "evolution", "objective": "most_accurate", "max_cost": 8}}, []),
        ({"searches.F": {"algorithm": "nsga2"}, "models.good": {"search": "F", "min_top1": 0.9}},
         ["models.good.min_top1 is 0.9 %, which every network has: it is in percent"]),
        ({"searches.A-7": {"algorithm": "evolution", "lambda": 8}},
         ["searches.A-7 is called as runs of searches.A are: figures draw it as one of them; give it another name"]),
        ({"searches.A-": {"algorithm": "evolution"}, "searches.B2-3": {"algorithm": "evolution"}}, []),
        ({"search.ratios": [0.5, 0.6, 1]},
         ["search.ratios 0.5 and 0.6 both make 4 channels of conv1 at network.base_width 0.0625: they are trained "
          "alike, whatever they cost at search.cost_width"]),
        ({"search.ratios": [0.5, 0.6, 1], "searches": {}, "models": {"a": {"genome": 1}}}, []),
        ({"published": "table1", "dataset.name": "torchvision:SVHN", "dataset.image_size": 32, "experiment": "mine"},
         ["published is 'table1', of CIFAR-10: accuracies on torchvision:SVHN do not compare with those"]),
        ({"published": "table1", "dataset.name": "torchvision:CIFAR10", "dataset.image_size": 32, "experiment": "mine"},
         []),
        ({"search.generations": 1, "search.population": 96},
         [f"searches.{name} has one generation (search.generations), so it looks at no score: all its candidates are "
          "drawn at random" for name in "AB"]),
        ({"search.generations": 20, "search.population": 4, "search.ratios": [0.5, 1]},
         ["search.generations of search.population are 80 candidates, but search.ratios allow 64 genomes: a search "
          "ends when it has tried all"]),
        ({"search.generations": 16, "search.population": 4, "search.ratios": [0.5, 1]}, []),
        ({"search.generations": 1, "search.population": 96, "searches": {"random": {"algorithm": "random"}},
          "models": {"a": {"genome": 1}}, "controls": []}, []),
    ],
)  # fmt: skip
def test_settings_that_may_not_do_what_is_meant_are_named(changes, said):
    assert notes_on(check_config(changed(changes))) == said


def test_a_rows_recipe_may_be_written_as_text_and_switch_a_teacher_off():
    rows = {"x": {"genome": 1, "retrain": {"learning_rate": "5e-3", "teacher": None}}}
    config = read_config([ROOT / "config.yaml"], {"models": rows, "retrain": {"teacher": "full-precision"}})
    assert recipe_of(config, "x")["learning_rate"] == 0.005 and recipe_of(config, "x")["epochs"] == 30
    assert teacher_of(config, "x") is None and teacher_of(config, "uniform-1x") == "full-precision"
    assert teacher_of(config, "full-precision") is None
    assert teacher_of(config, "found-A") == teacher_of(config, "uniform-iso-A") == "full-precision"


def test_a_row_may_have_widths_that_no_search_proposes():
    """Such as of a control: to add them to search.ratios would make it another search."""
    config = check_config(changed({"models.thin": {"genome": [1, 0.6, 0.9141, 1, 1, 3.5]}}))
    assert genome_of(config, "thin") == (1, 0.6, 0.9141, 1, 1, 3.5)


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    (tmp_path / "flowers").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    config = check_config(changed({"dataset.name": "image_folder", "dataset.path": "~/flowers"}))
    assert config["dataset"]["path"] == str(tmp_path / "flowers")


def test_missing_sections_are_named():
    config = changed({})
    del config["retrain"]["seeds"]
    with pytest.raises(UserError, match="the key 'seeds' is missing in retrain"):
        check_config(config)


@pytest.mark.parametrize("overlay", [None, *OVERLAYS], ids=lambda path: path.name if path else "default")
def test_shipped_configurations_are_good(overlay):
    config = read_config([ROOT / "config.yaml", *([overlay] if overlay else [])])
    for section in TRAININGS:
        assert from_mapping(TrainingSettings, config[section]).epochs == config[section]["epochs"]


def test_candidates_may_be_judged_untrained_and_all_be_kept():
    search = {"early_stop_epochs": 0, "early_stop_keep": 1}
    assert read_config([ROOT / "config.yaml"], {"search": search})["search"].items() >= search.items()


def test_default_experiment_has_the_method_at_an_honest_scale():
    search = DEFAULT["search"]
    assert DEFAULT["split"]["subset_per_class"] >= 30 and DEFAULT["split"]["held_out_per_class"] >= 20
    assert DEFAULT["network"]["base_width"] < search["cost_width"] == 1
    assert search["finalists"] > 1 and DEFAULT["controls"] and DEFAULT["proxy"]["sample"] >= 16
    assert search["ratios"] == [0.25, 0.5, 1, 2, 3, 4]
    assert search["generations"] * search["population"] >= 40
    assert DEFAULT["candidate"]["epochs"] == 10
    assert DEFAULT["retrain"]["seeds"] >= 3
    asked = {(search["algorithm"], search.get("lambda")) for search in DEFAULT["searches"].values()}
    assert asked == {("evolution", 4), ("local_search", 16), ("random", None)}
    assert all(s["seeds"] >= 3 for s in DEFAULT["searches"].values())
    assert any(s["algorithm"] == "random" for s in DEFAULT["searches"].values())


def test_every_setting_is_in_the_default_configuration_and_the_schema():
    """A field added to a settings class must be explained in config.yaml and limited in the schema."""
    schema = schema_for({})
    for section in TRAININGS:
        assert set(schema["$defs"]["training"]["properties"]) <= set(DEFAULT[section])
    used = {search["algorithm"] for search in DEFAULT["searches"].values()}
    others = {key for name in ALGORITHMS.own if name not in used for key in own_keys(name)}
    for section in ("dataset", "split", "network", "search", "execution"):
        keys = set(schema["properties"][section]["properties"])
        assert keys - (others if section == "search" else set()) <= set(DEFAULT[section]) <= keys


def test_the_default_configuration_explains_keys_as_the_schema_does():
    """What a key means is said once, beside it in its settings class; the schema and the flags have it from there."""
    comments = comments_of(ROOT / "config.yaml")
    schema = schema_for({})
    recipe = schema["$defs"]["training"]["properties"]
    checked = 0
    for section, part in schema["properties"].items():
        if "description" in part:
            assert comments[section, section].startswith(part["description"]), section
        of_trainings = recipe if section == "supernet" else {}  # for the others it is said there
        for key, values in {**of_trainings, **part.get("properties", {})}.items():
            assert values["description"], f"{section}.{key} has no description"
            if key in DEFAULT[section]:
                assert comments[section, key].startswith(values["description"]), f"config.yaml: {section}.{key}"
                checked += 1
    assert checked > 40
    assert OBJECTIVES.own.keys() == {"cheapest", "fitness", "most_accurate"}, "explain its settings above the searches"


def comments_of(path):
    """The comment above each key of a section, in one line."""
    found, above, section = {}, [], ""
    for line in path.read_text().splitlines():
        if key := re.match(r"( *)([a-z_]+):", line):
            section = section if key[1] else key[2]
            found[section, key[2]] = " ".join(above)
        above = [*above, line.strip(" #")] if line.lstrip().startswith("#") else []
    return found


def test_every_key_of_the_default_configuration_is_explained():
    """The first time that a key appears, a comment stands above it. Searches and rows are entries, not keys."""
    lines = (ROOT / "config.yaml").read_text().splitlines()
    explained = set()
    section = ""
    for above, line in itertools.pairwise(lines):
        found = re.match(r"( *)([a-z_]+):", line)
        if found is None:
            continue
        indent, key = found.groups()
        section = section if indent else key
        if section in ("searches", "models") and indent:
            continue
        assert key in explained or above.lstrip().startswith("#"), f"config.yaml: {section} {key} has no comment"
        explained.add(key)
    assert set(DEFAULT) <= explained


def test_overlays_drop_entries_with_null(tmp_path):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("models: {uniform-1x: null}\nsearches: {random: null}\n")
    with pytest.raises(UserError, match="models.random-A.search is 'random'"):
        read_config([ROOT / "config.yaml", overlay])
    overlay.write_text("models: {uniform-1x: null, random-A: null, random-B: null}\nsearches: {random: null}\n")
    config = read_config([ROOT / "config.yaml", overlay])
    assert "uniform-1x" not in config["models"] and "random" not in config["searches"]


@pytest.mark.parametrize(
    "settings",
    [
        {"seed": 5, "searches": {"A": {"seed": None}}},
        {"searches": {"A": {"lambda": None, "objective": "most_accurate", "max_cost": 1}}},
        {"models": {"random-A": {"by": None}}},
        {"models": {"found-A": {"search": None, "genome": 2}}},
        {"searches": {"B": None}, "models": {"found-B": None, "random-B": None}},
    ],
)
def test_what_is_saved_is_the_same_experiment(settings, tmp_path):
    """Laid over the default one, as its page says how to go on, and as it is read by whoever looks on."""
    config, layout = read_config([ROOT / "config.yaml"], settings), Layout(tmp_path)
    save_config(config, layout)
    again, seen = read_config([ROOT / "config.yaml", layout.config]), read_saved_config(layout).config
    for one in (again, seen):
        assert one["models"] == config["models"] and list(one["models"]) == list(config["models"])
        assert {name: {**run, "seeds": 1} for name, run in one["searches"].items()} == {
            name: {**run, "seeds": 1} for name, run in config["searches"].items()
        }
    assert as_saved(again) == as_saved(config)
    assert [*again["searches"]] == [*config["searches"]] and [*again["models"]] == [*config["models"]], "in their order"


def test_entries_that_are_dropped_and_named_again_are_as_snakemake_has_them(tmp_path):
    """Overlays first, then all of them over the default: else a run and what looks at it would read different rows."""
    files = [ROOT / "config.yaml", tmp_path / "first.yaml", tmp_path / "second.yaml"]
    files[1].write_text("models: {random-A: null, random-B: null}\n")
    files[2].write_text("models: {random-A: {search: random}}\n")
    settings = {"models": {"random-B": {"search": "random"}}}
    overlays: dict = {}
    for overlay in (*map(read_yaml, files[1:]), settings):
        update_config(overlays, overlay)
    by_snakemake = copy.deepcopy(DEFAULT)
    update_config(by_snakemake, overlays)
    assert read_config(files, settings)["models"] == check_config(by_snakemake)["models"]


def test_overlays_drop_keys_of_entries_with_null():
    """What the default experiment says of a search or a row, another algorithm or objective may not know."""
    plain = {"algorithm": "random", "lambda": None}
    config = read_config(
        [ROOT / "config.yaml"], {"searches": {"A": plain}, "models": {"full-precision": {"binary": None}}}
    )
    assert "lambda" not in config["searches"]["A"] and "binary" not in config["models"]["full-precision"]


def test_what_snakemake_makes_text_of_within_braces():
    models = {
        "random-A": "null",
        "random-B": "null",
        "mine": {"genome": ["0.5", "2", "1", "1", "1", "0.5"]},
        "uniform-3x": {"genome": "2"},
    }
    config = read_config([ROOT / "config.yaml"], {"searches": {"random": "null"}, "models": models})
    assert "random-A" not in config["models"] and "random" not in config["searches"]
    assert config["models"]["mine"]["genome"] == [0.5, 2, 1, 1, 1, 0.5]
    assert config["models"]["uniform-3x"]["genome"] == 2


@pytest.mark.parametrize(
    ("section", "key", "text", "value"),
    [
        ("search", "max_flops", "null", None),
        ("split", "subset_per_class", "null", None),
        ("dataset", "path", "null", None),
        ("supernet", "enabled", "false", False),
        ("candidate", "recalibrate", "true", True),
        ("retrain", "learning_rate", "5e-2", 0.05),
        ("retrain", "epochs", "3", 3),
    ],
)
def test_values_of_every_kind_within_braces(section, key, text, value):
    config = read_config([ROOT / "config.yaml"], {section: {key: text}})
    assert config[section][key] == value and type(config[section][key]) is type(value)


EVOLUTION = {"algorithm": "evolution", "lambda": 4}


@pytest.mark.parametrize(
    ("first", "sentence"),
    [
        (
            {**EVOLUTION, "lambda": 16},
            "searches.A-1 is a run of searches.A from another seed, but its lambda is 4 and not 16: change "
            "searches.A-1.lambda too, or drop the run (A-1: null)",
        ),
        (
            {"algorithm": "local_search", "lambda": 4},
            "searches.A-1 is a run of searches.A from another seed, but its algorithm is evolution and not local",
        ),
        ({**EVOLUTION, "parents": 3}, "searches.A-1 is a run of searches.A from another seed, but its parents is None"),
        (None, "searches.A-1 is a run of searches.A, which is not there: drop it too (A-1: null)"),
    ],
)
def test_a_setting_that_reaches_one_run_of_a_search_alone(first, sentence):
    """As where it is laid over a saved configuration, which names each run."""
    run = {**EVOLUTION, "seed": 1, "run_of": "A"}
    with pytest.raises(UserError, match=re.escape(sentence)):
        read_config([ROOT / "config.yaml"], {"searches": {"A": first, "A-1": run}})


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        # Of which one would take the other's place: a run that the search is said to have, or a control.
        (
            {"searches": {"C": {**EVOLUTION, "seeds": 2}, "C-1": EVOLUTION}},
            "searches.C-1 has the name of a run of searches.C",
        ),
        (
            {"searches": {"C-1": EVOLUTION, "C": {**EVOLUTION, "seeds": 2}}},
            "searches.C-1 has the name of a run of searches.C",
        ),
        (
            {"models": {"A": {"search": "B"}}},
            "models.A and models.found-A would have controls of one name, uniform-iso-A",
        ),
        (
            {"search": {"ratios": [0.33333333, 1, 0.333333334]}},
            "search.ratios has 0.33333333 and 0.333333334, which are one",
        ),
        # And those whose files a disk may keep in one folder.
        ({"searches": {"a": EVOLUTION}}, "searches.A and searches.a differ in nothing but case"),
        ({"models": {"Found-A": {"genome": 2}}}, "models.found-A and models.Found-A differ in nothing but case"),
    ],
)
def test_names_and_ratios_that_would_be_one(settings, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        read_config([ROOT / "config.yaml"], settings)


def test_runs_that_were_named_by_an_earlier_run_are_no_others():
    """As in a saved configuration, over which another number of seeds is laid."""
    config = read_config([ROOT / "config.yaml"], {"searches": {"A-1": {**EVOLUTION, "seed": 1, "run_of": "A"}}})
    assert [name for name in config["searches"] if name.startswith("A")] == ["A", "A-1", "A-2"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"experiment": "null"}, "experiment is null"),
        ({"retrain": {"epochs": "3.5"}}, "retrain.epochs is '3.5'"),
        ({"retrain": {"epochs": "three"}}, "retrain.epochs is 'three': it must be of type integer"),
        ({"supernet": {"enabled": "maybe"}}, "supernet.enabled is 'maybe': it must be of type boolean"),
        ({"retrain": {"learning_rate": "inf"}}, "retrain.learning_rate is 'inf'"),
    ],
)
def test_text_that_is_no_value_stays_wrong(settings, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        read_config([ROOT / "config.yaml"], settings)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("- a\n- b\n", "holds no keys and values"),
        ("a: [1\n", "is no valid YAML"),
        ("search: {shards: 2}\nsearch: {workers: 2}\n", "the key 'search' is given twice at line 2"),
        ("? [a, b]\n: c\n", "is no valid YAML"),
        (None, "cannot read"),
    ],
)
def test_files_that_are_no_configuration(tmp_path, text, sentence):
    path = tmp_path / "overlay.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=sentence):
        read_config([ROOT / "config.yaml", Path(path)])


def test_one_number_stands_for_a_uniform_genome():
    assert genome_of({**DEFAULT, "models": {"x": {"genome": 4}}}, "x") == (4.0,) * 6
    assert genome_of({**DEFAULT, "models": {"x": {"genome": [1, 2, 3, 4, 1, 1]}}}, "x") == (1, 2, 3, 4, 1, 1)


def test_rows_keep_their_order_whatever_snakemake_does_with_overlays():
    """Snakemake lays the default below an overlay by putting the overlay's keys first."""
    models = {"mine": {"genome": 2}, **DEFAULT["models"]}
    ordered = check_config({**DEFAULT, "models": models, "controls": []})["models"]
    assert list(ordered) == [*DEFAULT["models"], "mine"]


def test_a_found_row_has_its_controls_behind_it():
    models = {
        "found-A": {"search": "A"},
        "mine": {"search": "A"},
        "random": {"search": "random", "by": "A"},
        "one": {"genome": 1},
    }
    checked = check_config({**DEFAULT, "models": models, "controls": ["uniform", "first-layer"]})
    found = ["found-A", "uniform-iso-A", "first-iso-A"]
    assert list(checked["models"]) == [*found, "mine", "uniform-iso-mine", "first-iso-mine", "random", "one"]
    assert checked["models"]["first-iso-A"] == {"control": "first-layer", "of": "found-A"}
    assert check_config(checked) == checked, "a saved configuration says the same"
    assert search_of(checked, "uniform-iso-A") == search_of(checked, "found-A") == "A"
    assert search_of(checked, "one") is None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"search": "A", "max_cost": 1, "min_top1": 90},
            "models.x has max_cost and min_top1: give at most one",
        ),
        ({"search": "random", "by": "A", "max_cost": 1}, "models.x has by and max_cost: give at most one of them"),
        ({"genome": 1, "max_cost": 1}, "models.x has a genome and max_cost: leave out max_cost"),
        ({"search": "A", "max_cost": 0}, "models.x.max_cost is 0"),
        ({"search": "A", "min_top1": 101}, "models.x.min_top1 is 101"),
    ],
)
def test_mistaken_questions_to_a_search(row, message):
    with pytest.raises(UserError, match=message):
        check_config({**DEFAULT, "models": {**DEFAULT["models"], "x": row}})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"control": "uniform"}, "models.x is a control"),
        ({"control": "uniform", "of": "found-A", "genome": 1}, "models.x is a control"),
        ({"control": "uniform", "of": "uniform-1x"}, "models.x.of is 'uniform-1x'"),
        ({"control": "same", "of": "found-A"}, "choose one of uniform, first-layer"),
    ],
)
def test_mistaken_controls(row, message):
    with pytest.raises(UserError, match=message):
        check_config({**DEFAULT, "models": {**DEFAULT["models"], "x": row}})


def test_numbers_that_yaml_or_snakemake_takes_for_text(tmp_path):
    """5e-4 has no dot, and what stands inside the braces of --config KEY={…} is text."""
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("candidate: {weight_decay: 5e-4}\nsplit: {subset_per_class: '50'}\n")
    config = read_config([ROOT / "config.yaml", overlay], {"search": {"ratios": ["0.25", "0.5", "1", "2", "3", "4"]}})
    assert config["candidate"]["weight_decay"] == 0.0005
    assert config["split"]["subset_per_class"] == 50
    assert config["search"]["ratios"] == [0.25, 0.5, 1, 2, 3, 4]


def test_settings_of_the_command_line_are_laid_over_the_files(tmp_path, capsys):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("experiment: mine\ndataset: {name: cifar10, image_size: 32, path: /nowhere}\n")
    assert main(["check", str(overlay), "--config", "experiment=other", f"dataset={{path: {tmp_path}}}"]) == 0
    assert "experiment 'other'" in capsys.readouterr().out
    assert main(["check", "--config", "nonsense"]) == 1
    assert "error: 'nonsense' is no setting: " in capsys.readouterr().err
    assert main(["check", "--config", "sead=7"]) == 1
    assert "seed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("enabled", "searches", "sample", "judged", "supernet"),
    [
        (True, True, 5, 5, True),
        (True, True, 0, 0, True),
        (True, False, 0, 0, False),
        (True, False, 5, 0, False),
        (False, True, 5, 5, False),
        (False, False, 5, 0, False),
    ],
)
def test_when_a_supernet_is_trained_and_the_proxy_judged(enabled, searches, sample, judged, supernet):
    searched = {"A": {}} if searches else {}
    config = {"supernet": {"enabled": enabled}, "searches": searched, "proxy": {"sample": sample}}
    assert (samples(config), trains_supernet(config)) == (judged, supernet)


def test_what_a_configuration_leaves_out_has_its_default():
    filled = with_defaults({"dataset": {"name": "digits"}, "search": {"shards": 3}, "controls": ["uniform"]})
    assert filled["dataset"] == {
        "name": "digits",
        "path": None,
        "storage": "auto",
        "test_fraction": 0.2,
        "damaged_images": "stop",
    }
    assert (filled["search"]["shards"], filled["search"]["workers"], filled["search"]["max_flops"]) == (3, "auto", None)
    assert filled["retrain"]["milestones"] == [] and filled["retrain"]["seeds"] == 1
    assert (filled["proxy"]["sample"], filled["controls"], with_defaults({})["controls"]) == (0, ["uniform"], [])
    values = copy.deepcopy(read_yaml(ROOT / "config.yaml"))
    del values["execution"]["loaders"]
    del values["proxy"], values["split"]["held_out_per_class"], values["controls"], values["search"]["finalists"]
    checked = check_config(values)
    assert (checked["execution"]["loaders"], checked["split"]["held_out_per_class"], checked["controls"]) == (0, 0, [])


def latency(file, **more):
    return changed({"search.cost": "latency", "search.latency_table": str(file)} | more)


def test_a_search_by_latency_needs_a_table_of_its_network(tmp_path):
    table = table_file(tmp_path / "latency.json")
    assert check_config(latency(table))["search"]["cost"] == "latency"
    for config, sentence in (
        (changed({"search.cost": "time"}), "search.cost is 'time': choose one of flops, memory, latency"),
        (
            changed({"search.cost": "latency"}),
            "search.cost is 'latency', but search.latency_table names no file: measure it: python -m pipeline "
            "measure-latency --network vgg_small --base-width 1 --channels 1 --image-size 8 --classes 10 --ratios",
        ),
        (changed({"search.max_latency": 3.0}), "search.max_latency limits time, but search.latency_table names no"),
        (latency(tmp_path / "none.json"), f"search.latency_table: there is no file {tmp_path}/none.json: measure it"),
        (latency(table, **{"search.cost_width": 0.5}), "table is for base width 1.0, and this search has 0.5 (search."),
        (latency(table, **{"search.ratios": [1, 4, 5]}), "the latency table has no time of layer 'conv"),
        (
            latency(table, **{"search.max_latency": 31.9}),
            "search.max_latency is 31.9, but the smallest genome 0.25,0.25,0.25,0.25,0.25,0.25 needs 32 ms: raise it",
        ),
        (
            latency(table_file(tmp_path / "resnet.json", network="resnet18")),
            "the latency table is for network resnet18, and this search has vgg_small",
        ),
    ):
        with pytest.raises(UserError) as raised:
            check_config(config)
        assert sentence in str(raised.value)
    folder = {"dataset.name": "image_folder", "dataset.path": str(tmp_path)}
    for config in (changed({"search.cost": "latency"} | folder), latency(table, **folder)):
        with pytest.raises(UserError, match="--channels 3 --image-size 8 --classes CLASSES --ratios"):
            check_config(config)  # whose classes are counted later
    table.write_text(table.read_text().replace("0.128", "0.127"))
    with pytest.raises(UserError, match="has changed since it was measured: its digest differs"):
        check_config(latency(table))


def test_a_table_that_counts_for_nothing_is_checked_all_the_same(tmp_path):
    (tmp_path / "latency.json").write_text("{}")
    with pytest.raises(UserError, match="is no latency table"):
        check_config(changed({"search.latency_table": str(tmp_path / "latency.json")}))
