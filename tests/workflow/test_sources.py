"""Images that change after they were prepared: what depends on them runs again, and nothing else does."""

import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from pipeline.__main__ import main
from pipeline.common.errors import UserError
from pipeline.data import manifest as manifests
from pipeline.data.datasets import listing
from pipeline.data.datasets.image_folder import list_files
from pipeline.data.manifest import looks_unchanged, manifest_beside, read_manifest, same_contents
from pipeline.workflow.config import read_config
from pipeline.workflow.layout import Layout
from pipeline.workflow.made_with import bring_records
from pipeline.workflow.rules.files import Files
from pipeline.workflow.rules.flags import Flags
from pipeline.workflow.sources import FlagWords, Sources, have_changed
from tests.support.workflow import ROOT, TINY, complete, planned, resume

BOTH = {"prepare_dataset": 1, "sample_subset": 1}


def images(folder: Path) -> Path:
    """16 images of each of two classes."""
    generator = np.random.default_rng(0)
    for number in range(32):
        path = folder / ("cat", "dog")[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    return folder


def configure(at: Path, path: str | None, **more: object) -> Path:
    """The tiny experiment on a folder of images."""
    config = yaml.safe_load(TINY.read_text())
    config["split"] = {"subset_per_class": 4, "validation_per_class": 4}
    config["dataset"] = {"name": "image_folder", "path": path, "image_size": 8, "damaged_images": "skip", **more}
    config["supernet"]["batch_size"] = config["candidate"]["batch_size"] = 4
    (at / "config.yaml").write_text(yaml.safe_dump(config))
    return at / "config.yaml"


def to_do(at: Path, config: Path) -> dict[str, int]:
    return planned(at, "--until", "sample_subset", config=config)


def do(at: Path, config: Path) -> None:
    complete(resume("--cores", 2, "--until", "sample_subset", config=config), at)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which images of a folder with an unusual name were prepared."""
    at = tmp_path_factory.mktemp("prepared")
    images(at / "my {images} 1")
    do(at, configure(at, "my {images} 1"))
    return at


@pytest.fixture
def finished(done: Path, tmp_path: Path) -> Path:
    """A copy of it, times included."""
    at = tmp_path / "copy"
    shutil.copytree(done, at, symlinks=True)  # keeps the times of files; those of folders differ
    return at


def state_of(at: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str | None, str]:
    """What the flags will say of the images, in this process."""
    monkeypatch.chdir(at)
    return Sources({"experiment": "tiny", "dataset": {"name": "image_folder", "path": path}}).state


NAMED = "my {images} 1"


@pytest.mark.slow
@pytest.mark.parametrize("listed", [True, False], ids=["this version", "one that left no list of images"])
def test_results_that_came_without_records_of_other_images_are_refused(finished, monkeypatch, listed):
    """Snakemake takes files of which it knows nothing for up to date."""
    monkeypatch.chdir(finished)
    layout = Layout.of("tiny")
    shutil.rmtree(".snakemake")
    layout.made_with.unlink()
    if not listed:
        manifest_beside(layout.train).unlink()
    config = read_config([ROOT / "config.yaml", Path("config.yaml")])
    bring_records(layout, config)
    if listed:
        edit(Path(NAMED) / "cat" / "00.png")
    else:  # then images are counted
        (Path(NAMED) / "cat" / "00.png").unlink()
    with pytest.raises(UserError, match="came without the folder .snakemake, .* and its images have changed: bring"):
        bring_records(layout, config)


def edit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)


def edit_one(folder: Path) -> None:
    edit(folder / "cat" / "00.png")


def add_an_empty_class(folder: Path) -> None:
    (folder / "fox").mkdir()


def exchange(folder: Path) -> None:
    """Two images of equal length change places and keep their times, as unpacking another archive may do."""
    one, other = folder / "cat" / "00.png", folder / "dog" / "01.png"
    data, times = (one.read_bytes(), other.read_bytes()), [path.stat().st_mtime_ns for path in (one, other)]
    assert len(data[0]) == len(data[1]), "as images of random numbers are"
    for path, content, changed in zip((one, other), data[::-1], times, strict=True):
        path.write_bytes(content)
        os.utime(path, ns=(changed, changed))


def test_images_that_change_places_and_keep_their_times_are_noticed_each_time(finished, monkeypatch):
    keys = []
    for _ in range(2):
        exchange(finished / NAMED)
        keys.append(state_of(finished, NAMED, monkeypatch)[1])
        path = manifest_beside(Path("results/tiny/data/train.h5"))
        files, before = list_files(Path(NAMED)), read_manifest(path, Path(NAMED))
        contents = np.array([list(manifests._content(files.root / name)) for name in files.names], np.uint8)
        manifests.write_manifest(
            path, replace(before, files=files, contents=contents, key=keys[-1], since=manifests.last_touched(files))
        )
        assert state_of(finished, NAMED, monkeypatch) == (NAMED, keys[-1])
    assert all(len(key) == 16 for key in keys) and keys[0] != keys[1]
    # Of a manifest that does not say when files were touched, and where reading would take long, nothing is known.
    before = read_manifest(path, Path(NAMED))
    exchange(finished / NAMED)
    assert not same_contents(before, list_files(Path(NAMED)))
    assert same_contents(replace(before, since=None), list_files(Path(NAMED)))
    monkeypatch.setattr(manifests, "_QUIET", 1)
    assert same_contents(before, list_files(Path(NAMED)))


def bitmaps(folder: Path) -> Path:
    """Four images of each of two classes, all as long and as old as each other, of the same names in both."""
    generator = np.random.default_rng(0)
    for number in range(8):
        path = folder / ("cat", "dog")[number % 2] / f"{number // 2}.bmp"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
        os.utime(path, (10**9, 10**9))
    return folder


def listed(root: Path, key: str = "") -> manifests.Manifest:
    """The manifest of the images that are there now, as a preparation writes it."""
    files = list_files(root)
    contents = np.array([list(manifests._content(root / name)) for name in files.names], np.uint8)
    manifests.write_manifest(
        Path("sources.h5"), manifests.Manifest(files, contents, "a", key, manifests.last_touched(files))
    )
    return read_manifest(Path("sources.h5"), root)


def change_names(folder: Path) -> None:
    for old, new in (("cat", "other"), ("dog", "cat"), ("other", "dog")):
        (folder / old).rename(folder / new)


@pytest.mark.parametrize("quiet", [2**28, 1], ids=["few", "so many that some of each folder are read"])
def test_class_folders_that_change_names_are_noticed_each_time(tmp_path, monkeypatch, quiet):
    """The images themselves were not touched, and have the same names, lengths and times as before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(manifests, "_QUIET", quiet)
    before, keys = listed(bitmaps(Path("a"))), []
    for _ in range(2):
        change_names(Path("a"))
        assert not same_contents(before, list_files(Path("a")))
        keys.append(manifests.key_of(list_files(Path("a"))))
        before = listed(Path("a"), keys[-1])
        assert same_contents(before, list_files(Path("a")))
    assert keys[0] != keys[1], "by which the workflow knows that the images are others again"


def test_a_link_that_leads_to_other_images_is_noticed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bitmaps(Path("b"))
    change_names(Path("b"))
    shutil.copytree("b", "a")  # later, so that nothing of the others was touched since
    change_names(Path("a"))
    Path("now").symlink_to("a")
    before = listed(Path("now"))
    Path("now").unlink()
    Path("now").symlink_to("b")
    assert not same_contents(before, list_files(Path("now")))
    monkeypatch.setattr(manifests, "_EACH", 5)
    assert not looks_unchanged(before)


def test_manifests_of_an_earlier_version_are_read_and_learn_the_rest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = listed(bitmaps(Path("a")))
    old = replace(before, files=replace(before.files, inodes=None))
    manifests.write_manifest(Path("sources.h5"), old)
    old = read_manifest(Path("sources.h5"), Path("a"))
    assert old.files.inodes is None and same_contents(old, list_files(Path("a")))
    assert not manifests.same_listing(old.files, list_files(Path("a"))), "so that it is written anew"
    monkeypatch.setattr(manifests, "_EACH", 5)
    assert looks_unchanged(old)


def test_images_of_other_rights_are_the_same_and_read_once(finished, monkeypatch):
    (finished / NAMED / "cat" / "00.png").chmod(0o600)
    test_images_that_were_compared_are_not_read_again(finished, monkeypatch)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: shutil.copy(folder / "cat" / "00.png", folder / "cat" / "new.png"),
        lambda folder: (folder / "cat" / "00.png").unlink(),
        lambda folder: edit(folder / "cat" / "00.png"),
        lambda folder: shutil.copy(folder / "dog" / "01.png", folder / "cat" / "00.png"),
        lambda folder: (folder / "cat" / "00.png").rename(folder / "dog" / "00.png"),
        lambda folder: (folder / "cat").rename(folder / "eel"),
        lambda folder: shutil.copytree(folder / "dog", folder / "eel"),
        lambda folder: shutil.copytree(folder, folder / "train"),
    ],
    ids=["new", "removed", "edited", "replaced", "moved", "renamed class", "new class", "split"],
)
def test_other_images_are_noticed(finished, monkeypatch, change):
    assert state_of(finished, NAMED, monkeypatch) == (NAMED, "")
    change(finished / NAMED)
    if (finished / NAMED / "train").exists():
        for name in ("cat", "dog"):
            shutil.rmtree(finished / NAMED / name)
    path, key = state_of(finished, NAMED, monkeypatch)
    assert path == NAMED and len(key) == 16


@pytest.mark.parametrize("change", [edit_one, add_an_empty_class], ids=["edited", "new class without images"])
def test_status_and_report_say_that_images_have_changed(finished, monkeypatch, capsys, change):
    """They show the tables and pages of before: whoever reads these shall know."""
    monkeypatch.chdir(finished)
    sentence, page = "are not those any more that this is about", finished / "results" / "tiny" / "report.html"

    def shown() -> tuple[bool, bool, bool]:
        assert main(["status"]) == 0 and main(["report"]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert main(["status", "--json"]) == 0
        [record] = json.loads(capsys.readouterr().out)
        return sentence in said, sentence in page.read_text(), sentence in record["other_images"]

    manifest = manifest_beside(Layout.of("tiny").train)
    before = manifest.read_bytes()
    for path in (finished / NAMED).rglob("*.png"):
        os.utime(path, (0, 0))
    assert shown() == (False, False, False)
    change(finished / NAMED)
    assert shown() == (True, True, True)
    same = manifest.read_bytes() == before
    assert same, "whoever looks on writes nothing"
    shutil.rmtree(finished / NAMED)
    assert shown() == (False, False, False), "nobody knows"


def test_touched_and_copied_images_are_the_same(finished, monkeypatch):
    folder = finished / NAMED
    for path in folder.rglob("*.png"):
        os.utime(path, (time.time() + 100, time.time() + 100))
    (folder / "cat" / "Thumbs.db").write_bytes(b"x")
    assert state_of(finished, NAMED, monkeypatch) == (NAMED, "")
    shutil.copytree(folder, finished / "copy", copy_function=shutil.copy)
    assert state_of(finished, "copy", monkeypatch) == (NAMED, "")
    shutil.rmtree(folder)
    (finished / "copy" / "cat" / "00.png").unlink()
    assert state_of(finished, "copy", monkeypatch)[0] == "copy"


def test_images_that_were_compared_are_not_read_again(finished, monkeypatch):
    for path in (finished / NAMED).rglob("*.png"):
        os.utime(path, (0, 0))
    assert state_of(finished, NAMED, monkeypatch) == (NAMED, "")

    def refuse(path: Path) -> bytes:
        raise AssertionError(f"{path} is read")

    monkeypatch.setattr(manifests, "_content", refuse)
    assert state_of(finished, NAMED, monkeypatch) == (NAMED, "")


def test_a_workflow_prepares_again_what_has_changed_and_nothing_else(finished):
    """One run through it all, since each call of Snakemake takes seconds."""
    folder, config = finished / NAMED, finished / "config.yaml"
    for path in folder.rglob("*.png"):
        os.utime(path, (time.time() + 100, time.time() + 100))
    folder.rename(finished / "-elsewhere")
    folder, config = finished / "-elsewhere", configure(finished, "-elsewhere")
    assert to_do(finished, config) == {}
    shutil.copytree(folder / "dog", folder / "eel")
    assert to_do(finished, config) == BOTH
    do(finished, config)
    assert to_do(finished, config) == {}
    folder.rename(finished / "moved")
    config = configure(finished, "moved", image_size=9)
    do(finished, config)
    assert to_do(finished, config) == {}
    (finished / "moved" / "fox").mkdir()
    with pytest.raises(AssertionError, match=r"class 'fox' has no images in moved/fox: add images or remove"):
        to_do(finished, config)


@pytest.mark.parametrize("gone", ["images", "folder"])
def test_images_that_changed_after_the_prepared_ones_were_deleted(finished, monkeypatch, gone):
    """Snakemake asks for no file again that something up to date was made from, and the table was that of before.

    Deleting the folder is what users are told to do after edits that nothing notices.
    """
    monkeypatch.chdir(finished)
    layout, config = Layout.of("tiny"), read_config([ROOT / "config.yaml", Path("config.yaml")])
    prepared = [layout.train, layout.test]
    assert Files(config).images == []
    if gone == "folder":
        shutil.rmtree(layout.train.parent)
    else:  # for want of space; the list of images is still there
        for path in prepared:
            path.unlink()
        assert Files(config).images == [] and not have_changed(config, layout)
        edit_one(Path(NAMED))
        assert have_changed(config, layout)
    assert Files(config).images == [layout.train], "the test images come with them"
    shutil.rmtree(NAMED)
    assert Files(config).images == []


def test_images_of_an_earlier_version_are_counted(finished, monkeypatch):
    manifest_beside(finished / "results" / "tiny" / "data" / "train.h5").unlink()
    assert state_of(finished, NAMED, monkeypatch) == (NAMED, "")
    (finished / NAMED / "cat" / "00.png").unlink()
    assert len(state_of(finished, NAMED, monkeypatch)[1]) == 16


# Very many images


def test_of_very_many_images_folders_and_a_sample_are_looked_at(finished, monkeypatch):
    monkeypatch.chdir(finished)
    root = Path("my {images} 1")
    path = manifest_beside(finished / "results" / "tiny" / "data" / "train.h5")
    manifests.write_manifest(path, replaced_files(path, root))
    manifest = read_manifest(path, root)
    assert not looks_unchanged(manifest), "few images are looked at one by one"
    monkeypatch.setattr(manifests, "_EACH", 10)
    assert looks_unchanged(manifest)
    monkeypatch.setattr(manifests, "_SAMPLE", 2)
    edited = root / "cat" / "10.png"
    edited.write_bytes(edited.read_bytes() + b"more")
    assert looks_unchanged(manifest), "it was not in the sample"
    assert not same_contents(manifest, list_files(root))
    (root / "dog" / "new.png").write_bytes(b"x")
    assert not looks_unchanged(manifest)


def replaced_files(path: Path, root: Path) -> manifests.Manifest:
    """The manifest with the times that the copied folders have."""
    manifest = read_manifest(path, root)
    return manifests.Manifest(list_files(root), manifest.contents, manifest.path, manifest.key)


def test_a_dry_run_does_not_list_what_needs_no_look(finished, monkeypatch):
    """As many stats as folders and samples, no listing: that is what keeps it fast."""
    monkeypatch.chdir(finished)
    path = manifest_beside(finished / "results" / "tiny" / "data" / "train.h5")
    manifests.write_manifest(path, replaced_files(path, Path("my {images} 1")))
    monkeypatch.setattr(manifests, "_EACH", 10)
    config = {"experiment": "tiny", "dataset": {"name": "image_folder", "path": "my {images} 1"}}

    def refuse(*_: object) -> None:
        raise AssertionError("listed")

    monkeypatch.setattr("pipeline.data.datasets.image_folder.list_files", refuse)
    assert Sources(config).state == ("my {images} 1", "")


def test_images_of_which_the_list_cannot_be_read_are_prepared_again(finished, monkeypatch):
    path = manifest_beside(finished / "results" / "tiny" / "data" / "train.h5")
    path.write_bytes(b"x")
    named, key = state_of(finished, NAMED, monkeypatch)
    assert read_manifest(path, Path()) is None and named == NAMED and len(key) == 16
    assert state_of(finished, NAMED, monkeypatch) == (named, key), "once"


# Data sets from elsewhere

ARCHIVES = """
import numpy as np
from pathlib import Path
from pipeline.data.datasets.listing import Files, facts
from pipeline.data.datasets.sources import ArraySplit, Dataset

NAME, CHANNELS, CLASSES = "archives", 3, 2


def list_files(path):
    names = ["test.npz", "train.npz"]
    seen = [facts(path / name) for name in names]
    columns = [np.array([getattr(one, key) for one in seen]) for key in ("size", "changed", "inode")]
    folder = np.array(["."], dtype=object), np.array([facts(path).changed])
    return Files(path, np.array(names, dtype=object), *columns[:2], *folder, columns[2])


def open_dataset(path):
    made = {name: np.load(path / f"{name}.npz") for name in ("train", "test")}
    splits = [ArraySplit(one["pixels"], one["labels"], name) for name, one in made.items()]
    return Dataset(NAME, ("cat", "dog"), 3, *splits, natural_size=4, files=FILES)
"""


def write_archives(folder: Path, seed: int) -> None:
    for name in ("train", "test"):
        pixels = np.random.default_rng(seed).integers(0, 256, (8, 4, 4, 3), np.uint8)
        np.savez(folder / f"{name}.npz", pixels=pixels, labels=np.arange(8) % 2)


@pytest.mark.parametrize("told", ["list_files(path)", "None"], ids=["files named", "files listed"])
def test_archives_of_a_data_set_from_elsewhere_that_change_are_noticed(tmp_path, monkeypatch, told):
    """Each holds many images, of which none has a file of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("pipeline.data.datasets.decoding._LARGEST", 100)
    module = f"archives_{len(told)}"
    (tmp_path / f"{module}.py").write_text(ARCHIVES.replace("FILES)", f"{told})"))
    write_archives(tmp_path, 0)
    layout, dataset = Layout.of("tiny"), {"name": f"{module}:archives", "path": "."}
    words = ["--dataset", dataset["name"], "--path", ".", "--train", str(layout.train), "--test", str(layout.test)]
    assert main(["prepare-dataset", *words]) == 0

    def state() -> tuple[str | None, str]:
        return Sources({"experiment": "tiny", "dataset": dataset}).state

    assert state() == (".", "")
    for path in tmp_path.glob("*.npz"):
        os.utime(path, (time.time() + 100, time.time() + 100))
    assert state() == (".", ""), "they hold the same"
    write_archives(tmp_path, 1)
    assert len(state()[1]) == 16


def test_a_file_that_changes_while_images_are_prepared_is_read_again(tmp_path):
    write_archives(tmp_path, 0)
    facts = [listing.facts(tmp_path / name) for name in ("test.npz", "train.npz")]
    sizes, changed = (np.array([getattr(one, key) for one in facts]) for key in ("size", "changed"))
    folders = np.array(["."], dtype=object), np.zeros(1, np.int64)
    names = np.array(["test.npz", "train.npz"], dtype=object)
    files = listing.Files(tmp_path, names, sizes, changed + np.array([0, 1]), *folders)
    test, train = manifests.contents_of(files, [], np.zeros((0, 16), np.uint8))
    assert test.any() and not train.any()


# Flags


def test_words_count_as_others():
    words = FlagWords("--path b", "--path a")
    assert (f"{words}", repr(words)) == ("--path b", "'--path a'")


def flags_of(dataset: dict[str, object]) -> str:
    return Flags(
        {"experiment": "none", "seed": 0, "execution": {"processes": 1}, "dataset": {"image_size": 8, **dataset}}
    ).dataset()


def test_paths_become_flags_that_nothing_takes_for_something_else():
    common = "--image-size 8 --storage auto --test-fraction 0.2 --damaged-images stop --seed 0"
    assert flags_of({"name": "digits"}) == f"--dataset digits {common}"
    for path, words in {"-x y": "'--path=-x y'", "{a}": "--path '{a}'", "~/a": "--path '~/a'"}.items():
        assert flags_of({"name": "image_folder", "path": path}) == f"--dataset image_folder {common} {words}"
        assert repr(flags_of({"name": "cifar10", "path": path})) == repr(f"--dataset cifar10 {common} {words}")


def test_home_is_meant_by_a_tilde(tmp_path, monkeypatch):
    from pipeline.data.datasets import locate

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert locate("image_folder", "~/images") == tmp_path / "images"
    assert locate("image_folder", None) == Path("resources/image_folder")
    with pytest.raises(UserError, match="nobody knows where the folder ~nobody-of-this-name/a is"):
        locate("image_folder", "~nobody-of-this-name/a")
    (tmp_path / "~").mkdir()
    (tmp_path / "~" / "images").mkdir()
    assert locate("image_folder", "~/images") == Path("~/images")
