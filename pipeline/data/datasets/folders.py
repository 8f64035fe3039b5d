"""Which folders hold the train images, the test images and each class: how a folder of images is laid out.

Either ``PATH/train/CLASS/*`` with ``PATH/test/CLASS/*`` or ``PATH/val/CLASS/*``, under any usual spelling of these
names, each perhaps in a folder of its own name (``PATH/train/train/CLASS/*``), or just ``PATH/CLASS/*``. Whatever could
be meant in two ways is refused with a sentence.
"""

import errno
import os
import re
import stat
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.common.errors import UserError
from pipeline.common.text import counted
from pipeline.data.datasets.litter import is_litter

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
PICTURES = (".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".jp2", ".avif")
_TRAIN = ("train", "training")
#: Names of test folders. The first one with class folders is taken: of ImageNet that is 'val', its 'test' has none.
_TEST = ("test", "testing", "val", "valid", "validation", "eval", "evaluation")
#: What may stand behind such a name: train_images, TestSet.
_BEHIND = re.compile(r"(images|image|imgs|img|set|data|dataset|split)$")
#: One of these names within a longer one, perhaps with a number or a letter: test1, seg_train, val2017, trainB.
_WITHIN = re.compile(rf"(?<![a-z])(?:(?P<train>{'|'.join(_TRAIN)})|{'|'.join(_TEST)})[\W_]*\d*[ab]?(?![a-z])")
#: Pictures that say where something is on others.
_OF_OTHERS = {"masks", "labels", "annotations", "segmentations", "groundtruth", "ground_truth", "ground-truth"}
#: Pictures that are others once more, or of which nobody has said yet what they show.
_OF_NO_CLASS = {"thumbnails", "thumbs", "originals", "resized", "augmented", "backup", "new folder", "untitled folder"}
_OF_NO_CLASS |= {"unlabeled", "unlabelled", "unlabeled_images", "unlabelled_images", "unsup", "unsorted"}
#: What stands behind the name of a folder that was copied, or altered.
_COPIED = re.compile(r"(?P<of>.+?)(?: ?- ?copy| copy|[ _-]aug(?:mented)?| ?\(\d+\)|[ _-]thumb(?:nail)?s)+", re.DOTALL)
#: One of several folders that a set of images was divided into, of whatever class: fold_1, HAM10000_images_part_2.
_PORTION = re.compile(
    r"(?P<of>(?:.*[^a-z])?(?:part|fold|batch|chunk|shard|split|subset|images?|imgs?|dataset|set))[\W_]*\d+", re.DOTALL
)
#: Files that may list the test images.
_LISTS = (".txt", ".csv", ".tsv", ".json", ".lst")
#: Names in a message before it becomes too long to read.
SHOWN = 5


@dataclass(frozen=True)
class Layout:
    """Where the images of a data set lie.

    Attributes:
        root: the data set's folder.
        train: the folder with the train images' class folders.
        test: the same for test images; None if there is none.
        classes: names of the class folders in ``train``, in the order of the class numbers.
        test_classes: names of the same classes' folders in ``test``.
        notes: what the user should know about it.
    """

    root: Path
    train: Path
    test: Path | None
    classes: tuple[str, ...]
    test_classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class _Folder:
    """The content of a folder: ``folders`` and other ``files`` without litter, by name, and litter that is not
    hidden.
    """

    path: Path
    folders: list[str] = field(default_factory=list)
    files: dict[str, os.DirEntry[str]] = field(default_factory=dict)
    litter: tuple[str, ...] = ()

    @property
    def pictures(self) -> list[str]:
        return [name for name in self.files if name.lower().endswith(PICTURES)]


def find_layout(path: Path) -> Layout:
    """Looks where train images, test images and classes are.

    Raises:
        UserError: there is no such folder, it cannot be read, or it is not laid out as this module's description says.
    """
    _check_folder(path)
    top = look_into(path)
    part = _train_folder(top)
    home = part if part == path else _unwrapped(part)
    inside = top if home == path else look_into(home)
    classes = _classes(inside)
    names = (
        *_notes_on_names(classes),
        *_notes_on_parts(inside),
        *_notes_on_litter(inside),
        *_notes_on_pictures(inside),
        *_notes_on_archives(inside),
    )
    if home == path:
        _refuse_parts(path, classes)
        notes = (*_notes_on_other_part(path), *_notes_on_test_files(top))
        return Layout(path, path, None, classes, notes=(*names, *notes))
    test, notes = _test_folder(top, part)
    if test is None:
        return Layout(path, home, None, classes, notes=(*names, *notes, *_notes_on_test_files(top)))
    test = _unwrapped(test)
    inside_test = look_into(test)
    test_classes = _matching(inside_test, inside)
    own = (*_notes_on_pictures(inside_test), *_notes_on_archives(inside_test))
    notes = (f"the test images are those in {test}", *notes, *own)
    return Layout(path, home, test, classes, test_classes, (*names, *notes))


def look_into(path: Path, *, links: bool = True) -> _Folder:
    """Lists a folder without litter.

    Args:
        path: the folder.
        links: whether to refuse links that lead nowhere; among images they are damaged images.

    Raises:
        UserError: it cannot be read, or it has a dead link.
    """
    try:
        with os.scandir(path) as entries:
            entries_by_name = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"{path} cannot be read", error.strerror or str(error)) from None
    litter = tuple(entry.name for entry in entries_by_name if is_litter(entry.name) and entry.name[0] != ".")
    found = _Folder(path, litter=litter)
    for entry in entries_by_name:
        if is_litter(entry.name):
            continue
        if _is_folder(entry, links):
            found.folders.append(entry.name)
        else:
            found.files[entry.name] = entry
    return found


def _is_folder(entry: os.DirEntry[str], links: bool) -> bool:
    try:
        if entry.is_dir():
            return True
        if entry.is_symlink() and links:
            entry.stat()
    except FileNotFoundError:
        raise UserError(
            f"{entry.path} is a link to {Path(entry.path).readlink()}, which is not there", "mend the link or remove it"
        ) from None
    except OSError as error:
        if not links:
            return False
        reason = "leads back to itself" if error.errno == errno.ELOOP else f"cannot be followed ({error.strerror})"
        raise UserError(f"{entry.path} is a link that {reason}", "mend the link or remove it") from None
    return False


def _check_folder(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise UserError(f"{path} is a link to {path.readlink()}, which is not there", "mend the link") from None
        raise UserError(
            f"there is no folder {path}", "name the folder of the images (in a configuration, as dataset.path)"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(
            f"the folder {path} cannot be reached", getattr(error, "strerror", None) or str(error)
        ) from None
    if stat.S_ISDIR(mode):
        return
    if path.suffix.lower() in _ARCHIVES:
        raise UserError(f"{path} is an archive", "unpack it and name the folder")
    raise UserError(f"{path} is a file", "name a folder of class folders")


def _role(name: str) -> tuple[str, int] | None:
    """Returns 'train' or 'test' and how well a folder's name fits, smaller is better; None for any other name.

    >>> _role("Train"), _role("validation_set"), _role("cat"), _role("dataset")
    (('train', 0), ('test', 4), None, None)
    """
    plain = re.sub(r"[\W_]+", "", name.casefold())
    for word in (plain, _BEHIND.sub("", plain)):
        for role, words in (("train", _TRAIN), ("test", _TEST)):
            if word in words:
                return role, words.index(word)
    return None


def _part_within(name: str) -> tuple[str, str] | None:
    """Returns 'train' or 'test', where a folder's name has such a word within it, and the rest of the name.

    >>> _part_within("seg_train"), _part_within("Val2017"), _part_within("trainer")
    (('train', 'seg_/'), ('test', '/'), None)
    """
    small = name.casefold()
    if (found := _WITHIN.search(small)) is None:
        return None
    return "test" if found["train"] is None else "train", small[: found.start()] + "/" + small[found.end() :]


def _same_part(name: str, other: str) -> bool:
    return (_role(name) or _part_within(name)) == (_role(other) or _part_within(other))


def _other_part(name: str, other: str) -> bool:
    """Returns whether two folders are called as the train and the test images of one data set."""
    roles, parts = (_role(name), _role(other)), (_part_within(name), _part_within(other))
    if roles[0] and roles[1]:
        return roles[0][0] != roles[1][0]
    return bool(parts[0] and parts[1] and parts[0][0] != parts[1][0] and parts[0][1] == parts[1][1])


def _train_folder(top: _Folder) -> Path:
    """Returns the folder with the train images' class folders: ``top`` itself if its folders are the classes."""
    roles = {name: role for name in top.folders if (role := _role(name))}
    inside = {name: look_into(top.path / name, links=False) for name in roles}
    trains = [name for name, (role, _) in roles.items() if role == "train"]
    tests = [name for name in roles if name not in trains]
    with_classes = [name for name in trains if inside[name].folders]
    if len(with_classes) > 1:
        raise UserError(f"{top.path} has {listed(with_classes)}, all with class folders", "keep one of them")
    if with_classes:
        train = inside[with_classes[0]]
        if train.pictures:
            raise UserError(
                f"{train.path} holds class folders and beside them images, such as {train.pictures[0]}",
                "put every image into a class folder",
            )
        return train.path
    others = [name for name in top.folders if name not in roles]
    if trains and (tests or not others):
        what = "holds images, but no class folders" if inside[trains[0]].files else "is empty"
        raise UserError(
            f"{top.path / trains[0]} {what}",
            f"put the images of each class into a folder of its own, {top.path / trains[0]}/CLASS"
            + (f" (if {listed(sorted(roles))} are classes, give them other names)" if len(roles) > 1 else ""),
        )
    classed = [name for name in tests if inside[name].folders]
    if len(top.folders) > 1 and classed:
        raise UserError(
            f"{top.path / classed[0]} holds class folders, but there is no folder 'train' beside it",
            f"put the train images into {top.path / 'train'}/CLASS, or name {top.path / classed[0]} to split it",
        )
    if len(tests) > 1 and not others:
        raise UserError(
            f"{top.path} has {listed(tests)}, but no folder of train images",
            f"put train images into {top.path / 'train'}/CLASS (if these are classes, give them other names)",
        )
    return top.path


def _unwrapped(part: Path) -> Path:
    """Returns the folder with a part's class folders: the one in it that is called as it is, as some archives unpack
    (``training_set/training_set/CLASS``), where that is all there is; else the part itself.
    """
    found, role = look_into(part, links=False), _role(part.name)
    if len(found.folders) != 1 or found.pictures or role is None:
        return part
    inner = part / found.folders[0]
    return inner if _role(inner.name) == role and look_into(inner, links=False).folders else part


def _test_folder(top: _Folder, train: Path) -> tuple[Path | None, tuple[str, ...]]:
    """Returns the folder of test images beside that of train images, if any, and notes about folders that are not
    used.
    """
    inside = {name: look_into(top.path / name, links=False) for name in top.folders if top.path / name != train}
    roles = {name: role for name in inside if (role := _role(name)) and role[0] == "test"}
    ranked = sorted((roles[name][1], name) for name in roles if inside[name].folders)
    if len(ranked) > 1 and ranked[0][0] == ranked[1][0]:
        raise UserError(f"{top.path} has {listed([name for _, name in ranked[:2]])}", "keep one of them")
    used = ranked[0][1] if ranked else None
    names = f"test images lie in one of: {', '.join(_TEST)}"
    notes = []
    for name, found in inside.items():
        if name == used:
            continue
        if found.folders:
            notes.append(f"warning: {found.path} is not used; {names}")
        elif found.pictures and name in roles and used is None:
            notes.append(
                f"warning: {found.path} is not used, since its images are in no class folders; a part of the train "
                "images is set aside for the test"
            )
        elif found.pictures and name not in roles:
            notes.append(f"warning: {found.path} is not used, though it holds images; classes lie in {train}")
    return (None if used is None else top.path / used), tuple(notes)


def _classes(home: _Folder) -> tuple[str, ...]:
    names = home.folders
    if not names:
        archives = [name for name in home.files if _is_archive(name)]
        remedy = f"unpack {archives[0]}" if archives else "put the images of each class into a folder of its own"
        raise UserError(f"{home.path} has no class folders", remedy)
    if len(names) == 1:
        inner = home.path / names[0]
        remedy = f"name {inner}" if look_into(inner, links=False).folders else "at least two are needed"
        raise UserError(f"{home.path} has only one folder, '{names[0]}'", remedy)
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(name).decode(errors="backslashreplace")
            raise UserError(
                f"the name of the class folder '{shown}' in {home.path} is no text in UTF-8", "rename the folder"
            ) from None
    _check_distinct([home.path / name for name in names])
    return tuple(names)


def _matching(test: _Folder, train: _Folder) -> tuple[str, ...]:
    """Returns the test folder's names of the train folder's classes: a copy from another system may write accents
    otherwise.
    """
    written = {_composed(name): name for name in test.folders}
    known = {_composed(name): name for name in train.folders}
    for here, mine, there, others in ((test, written, train, known), (train, known, test, written)):
        missing = sorted(name for key, name in mine.items() if key not in others)
        if missing:
            if not (inner := look_into(here.path / missing[0], links=False)).files and not inner.folders:
                raise UserError(
                    f"class '{missing[0]}' has no images in {inner.path}", "add images or remove the folder"
                )
            raise UserError(
                f"class '{missing[0]}' is in {here.path}, but not in {there.path}", "both need the same classes"
            )
    names = tuple(written[_composed(name)] for name in train.folders)
    _check_distinct([train.path, test.path], "test images must be others than train images")
    for mine_, theirs in zip(train.folders, names, strict=True):
        _check_distinct([train.path / mine_, test.path / theirs], "test images must be others than train images")
    return names


def _refuse_parts(path: Path, classes: Sequence[str]) -> None:
    """Raises UserError for folders whose names differ in nothing but that one is for training and one for the test.

    Such as ``train`` and ``test1``, or ``seg_train`` and ``seg_test``: networks would learn which part an image is of.
    """
    trains: dict[str, str] = {}
    tests: dict[str, str] = {}
    for name in classes:
        if found := _part_within(name):
            role, rest = found
            (trains if role == "train" else tests)[rest] = name
    if common := sorted(trains.keys() & tests.keys()):
        train, test = trains[common[0]], tests[common[0]]
        raise UserError(
            f"{path} has the folders {listed([test, train])}, which are called as the parts of one data set, not as "
            "classes",
            "call them 'train' and 'test', with a folder for each class in both (if they are classes, give them other "
            "names)",
        )


def _notes_on_parts(home: _Folder) -> tuple[str, ...]:
    """Warns of classes that are called as train or test images are, such as images of no class beside the classes, as
    pictures that say where something is on others, as copies, or as portions of all images.
    """
    plain = {name: name.casefold() for name in home.folders}
    portions: dict[str, list[str]] = {}
    for name, small in plain.items():
        if found := _PORTION.fullmatch(small):
            portions.setdefault(found["of"], []).append(name)
    several = tuple(
        f"warning: {listed(names)} in {home.path} are taken for classes; if they are portions of one set of images, "
        "put the images of each class into a folder of its own"
        for names in portions.values()
        if len(names) > 1
    )
    return several + tuple(
        f"warning: {home.path / name} is taken for a class; if it is none, move it elsewhere"
        for name, small in plain.items()
        if _role(name) or small in _OF_OTHERS | _OF_NO_CLASS or _is_copy(small, plain.values())
    )


def _is_copy(name: str, others: Collection[str]) -> bool:
    """Returns whether a folder is called as a copy of another one.

    >>> _is_copy("cat - copy", ["cat", "cat - copy"]), _is_copy("cat (2)", ["cat (1)", "cat (2)"])
    (True, False)
    """
    found = _COPIED.fullmatch(name)
    return found is not None and found["of"] in others


def _notes_on_archives(home: _Folder) -> tuple[str, ...]:
    """Warns of archives beside class folders, which may be classes that nobody has unpacked; not of those that were."""
    return tuple(
        f"warning: {home.path / name} is an archive, and left out; if images are missing, unpack it"
        for name in home.files
        if _is_archive(name) and not _is_unpacked(name, home) and not _is_of_test(name)
    )


def _is_unpacked(name: str, home: _Folder) -> bool:
    """Returns whether an archive is called as a folder beside it, or as the one that it lies in."""
    return _stem(name) in {folder.casefold() for folder in (*home.folders, home.path.absolute().name)}


def _notes_on_test_files(top: _Folder) -> tuple[str, ...]:
    """Warns, where there is no folder of test images, of archives of such, and of lists that may say which they are."""
    return tuple(
        f"warning: {top.path / name} is not used; a part of the train images is set aside for the test. Test images of "
        f"your own belong into {top.path / 'test'}/CLASS, those for training into {top.path / 'train'}/CLASS"
        for name in top.files
        if _is_of_test(name) and not (_is_archive(name) and _is_unpacked(name, top))
    )


def _is_of_test(name: str) -> bool:
    """Returns whether a file is called as an archive of test images, or as a list of them.

    >>> [_is_of_test(name) for name in ("test.zip", "ILSVRC2012_img_val.tar", "validation.csv")]
    [True, True, True]
    >>> [_is_of_test(name) for name in ("train.zip", "train_val.tar", "test_results.txt", "test.py", "cats.tar.gz")]
    [False, False, False, False, False]
    """
    stem, role = _stem(name), _role(_stem(name))
    if _is_archive(name):
        part = role or _part_within(stem)
        return part is not None and part[0] == "test"
    return name.lower().endswith(_LISTS) and role is not None and role[0] == "test"


def _is_archive(name: str) -> bool:
    return name.lower().endswith(_ARCHIVES)


def _stem(name: str) -> str:
    """Returns a file's name without all of its endings, in small letters."""
    return name.casefold().partition(".")[0]


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _check_distinct(folders: Sequence[Path], remedy: str = "remove one of the links") -> None:
    """Raises UserError if two of the folders are one, reached by a link."""
    seen: dict[tuple[int, int], Path] = {}
    for folder in folders:
        try:
            facts = folder.stat()
        except OSError as error:
            raise UserError(f"{folder} cannot be read", error.strerror or str(error)) from None
        key = (facts.st_dev, facts.st_ino)
        if facts.st_ino and key in seen:  # some file systems have no such numbers
            raise UserError(f"{seen[key]} and {folder} are one and the same folder", remedy)
        seen[key] = folder


def _notes_on_names(classes: Sequence[str]) -> tuple[str, ...]:
    """Warns of classes whose names differ in nothing that a person would see or say."""
    seen: dict[str, str] = {}
    notes = []
    for name in classes:
        key = _composed(name).casefold().strip()
        if key in seen:
            notes.append(f"warning: '{seen[key]}' and '{name}' are two classes")
        seen[key] = name
    return tuple(notes)


def _notes_on_litter(home: _Folder) -> tuple[str, ...]:
    """Warns of folders of images that may be classes, though systems and programs leave folders of such names."""
    folders = [home.path / name for name in home.litter if (home.path / name).is_dir()]
    return tuple(
        f"warning: {folder} is left out, since systems and programs leave such names; if it is a class, rename it"
        for folder in folders
        if os.access(folder, os.R_OK | os.X_OK) and look_into(folder, links=False).pictures
    )


def _notes_on_pictures(home: _Folder) -> tuple[str, ...]:
    """Warns of images beside the class folders: nobody knows of which class they are."""
    if not (pictures := home.pictures):
        return ()
    are = "is" if len(pictures) == 1 else "are"
    return (
        f"warning: {counted(len(pictures), 'image')} beside the class folders of {home.path} {are} left out, such as "
        f"{pictures[0]}; every image belongs into a class folder",
    )


def _notes_on_other_part(path: Path) -> tuple[str, ...]:
    """Warns where one part of a data set is named, of train and test images, and the other one lies beside it."""
    named = path.absolute()
    if _role(named.name) is None and _part_within(named.name) is None:
        return ()
    if _same_part(named.parent.name, named.name):  # train/train
        named = named.parent
    try:
        beside = look_into(named.parent, links=False)
        names = [name for name in beside.folders if _other_part(name, named.name)]
        others = sorted(name for name in names if look_into(named.parent / name, links=False).folders)
    except UserError:  # nobody has asked for these folders
        return ()
    return tuple(
        f"warning: {named.parent / name} is not used; name {named.parent} to learn from its train images and be tested "
        "on the others"
        for name in others[:1]
    )


def listed(names: Sequence[str]) -> str:
    """Returns the names as a sentence has them.

    >>> listed(["a", "b", "c"])
    "'a', 'b' and 'c'"
    """
    quoted = [f"'{name}'" for name in names[:SHOWN]]
    if len(names) > SHOWN:
        quoted.append(f"{len(names) - SHOWN} more")
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
