"""Results that are taken elsewhere bring along what they were made with: a changed setting is noticed there as well."""

import asyncio
import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import yaml

from pipeline.common.errors import UserError
from pipeline.common.files import write_csv, write_record
from pipeline.common.hdf5 import write_tensors
from pipeline.data.prepared import ImagesInfo, write_images
from pipeline.workflow.config import read_config
from pipeline.workflow.layout import Layout
from pipeline.workflow.made_with import (
    about_config,
    about_outdated,
    about_strange,
    bring_records,
    keep_records,
    note_config,
    note_up_to_date,
    outdated_files,
    strange_files,
)
from pipeline.workflow.made_with.snakemake_records import INCOMPLETE, METADATA
from pipeline.workflow.saved_config import save_config
from tests.support.workflow import ROOT, TINY


def record_of(file: Path, folder: Path = METADATA) -> Path:
    """Where Snakemake keeps its record of a file with a short name."""
    return folder / urlsafe_b64encode(file.as_posix().encode()).decode()


def known(folder: Path = METADATA) -> dict[str, dict]:
    """Snakemake's records here, by file."""
    found = (path for path in folder.rglob("*") if path.is_file())
    names = {path: "".join(part.removeprefix("@") for part in path.relative_to(folder).parts) for path in found}
    return {urlsafe_b64decode(name).decode(): json.loads(path.read_text()) for path, name in names.items()}


def note(file: Path, **record: object) -> None:
    record_of(file).parent.mkdir(parents=True, exist_ok=True)
    record_of(file).write_text(json.dumps(record))


def brought(layout: Layout, files: dict[str, dict | None], run: str = "a", folder: str = "results/tiny") -> None:
    """An experiment's folder as it comes from elsewhere."""
    layout.folder.mkdir(parents=True, exist_ok=True)
    lines = [{"run": run, "folder": folder}, *({"file": file, "record": record} for file, record in files.items())]
    layout.made_with.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Of the tiny experiment, of which there is nothing yet, in the working folder."""
    monkeypatch.chdir(tmp_path)
    return Layout.of("tiny")


#: A path so long that Snakemake cuts its record's name.
LONG = f"search/{'A' * 200}/best.json"


def test_what_comes_with_the_files_counts_and_what_was_known_of_others_here_does_not(layout):
    for file in ("splits/subset.csv", "splits/validation.csv"):
        note(layout.folder / file, params=["of what lay here before"])
    note(Path("results/other/splits/subset.csv"), params=["another experiment's"])
    brought(layout, {"splits/subset.csv": {"params": ["1"]}, LONG: {"params": ["2"]}})
    bring_records(layout, {})
    others = {"results/other/splits/subset.csv": {"params": ["another experiment's"]}}
    mine = {"results/tiny/splits/subset.csv": {"params": ["1"]}, f"results/tiny/{LONG}": {"params": ["2"]}}
    assert known() == {**others, **mine} and known(INCOMPLETE) == {}
    # Another run brings others.
    brought(layout, {"splits/subset.csv": {"params": ["4"]}}, run="b")
    bring_records(layout, {})
    assert known() == {**others, "results/tiny/splits/subset.csv": {"params": ["4"]}}


def test_a_file_that_a_job_was_writing_is_incomplete_here_too(layout):
    brought(layout, {"a.csv": {"params": ["1"]}, "b.csv": {"params": ["1"]}})
    with layout.made_with.open("a") as lines:
        for record in ({"file": "b.csv", "record": None}, {"file": "a.csv", "record": {"params": ["2"]}}):
            lines.write(f"{json.dumps(record)}\n")
        lines.write('{"file": "a.csv", "record": {"par')  # one that was cut off
        lines.write('\n\n{"file": "c.csv", "record": {"params": []}}')
    bring_records(layout, {})
    assert known() == {"results/tiny/a.csv": {"params": ["2"]}, "results/tiny/c.csv": {"params": []}}
    assert known(INCOMPLETE) == {"results/tiny/b.csv": {"external_jobid": None}}
    # Whoever is done with it there brings it whole.
    brought(layout, {"b.csv": {"params": ["1"]}}, run="b")
    bring_records(layout, {})
    assert known(INCOMPLETE) == {} and set(known()) == {"results/tiny/b.csv"}


class Graph(list):
    """Jobs, of which some have to run."""

    def __init__(self, *jobs: SimpleNamespace) -> None:
        super().__init__(job for job in jobs if job.needrun)
        self.jobs = jobs

    def needrun(self, job: SimpleNamespace) -> bool:
        return job in self


def job(*files: Path, needrun: bool = True, params: Sequence[str] = (), of: Sequence[object] = ()) -> SimpleNamespace:
    return SimpleNamespace(input=of, output=list(map(str, files)), params=list(params), needrun=needrun)


def workflow(persistence: "Persistence", *jobs: SimpleNamespace) -> SimpleNamespace:
    return SimpleNamespace(persistence=persistence, dag=Graph(*jobs))


class Persistence:
    """Snakemake's records, kept in memory; the real ones are looked at by ``test_reruns.py``."""

    def __init__(self) -> None:
        self.records: dict[str, dict] = {}
        self.said: list[str] = []

    def started(self, job: SimpleNamespace, external_jobid: str | None = None) -> None:
        self.said.append(f"started {external_jobid}")

    async def finished(self, job: SimpleNamespace) -> None:
        self.said.append("finished")
        self.records.update({file: {"params": job.params, "conda_env": "long"} for file in job.output})

    def metadata(self, file: str) -> dict | None:
        return self.records.get(file)

    def deactivate_cache(self) -> None:
        self.said.append("cleared")


def test_what_jobs_make_is_noted_when_they_start_and_when_they_end(layout):
    note(layout.folder / "old.csv", params=["of an earlier version"], conda_env="long")
    persistence = Persistence()
    keep_records(workflow(persistence), layout)
    one, two = (job(layout.folder / file, Path("elsewhere.txt"), params=[file]) for file in "ab")
    for one_of_them in (one, two):
        persistence.started(one_of_them, external_jobid="7")
    asyncio.run(persistence.finished(one))
    assert persistence.said == ["cleared", "started 7", "cleared", "started 7", "finished", "cleared"]
    text = layout.made_with.read_text()
    layout.made_with.write_text(text + '\n{"file": "a", "rec')
    asyncio.run(persistence.finished(two))  # though the disk was full for a moment
    assert layout.made_with.read_text().splitlines()[-1] == '{"file": "b", "record": {"params": ["b"]}}'
    first, *lines = map(json.loads, text.splitlines())
    assert [(line["file"], line["record"]) for line in lines] == [
        ("old.csv", {"params": ["of an earlier version"]}),
        ("a", None),
        ("b", None),
        ("a", {"params": ["a"]}),
    ]
    # Here nothing is brought; another run takes over what is known, in one line for each file.
    bring_records(layout, {})
    assert list(known()) == ["results/tiny/old.csv"]
    keep_records(workflow(Persistence()), layout)
    second, *lines = map(json.loads, layout.made_with.read_text().splitlines())
    assert {line["file"]: line["record"] for line in lines}["a"] == {"params": ["a"]} and len(lines) == 3
    assert first["run"] != second["run"] and first["folder"] == second["folder"] == "results/tiny"


def test_records_that_were_written_under_another_name_of_theirs_do_not_count(layout):
    """As in a copy by hard links whose settings were changed: Snakemake writes its records in place."""
    names = ("a.csv", "b.csv", "weights.h5", LONG)
    brought(layout, {name: {"params": ["1"], "input": ["a"]} for name in names})
    with layout.made_with.open("a") as lines:
        record = {"file": "b.csv", "record": {"params": ["1"]}, "digest": hashlib.sha256(b"b").hexdigest()}
        lines.write(json.dumps(record))
    bring_records(layout, {})
    (layout.folder / "b.csv").write_text("b")
    here = {"params": ["1"], "input": ["a"], "endtime": 1}
    note(layout.folder / "a.csv", **here)
    for name in ("b.csv", "weights.h5", "c.csv"):
        note(layout.folder / name, params=["2"])
    bring_records(layout, {})
    found = known()
    assert found["results/tiny/a.csv"] == here and found["results/tiny/b.csv"] == {"params": ["1"]}
    assert found["results/tiny/c.csv"] == {"params": ["2"]} and set(known(INCOMPLETE)) == {"results/tiny/weights.h5"}


def test_records_that_snakemake_was_told_to_forget_are_known_all_the_same(layout):
    """It takes what it does not know for up to date, and advises ``--cleanup-metadata`` where settings have changed."""
    brought(layout, {"weights.h5": {"params": ["1"]}, "gone.csv": {"params": ["1"]}, "begun.csv": None})
    bring_records(layout, {})
    (layout.folder / "weights.h5").touch()
    for path in (layout.folder / "weights.h5", layout.folder / "gone.csv"):
        record_of(path).unlink()
    bring_records(layout, {})
    assert known() == {"results/tiny/weights.h5": {"params": ["1"]}}


def test_a_run_does_not_write_along_in_a_copy_by_hard_links(layout):
    note(layout.folder / "a.csv", params=["1"])
    benchmark = layout.benchmark("search", "A")
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text("1 s")
    for number, path in enumerate((record_of(layout.folder / "a.csv"), benchmark)):
        Path(f"copy{number}").hardlink_to(path)
    keep_records(workflow(Persistence()), layout)
    assert [Path(f"copy{number}").stat().st_nlink for number in range(2)] == [1, 1]
    assert benchmark.read_text() == "1 s" and known() == {"results/tiny/a.csv": {"params": ["1"]}}


def test_an_experiment_that_was_renamed_and_run_is_taken_elsewhere(layout):
    other = Layout.of("other")
    brought(other, {"a.csv": {"input": ["results/tiny/data/train.h5"]}})
    bring_records(other, {})
    keep_records(workflow(Persistence()), other)
    renamed = {"results/other/a.csv": {"input": ["results/other/data/train.h5"]}}
    bring_records(other, {})
    assert known() == renamed
    record_of(other.folder / "a.csv").unlink()
    brought(layout, {})
    other.made_with.rename(layout.made_with)
    bring_records(layout, {})
    assert known() == {"results/tiny/a.csv": {"input": ["results/tiny/data/train.h5"]}}


def test_an_experiment_under_another_name(layout):
    names = {"input": ["results/tiny/data/train.h5", "tiny.csv"], "params": ["'--best results/tiny/controls/a.json'"]}
    brought(Layout.of("other"), {"a.csv": names})
    bring_records(Layout.of("other"), {})
    renamed = {
        "input": ["results/other/data/train.h5", "tiny.csv"],
        "params": ["'--best results/other/controls/a.json'"],
    }
    assert known() == {"results/other/a.csv": renamed}


# --- results without records, as of an earlier version ---


def page_of(name: str) -> str:
    return f"<html><title>{name}: binary networks searched</title></html>\n"


@pytest.fixture
def came(layout: Layout) -> Layout:
    """Results that came without records, made with the tiny experiment's settings."""
    layout.train.parent.mkdir(parents=True)
    layout.train.touch()
    save_config(read_config([ROOT / "config.yaml", TINY]), layout)
    return layout


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"candidate": {"epochs": 7}}, r"candidate.epochs \(was 1\)"),
        ({"searches": {"A": {"lambda": 3, "algorithm": "evolution"}}}, r"searches.A.lambda \(was 4\)"),
        ({"search": {"max_flops": 9e6}, "seed": 4}, r"seed \(was 0\), search.max_flops \(was null\)"),
        ({"models": {"uniform-1x": {"retrain": {"epochs": 3}}}}, r"models.uniform-1x.retrain \(was not there\)"),
        ({"searches": {"A": {"parents": 3}}}, r"searches.A.parents \(was not there\)"),
        ({"models": {"found-A": None}, "controls": []}, r"models.found-A \(was .*, controls \(was .*\)"),
        ({"split": {"subset_per_class": 9, "validation_per_class": 9}, "retrain": {"epochs": 9, "seeds": 9}},
         r"split.subset_per_class \(was 10\), split.validation_per_class \(was 10\), retrain.\w+ \(was 2\) and 1 more"),
    ],
)  # fmt: skip
def test_without_records_settings_may_not_have_changed(came, change, named):
    with pytest.raises(UserError, match=f"{named}: bring .snakemake too, .* or delete all of results/tiny"):
        bring_records(came, read_config([ROOT / "config.yaml", TINY], change))


def test_without_records_what_changes_no_file_may_change(came):
    harmless = {"experiment": "other", "execution": {"save_minutes": 3, "loaders": 2}, "search": {"workers": 1}}
    bring_records(came, read_config([ROOT / "config.yaml", TINY], {**harmless, "inference": {"measure": True}}))
    # A version that knew less: keys that it did not write are no changes.
    values = yaml.safe_load(came.config.read_text())
    del values["candidate"]["recalibrate"], values["proxy"]
    came.config.write_text(yaml.safe_dump(values))  # without a digest, as then
    bring_records(came, read_config([ROOT / "config.yaml", TINY], {"candidate": {"recalibrate": True}}))
    # But it trained without what nobody knew then.
    del values["candidate"]["optimizer"]
    came.config.write_text(yaml.safe_dump(values))
    bring_records(came, read_config([ROOT / "config.yaml", TINY]))
    with pytest.raises(UserError, match=r"candidate.optimizer \(was not there\): bring"):
        bring_records(came, read_config([ROOT / "config.yaml", TINY], {"candidate": {"optimizer": "adam"}}))


def test_without_records_and_settings_nothing_is_known(came):
    """Such as another experiment's prepared images, copied into the folder of a new one."""
    came.config.unlink()
    with pytest.raises(UserError, match="came without the folder .snakemake, .* nobody has noted with which settings"):
        bring_records(came, read_config([ROOT / "config.yaml", TINY], {"seed": 3}))
    came.train.unlink()
    bring_records(came, read_config([ROOT / "config.yaml", TINY], {"seed": 3}))


def test_what_no_job_of_the_experiment_has_made_is_made_again(came, capsys):
    """Such as the search of another one."""
    note(came.train, rule="prepare_dataset")
    config = read_config([ROOT / "config.yaml", TINY])
    generation = came.generation("A", 0)
    copied = [
        came.subset,
        generation.scores,
        came.search("A").best,
        came.supernet.weights,
        came.control("uniform-iso-A"),
    ]
    copied += [came.training("found-A", 3).weights, came.measurement("found-A", 3), came.sample.scores(0)]
    others = [came.generation("of-another", 0).scores, came.training("of-another", 0).weights, came.tables.results]
    others += [
        generation.folder / ".scores.csv.sha256",
        came.training("found-A", 3).weights.with_name("weights.state.h5"),
    ]
    for file in copied + others:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    bring_records(came, config)
    assert set(known(INCOMPLETE)) == {file.as_posix() for file in copied}
    assert f"warning: {len(copied)} files are not as this experiment's runs left them" in capsys.readouterr().err
    # Of those that a job has made, or begun to make, or that came with their records, nothing is said.
    for path in INCOMPLETE.iterdir():
        path.unlink()
    note(copied[0], rule="sample_subset")
    record_of(copied[1], INCOMPLETE).write_text("{}")
    brought(came, {file.relative_to(came.folder).as_posix(): {"params": []} for file in copied[2:]}, run="c")
    (came.folder.parent.parent / ".snakemake/binary-nas").mkdir(exist_ok=True)
    capsys.readouterr()
    bring_records(came, config)
    assert "runs left" not in capsys.readouterr().err


def test_a_table_of_another_experiment_at_the_very_same_place_is_made_again(came, tmp_path, capsys):
    config = read_config([ROOT / "config.yaml", TINY])
    scores, best, population = came.generation("A", 0).scores, came.search("A").best, came.generation("A", 0).population
    note(came.train, rule="prepare_dataset")
    persistence = Persistence()
    keep_records(workflow(persistence), came)
    write_csv(scores, ["score"], [{"score": 1}])
    write_csv(population, ["genome"], [{"genome": 1}])
    write_record(best, {"score": 1})
    made = job(scores, best, population, came.train)
    asyncio.run(persistence.finished(made))
    for file in made.output:
        note(Path(file), rule="of this experiment", params=[])

    def incomplete() -> set[str]:
        bring_records(came, config)
        return set(known(INCOMPLETE))

    assert incomplete() == set() and strange_files(came) == set() and about_strange([]) == ""
    # Another run takes over what is known of them.
    keep_records(workflow(Persistence()), came)
    assert incomplete() == set() and "runs left" not in capsys.readouterr().err
    for file in (scores, best):  # as in another experiment, seal, place and all
        file.unlink()
        file.with_name(f".{file.name}.sha256").unlink(missing_ok=True)
    write_csv(scores, ["score"], [{"score": 2}])
    write_record(best, {"score": 2})
    population.write_text(population.read_text() + "2\n")  # by hand, which the step that reads it tells
    assert incomplete() == {scores.as_posix(), best.as_posix()}
    assert "warning: 2 files are not as this experiment's runs left them" in capsys.readouterr().err
    # Who looks on before that run knows it too, of what a run makes again, and that a job is about to write one.
    assert strange_files(came) == set(), "of an earlier version, which has not noted what a run makes"
    note_config(workflow(Persistence(), job(scores, best, needrun=False)), came)
    assert strange_files(came) == {scores, best}
    keep_records(workflow(Persistence()), came)
    assert strange_files(came) == {scores, best}, "another run takes over what is known"
    note_config(workflow(Persistence(), job(best, needrun=False)), came)
    assert strange_files(came) == {best}, "the other is from when there were more generations"
    note_config(workflow(Persistence(), job(scores, best, needrun=False)), came)
    assert about_strange(sorted(map(str, (scores, best)))).startswith("2 files are not as this experiment's runs left")
    persistence.started(job(scores))
    assert strange_files(came) == {best}


def test_another_configuration_than_the_files_are_of_is_told(came):
    """As after a copy of the folder that was broken off, or of this file alone."""
    other = read_config([ROOT / "config.yaml", TINY], {"searches": {"A": {"lambda": 60}}})
    own = came.config.read_text()
    note_config(workflow(Persistence()), came)
    assert about_config(came) == "" and not came.made_with.exists(), "nobody has noted what is made here"
    keep_records(workflow(Persistence()), came)
    assert about_config(came) == "", "of an earlier version, which noted nothing"
    note_config(workflow(Persistence()), came)
    note_config(workflow(Persistence()), came)
    assert about_config(came) == "" and came.made_with.read_text().count('"config"') == 1
    came.config.write_bytes(own.replace("\n", "\r\n").encode())
    assert about_config(came) == "", "an editor's ends of lines are no settings"
    save_config(other, came)
    assert about_config(came).startswith("results/tiny/config.yaml is not the configuration that the other files here")
    keep_records(workflow(Persistence()), came)  # another run takes over what is known
    assert about_config(came) != ""
    note_config(workflow(Persistence()), came)
    assert about_config(came) == "", "it is this run's"
    came.config.write_text("[")
    assert about_config(came) == "", "whoever reads it is told that it is none"


def test_tables_and_figures_that_are_others_than_those_made_are_made_again(came, capsys):
    """An older copy, one of another experiment, one that was edited or cut: a run would print it as its own."""
    config = read_config([ROOT / "config.yaml", TINY])
    note(came.train, rule="prepare_dataset")
    shown = [came.tables.results, came.tables.results_csv, came.tables.results_tex, came.figure("accuracy", "png")]
    kept = came.tables.timing
    for file in (*shown, kept):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{file.name}\nuniform-1x: 90.0\n")
    keep_records(workflow(persistence := Persistence()), came)
    asyncio.run(persistence.finished(job(*shown, kept)))
    for file in (*shown, kept):
        note(file, rule="of this experiment", params=[])
    bring_records(came, config)
    assert known(INCOMPLETE) == {} and "runs left" not in capsys.readouterr().err
    for file, content in zip(shown, ("uniform-1x: 91.0\n", "uniform", "", "another"), strict=True):
        file.write_text(content)
    bring_records(came, config)
    assert set(known(INCOMPLETE)) == {file.as_posix() for file in shown}
    assert "warning: 4 files are not as this experiment's runs left them" in capsys.readouterr().err


@pytest.mark.parametrize("strange", ["<html>ot", page_of("other")], ids=["cut", "another experiment's"])
def test_a_page_that_is_not_its_own_is_made_again(came, capsys, strange):
    """A page that `report` has made since is another one, whole and of the experiment."""
    config = read_config([ROOT / "config.yaml", TINY])
    note(came.train, rule="prepare_dataset")
    for content, again in ((page_of(came.experiment), set()), (strange, {came.report.as_posix()})):
        came.report.write_text(content)
        note(came.report, rule="write_report")
        bring_records(came, config)
        assert set(known(INCOMPLETE)) == again
    assert "warning: 1 file is not as this experiment's runs left it" in capsys.readouterr().err


def test_a_page_is_known_by_its_title():
    """As long as pages are called what is looked for."""
    template = (ROOT / "pipeline" / "report" / "page" / "template.html.j2").read_text()
    assert page_of("{{ name }}").removesuffix("</html>\n").removeprefix("<html>") in template


def images(path: Path, brightness: int, split: str) -> None:
    """One prepared image."""
    info = ImagesInfo("some", "pixels", ("a", "b"), 1, 1, 1, (0.5,), (0.25,), split)
    write_images(path, info, 0, [{"pixels": np.full((1, 1, 1, 1), brightness, np.uint8), "labels": np.zeros(1, int)}])


def test_images_of_another_preparation_are_made_again(came, capsys):
    """Such as a part of a backup: test images of another division into train and test may have been learnt from."""
    config = read_config([ROOT / "config.yaml", TINY])
    images(came.train, 1, "train")
    images(came.test, 2, "test")
    for file in came.prepared:
        note(file, rule="prepare_dataset")
    keep_records(workflow(persistence := Persistence()), came)
    asyncio.run(persistence.finished(job(*came.prepared)))
    images(came.test, 2, "test")
    bring_records(came, config)
    assert known(INCOMPLETE) == {}
    images(came.test, 3, "test")
    bring_records(came, config)
    assert set(known(INCOMPLETE)) == {came.test.as_posix()}
    assert "1 file is not as this experiment's runs left it, such as results/tiny/data/test.h5" in (
        capsys.readouterr().err
    )
    # What is damaged is told by the step that reads it.
    record_of(came.test, INCOMPLETE).unlink()
    came.test.write_bytes(b"")
    bring_records(came, config)
    assert known(INCOMPLETE) == {}


class Ancient(str):
    """An input that may be newer than what is made of it, as Snakemake marks it."""

    flags: ClassVar = {"ancient": True}


def test_what_was_made_from_others_is_made_again_whatever_the_clock_says(came):
    """If the clock is set back, and a run is interrupted, what is left looks newer than what it is made from."""
    config = read_config([ROOT / "config.yaml", TINY])
    weights, scores, best = came.supernet.weights, came.generation("A", 0).scores, came.search("A").best
    inference, table = came.tables.inference_csv, came.tables.results_csv
    images(came.train, 1, "train")
    write_tensors(weights, {"a": np.zeros(1)}, {})
    write_csv(table, ["top1"], [{"top1": 1}])
    keep_records(workflow(persistence := Persistence()), came)
    for file, *of in (
        (weights, came.train),
        (scores, weights, "of/another"),
        (best, scores),
        (inference, Ancient(table)),
    ):
        if file != weights:
            write_csv(file, ["score"], [{"score": 1}])
        asyncio.run(persistence.finished(job(file, of=of)))
    for file in (came.train, weights, scores, best, inference):
        note(file, rule="of this experiment", params=[])

    def incomplete() -> dict[str, dict]:
        keep_records(workflow(Persistence()), came)  # another run takes over what is known
        note_config(workflow(Persistence(), job(weights, scores, best, inference)), came)
        bring_records(came, config)
        assert {file.as_posix() for file in strange_files(came)} == set(known(INCOMPLETE))
        return known(INCOMPLETE)

    assert incomplete() == {}
    write_csv(table, ["top1"], [{"top1": 2}])
    assert incomplete() == {}, "new tables change nothing of what was timed before"
    images(came.train, 2, "train")
    assert incomplete() == {weights.as_posix(): {"external_jobid": None, "inputs": "others"}}
    images(came.train, 1, "train")
    assert incomplete() == {}, "they are what they were"
    write_tensors(weights, {"a": np.ones(1)}, {})
    assert list(incomplete()) == [scores.as_posix()]
    weights.unlink()
    assert incomplete() == {}, "Snakemake makes what is missing, and then what depends on it"


def test_what_a_run_is_to_make_again_is_outdated_until_it_has(layout):
    old, new, other = layout.search("A").best, layout.measurement("a", 0), layout.supernet.weights
    for file in (old, new, other):
        write_record(file, {})
    missing = layout.search("B").best
    assert outdated_files(layout) == [] and about_outdated([]) == ""
    stale, fresh = job(old, new, missing), job(other, needrun=False)
    keep_records(workflow(persistence := Persistence(), stale, fresh), layout)
    assert set(outdated_files(layout)) == {old, new}
    # Of those that it is about to make nothing is said, nor of those that it has made.
    persistence.started(job(old))
    assert outdated_files(layout) == [new]
    asyncio.run(persistence.finished(job(old)))
    assert outdated_files(layout) == [new]
    # It was interrupted. A part of the files is made by another run, which knows nothing of the rest.
    keep_records(workflow(Persistence(), job(other)), layout)
    assert set(outdated_files(layout)) == {new, other}
    # The settings are what they were: nothing is to be done.
    note_up_to_date(workflow(Persistence(), fresh, job(new, needrun=False)), layout)
    assert outdated_files(layout) == []
    keep_records(workflow(Persistence(), fresh), layout)
    assert "outdated" not in layout.made_with.read_text()
    note_up_to_date(workflow(Persistence(), fresh), layout)
    assert "outdated" not in layout.made_with.read_text()
    said = about_outdated([old, new])
    assert said.startswith(
        "2 files are of other settings or images than the experiment's, such as results/tiny/search/A/best.json"
    )


def test_what_is_made_with_other_settings_than_the_rest_is_outdated(layout):
    """As by a run of single targets, whose configuration is not kept."""
    weights, accuracy = layout.supernet.weights, layout.measurement("a", 0)
    write_record(accuracy, {})
    keep_records(workflow(persistence := Persistence(), job(accuracy)), layout, apart=True)
    asyncio.run(persistence.finished(job(accuracy)))
    assert outdated_files(layout) == [accuracy]
    # By another one with the same settings it is up to date, and still of others than the rest.
    write_record(weights, {})
    keep_records(workflow(Persistence(), job(accuracy, needrun=False), job(weights, needrun=False)), layout, apart=True)
    assert outdated_files(layout) == [accuracy]
    # The experiment is run to its end, with its own settings or these.
    keep_records(workflow(persistence := Persistence(), job(accuracy)), layout)
    asyncio.run(persistence.finished(job(accuracy)))
    assert outdated_files(layout) == []


def test_without_records_settings_that_were_edited_count_for_nothing(came):
    for text, said in (
        (came.config.read_text().replace("epochs: 2", "epochs: 3"), "config.yaml was changed after it was written"),
        ("[", "config.yaml holds no configuration"),
    ):
        came.config.write_text(text)
        with pytest.raises(UserError, match=f"and results/tiny/{said}: bring"):
            bring_records(came, read_config([ROOT / "config.yaml", TINY]))


def test_where_snakemake_knows_the_files_it_decides(came):
    note(came.train, rule="prepare_dataset")
    bring_records(came, read_config([ROOT / "config.yaml", TINY], {"seed": 3}))
