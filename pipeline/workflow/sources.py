"""A check that the images of an experiment are still those that were prepared for it.

Snakemake knows nothing of the images in a folder: it reruns what depends on them when the flags of their preparation
change. So flags say of images that have changed that they are others.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.common.errors import UserError
from pipeline.data.datasets import find_dataset, locate
from pipeline.data.manifest import (
    key_of,
    last_touched,
    looks_unchanged,
    manifest_beside,
    read_manifest,
    same_contents,
    same_listing,
    touched_since,
    write_manifest,
)
from pipeline.workflow.layout import Layout

#: More images than these are not counted to find out whether an earlier version's experiment has all of them.
_LISTED = 50_000


class State(NamedTuple):
    """Which images there are.

    Attributes:
        path: how the configuration named their folder when they were prepared, or names it now.
        key: tells them from others that were prepared in the same place; empty for the first ones.
    """

    path: str | None
    key: str = ""


class FlagWords(str):
    """Words of a command that count as others when Snakemake asks whether something has changed.

    It compares what :func:`repr` gives.
    """

    counts_as: str

    def __new__(cls, words: str, counts_as: str) -> "FlagWords":
        """Keeps both."""
        made = super().__new__(cls, words)
        made.counts_as = counts_as
        return made

    def __repr__(self) -> str:
        return repr(self.counts_as)


class Sources:
    """The images that a configuration names, compared with those that were prepared.

    Args:
        config: as checked.
        layout: where they were prepared, if not where a run of the configuration would do it.
        note: write down what was compared, only to be faster next time.
    """

    def __init__(self, config: Mapping[str, Any], layout: Layout | None = None, *, note: bool = True) -> None:
        self._section = config["dataset"]
        self._layout = Layout.of(config["experiment"]) if layout is None else layout
        self._note = note

    @cached_property
    def state(self) -> State:
        """Which images there are.

        Raises:
            UserError: they are not laid out as they should be.
        """
        named = self._section.get("path")
        module = find_dataset(self._section["name"])
        if not hasattr(module, "list_files"):
            return State(named)
        root = locate(self._section["name"], named)
        path = manifest_beside(self._layout.train)
        if not path.exists():
            return State(named, self._key_without_manifest(module, root))
        manifest = read_manifest(path, root)
        if manifest is None:  # nobody knows which images they were
            return State(named, key_of(module.list_files(root)))
        before = State(manifest.path or None, manifest.key)
        if looks_unchanged(manifest):
            return before
        files = module.list_files(root)
        if not same_contents(manifest, files):
            return State(named, key_of(files))
        if self._note and not (same_listing(manifest.files, files) and not touched_since(manifest, files).any()):
            with suppress(UserError):  # only to be faster next time
                write_manifest(path, replace(manifest, files=files, since=last_touched(files)))
        return before

    @property
    def changed(self) -> bool:
        """Tells whether there are other images now than those that were prepared, as far as that is known.

        Raises:
            UserError: they are not laid out as they should be.
        """
        key = self.state.key
        if not key:
            return False
        manifest = read_manifest(manifest_beside(self._layout.train), Path())
        return manifest is None or manifest.key != key

    def _key_without_manifest(self, module: Any, root: Path) -> str:
        """Compares numbers of images, of what an earlier version has prepared."""
        from pipeline.data.prepared import read_info

        try:
            infos = [read_info(path) for path in (self._layout.train, self._layout.test)]
        except UserError:
            return ""
        count = sum(info.count + info.skipped for info in infos)
        if count > _LISTED:
            return ""
        files = module.list_files(root)
        return "" if len(files.names) == count else files.key()


def are_the_same(config: Mapping[str, Any], layout: Layout) -> bool:
    """Returns whether images are those that were prepared, by the list of these, which lies beside what may have been
    deleted since; True where there are none to be prepared again. It writes nothing.

    Raises:
        UserError: they are not laid out as they should be.
    """
    section = config["dataset"]
    if section.get("path") is not None and not locate(section["name"], section["path"]).exists():
        return True
    return manifest_beside(layout.train).exists() and not Sources(config, layout, note=False).changed


def have_changed(config: Mapping[str, Any], layout: Layout) -> bool:
    """Returns whether there are other images now than those that an experiment was made with; not where there are none
    to be compared. It writes nothing.
    """
    section = config["dataset"]
    try:
        known = layout.train.exists() or manifest_beside(layout.train).exists()
        if not (known and locate(section["name"], section.get("path")).exists()):
            return False
    except UserError:
        return False
    try:
        return Sources(config, layout, note=False).changed
    except UserError:  # they are not laid out any more as they have to be
        return True


def about_changed(config: Mapping[str, Any]) -> str:
    """Returns a sentence about images that have changed since an experiment was made with them."""
    named = config["dataset"].get("path") or f"of {config['dataset']['name']}"
    return f"The images {named} are not those any more that this is about: run the experiment to see what they give."
