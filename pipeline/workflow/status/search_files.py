"""Reading how far searches are: from their populations, scores and evaluations, and from the archive."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pipeline.common.errors import UserError
from pipeline.networks.genome import parse_genome
from pipeline.search.individual import Individual
from pipeline.search.objectives import Objective, configured
from pipeline.search.tables import EVALUATIONS, POPULATION, SCORES, TIMINGS, needed, relative_cost
from pipeline.workflow.layout import GenerationFiles
from pipeline.workflow.status.archive_folder import ArchiveFolder
from pipeline.workflow.status.experiment import Experiment
from pipeline.workflow.status.files import MALFORMED, folders_in, modified, number, size
from pipeline.workflow.status.reading import Candidate, Generation, SearchState
from pipeline.workflow.status.searches import implied_penalty

#: How far a fitness may be from the one that was written, which is rounded.
_ROUNDING = 1e-4
_EVALUATED = tuple(column for column in needed(EVALUATIONS) if column in SCORES)


class Proposal(NamedTuple):
    """A generation's files and population."""

    files: GenerationFiles
    candidates: tuple[Candidate, ...]


class Searches:
    """The searches of an experiment: their proposals first, then what the archive, read after them, knows of these."""

    def __init__(self, experiment: Experiment) -> None:
        self._config = experiment.config
        self._outdated = experiment.outdated
        self._layout = experiment.layout
        self._files = experiment.files

    def proposals(self) -> dict[str, list[Proposal]]:
        """Returns the proposed generations of every search, in the configuration's order."""
        names = list(self._config.searches) if self._config else folders_in(self._layout.searches)
        return {name: self._populations(name) for name in names}

    def searches(self, proposals: Mapping[str, list[Proposal]], archive: ArchiveFolder) -> tuple[SearchState, ...]:
        """Returns the searches, with what is known of their candidates."""
        return tuple(self._search(name, populations, archive) for name, populations in proposals.items())

    def _populations(self, name: str) -> list[Proposal]:
        """Returns the proposed generations in their order, up to the first that is missing, or is to be made again."""
        found: list[Proposal] = []
        while not self._config or len(found) < self._config.generations:
            files = self._layout.generation(name, len(found))
            candidates = None if files.population in self._outdated else self._population(files.population)
            if candidates is None:
                break
            found.append(Proposal(files, candidates))
        return found

    def _population(self, path: Path) -> tuple[Candidate, ...] | None:
        rows = self._files.table(path, needed(POPULATION))
        try:
            return None if rows is None else tuple(_proposed(row) for row in rows)
        except MALFORMED as error:
            self._files.complain(f"{path} holds no population: {error}")
            return None

    def _search(self, name: str, populations: list[Proposal], archive: ArchiveFolder) -> SearchState:
        planned = self._config.searches.get(name) if self._config else None
        objective = planned.objective if planned else self._objective_of_scores(populations)
        best = self._layout.search(name).best
        selected = best not in self._outdated and bool(size(best))
        return SearchState(
            name,
            planned.algorithm if planned else None,
            objective,
            self._config.generations if self._config else None,
            self._config.population if self._config else None,
            tuple(self._generation(files, candidates, objective, archive) for files, candidates in populations),
            selected,
        )

    def _objective_of_scores(self, populations: list[Proposal]) -> Objective | None:
        """Returns Eq. 4 with the λ that the written scores imply, if no configuration says it."""
        for files, _ in populations:
            for row in self._files.table(files.scores, needed(SCORES)) or []:
                implied = _implied(row)
                if implied is not None:
                    return configured({"lambda": round(implied, 3)})
        return None

    def _generation(
        self,
        files: GenerationFiles,
        candidates: tuple[Candidate, ...],
        objective: Objective | None,
        archive: ArchiveFolder,
    ) -> Generation:
        """Returns what is known of a generation's candidates: from its scores, from its shards' tables, from the
        archive.
        """
        scores = None if files.scores in self._outdated else self._files.table(files.scores, needed(SCORES))
        if scores is not None:
            scored = objective is None or all(_agrees(row, objective) for row in scores)
            tables, timings = [files.scores], [files.timing]
        else:
            scored = False
            tables, timings = ([file for file in found if file not in self._outdated] for found in files.found_shards())
        known = {row["genome"]: row for path in tables for row in self._files.table(path, _EVALUATED) or []}
        reused = {
            row["genome"]
            for path in timings
            for row in self._files.table(path, needed(TIMINGS)) or []
            if row["reused"] == "1"
        }
        proposed_at = None if scored else modified(files.population)
        try:
            by_genome = {
                parse_genome(text): (row["status"], _top1_of(row), text in reused) for text, row in known.items()
            }
        except MALFORMED as error:
            self._files.complain(f"{files.folder} holds no evaluations: {error}")
            by_genome, scored = {}, False
        evaluated = []
        for candidate in candidates:
            outcome = by_genome.get(candidate.genome)
            if outcome is None and not scored:
                outcome = archive.outcome(candidate.genome, proposed_at)
            if outcome is not None:
                candidate = candidate._replace(status=outcome[0], top1=outcome[1], reused=outcome[2])
            evaluated.append(candidate)
        return Generation(tuple(evaluated), scored)


def _proposed(row: Mapping[str, str]) -> Candidate:
    flops, relative, memory = map(number, (row["flops"], relative_cost(row), row["memory_bytes"]))
    return Candidate(parse_genome(row["genome"]), relative, flops, memory)


def _top1_of(row: Mapping[str, str]) -> float | None:
    return number(row["top1"], most=100) if row["top1"] else None


def _agrees(row: Mapping[str, str], objective: Objective) -> bool:
    """Returns whether a line of scores was written for this objective; a line without a score says nothing."""
    try:
        individual = Individual(parse_genome(row["genome"]), _top1_of(row), number(relative_cost(row)))
        return individual.top1 is None or abs(objective.value(individual) - float(row["fitness"])) < _ROUNDING
    except (UserError, ValueError, KeyError):
        return True


def _implied(row: Mapping[str, str]) -> float | None:
    try:
        return implied_penalty(*map(number, (row["top1"], relative_cost(row), row["fitness"])))
    except (ValueError, KeyError):
        return None
