"""Layouts of image folders: what a user expects of each, or a sentence that fits."""

import os
from pathlib import Path

import pytest
from PIL import Image

from pipeline.common.errors import UserError
from pipeline.data.datasets import open_dataset
from pipeline.data.datasets.folders import _notes_on_other_part, find_layout
from pipeline.data.datasets.sources import DamagedImageError


def put(root: Path, *names: str) -> Path:
    """Images under a folder; a name that ends with '/' is an empty folder."""
    for name in names:
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), "red").save(path, "PNG")
    return root


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        open_dataset("image_folder", path)
    return str(caught.value).replace(str(path), "HERE")


CLASSES = ("cat/0.png", "dog/0.png")


def under(folder: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in CLASSES)


@pytest.mark.parametrize("train", ["train", "Train", "TRAIN", "training", "train_images", "TrainSet", "training-data"])
@pytest.mark.parametrize("test", ["test", "Test", "testing", "val", "VAL", "valid_images", "Validation", "evaluation"])
def test_usual_names_of_split_folders(tmp_path, train, test):
    layout = find_layout(put(tmp_path, *under(train), *under(test)))
    assert (layout.train, layout.test) == (tmp_path / train, tmp_path / test)
    assert layout.classes == layout.test_classes == ("cat", "dog")


def test_split_folders_in_folders_of_their_names(tmp_path):
    """As some archives unpack; whoever names the inner folder is told of the test images."""
    train, test = tmp_path / "training_set" / "training_set", tmp_path / "test_set" / "test_set"
    put(tmp_path, *under("training_set/training_set"), *under("test_set/test_set"))
    layout = find_layout(tmp_path)
    assert (layout.train, layout.test) == (train, test)
    assert len(open_dataset("image_folder", tmp_path).test.labels) == 2
    assert find_layout(train).notes[-1].startswith(f"warning: {tmp_path / 'test_set'} is not used; name {tmp_path} to")
    put(tmp_path, "test_set/more/cat/0.png")
    assert "class 'more' is in" in refusal(tmp_path)


def test_one_folder_of_another_name_is_no_split_folder_again(tmp_path):
    put(tmp_path, *under("train/test"), *under("test"))
    assert refusal(tmp_path) == "HERE/train has only one folder, 'test': name HERE/train/test"


def test_folders_beside_that_are_not_used_are_told(tmp_path, capsys):
    put(tmp_path, *under("Train"), *under("val"), "extra/0.png", "docs/", *under("holdout"))
    (tmp_path / "docs" / "notes.txt").write_text("what these are")
    found = open_dataset("image_folder", tmp_path)
    told = capsys.readouterr().err
    assert (len(found.train.labels), len(found.test.labels)) == (2, 2)
    assert f"{tmp_path / 'extra'} is not used, though it holds images" in told
    assert f"warning: {tmp_path / 'holdout'} is not used" in told
    assert "docs" not in told


def test_unlabelled_test_images_are_told(tmp_path, capsys):
    put(tmp_path, *under("train"), "test/0.png")
    assert open_dataset("image_folder", tmp_path).test is None
    assert (
        f"warning: {tmp_path / 'test'} is not used, since its images are in no class folders" in capsys.readouterr().err
    )


@pytest.mark.parametrize("split", [(), under("test")])
def test_images_beside_class_folders_are_told(tmp_path, capsys, split):
    """Whether they lie beside all classes, or beside those of the test."""
    home = tmp_path / "test" if split else tmp_path
    put(tmp_path, *(under("train") if split else CLASSES), *split)
    (home / "notes.txt").write_text("what these are")
    find_layout(tmp_path)
    open_dataset("image_folder", tmp_path)
    assert "left out" not in capsys.readouterr().err
    put(home, "1.png", "2.PNG")
    open_dataset("image_folder", tmp_path)
    said = " ".join(capsys.readouterr().err.split())
    assert f"warning: 2 images beside the class folders of {home} are left out, such as 1.png" in said


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        (["cat/0_mask.png"], "1 image is called a mask of others beside, such as {}/cat/0_mask.png: move"),
        (["cat/0-seg.png", "dog/0_Mask_1.png"], "2 images are called masks of others beside, such as {}/cat/0-seg.png"),
        (["cat/7_mask.png", "dog/mask.png"], None),
    ],
    ids=["one", "two", "of no image that is there"],
)
def test_images_that_are_masks_of_others_are_told(tmp_path, capsys, masks, said):
    """As some sets of medical images have them in their class folders."""
    open_dataset("image_folder", put(tmp_path, *CLASSES, *masks))
    told = capsys.readouterr().err
    assert "mask" not in told if said is None else f"warning: {said.format(tmp_path)}" in told


def test_a_part_that_is_named_alone_is_told(tmp_path, capsys, monkeypatch):
    """Else a part of the train images would be the test, or the other way round, and nobody would notice."""
    put(tmp_path, *under("data/train"), *under("data/test"), *under("alone/train"), "alone/test/0.png")
    (tmp_path / "data" / "test" / "more").mkdir()
    for named, other in (("train", "test"), ("test", "train")):
        monkeypatch.chdir(tmp_path / "data" / named if named == "train" else tmp_path)
        find = Path() if named == "train" else Path("data/test")
        (note,) = find_layout(find).notes
        assert note.startswith(f"warning: {tmp_path / 'data' / other} is not used; name {tmp_path / 'data'} to learn")
    assert find_layout(tmp_path / "alone" / "train").notes == ()
    put(tmp_path, *under("seg/seg_train/seg_train"), *under("seg/seg_test/seg_test"), *under("seg/other_test"))
    (note,) = find_layout(tmp_path / "seg" / "seg_train" / "seg_train").notes
    assert note.startswith(f"warning: {tmp_path / 'seg' / 'seg_test'} is not used")
    with monkeypatch.context() as forbidden:
        forbidden.setattr("os.scandir", lambda _: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
        assert _notes_on_other_part(tmp_path / "data" / "train") == ()


def test_a_class_may_be_called_train_or_test(tmp_path):
    assert find_layout(put(tmp_path / "a", "train/0.png", "bicycle/0.png")).classes == ("bicycle", "train")
    assert find_layout(put(tmp_path / "b", "control/0.png", "test/0.png")).classes == ("control", "test")
    assert find_layout(put(tmp_path / "c", "train/train/0.png", "train/test/0.png")).classes == ("test", "train")
    assert find_layout(put(tmp_path / "d", "freight_train/0.png", "test_tube/0.png")).notes == ()
    assert find_layout(put(tmp_path / "e", "trainer/0.png", "tester/0.png", "latest/0.png")).notes == ()


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test1"),
        ("seg_train", "seg_test"),
        ("train2017", "val2017"),
        ("flowers-Train", "flowers-Valid"),
        ("DIV2K_train_HR", "DIV2K_valid_HR"),
        ("train_2", "test_2"),
        ("trainA", "testA"),
        ("trainA", "testB"),
    ],
)
def test_parts_of_a_data_set_are_no_classes(tmp_path, train, test):
    """As public data sets unpack: networks would learn which part an image is of."""
    said = f"HERE has the folders '{test}' and '{train}', which are called as the parts of one data set"
    assert refusal(put(tmp_path / "flat", f"{train}/0.png", f"{test}/1.png", "other/0.png")).startswith(said)
    if train != "train":  # which is found with its classes, and says that the other one is not used
        assert refusal(put(tmp_path / "nested", *under(train), *under(test))).startswith(said)


@pytest.mark.parametrize("name", ["test_images", "Masks", "ground_truth", "Thumbnails", "unlabeled", "cat - Copy"])
def test_a_class_that_is_called_as_what_is_none_is_told(tmp_path, name):
    """Unlabelled images that lie beside the classes, or pictures of what is where, would be one more class."""
    layout = find_layout(put(tmp_path, *CLASSES, f"{name}/0.png"))
    assert set(layout.classes) == {"cat", "dog", name}
    assert layout.notes == (f"warning: {tmp_path / name} is taken for a class; if it is none, move it elsewhere",)


@pytest.mark.parametrize("portion", ["fold_{}", "HAM10000_images_part_{}", "images_00{}", "Batch{}"])
def test_portions_of_one_set_of_images_are_told(tmp_path, portion):
    """As large data sets are packed, and as folds are: networks would learn which portion an image is of."""
    names = [portion.format(number) for number in (1, 2)]
    layout = find_layout(put(tmp_path, *(f"{name}/0.png" for name in names)))
    (note,) = layout.notes
    assert note.startswith(f"warning: '{names[0]}' and '{names[1]}' in {tmp_path} are taken for classes; if they are ")


@pytest.mark.parametrize("names", [("Class 1", "Class 2"), ("0", "1", "10"), ("sign_1", "sign_2"), ("part_1", "arm")])
def test_numbered_classes_are_no_portions(tmp_path, names):
    assert find_layout(put(tmp_path, *(f"{name}/0.png" for name in names))).notes == ()


def test_archives_that_nobody_has_unpacked_are_told(tmp_path):
    """One may hold a class more."""
    put(tmp_path, *CLASSES)
    for name in ("cat.zip", f"{tmp_path.name}.tar.gz", "train.csv"):
        (tmp_path / name).touch()
    assert find_layout(tmp_path).notes == ()
    (tmp_path / "eel.tar.gz").touch()
    said = f"warning: {tmp_path / 'eel.tar.gz'} is an archive, and left out; if images are missing, unpack it"
    assert find_layout(tmp_path).notes == (said,)


@pytest.mark.parametrize("name", ["test.zip", "ILSVRC2012_img_val.tar", "test.txt", "validation.csv"])
def test_test_images_that_are_packed_or_listed_are_told(tmp_path, name):
    """Else some of the train images would be the test ones, where the user has others in mind."""
    put(tmp_path, *under("split/train"), *under("flat"))
    for home in (tmp_path / "split", tmp_path / "flat"):
        (home / name).touch()
        (note,) = find_layout(home).notes
        assert note.startswith(f"warning: {home / name} is not used; a part of the train images is set aside for the")
    put(tmp_path, *under("split/test"))
    assert find_layout(tmp_path / "split").notes == (f"the test images are those in {tmp_path / 'split' / 'test'}",)


def test_images_that_are_altered_copies_are_told_where_test_images_are_drawn(tmp_path, capsys):
    put(tmp_path, *CLASSES, "cat/0_aug1.png", "cat/0.webp", "dog/1_jpg.rf.0a.png", "dog/1_jpg.rf.0b.png")
    open_dataset("image_folder", tmp_path)
    said = f"warning: 3 images are called altered copies of others beside, such as {tmp_path / 'cat/0.webp'}: where one"
    assert said in " ".join(capsys.readouterr().err.split())
    put(tmp_path / "apart", *under("train"), *under("test"), "train/cat/0_aug1.png")
    open_dataset("image_folder", tmp_path / "apart")
    assert "altered copy" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (
            ("train/0.png", "test/0.png"),
            "HERE/train holds images, but no class folders: put the images of each class into a folder of its own, "
            "HERE/train/CLASS (if 'test' and 'train' are classes, give them other names)",
        ),
        (("Train/0.png", "Val/0.png"), "HERE/Train holds images, but no class folders"),
        (("train/0.png", "val/0.png", "test/0.png"), "HERE/train holds images, but no class folders"),
        (("train/0.png", *under("test")), "HERE/train holds images, but no class folders"),
        (("train/0.png", "test/0.png", "labels/0.png"), "HERE/train holds images, but no class folders"),
        (("train/0.png",), "HERE/train holds images, but no class folders"),
        (("train/", *under("test")), "HERE/train is empty: put the images"),
        (("val/0.png", "test/0.png"), "HERE has 'test' and 'val', but no folder of train images"),
        ((*under("val"), *under("test")), "HERE/test holds class folders, but there is no folder 'train' beside it"),
        ((*under("val"), "cat/0.png"), "HERE/val holds class folders, but there is no folder 'train' beside it"),
        (under("val"), "HERE has only one folder, 'val': name HERE/val"),
        (under("data/train"), "HERE has only one folder, 'data': name HERE/data"),
        ((*under("train"), *under("Train")), "HERE has 'Train' and 'train', all with class folders: keep one of them"),
        ((*under("train"), *under("test"), *under("Test")), "HERE has 'Test' and 'test': keep one of them"),
        (
            (*under("train"), "train/eel.png"),
            "HERE/train holds class folders and beside them images, such as eel.png: put every image",
        ),
        (("train/a/0.png", "bicycle/0.png"), "HERE/train has only one folder, 'a': at least two are needed"),
        (
            ("cat/train/0.png", "cat/test/0.png", "dog/train/0.png", "dog/test/0.png"),
            "class folders of HERE hold other folders, cat/test, cat/train, dog/test, dog/train",
        ),
        (("cat/", "dog/", "eel/0.png"), "the classes 'cat' and 'dog' have no images in HERE: add images or remove"),
    ],
)  # fmt: skip
def test_what_could_be_meant_in_two_ways_is_refused(tmp_path, names, sentence):
    assert refusal(put(tmp_path, *names)).startswith(sentence)


def test_litter_is_no_image_whatever_its_case(tmp_path):
    put(tmp_path, *CLASSES)
    for name in (
        "Thumbs.db", "THUMBS.DB", "ehthumbs.db", "desktop.ini", "Desktop.ini", "Icon\r", ".DS_Store", "._0.png",
        "0.png:Zone.Identifier", "0.png:zone.identifier", "0.png:com.dropbox.attributes", "Picasa.ini", "~$0.png",
        "0.png.crdownload", "0.png.part", "0.png~", ".nfs00001", "0.png@SynoEAStream",
    ):  # fmt: skip
        (tmp_path / "cat" / name).write_bytes(b"x")
    for name in ("@eaDir", "@EADIR", "#recycle", "$RECYCLE.BIN", "System Volume Information", "__MACOSX", "lost+found"):
        put(tmp_path, f"{name}/cat/0.png", f"cat/{name}/0.png")
    found = open_dataset("image_folder", tmp_path)
    assert (found.classes, len(found.train.labels)) == (("cat", "dog"), 2)


def test_a_class_that_is_called_as_litter_is_told(tmp_path, capsys):
    put(tmp_path, *CLASSES, "recycled/0.png", "engine.part/0.png", ".cache/0.png", "@eaDir/0.png/thumb.jpg", "cvs/")
    assert open_dataset("image_folder", tmp_path).classes == ("cat", "dog")
    told = capsys.readouterr().err
    for name in ("recycled", "engine.part"):
        assert f"warning: {tmp_path / name} is left out, since systems and programs leave such names" in told
    assert told.count("left out") == 2


# Links, special files, permissions, names


def test_class_folders_that_are_dead_links_are_named(tmp_path):
    put(tmp_path, *CLASSES)
    (tmp_path / "eel").symlink_to("/mnt/away/eel")
    assert refusal(tmp_path) == ("HERE/eel is a link to /mnt/away/eel, which is not there: mend the link or remove it")
    (tmp_path / "eel").unlink()
    (tmp_path / "eel").symlink_to("eel")
    assert refusal(tmp_path) == "HERE/eel is a link that leads back to itself: mend the link or remove it"


@pytest.mark.parametrize("name", ["train", "test"])
def test_split_folders_that_are_dead_links_are_named(tmp_path, name):
    put(tmp_path, *under("train"), *under("test"))
    (tmp_path / name).rename(tmp_path.parent / f"moved {tmp_path.name}")
    (tmp_path / name).symlink_to("/mnt/away")
    assert f"HERE/{name} is a link to /mnt/away, which is not there" in refusal(tmp_path)


def test_the_folder_itself_as_a_link(tmp_path):
    put(tmp_path / "images", *CLASSES)
    (tmp_path / "link").symlink_to("images")
    assert open_dataset("image_folder", tmp_path / "link").classes == ("cat", "dog")
    (tmp_path / "dead").symlink_to("nowhere")
    assert refusal(tmp_path / "dead") == "HERE is a link to nowhere, which is not there: mend the link"
    (tmp_path / "loop").symlink_to("loop")
    assert refusal(tmp_path / "loop").startswith("the folder HERE cannot be reached: Too many levels")


def test_one_folder_under_two_names(tmp_path):
    put(tmp_path / "a", *CLASSES)
    (tmp_path / "a" / "eel").symlink_to("cat")
    assert refusal(tmp_path / "a") == "HERE/cat and HERE/eel are one and the same folder: remove one of the links"
    put(tmp_path / "b", *under("train"))
    (tmp_path / "b" / "test").symlink_to("train")
    same = "are one and the same folder: test images must be others than train images"
    assert refusal(tmp_path / "b") == f"HERE/train and HERE/test {same}"
    put(tmp_path / "c", *under("train"), "test/cat/0.png")
    (tmp_path / "c" / "test" / "dog").symlink_to("../train/dog")
    assert refusal(tmp_path / "c") == f"HERE/train/dog and HERE/test/dog {same}"


def test_a_link_to_a_folder_above_is_no_class(tmp_path):
    put(tmp_path, *CLASSES)
    (tmp_path / "cat" / "all").symlink_to("..")
    assert refusal(tmp_path).startswith("class folder HERE/cat holds another folder, 'all'")


def test_pipes_devices_and_dead_links_among_the_images(tmp_path):
    put(tmp_path, *CLASSES)
    os.mkfifo(tmp_path / "cat" / "1.png")
    (tmp_path / "cat" / "2.png").symlink_to("/dev/zero")
    (tmp_path / "cat" / "3.png").symlink_to("3.png")
    (tmp_path / "cat" / "4.png").symlink_to("nowhere.png")
    found = open_dataset("image_folder", tmp_path)
    reasons = []
    for index in range(1, 5):
        with pytest.raises(DamagedImageError) as caught:
            found.train.read(index)
        reasons.append(str(caught.value))
    assert reasons[:2] == ["it is a folder, a device or a pipe, no ordinary file"] * 2
    assert reasons[2:] == ["Too many levels of symbolic links", "No such file or directory"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["", "cat"])
def test_a_folder_without_permission(tmp_path, name):
    put(tmp_path / "images", *CLASSES)
    (tmp_path / "images" / name).chmod(0)
    try:
        assert "cannot be read: Permission denied" in refusal(tmp_path / "images")
    finally:
        (tmp_path / "images" / name).chmod(0o700)


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
def test_a_folder_that_the_system_does_not_give(tmp_path, monkeypatch, error):
    def refuse(path):
        raise error

    put(tmp_path, *CLASSES)
    monkeypatch.setattr("os.scandir", refuse)
    assert refusal(tmp_path) == f"HERE cannot be read: {error.strerror}"


def test_a_path_with_a_zero_byte():
    assert "cannot be reached" in refusal(Path("a\0b"))


def test_names_that_are_no_text(tmp_path):
    put(tmp_path, *CLASSES)
    (tmp_path / "cat" / "0.png").rename(tmp_path / "cat" / os.fsdecode(b"caf\xe9.png"))
    found = open_dataset("image_folder", tmp_path)
    assert found.train.read(0).image.size == (8, 8)
    assert len(found.train.fingerprint()) == 64
    (tmp_path / "cat").rename(tmp_path / os.fsdecode(b"caf\xe9"))
    assert refusal(tmp_path) == (
        "the name of the class folder 'caf\\xe9' in HERE is no text in UTF-8: rename the folder"
    )


def test_accents_may_be_written_otherwise_on_another_system(tmp_path):
    put(tmp_path, "train/caf\u00e9/0.png", "train/tea/0.png", "test/cafe\u0301/0.png", "test/tea/0.png")
    found = open_dataset("image_folder", tmp_path)
    assert (found.classes, found.test.labels.tolist()) == (("caf\u00e9", "tea"), [0, 1])


def test_classes_that_differ_by_case_alone_are_told(tmp_path, capsys):
    put(tmp_path, "Cat/0.png", "cat/0.png")
    assert open_dataset("image_folder", tmp_path).classes == ("Cat", "cat")
    assert "warning: 'Cat' and 'cat' are two classes" in capsys.readouterr().err
