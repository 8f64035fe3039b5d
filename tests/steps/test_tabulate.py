"""An exhaustive experiment's files become a table."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import partial_scores
from pipeline.__main__ import main
from pipeline.common.files import read_csv, write_csv
from pipeline.search.tables import EVALUATIONS, SCORES
from pipeline.search.tabular import read_table, write_table
from pipeline.training.arithmetic import settle
from pipeline.training.settings import ExecutionSettings
from pipeline.workflow.config import read_config
from pipeline.workflow.layout import Layout
from pipeline.workflow.saved_config import read_saved_config, save_config
from pipeline.workflow.schema import ROOT
from tests.support.steps import CPU, TRAINING, outdated


@pytest.fixture
def experiment(tmp_path) -> Layout:
    """Two generations of an exhaustive search over two ratios, and a sample of it."""
    layout = Layout(tmp_path / "results" / "all")
    config = read_config([ROOT / "config.yaml"])
    config |= {"experiment": "all", "searches": {"all": {"algorithm": "exhaustive", "seed": 0, "seeds": 1}}}
    config["search"] |= {"ratios": [1, 2], "generations": 3, "population": 32}
    config["proxy"] = {"sample": 2, "scores": 2, "trainings": 3}
    layout.folder.mkdir(parents=True)
    save_config(config, layout)
    images = ["--dataset", "digits", "--image-size", "8", "--train", str(layout.train), "--test", str(layout.test)]
    assert main(["prepare-dataset", *images]) == 0
    genomes = [",".join("12"[bit == "1"] for bit in f"{number:06b}") for number in range(48)]
    for number in range(2):  # the third generation has not been scored yet
        rows = [
            dict(zip(SCORES, (slot, genome, "enumerated", "ok", 40 + slot, 1.0, 40, "", ""), strict=True))
            for slot, genome in enumerate(genomes[32 * number : 32 * number + 32])
        ]
        write_csv(layout.generation("all", number).scores, SCORES, rows)
    for file, tops in (
        (layout.sample.scores(0), (40, 55)),  # from the search's own seed: the very same trainings
        (layout.sample.scores(1), (50.5, 60.25)),
        (layout.sample.trained(0), (80, 90)),
        (layout.sample.trained(1), (81, 92)),
    ):
        lines = [(slot, genomes[47 * slot], "ok", tops[slot], 0.5, "", "") for slot in range(2)]
        write_csv(file, EVALUATIONS, [dict(zip(EVALUATIONS, line, strict=True)) for line in lines])
    return layout


def test_scores_and_trainings_stand_at_their_genomes(experiment, tmp_path, capsys):
    settle(ExecutionSettings("cpu", "float32", 1), experiment.arithmetic)
    assert main(["tabulate", str(experiment.folder), "--output", str(tmp_path / "t.npz")]) == 0
    assert "48 of 64 genomes scored, 2 trained in full" in capsys.readouterr().err
    table = read_table(tmp_path / "t.npz")
    assert table.ratios == (1, 2) and table.spec.size == 8 and table.spec.base_width == 1
    first, last = table.genomes.index((1.0,) * 6), table.genomes.index((2.0, 1.0, 2.0, 2.0, 2.0, 2.0))
    np.testing.assert_array_equal(table.scores[[first, last]], [[40, 50.5], [55, 60.25]])
    np.testing.assert_array_equal(table.trained[[first, last]], [[80, 81], [90, 92]])
    assert np.isnan(table.scores[:, 0]).sum() == 16 and np.isnan(table.trained).all(axis=1).sum() == 62
    assert table.made["dataset"] == "digits" and table.made["trained base width"] == 0.0625
    assert table.made["device"] == "cpu" and table.made["processor"] and table.made["torch"].startswith("torch ")


def test_how_many_images_candidates_learn_from_where_it_is_all_that_remain(experiment, tmp_path):
    config = read_saved_config(experiment).config
    config["split"] |= {"subset_per_class": None, "validation_per_class": 20, "held_out_per_class": 10}
    save_config(config, experiment)
    assert main(["tabulate", str(experiment.folder), "--output", str(tmp_path / "t.npz")]) == 0
    images = ["--images", str(experiment.train), "--validation-per-class", "20", "--held-out-per-class", "10"]
    drawn = ["--subset", str(experiment.subset), "--validation", str(experiment.validation)]
    assert main(["sample-subset", *images, *drawn]) == 0
    learned, scored = (len(read_csv(path, ())) for path in (experiment.subset, experiment.validation))
    assert read_table(tmp_path / "t.npz").scored_share == scored / learned


def test_costs_that_a_table_does_not_count_by_are_told(experiment, tmp_path, capsys):
    words = ["tabulate", str(experiment.folder), "--output", str(tmp_path / "t.npz")]
    assert main(words) == 0 and "weighs" not in capsys.readouterr().err
    config = read_saved_config(experiment).config
    config["search"]["cost"] = "memory"
    save_config(config, experiment)
    assert main(words) == 0 and "note: the experiment weighs memory, but costs in tables" in capsys.readouterr().err


def test_scores_of_the_settings_before_are_left_out(experiment, tmp_path, capsys):
    """A run with other settings was interrupted when it had scored the first generation again."""
    sample = experiment.sample
    outdated(experiment, [experiment.generation("all", 1).scores, *map(sample.scores, range(2)), sample.trained(1)])
    assert main(["tabulate", str(experiment.folder), "--output", str(tmp_path / "t.npz")]) == 0
    said = capsys.readouterr().err
    assert (
        "note: left out: 4 files are of other settings or images than the" in said and "32 of 64 genomes scored" in said
    )
    table = read_table(tmp_path / "t.npz")
    first = table.genomes.index((1.0,) * 6)
    assert (table.scores[first].tolist(), table.trained[first].tolist()) == ([40], [80])


def test_scores_of_another_copy_of_the_experiment_are_left_out(experiment, tmp_path, capsys):
    """As after a copy of its folder, from another machine, that was broken off."""
    file = experiment.generation("all", 1).scores.relative_to(experiment.folder)
    lines = [{"run": "a", "folder": str(experiment.folder)}, {"config": "0" * 64}]
    lines += [{"file": str(file), "record": {}, "digest": "0"}]
    experiment.made_with.write_text("\n".join(map(json.dumps, lines)))
    assert main(["tabulate", str(experiment.folder), "--output", str(tmp_path / "t.npz")]) == 0
    said = capsys.readouterr().err
    assert "warning: " in said and "is not the configuration that the other files here were made with" in said
    assert "note: left out: 1 file is not as this experiment's runs left it" in said and "33 of 64 genomes" in said


def test_what_candidates_had_early_stands_there_too(experiment, tmp_path):
    saved = read_config([ROOT / "config.yaml"])
    saved |= {"experiment": "all", "searches": {"all": {"algorithm": "exhaustive", "seed": 0, "seeds": 1}}}
    saved["search"] |= {"ratios": [1, 2], "generations": 3, "population": 32, "early_stop_epochs": 2}
    save_config(saved, experiment)
    for number in range(2):
        path = experiment.generation("all", number).scores
        rows = [{**row, "partial_top1": 10 + int(row["slot"])} for row in read_csv(path, SCORES)]
        write_csv(path, (*SCORES, "partial_top1"), rows)
    assert main(["tabulate", str(experiment.folder), "--output", str(tmp_path / "t.npz")]) == 0
    table = read_table(tmp_path / "t.npz")
    place = table.genomes.index((2.0, 1.0, 2.0, 2.0, 2.0, 2.0))
    assert table.partial_epochs == (2,) and table.partial[place, 0] == 10 + 47 - 32
    assert np.isnan(table.partial).sum() == 16


def test_it_goes_on_from_an_earlier_table(experiment, tmp_path, capsys):
    """Of all scores and one training, where the experiment that goes on has another training and another score."""
    second, whole = experiment.sample.trained(1), tmp_path / "whole.npz"
    assert main(["tabulate", str(experiment.folder), "--output", str(whole)]) == 0
    kept = second.read_text()
    second.unlink()
    first, both = tmp_path / "first.npz", tmp_path / "both.npz"
    assert main(["tabulate", str(experiment.folder), "--output", str(first)]) == 0
    assert read_table(first).trained.shape[1] == 1
    for file in (experiment.generation("all", 0).scores, experiment.generation("all", 1).scores):
        file.unlink()
    experiment.sample.trained(0).unlink()
    second.write_text(kept)
    assert main(["tabulate", str(experiment.folder), "--earlier", str(first), "--output", str(both)]) == 0
    assert "48 of 64 genomes scored, 2 trained in full" in capsys.readouterr().err
    found, expected = read_table(both), read_table(whole)
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.trained, expected.trained)
    assert found.made["went on from"]["version"] == expected.made["version"]
    # What was measured anew stays.
    rows = read_csv(second, EVALUATIONS)
    write_csv(second, EVALUATIONS, [{**row, "top1": 99.0} for row in rows])
    assert main(["tabulate", str(experiment.folder), "--earlier", str(whole), "--output", str(both)]) == 0
    assert np.nanmax(read_table(both).trained[:, 1]) == 99 and np.nanmax(read_table(both).trained[:, 0]) == 90


def test_measurements_keep_the_column_of_their_seed(experiment, tmp_path):
    """The second training is not done yet: the third stays the third for whoever goes on, and is not taken twice."""
    second, third = experiment.sample.trained(1), experiment.sample.trained(2)
    write_csv(third, EVALUATIONS, read_csv(second, EVALUATIONS))
    second.unlink()
    first = tmp_path / "first.npz"
    assert main(["tabulate", str(experiment.folder), "--output", str(first)]) == 0
    trained = read_table(first).trained
    assert trained.shape[1] == 3 and np.isnan(trained[:, 1]).all() and np.nanmax(trained[:, 2]) == 92


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("retrain", "epochs", 31, "retrain"),
        ("supernet", "epochs", 41, "supernet"),
        ("network", "binariser", "another", "binariser"),
        (None, "seed", 1, "seed"),
    ],
)
def test_a_table_of_other_settings_is_not_gone_on_from(section, key, value, said, experiment, tmp_path, capsys):
    assert main(["tabulate", str(experiment.folder), "--output", str(tmp_path / "t.npz")]) == 0
    config = read_saved_config(experiment).config
    (config if section is None else config[section])[key] = value
    save_config(config, experiment)
    words = ["tabulate", str(experiment.folder), "--earlier", str(tmp_path / "t.npz"), "--output"]
    assert main([*words, str(tmp_path / "u.npz")]) == 1
    assert f"t.npz is a table of other settings than the experiment's ({said})" in capsys.readouterr().err
    assert not (tmp_path / "u.npz").exists()


def test_a_table_of_other_images_is_not_gone_on_from(experiment, tmp_path, capsys):
    """Such as another folder of as many classes at the same size. An older table, which says none, is believed."""
    earlier = tmp_path / "t.npz"
    assert main(["tabulate", str(experiment.folder), "--output", str(earlier)]) == 0
    images = ["--dataset", "digits", "--image-size", "8", "--test-fraction", "0.5"]
    assert main(["prepare-dataset", *images, "--train", str(experiment.train), "--test", str(experiment.test)]) == 0
    words = ["tabulate", str(experiment.folder), "--earlier", str(earlier), "--output", str(tmp_path / "u.npz")]
    assert main(words) == 1
    assert "t.npz is a table of other settings than the experiment's (images)" in capsys.readouterr().err
    table = read_table(earlier)
    told = {name: value for name, value in table.made.items() if name not in ("images", "supernet")}
    write_table(earlier, replace(table, made=told))
    assert main(words) == 0
    assert "note: " in (said := capsys.readouterr().err) and "t.npz does not tell its images, supernet" in said


def test_an_experiment_without_scores_is_told(experiment, tmp_path, capsys):
    for number in range(2):
        experiment.generation("all", number).scores.unlink()
    assert main(["tabulate", str(experiment.folder), "--output", str(tmp_path / "t.npz")]) == 1
    assert "has no scores yet" in capsys.readouterr().err
    assert main(["tabulate", str(tmp_path / "nothing"), "--output", str(tmp_path / "t.npz")]) == 1
    assert "there is no experiment '" in capsys.readouterr().err


def test_a_table_is_given_what_candidates_have_early(experiment, tmp_path, monkeypatch):
    """By the benchmark that adds it to a table made before: of the same supernet, images and recipe."""
    config = read_config([ROOT / "config.yaml"])
    config |= {"experiment": "all", "searches": {"all": {"algorithm": "exhaustive", "seed": 0, "seeds": 1}}}
    config["search"] |= {"ratios": [1, 2], "generations": 3, "population": 32}
    config["network"]["base_width"] = 1 / 32
    config["execution"] |= {"device": "cpu", "precision": "float32"}
    config["candidate"] |= {"epochs": 2, "batch_size": 25}
    save_config(config, experiment)
    settle(ExecutionSettings("cpu", "float32", 1), experiment.arithmetic)
    assert main(["tabulate", str(experiment.folder), "--output", str(tmp_path / "t.npz")]) == 0
    few = ["--validation-per-class", "5", "--subset-per-class", "5"]
    splits = ["--subset", str(experiment.subset), "--validation", str(experiment.validation)]
    assert main(["sample-subset", "--images", str(experiment.train), *splits, *few]) == 0
    words = ["pretrain-supernet", "--images", experiment.train, "--subset", experiment.subset, "--ratio", 2]
    words += ["--network", "vgg_small", "--base-width", 1 / 32, *TRAINING, *CPU]
    outputs = {"--supernet": "supernet.h5", "--history": "h.csv", "--timing": "t.json"}
    words += [word for flag, name in outputs.items() for word in (flag, experiment.supernet.weights.with_name(name))]
    assert main(list(map(str, words))) == 0
    named = [
        "--table",
        str(tmp_path / "t.npz"),
        "--output",
        str(tmp_path / "with.npz"),
        "--epochs",
        "0",
        "--of-trained",
        "1",
    ]
    monkeypatch.setattr("sys.argv", ["partial_scores", str(experiment.folder), *named])
    partial_scores.main()
    table = read_table(tmp_path / "with.npz")
    assert table.partial_epochs == (0, 1) and not np.isnan(table.partial[:, 0]).any()
    assert (np.isnan(table.partial[:, 1]) == np.isnan(table.trained).all(axis=1)).all()
    assert (table.partial[:, 0] != table.partial[:, 1]).any()
    np.testing.assert_array_equal(table.scores, read_table(tmp_path / "t.npz").scores)
    # What is kept of evaluations is of this recipe: another one's are others.
    config["candidate"]["learning_rate"] *= 2
    save_config(config, experiment)
    partial_scores.main()
    other = read_table(tmp_path / "with.npz").partial
    np.testing.assert_array_equal(other[:, 0], table.partial[:, 0])
    assert (other[:, 1] != table.partial[:, 1])[~np.isnan(other[:, 1])].any()
