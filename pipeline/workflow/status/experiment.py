"""Which folders are experiments, and what one is about: its configuration, its images, the facts of its candidates."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.common.digests import digest_of
from pipeline.common.errors import UserError
from pipeline.search.facts import expected_facts
from pipeline.workflow.layout import RESULTS, Layout, find_layouts
from pipeline.workflow.made_with import outdated_files, strange_files
from pipeline.workflow.saved_config import SavedConfig, read_saved_config
from pipeline.workflow.status.files import MALFORMED, TolerantReader

#: In place of the digest of a file that is to be made again: no candidate was made with what will stand there.
_TO_COME = "to come"


def find_experiments(word: str | None) -> list[Layout]:
    """Returns the experiments that are meant: one by its name or folder, those in a folder, or all of results/.

    Raises:
        UserError: there is none.
    """
    if word is None:
        found = find_layouts()
        if not found:
            raise UserError(
                f"there is no experiment under {RESULTS}/", "start one (python -m pipeline run) or name a folder"
            )
        return found
    places = [RESULTS / word, Path(word), Path(word) / RESULTS]
    for layout in map(Layout, places):
        if layout.exists():
            return [layout]
    for place in places[1:]:
        if found := find_layouts(place):
            return found
    names = ", ".join(layout.experiment for layout in find_layouts()) or "none"
    raise UserError(f"there is no experiment '{word}'", f"experiments under {RESULTS}/: {names}")


def find_experiment(word: str) -> Layout:
    """Returns the one experiment that is meant, by its name or folder.

    Raises:
        UserError: there is none, or the folder holds several.
    """
    found = find_experiments(word)
    if len(found) > 1:
        names = ", ".join(layout.experiment for layout in found)
        raise UserError(f"{word} holds several experiments", f"name one of {names}")
    return found[0]


def known_facts(layout: Layout) -> dict[str, Any] | None:
    """Returns what is known of the facts of an experiment's current candidates; None if it has no configuration yet."""
    return Experiment(layout).expected


@dataclass(frozen=True)
class TrainImages:
    """The prepared train images."""

    digest: str
    count: int


class Experiment:
    """An experiment's folder, and what all that is read in it depends on."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.files = TolerantReader()
        #: Files of other settings or images, which are to be made again: what stands in them is nothing that was done.
        noted = frozenset(outdated_files(layout))
        #: Of them, those that no run has noted: they are others than its jobs left there.
        self.strange = frozenset(strange_files(layout)) - noted
        self.outdated = noted | self.strange

    @cached_property
    def config(self) -> SavedConfig | None:
        """Returns what is going to be done; None where no configuration is there or it cannot be read."""
        try:
            return read_saved_config(self.layout)
        except UserError as error:
            self.files.complain(error)
            return None

    @cached_property
    def images(self) -> TrainImages | None:
        """The prepared train images, as soon as they are there."""
        from pipeline.data.prepared import read_info

        path = self.layout.train
        try:
            info = read_info(path) if path.exists() else None
            return None if info is None else TrainImages(info.digest, info.count)
        except (RuntimeError, *MALFORMED) as error:
            self.files.complain(error if isinstance(error, UserError) else f"{path} is damaged: {error}")
            return None

    @cached_property
    def expected(self) -> dict[str, Any] | None:
        """Returns what is known of the facts of current candidates."""
        if self.config is None:
            return None
        weights = self.layout.supernet.weights
        supernet = _TO_COME if weights in self.outdated else self.files.attributes(weights).get("digest")
        images = self.images.digest if self.images else None
        try:
            return expected_facts(
                self.config.config,
                _TO_COME if self.layout.train in self.outdated else images,
                supernet,
                subset=self._drawn(self.layout.subset),
                validation=self._drawn(self.layout.validation),
            )
        except MALFORMED as error:
            self.files.complain(f"{self.layout.config} is not complete: {type(error).__name__}, {error}")
            return None

    def _drawn(self, path: Path) -> str | None:
        """Returns the digest of which images were drawn; None where that is not known."""
        if path in self.outdated:
            return _TO_COME
        rows = self.files.table(path, ("index",))
        try:
            return digest_of([int(row["index"]) for row in rows]) if rows else None
        except ValueError as error:
            self.files.complain(f"{path} is damaged: {error}")
            return None
