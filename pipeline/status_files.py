"""Reading how far an experiment is from its results folder, while others write there or after they have died.

It reads and never writes, needs neither Snakemake nor torch, and takes files as they come: what is missing is not
there yet, what cannot be read is named in ``Reading.problems`` and counts as missing. Artifacts are written whole, so
that two looks see numbers that go up; they go down only where the workflow deletes what it makes again.
"""

import heapq
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.archive import Entry, archive_files, archive_key, read_entry, read_timing
from pipeline.errors import UserError
from pipeline.files import read_csv
from pipeline.genome import Genome, parse_genome
from pipeline.lifeline import alive
from pipeline.populations import EVALUATIONS, POPULATION, SCORES, TIMINGS, needed
from pipeline.status import Candidate, Finished, Generation, Reading, Row, Run, Search, Training, implied_penalty
from pipeline.status_facts import current_facts, expected_facts, training_settings
from pipeline.status_plan import NAME as PLAN
from pipeline.status_plan import Plan, read_plan

#: What shows that a folder is an experiment's.
_PARTS = (PLAN, "data", "search", "archive", "supernet", "retrain", "evaluation", "tables")
#: Newest candidates from which the pace is taken, and entries that are looked at for the current facts.
RECENT = 64
#: Bytes at the end of a log in which the newest progress stands.
_TAIL = 8192
_PROGRESS = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)  [^:]+: (\d+) of (\d+) (steps|images)\b", re.MULTILINE)
#: What files of another shape than expected raise.
_MALFORMED = (UserError, OSError, KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError)
#: How far a λ may be from the one that a rounded fitness implies.
_ROUNDING = 1e-3


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


def read_experiment(folder: Path) -> Reading:
    """Reads all that the summary needs. Fails on nothing that lies in the folder."""
    return _Reader(folder).read()


def known_facts(folder: Path) -> dict[str, Any] | None:
    """What is known of the facts of an experiment's current candidates; None where it has left no configuration."""
    return _Reader(folder).expected


@dataclass(frozen=True)
class _Images:
    """What the prepared train images say."""

    digest: str
    count: int


class _Proposal(NamedTuple):
    """A generation's folder and population."""

    folder: Path
    candidates: tuple[Candidate, ...]


class _Reader:
    """One look at one experiment. What it could not read is collected in ``problems``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._problems: dict[str, None] = {}  # in order, each once

    def read(self) -> Reading:
        plan = self._plan
        # The trainings first, the archive last: what is done by then is seen, and nothing twice.
        supernet = self._supernet() if plan is None or plan.supernet else None
        rows = tuple(self._row(model) for model in self._models())
        names = list(plan.searches) if plan else _folders(self._folder / "search")
        populations = {name: self._populations(name) for name in names}
        archive = _ArchiveFolder(self._folder / "archive", self.expected, self._complain)
        searches = tuple(self._search(name, populations[name], archive) for name in names)
        preparing = _log_progress(self._folder / "logs" / "prepare_dataset.log")
        data = ("data/train.h5", "data/test.h5", "splits/subset.csv", "splits/validation.csv")
        return Reading(
            name=self._folder.resolve().name,
            planned=plan is not None,
            data=all(_size(self._folder / name) for name in data),
            images_done=preparing.done if preparing else None,
            images_total=preparing.total if preparing else None,
            supernet=supernet,
            searches=searches,
            rows=rows,
            archived=archive.entries,
            damaged=archive.damaged,
            recent=archive.recent(),
            tables=all(_size(self._folder / name) for name in ("tables/results.md", "figures/accuracy.png")),
            run=_run(self._folder),
            newest=_newest(self._folder),
            problems=tuple(self._problems),
        )

    def _complain(self, problem: object) -> None:
        self._problems[str(problem)] = None

    @cached_property
    def _plan(self) -> Plan | None:
        try:
            return read_plan(self._folder)
        except UserError as error:
            self._complain(error)
            return None

    @cached_property
    def _images(self) -> _Images | None:
        from pipeline.prepared import read_info

        path = self._folder / "data" / "train.h5"
        try:
            info = read_info(path) if path.exists() else None
            return None if info is None else _Images(info.digest, info.count)
        except (RuntimeError, *_MALFORMED) as error:
            self._complain(error if isinstance(error, UserError) else f"{path} is damaged: {error}")
            return None

    @cached_property
    def expected(self) -> dict[str, Any] | None:
        """What is known of the facts of current candidates."""
        if self._plan is None:
            return None
        supernet = self._attributes(self._folder / "supernet" / "supernet.h5").get("digest")
        try:
            return expected_facts(self._plan.config, self._images.digest if self._images else None, supernet)
        except _MALFORMED as error:
            self._complain(f"{self._folder / PLAN} is not complete: {type(error).__name__}, {error}")
            return None

    def _attributes(self, path: Path) -> dict[str, Any]:
        """Of a file of tensors; none where it is not there or cannot be read."""
        from pipeline.tensors import read_attributes

        try:
            return read_attributes(path) if path.exists() else {}
        except (RuntimeError, *_MALFORMED) as error:
            self._complain(error if isinstance(error, UserError) else f"{path} is damaged: {error}")
            return {}

    # --- trainings ---

    def _supernet(self) -> Training:
        folder = self._folder / "supernet"
        subset = self._subset_size if folder.exists() else None
        return self._training(
            folder / "supernet.h5", self._folder / "logs" / "pretrain_supernet.log", "supernet", subset
        )

    @cached_property
    def _subset_size(self) -> int | None:
        try:
            with open(self._folder / "splits" / "subset.csv", "rb") as file:
                return max(0, sum(1 for _ in file) - 1)
        except OSError:
            return None

    def _models(self) -> list[str]:
        if self._plan:
            return list(self._plan.models)
        return sorted({*_folders(self._folder / "retrain"), *_folders(self._folder / "evaluation")})

    def _row(self, model: str) -> Row:
        folder, scores = self._folder / "retrain" / model, self._folder / "evaluation" / model
        if self._plan:
            seeds = list(range(self._plan.seeds))
        else:
            names = [*_folders(folder), *(path.stem for path in scores.glob("seed_*.json"))]
            seeds = sorted({int(match[1]) for name in names if (match := re.fullmatch(r"seed_(\d{1,9})", name))})
        trainings = []
        for seed in seeds:
            log = self._folder / "logs" / "retrain" / f"{model}_{seed}.log"
            training = self._training(folder / f"seed_{seed}" / "weights.h5", log, "retrain", None)
            trainings.append(replace(training, seed=seed))
        top1 = [self._top1(scores / f"seed_{seed}.json") for seed in seeds]
        return Row(model, tuple(trainings), tuple(top1), sum(score is not None for score in top1))

    def _top1(self, path: Path) -> float | None:
        record = self._json(path)
        try:
            return None if record is None else _number(record["top1"], most=100)
        except _MALFORMED:
            self._complain(f"{path} holds no score of a network")
            return None

    def _training(self, weights: Path, log: Path, section: str, images: int | None) -> Training:
        """One training. ``images`` is what it learns from, where that is not the whole train set."""
        settings = self._settings(section)
        epochs = settings["epochs"] if settings else None
        if _size(weights):
            record = self._json(weights.with_name("timing.json")) or {}
            seconds = record.get("seconds") if isinstance(record, dict) else None
            known = seconds if isinstance(seconds, int | float) and 0 < seconds < math.inf else None
            return Training(True, True, epochs, seconds=known, ended=_modified(weights))
        progress, state = _log_progress(log), weights.with_name(f"{weights.stem}.state.h5")
        if not state.exists():
            if progress is None:
                return Training(started=log.exists(), epochs=epochs)
            return Training(False, True, epochs, progress.done, progress.total, steps_per_second=progress.per_second)
        done, total, speed = self._saved(state, settings, images, progress)
        return Training(False, True, epochs, done, total, steps_per_second=speed)

    def _settings(self, section: str) -> dict[str, Any] | None:
        """A training's settings, where the configuration is there."""
        try:
            return training_settings(self._plan.config[section]) if self._plan else None
        except _MALFORMED as error:
            self._complain(f"{self._folder / PLAN} has no {section}: {error}")
            return None

    def _saved(
        self, path: Path, settings: Mapping[str, Any] | None, images: int | None, progress: "_Progress | None"
    ) -> tuple[int | None, int | None, float | None]:
        """Steps done, of how many, and their pace, by a saved state or by the log, whichever is ahead."""
        from pipeline.tensors import read_tensors

        logged = (progress.done, progress.total, progress.per_second) if progress else (None, None, None)
        attributes = self._attributes(path)
        try:
            used = attributes["identity"]["settings"]
            count = images if images is not None else self._images.count if self._images else None
            if not count or (settings is not None and used != settings):
                return logged  # the training will not take it up
            epoch, step = (int(value) for value in read_tensors(path, {"position": (2,)})["position"])
            steps_per_epoch = max(1, count // min(int(used["batch_size"]), count))
            done, total = epoch * steps_per_epoch + step, int(used["epochs"]) * steps_per_epoch
            seconds = float(attributes["seconds"])
        except (RuntimeError, *_MALFORMED) as error:
            if attributes and path.exists():
                self._complain(error if isinstance(error, UserError) else f"{path} is no saved state: {error}")
            return logged
        speed = logged[2] or (done / seconds if done > 0 and 0 < seconds < math.inf else None)
        return (max(done, progress.done) if progress and progress.total == total else done), total, speed

    def _json(self, path: Path) -> Any:
        """A record; None where it is not there or cannot be read."""
        try:
            return json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except _MALFORMED as error:
            self._complain(f"{path} cannot be read: {error}")
            return None

    # --- searches ---

    def _csv(self, path: Path, columns: tuple[str, ...]) -> list[dict[str, str]] | None:
        """A table; None where it is not there (yet) or cannot be read."""
        try:
            return read_csv(path, columns) if path.exists() else None
        except _MALFORMED as error:
            if path.exists():  # else it is being made again
                self._complain(error)
            return None

    def _populations(self, name: str) -> list[_Proposal]:
        """The proposed generations in their order, up to the first that is missing."""
        found: list[_Proposal] = []
        while not self._plan or len(found) < self._plan.generations:
            folder = self._folder / "search" / name / f"generation_{len(found):03d}"
            candidates = self._population(folder)
            if candidates is None:
                break
            found.append(_Proposal(folder, candidates))
        return found

    def _population(self, folder: Path) -> tuple[Candidate, ...] | None:
        path = folder / "population.csv"
        rows = self._csv(path, POPULATION)
        try:
            return None if rows is None else tuple(_proposed(row) for row in rows)
        except _MALFORMED as error:
            self._complain(f"{path} holds no population: {error}")
            return None

    def _search(self, name: str, populations: list[_Proposal], archive: "_ArchiveFolder") -> Search:
        planned = self._plan.searches.get(name) if self._plan else None
        penalty = planned.penalty if planned else self._penalty_of_scores(populations)
        selected = bool(_size(self._folder / "search" / name / "best.json"))
        return Search(
            name,
            planned.algorithm if planned else None,
            penalty,
            self._plan.generations if self._plan else None,
            self._plan.population if self._plan else None,
            tuple(self._generation(folder, candidates, penalty, archive) for folder, candidates in populations),
            selected,
        )

    def _penalty_of_scores(self, populations: list[_Proposal]) -> float | None:
        """λ as the written scores imply it, where no configuration says it."""
        for folder, _ in populations:
            for row in self._csv(folder / "scores.csv", needed(SCORES)) or []:
                implied = _implied(row)
                if implied is not None:
                    return round(implied, 3)
        return None

    def _generation(
        self, folder: Path, candidates: tuple[Candidate, ...], penalty: float | None, archive: "_ArchiveFolder"
    ) -> Generation:
        """What is known of a generation's candidates: from its scores, from its shards' tables, from the archive."""
        scores = self._csv(folder / "scores.csv", needed(SCORES))
        if scores is not None:
            implied = next((value for value in map(_implied, scores) if value is not None), None)
            scored = penalty is None or implied is None or abs(implied - penalty) < _ROUNDING
            tables, timings = [folder / "scores.csv"], [folder / "timing.csv"]
        else:
            scored = False
            tables, timings = sorted(folder.glob("evaluations_*.csv")), sorted(folder.glob("timing_*.csv"))
        known = {row["genome"]: row for path in tables for row in self._csv(path, _EVALUATED) or []}
        reused = {row["genome"] for path in timings for row in self._csv(path, TIMINGS) or [] if row["reused"] == "1"}
        proposed_at = None if scored else _modified(folder / "population.csv")
        try:
            by_genome = {
                parse_genome(text): (row["status"], _top1_of(row), text in reused) for text, row in known.items()
            }
        except _MALFORMED as error:
            self._complain(f"{folder} holds no evaluations: {error}")
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


_EVALUATED = tuple(column for column in needed(EVALUATIONS) if column in SCORES)
_Outcome = tuple[str, float | None, bool]


class _ArchiveFolder:
    """The archive as it is listed once: its entries' times by key, and the facts of the current settings."""

    def __init__(self, folder: Path, expected: Mapping[str, Any] | None, complain: Any) -> None:
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
        """The newest trainings with the current facts."""
        finished = []
        for entry in self._newest:
            timing = read_timing(self._path(entry.key).with_suffix(".timing")) if entry.facts == self._facts else None
            if timing is not None and timing.seconds > 0:
                finished.append(Finished(self._times[entry.key], timing.seconds))
        return tuple(finished)

    def outcome(self, genome: Genome, proposed_at: float | None) -> _Outcome | None:
        """What the archive knows of a candidate. An entry older than the proposal counts as reused."""
        if self._facts is None:
            return None
        key = archive_key(self._facts, genome)
        entry = self._read(key) if key in self._times else None
        if entry is None:
            return None
        reused = proposed_at is not None and self._times[key] < proposed_at
        return entry.evaluation.status, entry.evaluation.top1, reused


def _proposed(row: Mapping[str, str]) -> Candidate:
    flops, relative, memory = (_number(row[name]) for name in ("flops", "relative_flops", "memory_bytes"))
    return Candidate(parse_genome(row["genome"]), relative, flops, memory)


def _top1_of(row: Mapping[str, str]) -> float | None:
    return _number(row["top1"], most=100) if row["top1"] else None


def _implied(row: Mapping[str, str]) -> float | None:
    try:
        return implied_penalty(*(_number(row[name]) for name in ("top1", "relative_flops", "fitness")))
    except ValueError:
        return None


def _number(text: Any, most: float = math.inf) -> float:
    """Raises ValueError for what is none, or out of bounds."""
    value = float(text)
    if not 0 <= value <= most or value == math.inf:
        raise ValueError(f"'{text}' is no number that could stand there")
    return value


@dataclass(frozen=True)
class _Progress:
    """The newest progress line of a log, and the pace between the oldest and newest in its tail."""

    done: int
    total: int
    per_second: float | None


def _log_progress(path: Path) -> _Progress | None:
    """None where the log is not there, or says nothing of its progress yet."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            text = file.read(_TAIL).decode(errors="replace")
        lines = [(datetime.fromisoformat(m[1]), int(m[2]), int(m[3])) for m in _PROGRESS.finditer(text)]
    except (OSError, ValueError):
        return None
    if not lines:
        return None
    (first, before, _), (last, done, total) = lines[0], lines[-1]
    passed = (last - first).total_seconds()
    return _Progress(done, total, (done - before) / passed if passed > 0 and done > before else None)


# --- the folder ---


def _folders(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _modified(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _newest(folder: Path) -> float | None:
    """Time of the newest file anywhere in the folder."""
    return max(_times(folder), default=None)


def _times(folder: str | Path) -> Iterator[float]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    yield from _times(entry.path)
                else:
                    yield entry.stat(follow_symlinks=False).st_mtime


def _run(folder: Path) -> Run | None:
    """The workflow that was started last where this folder is results/EXPERIMENT; None where there is no record."""
    from pipeline.steps.run import LOCKS, RUN_RECORD

    workplace = folder.resolve().parent.parent
    try:
        record = json.loads((workplace / RUN_RECORD).read_bytes())
        host, pid = str(record["host"]), int(record["pid"])
    except _MALFORMED:
        return None
    if host != os.uname().nodename:
        return Run(host, pid, None)
    return Run(host, pid, pid > 0 and _is_locked(workplace / LOCKS, folder.resolve().name) and alive(pid))


def _is_locked(locks: Path, experiment: str) -> bool:
    """Whether a workflow has locked files of this experiment. Locks of a dead one stay, so they prove nothing alone."""
    wanted = f"results/{experiment}/"
    for lock in locks.glob("*.lock"):
        with suppress(OSError), open(lock, errors="replace") as lines:
            if any(line.startswith(wanted) for line in lines):
                return True
    return False
