"""The part of an archive that the present settings of an experiment made."""

import heapq
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.common.errors import UserError
from pipeline.networks.genome import Genome
from pipeline.search.archive import Entry, archive_files, archive_key, read_entry, read_timing
from pipeline.search.facts import current_facts
from pipeline.workflow.status.reading import Finished

#: Newest candidates from which the pace is taken, and entries that are looked at for the current facts.
RECENT = 64
#: Of a candidate: its status, top-1 in percent, and whether it was known before it was proposed.
Outcome = tuple[str, float | None, bool]


class ArchiveFolder:
    """The archive as it is listed once: its entries' times by key, and the facts of the current settings."""

    def __init__(self, folder: Path, expected: Mapping[str, Any] | None, complain: Callable[[object], None]) -> None:
        self._folder = folder
        self._complain = complain
        self._times: dict[str, float] = {}
        self.damaged = 0
        for file in archive_files(folder):
            if file.name.endswith(".damaged"):
                self.damaged += 1
            elif file.name.endswith(".json"):
                with suppress(OSError):
                    self._times[file.name.removesuffix(".json")] = file.stat().st_mtime
        newest = heapq.nlargest(RECENT, self._times, key=lambda key: self._times[key])
        self._newest = [entry for entry in map(self._read, newest) if entry is not None]
        self._facts = current_facts((entry.facts for entry in self._newest), expected)

    @property
    def entries(self) -> int:
        """All of them, whatever their facts."""
        return len(self._times)

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.json"

    def _read(self, key: str) -> Entry | None:
        path = self._path(key)
        try:
            return read_entry(path)
        except UserError as error:
            if path.exists():  # else it was set aside since
                self._complain(error)
            return None

    def recent(self) -> tuple[Finished, ...]:
        """Returns the newest trainings with the current facts."""
        finished = []
        for entry in self._newest:
            timing = read_timing(self._path(entry.key).with_suffix(".timing")) if entry.facts == self._facts else None
            if timing is not None and timing.seconds > 0:
                finished.append(Finished(self._times[entry.key], timing.seconds))
        return tuple(finished)

    def outcome(self, genome: Genome, proposed_at: float | None) -> Outcome | None:
        """Returns what the archive knows of a candidate. An entry older than the proposal counts as reused."""
        if self._facts is None:
            return None
        key = archive_key(self._facts, genome)
        entry = self._read(key) if key in self._times else None
        if entry is None:
            return None
        reused = proposed_at is not None and self._times[key] < proposed_at
        return entry.evaluation.status, entry.evaluation.top1, reused
