"""The archive of evaluated candidates: what a genome scored, stored by everything that determines the score.

One small file for a candidate, written whole or not at all, so that any number of jobs may write at once; two that
trained the same candidate write the same bytes. It only saves work: no search looks into it for what to propose.
"""

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pipeline.common.digests import digest_of, holds, with_digest
from pipeline.common.errors import UnreadableError, UserError
from pipeline.common.files import read_json, write_json
from pipeline.common.log import log
from pipeline.networks.genome import Genome, format_genome, parse_genome

Status = Literal["ok", "stopped", "diverged", "failed"]


@dataclass(frozen=True)
class Evaluation:
    """The result of one candidate's training.

    Attributes:
        genome: of the candidate.
        status: 'ok', 'stopped' (early, as clearly worse), 'diverged' (a fact like any score) or 'failed' (for a reason
            of this machine; never archived).
        top1: accuracy on the validation images in percent; None unless 'ok'.
        loss: mean cross-entropy there; None unless 'ok'.
        reason: why there is no score.
        micro_batch: most images that were computed at once where memory did not hold a batch; None for whole batches.
        partial_top1: accuracy there after the first epochs, where candidates are judged by it
            (:mod:`pipeline.search.early_stopping`); None where they are not, or it diverged before.
    """

    genome: Genome
    status: Status
    top1: float | None = None
    loss: float | None = None
    reason: str = ""
    micro_batch: int | None = None
    partial_top1: float | None = None

    def judged(self, needed_top1: float | None) -> "Evaluation | None":
        """Returns what a search sees that asks for this top-1 after the first epochs, None for any: the same whether
        another search, asking for less, had the candidate trained to its end or not.

        None if this one was stopped where the search would have it go on.
        """
        partial = self.partial_top1
        if partial is not None and needed_top1 is not None and partial < needed_top1:
            return replace(self, status="stopped", top1=None, loss=None, reason="")
        return None if self.status == "stopped" else self


@dataclass(frozen=True)
class Timing:
    """The time of the training, kept apart from the score since it is never twice the same.

    Attributes:
        seconds: by the clock.
        machine: in a few words.
        arithmetic: what it was computed with; empty in what older versions wrote.
    """

    seconds: float
    machine: str
    arithmetic: str = ""


def archive_key(facts: Mapping[str, Any], genome: Genome) -> str:
    """Returns the name under which a candidate is stored: a digest over ``facts`` (JSON values) and its genome."""
    return digest_of({**facts, "genome": format_genome(genome)})[:32]


class Archive:
    """The folder of evaluations that share ``facts``.

    A score from micro-batches is kept like any other, and says so itself: where memory did not suffice once it would
    not suffice the next time, and a search that goes on must find what it has seen. To have such a candidate trained
    with whole batches, on a larger machine, delete its entry.

    Args:
        folder: shared by all searches of an experiment.
        facts: all that determines a score beside the genome, as JSON values.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self._folder = folder
        self._facts = facts

    def _path(self, genome: Genome) -> Path:
        key = archive_key(self._facts, genome)
        return self._folder / key[:2] / f"{key}.json"

    def get(self, genome: Genome) -> tuple[Evaluation, Timing] | None:
        """Returns the stored evaluation; a damaged file is set aside with a warning and counts as missing.

        Raises:
            UserError: the file cannot be read, which is no damage.
        """
        path = self._path(genome)
        if not path.exists():
            return None
        try:
            record = read_json(path)
            found, arithmetic = _evaluation(record), str(record.get("arithmetic", ""))
            if archive_key(record["facts"], found.genome) != path.stem:
                raise ValueError("it is no evaluation of this candidate")
        except UnreadableError:
            raise
        except (UserError, *_MALFORMED) as error:
            aside = path.with_suffix(".damaged")
            try:
                path.replace(aside)
            except OSError as refused:
                raise UserError(
                    f"{path} is damaged and cannot be set aside", refused.strerror or str(refused)
                ) from None
            log(f"warning: {path} is damaged ({error}); set aside as {aside.name}, the candidate is evaluated again")
            return None
        timing = read_timing(path.with_suffix(".timing")) or Timing(0.0, "unknown")
        # The entry's own word counts, which its digest covers.
        return found, replace(timing, arithmetic=arithmetic or timing.arithmetic)

    def put(self, evaluation: Evaluation, timing: Timing) -> None:
        """Stores an evaluation, unless another job has done so in the meantime; one that was stopped early gives way to
        one that went on.

        Raises:
            UserError: the disk is full or the folder cannot be written.
        """
        path = self._path(evaluation.genome)
        if path.exists():
            known = self.get(evaluation.genome)
            if known is not None and (known[0].status != "stopped" or evaluation.status == "stopped"):
                return
        write_json(path.with_suffix(".timing"), asdict(timing))
        values = {**asdict(evaluation), "genome": format_genome(evaluation.genome)}
        for added in ("micro_batch", "partial_top1"):  # as in all entries that were made before there were any
            if values[added] is None:
                del values[added]
        record: dict[str, Any] = {"evaluation": values, "facts": self._facts}
        if timing.arithmetic:
            record["arithmetic"] = timing.arithmetic
        write_json(path, with_digest(record))


class Entry(NamedTuple):
    """An evaluation as it lies in an archive: under which key, with the facts that it was made from."""

    key: str
    facts: dict[str, Any]
    evaluation: Evaluation


#: What reading a record of another shape than expected raises.
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError)
_NAME = re.compile(r"[0-9a-f]{32}\.(json|timing|damaged)")


def archive_files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yields the files of an archive: entries (.json), what they took (.timing), damaged ones set aside (.damaged).

    In no order. Files under other names (half-written ones among them) and what cannot be listed are left out, so
    that it can look on while others write.
    """
    with suppress(OSError), os.scandir(folder) as parts:
        for part in parts:
            with suppress(OSError), os.scandir(part) as files:
                yield from (file for file in files if _NAME.fullmatch(file.name))


def read_entry(path: Path) -> Entry:
    """Returns one entry, whatever its facts.

    Raises:
        UserError: it is missing, cut short, edited, or lies under a key that is not its own.
    """
    try:
        record = json.loads(path.read_bytes())
        entry = Entry(path.stem, record["facts"], _evaluation(record))
        key = archive_key(entry.facts, entry.evaluation.genome)
    except OSError as error:
        raise UnreadableError(path, error) from None
    except (UserError, RecursionError, *_MALFORMED) as error:
        raise UserError(f"{path} is damaged", f"{type(error).__name__}, {error}") from None
    if key != entry.key or path.parent.name != key[:2]:
        raise UserError(f"{path} is damaged", f"what it holds belongs under the key {key}")
    return entry


def read_timing(path: Path) -> Timing | None:
    """Returns what an entry's training took; None where that is not known."""
    try:
        timing = Timing(**json.loads(path.read_bytes()))
        words = isinstance(timing.machine, str) and isinstance(timing.arithmetic, str)
        return timing if words and 0 <= timing.seconds < math.inf else None
    except (OSError, RecursionError, *_MALFORMED):
        return None


def _evaluation(record: Any) -> Evaluation:
    """Returns the evaluation of an entry's record; raises one of ``_MALFORMED`` or UserError where it is none."""
    # Entries of versions that wrote no digest do not say what they were computed with either.
    if not holds(record, required="arithmetic" in record):
        raise ValueError("it was changed after it was written")
    values = record["evaluation"]
    evaluation = Evaluation(**{**values, "genome": parse_genome(values["genome"])})
    if not _sensible(evaluation):
        raise ValueError("it is no evaluation of a candidate")
    return evaluation


def _sensible(evaluation: Evaluation) -> bool:
    """Returns whether it can have been archived: a score within its bounds, or a reason for having none."""
    if evaluation.micro_batch is not None and not (type(evaluation.micro_batch) is int and evaluation.micro_batch > 0):
        return False
    partial = evaluation.partial_top1
    if partial is not None and not 0 <= partial <= 100:
        return False
    if evaluation.status == "stopped":
        return evaluation.top1 is None and partial is not None
    if evaluation.status == "ok":
        return 0 <= (evaluation.top1 or 0) <= 100 and None not in (evaluation.top1, evaluation.loss)
    return evaluation.status == "diverged" and evaluation.top1 is None and bool(evaluation.reason)
