"""Any folder of class folders of images, of any format and colour mode; images become RGB.

How it may be laid out says :mod:`pipeline.data.datasets.folders`.
"""

import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.common.errors import UserError
from pipeline.common.log import Progress, log
from pipeline.common.text import counted
from pipeline.data.datasets.decoding import decode, digest_of_bytes, read_file
from pipeline.data.datasets.folders import PICTURES, SHOWN, Layout, find_layout, listed, look_into
from pipeline.data.datasets.listing import Facts, Files, facts
from pipeline.data.datasets.sources import DamagedImageError, Dataset, Picture

NAME = "image_folder"
CHANNELS = 3
CLASSES = None

#: An image that says where something is on another one: 7_mask.png, 7_mask_1.png, 7-seg.png.
_MASK = re.compile(
    r"(?P<of>.+?)[ _.-](masks?|seg|segmentation|labels?|annotations?|gt|ground[ _-]?truth)([ _-]?\d+)?", re.DOTALL
)
#: What programs add to the name of an image that they have altered: 7_aug_2.jpg, 7-150x150.jpg, 7_rot90.jpg.
_ALTERED = re.compile(
    r"(?P<of>.+?)(?:[ _.-](?:copy|augmented|aug|flipped|flip\w{0,2}|mirrored|rotated|rot|noise|bright|dark|blurred|"
    r"blur|crop(?:ped)?|resized|scaled|small|thumb(?:nail)?|edited|gr[ae]y(?:scale)?|\d+x\d+|\d+deg)[ _-]?\d*)+",
    re.DOTALL,
)
#: What they put before it: aug_7.jpg, flipped_7.jpg.
_ALTERED_FRONT = re.compile(
    r"(?:aug(?:mented)?|flip(?:ped)?|mirror(?:ed)?|rot(?:ated)?|resized|cropped|thumb)\d*[ _-](?:\d+[ _-])?(?P<of>.+)",
    re.DOTALL,
)
#: Roboflow's: one name for each altered copy of 7.jpg.
_ROBOFLOW = re.compile(r"(?P<of>.+)\.rf\.[0-9a-z]+", re.DOTALL)
#: Images that are looked at to learn the natural size.
_LOOK_AT = 100
#: The largest natural size that is taken as it is; larger images are photographs, prepared for the usual crop.
_SMALL = 64
_USUAL_CROP = 224


@dataclass(frozen=True)
class FileSplit:
    """Images in files of their own.

    Attributes:
        root: the data set's folder.
        names: (N,) paths below ``root``.
        labels: (N,) int64.
        sizes: (N,) bytes of each file.
        changed: (N,) times of the files' last change, in nanoseconds.
        inodes: (N,) int64, the numbers that the file system knows them by.
        noted: (N,) when it last noted a change of each, in nanoseconds.
    """

    root: Path
    names: np.ndarray
    labels: np.ndarray
    sizes: np.ndarray
    changed: np.ndarray
    inodes: np.ndarray
    noted: np.ndarray

    def read(self, index: int) -> Picture:
        """See :class:`~pipeline.data.datasets.sources.Split`."""
        data = read_file(self.root / self.names[index])
        content = digest_of_bytes(data)
        try:
            picture = decode(data)
        except DamagedImageError as error:
            raise DamagedImageError(str(error), content) from None
        return Picture(picture.image, picture.jpeg, content)

    def name(self, index: int) -> str:
        """See :class:`~pipeline.data.datasets.sources.Split`."""
        return str(self.root / self.names[index])

    def strangers(self) -> list[int]:
        """See :class:`~pipeline.data.datasets.sources.Split`."""
        return [index for index, name in enumerate(self.names) if not name.lower().endswith(PICTURES)]

    def select(self, indices: np.ndarray) -> "FileSplit":
        """See :class:`~pipeline.data.datasets.sources.Split`."""
        arrays = (self.names, self.labels, self.sizes, self.changed, self.inodes, self.noted)
        return FileSplit(self.root, *(array[indices] for array in arrays))

    def fingerprint(self) -> str:
        """See :class:`~pipeline.data.datasets.sources.Split`.

        Two images of one size may change places, or their folders names, and keep their times: then they are other
        files under these names, or the system has noted a change.
        """
        total = hashlib.sha256("\n".join(self.names).encode(errors="surrogateescape"))
        for numbers in (self.labels, self.sizes, self.changed, self.inodes, self.noted):
            total.update(numbers.tobytes())
        return total.hexdigest()


def open_dataset(path: Path) -> Dataset:
    """Lists the images below ``path``.

    Raises:
        UserError: there is no such folder, or it is not laid out as it should be.
    """
    layout = find_layout(path)
    for note in layout.notes:
        log(note)
    train, test, files = _list(layout, quiet=False)
    if masks := _masks(files.names.tolist()):
        these = "is called a mask" if len(masks) == 1 else "are called masks"
        log(
            f"warning: {counted(len(masks), 'image')} {these} of others beside, such as {layout.root / masks[0]}: move "
            "elsewhere what is none of its class"
        )
    if test is None and (altered := _altered(files.names.tolist())):
        these = "is called an altered copy" if len(altered) == 1 else "are called altered copies"
        log(
            f"warning: {counted(len(altered), 'image')} {these} of others beside, such as {layout.root / altered[0]}: "
            "where one of the two is a test image and the other is learnt from, accuracies are too high; make folders "
            "train and test with such images in one of them, or keep one of each"
        )
    return Dataset(NAME, layout.classes, CHANNELS, train, test, _natural_size(train), files)


def _masks(names: Sequence[str]) -> list[str]:
    """Returns the images that by their names are masks or the like of others beside them.

    >>> _masks(["a/1.png", "a/1_mask.png", "a/1_mask_2.png", "a/2-seg.png", "b/mask.png"])
    ['a/1_mask.png', 'a/1_mask_2.png']
    """
    stems = {name.rpartition(".")[0].casefold() for name in names}
    found = ((name, _MASK.fullmatch(name.rpartition(".")[0].casefold())) for name in names)
    return [name for name, mask in found if mask and mask["of"] in stems]


def _altered(names: Sequence[str]) -> list[str]:
    """Returns the images that by their names are altered or converted copies of others in their folder.

    >>> _altered(["a/1.jpg", "a/1.png", "a/2.jpg", "a/2_aug_0.jpg", "a/aug_0_2.jpg", "b/1.jpg", "b/3_aug_0.jpg"])
    ['a/1.png', 'a/2_aug_0.jpg', 'a/aug_0_2.jpg']
    >>> _altered(["a/7_jpg.rf.03af.jpg", "a/7_jpg.rf.fe02.jpg", "a/8_jpg.rf.99.jpg", "a/cat (1).jpg", "a/cat (2).jpg"])
    ['a/7_jpg.rf.fe02.jpg']
    """
    stems = [name.rpartition(".")[0].casefold() for name in names]
    known, seen, found = set(stems), set[tuple[str, str]](), list[str]()
    for name, stem in zip(names, stems, strict=True):
        if not name.lower().endswith(PICTURES):
            continue
        folder, _, own = stem.rpartition("/")
        original = own
        if roboflow := _ROBOFLOW.fullmatch(own):
            original = roboflow["of"]
        elif any(
            (altered := form.fullmatch(own)) and f"{folder}/{altered['of']}" in known
            for form in (_ALTERED, _ALTERED_FRONT)
        ):
            found.append(name)
            continue
        if (folder, original) in seen:
            found.append(name)
        seen.add((folder, original))
    return found


def list_files(path: Path) -> Files:
    """Lists all images below ``path`` and the folders that they lie in, without a word. Raises as ``open_dataset``."""
    return _list(find_layout(path), quiet=True)[2]


def _list(layout: Layout, *, quiet: bool) -> tuple[FileSplit, FileSplit | None, Files]:
    """Lists train images, test images if there are any, and all files."""
    root, homes = layout.root, [layout.train, *(layout.train / name for name in layout.classes)]
    if layout.test is not None:
        homes += [layout.test, *(layout.test / name for name in layout.test_classes)]
    folders = sorted({".", *(str(home.relative_to(root)) for home in homes)})
    # Times of folders first: a file that is added while they are listed is noticed at the next time.
    times = np.array([facts(root / folder).changed for folder in folders], np.int64)
    train = _list_split(root, layout.train, layout.classes, quiet)
    test = None if layout.test is None else _list_split(root, layout.test, layout.test_classes, quiet)
    splits = [split for split in (train, test) if split is not None]
    names, sizes, changed, inodes = (
        np.concatenate([getattr(split, key) for split in splits]) for key in ("names", "sizes", "changed", "inodes")
    )
    order = np.argsort(names)
    listed = (names[order], sizes[order], changed[order])
    files = Files(root, *listed, np.array(folders, dtype=object), times, inodes[order])
    return train, test, files


def _list_split(root: Path, folder: Path, classes: tuple[str, ...], quiet: bool) -> FileSplit:
    """Lists the images of one split; no class may be without images."""
    names: list[str] = []
    labels: list[int] = []
    seen: list[Facts] = []
    nested: list[tuple[str, str]] = []
    empty: list[str] = []
    bar = None if quiet else Progress(f"listing {folder}", len(classes), "classes", patient=True)
    for label, name in enumerate(classes):
        found = look_into(folder / name, links=False)
        below = (folder / name).relative_to(root)
        nested += [(name, inner) for inner in found.folders]
        if not found.files and not found.folders:
            empty.append(name)
        names += [f"{below}/{file}" for file in found.files]
        labels += [label] * len(found.files)
        seen += map(facts, found.files.values())  # zeros for a link to nowhere, which reading will refuse
        if bar is not None:
            bar.advance()
    if bar is not None:
        bar.close()
    _refuse_nested(folder, nested)
    _refuse_empty(folder, empty)
    return FileSplit(
        root,
        np.array(names, dtype=object),
        np.array(labels, dtype=np.int64),
        *np.array(seen, dtype=np.int64).reshape(-1, len(Facts._fields)).T.copy(),
    )


def _refuse_nested(folder: Path, nested: list[tuple[str, str]]) -> None:
    if not nested:
        return
    name, inner = nested[0]
    remedy = "put the images directly into the class folder"
    if len(nested) > 1:
        listed = ", ".join(f"{one}/{two}" for one, two in nested[:SHOWN])
        more = f" and {len(nested) - SHOWN} more" if len(nested) > SHOWN else ""
        raise UserError(f"class folders of {folder} hold other folders, {listed}{more}", remedy)
    raise UserError(f"class folder {folder / name} holds another folder, '{inner}'", remedy)


def _refuse_empty(folder: Path, empty: list[str]) -> None:
    if len(empty) == 1:
        raise UserError(f"class '{empty[0]}' has no images in {folder / empty[0]}", "add images or remove the folder")
    if empty:
        raise UserError(f"the classes {listed(empty)} have no images in {folder}", "add images or remove the folders")


def _natural_size(split: FileSplit) -> int:
    """Returns the typical shorter side of small images, the usual crop for photographs."""
    sides = []
    for index in np.unique(np.linspace(0, len(split.labels) - 1, _LOOK_AT).astype(int)):
        try:
            with Image.open(io.BytesIO(read_file(split.root / split.names[index]))) as image:
                sides.append(min(image.size))
        except Exception:  # preparation says what is wrong with it
            continue
    typical = int(np.median(sides)) if sides else _USUAL_CROP
    return typical if typical <= _SMALL else _USUAL_CROP
