"""Which folders are experiments, and what one is about: its configuration, its images, the facts of its candidates."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.common.errors import UserError
from pipeline.search.facts import expected_facts
from pipeline.workflow.saved_config import SAVED_CONFIG, SavedConfig, read_saved_config
from pipeline.workflow.status.files import MALFORMED, Files

#: What shows that a folder is an experiment's.
_PARTS = (SAVED_CONFIG, "data", "search", "archive", "supernet", "retrain", "evaluation", "tables")


def find_experiments(word: str | None) -> list[Path]:
    """The results folders that are meant: an experiment's name or folder, a folder of experiments, or all of results/.

    Raises:
        UserError: there is none.
    """
    if word is None:
        found = _experiments_in(Path("results"))
        if not found:
            raise UserError(
                "there is no experiment under results/", "start one (python -m pipeline run) or name a folder"
            )
        return found
    places = [Path("results") / word, Path(word), Path(word) / "results"]
    for place in places:
        if _is_experiment(place):
            return [place]
    for place in places[1:]:
        if found := _experiments_in(place):
            return found
    names = ", ".join(path.name for path in _experiments_in(Path("results"))) or "none"
    raise UserError(f"there is no experiment '{word}'", f"experiments under results/: {names}")


def _experiments_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if _is_experiment(path))
    except OSError:
        return []


def _is_experiment(folder: Path) -> bool:
    return any((folder / part).exists() for part in _PARTS)


def known_facts(folder: Path) -> dict[str, Any] | None:
    """What is known of the facts of an experiment's current candidates; None where it has left no configuration."""
    return Experiment(folder).expected


@dataclass(frozen=True)
class Images:
    """What the prepared train images say."""

    digest: str
    count: int


class Experiment:
    """An experiment's folder, and what all that is read in it depends on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = Files()

    @cached_property
    def config(self) -> SavedConfig | None:
        """What is going to be done; None where no configuration is there or it cannot be read."""
        try:
            return read_saved_config(self.folder)
        except UserError as error:
            self.files.complain(error)
            return None

    @cached_property
    def images(self) -> Images | None:
        """The prepared train images, as soon as they are there."""
        from pipeline.data.prepared import read_info

        path = self.folder / "data" / "train.h5"
        try:
            info = read_info(path) if path.exists() else None
            return None if info is None else Images(info.digest, info.count)
        except (RuntimeError, *MALFORMED) as error:
            self.files.complain(error if isinstance(error, UserError) else f"{path} is damaged: {error}")
            return None

    @cached_property
    def expected(self) -> dict[str, Any] | None:
        """What is known of the facts of current candidates."""
        if self.config is None:
            return None
        supernet = self.files.attributes(self.folder / "supernet" / "supernet.h5").get("digest")
        try:
            return expected_facts(self.config.config, self.images.digest if self.images else None, supernet)
        except MALFORMED as error:
            self.files.complain(f"{self.folder / SAVED_CONFIG} is not complete: {type(error).__name__}, {error}")
            return None
