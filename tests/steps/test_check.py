"""The step ``check``: what will be done, and what cannot start, before anything does."""

from pathlib import Path

import pytest
from PIL import Image

from pipeline.__main__ import main
from pipeline.workflow.config import read_config
from tests.support.workflow import ROOT, TINY, planned


def images(folder: Path, **counts: int) -> Path:
    for name, count in counts.items():
        for number in range(count):
            path = folder / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), "red").save(path)
    return folder


def check(*words: object, step: str = "check") -> int:
    return main([step, *map(str, words)])


def of_folder(path: Path, validation: int, subset: int | None, fraction: float = 0.2, held_out: int = 0) -> list[str]:
    dataset = f"dataset={{name: image_folder, path: {path}, image_size: 8, test_fraction: {fraction}}}"
    split = f"validation_per_class: {validation}, subset_per_class: {'null' if subset is None else subset}"
    split = f"split={{{split}, held_out_per_class: {held_out}}}"
    judged = ["search.finalists=1"] if held_out else ["search.finalists=0"]
    return ["--config", dataset, split, *judged, "proxy.sample=0"]


def test_what_takes_years_is_said_to_be_made_for_a_gpu(capsys, monkeypatch):
    monkeypatch.setattr("pipeline.training.execution._has_gpu_driver", lambda: False)
    for config, long in (("cifar10", True), ("cifar10-mini", False)):
        assert check("--cores", 2, "--configfile", ROOT / "configs" / f"{config}.yaml") == 0
        said = " ".join(capsys.readouterr().out.split())
        assert ("It is made for a GPU (plan --gpu h200 plans for one)" in said) == long


def test_what_the_default_experiment_will_do(capsys):
    assert check("--cores", 2) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "experiment 'digits' images 10" in text
    assert "10 classes, 1,078 train images and 719 test images (set aside), brought to 8×8 pixels" in text
    search = read_config([ROOT / "config.yaml"])["search"]
    generations, population = search["generations"], search["population"]
    assert (
        f"9 searches of {generations} generations of {population} candidates: {9 * generations * population} " in text
    )
    assert "candidates, each trained on 300 images and scored on 400 images" in text
    genomes = read_config([ROOT / "config.yaml"])["proxy"]["sample"]
    assert f"proxy judged on {genomes} random genomes: {2 * genomes} candidates, and {genomes} trainings in" in text
    rows = len(read_config([ROOT / "config.yaml"])["models"])
    assert f"{rows} rows of 4 seeds: {4 * rows} trainings in full" in text
    assert " jobs, about " in text and "on 2 cores of an ordinary machine; plan times this one" in text


def test_a_setting_that_does_nothing_is_named(capsys):
    assert check("retrain.milestones=[10, 20]", "--cores", 2) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.endswith("note retrain.milestones has no effect, since retrain.schedule is 'cosine'")


def test_numbers_and_nouns_agree(capsys, tmp_path):
    overlay = tmp_path / "one.yaml"
    others = [name for name in read_config([ROOT / "config.yaml"])["models"] if name != "uniform-1x"]
    models = "".join(f"  {name}: null\n" for name in others)
    overlay.write_text(
        f"models:\n{models}searches: {{A: {{seeds: 1}}, B: null, random: null}}\ncontrols: []\nretrain: {{seeds: 1}}\n"
        "search: {generations: 1, population: 1}\nexecution: {device: cpu}\n"
    )
    assert check(overlay, "--cores", 1) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "1 search of 1 generation of 1 candidate: 1 candidate, " in text
    assert "1 row of 1 seed: 1 training in full" in text
    assert "on 1 core of" in text


def test_without_a_search_nothing_is_done_for_one(capsys, tmp_path):
    overlay = tmp_path / "rows.yaml"
    config = read_config([ROOT / "config.yaml"])
    found = "".join(f"  {name}: null\n" for name, row in config["models"].items() if "genome" not in row)
    overlay.write_text(
        f"models:\n{found}searches: {{A: null, B: null, random: null}}\nsplit: {{held_out_per_class: 0}}\n"
        "retrain: {seeds: 1}\n"
    )
    assert config["proxy"]["sample"] and config["supernet"]["enabled"]
    assert check(overlay, "--cores", 1) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "searches none, so no supernet is trained and no candidate scored table 2 rows of 1 seed" in text
    # Images, a training and an evaluation of each row, tables, figures, the page, what inference takes, and rule all.
    assert f" jobs {1 + 2 * 2 + 4 + 1} jobs, " in text


def test_the_jobs_are_those_that_snakemake_counts(tmp_path, capsys):
    assert check(TINY, "--cores", 2) == 0
    counted = int(capsys.readouterr().out.split(" jobs, about")[0].split()[-1])
    assert counted == sum(planned(tmp_path).values()) + 1


def test_a_data_set_that_is_downloaded_is_known(capsys):
    assert check(ROOT / "configs" / "cifar10.yaml") == 0
    text = capsys.readouterr().out
    assert "10 classes, 50,000 train images and 10,000 test images, brought to 32×32" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80
    assert " days on " in " ".join(text.split())


@pytest.mark.parametrize("step", ["check", "plan"])
def test_too_few_images_of_a_class(tmp_path, capsys, step):
    folder = images(tmp_path / "images", cat=20, dog=10)
    assert check(*of_folder(folder, 5, 4), step=step) == 1
    assert capsys.readouterr().err.strip().splitlines()[-1] == (
        "error: class 'dog' has only 8 train images after those for the test are set aside, but the configuration "
        "needs 9 of each class: 5 for validation and 4 for the subset: add images, or lower "
        "split.validation_per_class or split.subset_per_class"
    )


def test_as_many_images_as_are_needed_are_enough(tmp_path, capsys):
    folder = images(tmp_path / "images", cat=20, dog=10)
    assert check(*of_folder(folder, 4, 4)) == 0
    assert check(*of_folder(folder, 7, None)) == 0
    assert check(*of_folder(folder, 8, None)) == 1
    assert "8 for validation and at least 1 to learn from" in capsys.readouterr().err


@pytest.mark.parametrize(("fraction", "apart", "said"), [(0.3, True, True), (0.3, False, False), (0.2, True, False)])
def test_a_share_of_test_images_that_does_nothing_is_named(tmp_path, capsys, fraction, apart, said):
    images(tmp_path / "train" if apart else tmp_path, cat=10, dog=10)
    if apart:
        images(tmp_path / "test", cat=3, dog=3)
    assert check(*of_folder(tmp_path, 3, 3, fraction)) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert ("test_fraction (0.3) has no effect, since the images have a test set of their own" in words) == said


def test_images_that_are_held_out_are_needed_too(tmp_path, capsys):
    folder = images(tmp_path / "images", cat=20, dog=10)
    assert check(*of_folder(folder, 3, 3, held_out=2)) == 0
    assert check(*of_folder(folder, 3, 3, held_out=3)) == 1
    assert (
        "needs 9 of each class: 3 for validation and 3 for the subset, and 3 to be held out: add images, or lower "
        "split.validation_per_class or split.subset_per_class or split.held_out_per_class"
    ) in capsys.readouterr().err
    # Where nobody is judged on them, none are held out.
    assert check(*of_folder(folder, 3, 3, held_out=3), "search.finalists=0") == 0


@pytest.mark.parametrize("apart", [True, False])
def test_what_cannot_be_read_is_found_before_any_work(tmp_path, capsys, apart):
    """Files that are no images by their names, however many images there are; of the others some."""
    home = images(tmp_path / "animals" / "train" if apart else tmp_path / "animals", cat=8, dog=8)
    if apart:
        images(tmp_path / "animals" / "test", cat=2, dog=2)
    words = of_folder(tmp_path / "animals", 2, 3)
    assert check(*words) == 0
    capsys.readouterr()
    cut = (tmp_path / "animals" / "test" if apart else home) / "dog" / "1.png"
    cut.write_bytes(cut.read_bytes()[:40])
    assert check(*words) == 1
    assert f"{cut} cannot be read as an image (" in capsys.readouterr().err
    (home / "cat" / "notes.txt").write_text("what I saw")
    assert check(*words) == 1
    assert "2 files cannot be read as images: " in (said := capsys.readouterr().err)
    assert str(cut) in said and "notes.txt" in said and "dataset.damaged_images to 'skip'" in said
    assert check(*words, "dataset.damaged_images=skip") == 0
    said = " ".join(capsys.readouterr().out.split())
    looked = 21 if apart else 17
    assert f"note 2 of {looked} images that were looked at cannot be read, and will be left out: " in said


@pytest.mark.parametrize("apart", [True, False])
def test_what_is_left_without_skipped_images_has_to_be_enough(tmp_path, capsys, apart):
    """The run would read all images, and end then."""
    home = images(tmp_path / "animals" / "train" if apart else tmp_path / "animals", cat=8, dog=8)
    if apart:
        images(tmp_path / "animals" / "test", cat=2, dog=2)
    words = [*of_folder(tmp_path / "animals", 2, 3), "dataset.damaged_images=skip"]
    for number in range(3):
        (home / "cat" / f"{number}.png").write_bytes(b"")
    assert check(*words) == 0
    (home / "cat" / "3.png").write_bytes(b"")
    assert check(*words) == 1
    assert "class 'cat' has only 4 train images" in capsys.readouterr().err
    for path in (home / "cat").iterdir():
        path.write_bytes(b"")
    assert check(*words) == 1
    assert "class 'cat' has no train image that can be read" in capsys.readouterr().err
    if apart:
        images(home, cat=8)
        for path in (tmp_path / "animals" / "test" / "dog").iterdir():
            path.write_bytes(b"")
        assert check(*words) == 1
        assert "class 'dog' has no test image that can be read" in capsys.readouterr().err


def test_of_many_files_those_that_do_not_look_like_images_are_read(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("pipeline.data.survey._LOOK_AT", 2)
    home = images(tmp_path / "animals", cat=8, dog=8)
    (home / "cat" / "notes.txt").write_text("what I saw")
    assert check(*of_folder(home, 2, 3)) == 1
    assert "notes.txt cannot be read as an image (" in capsys.readouterr().err


def test_without_a_search_no_images_are_divided(tmp_path, capsys):
    """Rows of given genomes learn from all images, so that a few are enough for what run does."""
    home, few = images(tmp_path / "animals", cat=3, dog=3), tmp_path / "few.yaml"
    few.write_text(
        "searches: {A: null, B: null, random: null}\n"
        "models: {found-A: null, random-A: null, found-B: null, random-B: null}\n"
        "proxy: {sample: 0}\n"
    )
    assert check(*of_folder(home, 2, 3)) == 1
    assert "the configuration needs 5 of each class" in capsys.readouterr().err
    assert check(few, *of_folder(home, 2, 3)) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "4 train images and 2 test images (set aside)" in said
    assert "classes 'cat' and 'dog'" in said  # and not, say, the names of a camera's folders


def test_a_subset_larger_than_the_data(capsys):
    assert check("--config", "split={subset_per_class: 5000}") == 1
    message = capsys.readouterr().err
    assert (
        "error: 10 classes have too few train images, 0, 1, 2, 3, 4 and others; the smallest has 104 train images"
        in message
    )
    assert "40 for validation and 5000 for the subset" in message


def test_a_class_without_images_to_set_aside(tmp_path, capsys):
    folder = images(tmp_path / "images", cat=20, dog=1)
    assert check(*of_folder(folder, 1, 1)) == 1
    assert "class 'dog' has 1 image, and dataset.test_fraction 0.2 takes 1 for the test" in capsys.readouterr().err


@pytest.mark.parametrize("step", ["check", "plan"])
def test_folders_that_will_not_do(tmp_path, monkeypatch, capsys, step):
    monkeypatch.chdir(tmp_path)
    assert check(*of_folder(images(tmp_path / "flat" / "0.png", cat=0).parent, 1, 1), step=step) == 1
    assert "there is no folder" in capsys.readouterr().err
    assert check(*of_folder(images(tmp_path, a=3) / "a", 1, 1), step=step) == 1
    assert "a has no class folders: put the images of each class into a folder" in capsys.readouterr().err
    assert check("--config", "dataset={name: image_folder, image_size: 8}", step=step) == 1
    assert "there is no folder resources/image_folder: name the folder of the images (in a" in capsys.readouterr().err


@pytest.mark.parametrize("step", ["check", "plan"])
def test_a_gpu_where_there_is_none(monkeypatch, capsys, step):
    monkeypatch.setattr("pipeline.training.execution._has_gpu_driver", lambda: False)
    monkeypatch.setattr("pipeline.workflow.slurm.queue.is_here", lambda: False)
    assert check("--config", "execution={device: cuda}", step=step) == 1
    assert "execution.device is 'cuda', but there is no GPU here: set it to 'auto' or 'cpu'" in capsys.readouterr().err


def test_a_cluster_may_have_the_gpu_that_this_machine_lacks(monkeypatch, capsys):
    monkeypatch.setattr("pipeline.training.execution._has_gpu_driver", lambda: False)
    monkeypatch.setattr("pipeline.workflow.slurm.queue.is_here", lambda: True)
    assert check("--config", "execution={device: cuda}") == 0
    assert "how long they take on a GPU, plan finds out" in capsys.readouterr().out


def test_no_cores(capsys):
    assert check("--cores", 0) == 1
    assert "it must be at least 1" in capsys.readouterr().err
