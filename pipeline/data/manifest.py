"""Which image files a preparation has read, so that a later run notices when they have changed.

A manifest lies beside the prepared files. Names, sizes and times of change are compared first, which costs one look at
each folder and file; only a file of another time is read, and compared by its content. So images that were merely
touched or copied are still the same ones. An archive or a copy can give another image the same time, and in some
formats all images of a size are equally long: what the system has noted as touched since is read as well, unless that
is very much; and so is what is another file by the same name, as where two folders have changed names, or at least some
of each folder. Of very many images, only the folders and a sample of the files are looked at as long as no folder has
changed: a new, removed or renamed file changes its folder.
"""

import hashlib
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.common.errors import UserError
from pipeline.common.hdf5 import Arrays, read_attributes, read_tensors, write_tensors
from pipeline.common.log import progress
from pipeline.data.datasets.listing import Files, facts, joined
from pipeline.data.datasets.sources import CONTENT_BYTES

#: So many files are looked at one by one; of more, a sample as long as their folders are unchanged.
_EACH = 50_000
_SAMPLE = 2000
#: Bytes that are compared without a word about it.
_QUIET = 2**28
#: Files of a folder that are compared where all would be more.
_OF_A_FOLDER = 3


@dataclass(frozen=True)
class Manifest:
    """The files that were prepared.

    Attributes:
        files: as they were listed.
        contents: (N, 16) digest of each file.
        path: how the configuration named their folder when these contents were first prepared.
        key: what these contents were called then; empty for the first ones in this place.
        since: the latest time at which the system had noted a change of a file, in nanoseconds; None where that is not
            known: of very many files, or where an earlier version wrote it.
    """

    files: Files
    contents: np.ndarray
    path: str
    key: str
    since: int | None = None


def manifest_beside(train: Path) -> Path:
    """Returns where the manifest of prepared images lies."""
    return train.with_name("sources.h5")


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Writes a manifest, whole or not at all."""
    files = manifest.files
    tensors: Arrays = {
        "names": np.frombuffer(joined(files.names), np.uint8),
        "sizes": files.sizes,
        "changed": files.changed,
        "contents": manifest.contents,
        "folders": np.frombuffer(joined(files.folders), np.uint8),
        "folders_changed": files.folders_changed,
    }
    # JSON, which attributes are, holds names of any bytes.
    if files.inodes is not None:
        tensors["inodes"] = files.inodes
    attributes = {"path": manifest.path, "key": manifest.key, "since": manifest.since}
    write_tensors(path, tensors, attributes)


def contents_of(files: Files, images: Sequence[str], contents: np.ndarray) -> np.ndarray:
    """Returns (F, 16) digests of files; zeros for one that cannot be read, or has changed since it was listed.

    Args:
        files: as they were listed before images were read.
        images: what the prepared images are called: by their files, where each has one of its own.
        contents: (N, 16) digests of the files that they were read from, zeros for one that could not be read. A file
            that is none of these, such as an archive of many images, is read here.
    """
    known = dict(zip(images, contents, strict=True))
    digests = np.zeros((len(files.names), CONTENT_BYTES), np.uint8)
    for place, name in enumerate(files.names):
        path = files.root / name
        if str(path) in known:
            digests[place] = known[str(path)]
            continue
        content, seen = _content(path), facts(path)
        if (seen.size, seen.changed) == (files.sizes[place], files.changed[place]):
            digests[place] = np.frombuffer(content, np.uint8)
    return digests


def read_manifest(path: Path, root: Path) -> Manifest | None:
    """Reads a manifest of files below ``root``. Returns None if there is none that can be read."""
    try:
        attributes, tensors = read_attributes(path), read_tensors(path)
        names, folders = _parted(tensors["names"]), _parted(tensors["folders"])
        listed = (names, tensors["sizes"], tensors["changed"], folders, tensors["folders_changed"])
        files = Files(root, *listed, tensors.get("inodes"))
        named, key = str(attributes["path"]), str(attributes["key"])
        manifest = Manifest(files, tensors["contents"], named, key, attributes.get("since"))
    except (UserError, KeyError):
        return None
    arrays = [array for array in (files.names, files.sizes, files.changed, files.inodes) if array is not None]
    sound = {*map(len, arrays)} == {len(manifest.contents)}
    sound = sound and manifest.contents.shape[1:] == (CONTENT_BYTES,) and len(folders) == len(files.folders_changed)
    return manifest if sound else None


def looks_unchanged(manifest: Manifest) -> bool:
    """Returns whether very many files look as they did, by their folders and a sample of them; False for fewer."""
    files = manifest.files
    if len(files.names) <= _EACH:
        return False
    some = np.unique(np.linspace(0, len(files.names) - 1, _SAMPLE).astype(int))
    for name, changed in zip(files.folders, files.folders_changed.tolist(), strict=True):
        if facts(files.root / name).changed != changed:
            return False
    known = [files.sizes, files.changed, *([] if files.inodes is None else [files.inodes])]
    numbers = zip(*(array[some].tolist() for array in known), strict=True)
    return all(
        facts(files.root / name)[: len(known)] == expected
        for name, expected in zip(files.names[some], numbers, strict=True)
    )


def same_contents(manifest: Manifest, files: Files) -> bool:
    """Returns whether files hold what they held when they were prepared; reads those whose time has changed."""
    before = manifest.files
    if not (np.array_equal(before.names, files.names) and np.array_equal(before.sizes, files.sizes)):
        return False
    changed = before.changed != files.changed
    again = changed | touched_since(manifest, files) | _others_by_name(before, files)
    return _same_bytes(manifest, files, np.flatnonzero(again))


def _others_by_name(before: Files, files: Files) -> np.ndarray:
    """Returns which files to read since they are others by the names of those before, (N,) bool: a folder may have
    another one's name now, or a link lead elsewhere. All of them, or some of each folder if that is very much.
    """
    if before.inodes is None or files.inodes is None:
        return np.zeros(len(files.names), bool)
    others = np.asarray(before.inodes != files.inodes)
    if int(files.sizes[others].sum()) < _QUIET:
        return others
    folders: dict[str, list[int]] = {}
    for place in np.flatnonzero(others).tolist():
        folders.setdefault(files.names[place].rpartition("/")[0], []).append(place)
    some = np.zeros(len(files.names), bool)
    for own in folders.values():
        some[[own[at] for at in np.linspace(0, len(own) - 1, _OF_A_FOLDER).astype(int)]] = True
    return some


def touched_since(manifest: Manifest, files: Files) -> np.ndarray:
    """Returns which files were touched since they were prepared, (N,) bool; none if it would take long to read them."""
    none = np.zeros(len(files.names), bool)
    if manifest.since is None or len(files.names) > _EACH:
        return none
    found = _touched(files) > manifest.since
    return found if int(files.sizes[found].sum()) < _QUIET else none


def _touched(files: Files) -> np.ndarray:
    """Returns when the system last noted a change of each file, (N,) nanoseconds, of its name or its rights included.

    No program sets that time at will, and a copy has another one.
    """
    return np.array([facts(files.root / name).noted for name in files.names], np.int64)


def last_touched(files: Files) -> int | None:
    """Returns what a manifest of files says of that; None of very many, which are not looked at one by one."""
    return None if len(files.names) > _EACH else int(_touched(files).max(initial=0))


def key_of(files: Files) -> str:
    """Returns what tells files from others that have the same names, sizes and times."""
    total = hashlib.sha256(f"{files.key()} {last_touched(files)}".encode())
    if files.inodes is not None:
        total.update(files.inodes.tobytes())
    return total.hexdigest()[:16]


def _same_bytes(manifest: Manifest, files: Files, places: np.ndarray) -> bool:
    if int(files.sizes[places].sum()) < _QUIET:
        return all(_same_file(manifest, files, place) for place in places.tolist())
    with progress("looking whether images have changed", len(places), "images") as bar:
        for place in places.tolist():
            if not _same_file(manifest, files, place):
                return False
            bar.advance()
    return True


def _same_file(manifest: Manifest, files: Files, place: int) -> bool:
    content: bytes = manifest.contents[place].tobytes()
    return _content(files.root / files.names[place]) == content


def _content(path: Path) -> bytes:
    """Returns the digest of an ordinary file of any size, as that of the images; zeros if it cannot be read."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe could keep a reader waiting
        with open(descriptor, "rb") as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=CONTENT_BYTES)).digest()
    return bytes(CONTENT_BYTES)


def same_listing(before: Files, now: Files) -> bool:
    """Returns whether nothing was so much as touched."""
    pairs = [(getattr(before, key), getattr(now, key)) for key in ("names", "sizes", "changed", "folders")]
    pairs += [(before.folders_changed, now.folders_changed), (before.inodes, now.inodes)]
    return all(np.array_equal(one, other) for one, other in pairs)


def note_sources(train: Path, manifest: Manifest) -> None:
    """Writes a manifest beside prepared images. One of the same contents keeps the names that it was given first."""
    path = manifest_beside(train)
    before = read_manifest(path, manifest.files.root)
    known = before is not None and np.array_equal(before.files.names, manifest.files.names)
    if before is not None and known and np.array_equal(before.contents, manifest.contents):
        manifest = replace(manifest, path=before.path, key=before.key)
    write_manifest(path, manifest)


def _parted(data: np.ndarray) -> np.ndarray:
    return np.array(data.tobytes().decode(errors="surrogateescape").split("\0"), dtype=object)
