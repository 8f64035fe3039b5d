"""``made_with.jsonl``, which lies in an experiment's folder and goes wherever that is taken.

Its first line names the run that wrote last. A line follows whenever a job starts or ends; the last one of each file
counts.
"""

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.common.errors import UserError
from pipeline.common.files import make_own, write_text
from pipeline.data.prepared import read_info
from pipeline.workflow.layout import Layout
from pipeline.workflow.lock import RECORDS

#: Kinds of files whose content is noted, beside prepared images. Others, such as weights, say themselves of which
#: training they are.
_NOTED = (".csv", ".json")
#: Under which name a line holds the files that are to be made again.
OUTDATED = "outdated"
#: What the line of a file says that was made with other settings than the experiment's.
APART = "apart"
#: Under which name a line holds a digest of the configuration that the files are of.
CONFIG = "config"
#: Under which name the same line holds the files that were made with configurations before, and are none of its own.
BESIDE = "beside"


class Journal(NamedTuple):
    """The content of ``made_with.jsonl``.

    Attributes:
        run: tells the run that wrote last from all others.
        folder: of the experiment, as that run named it.
        files: Snakemake's record of each file, by its path in that folder; None for one that a job had begun to write.
        digests: of what a job wrote into a file, where that was noted.
        made_from: digests of what a file was made from, where they were noted.
        outdated: files that the last run was to make again, and has not yet; and those that were made apart.
        config: digest of the configuration that was saved last; None in what earlier versions wrote.
        beside: files that were made with configurations before and that this one does not ask for.
    """

    run: str
    folder: str
    files: dict[str, dict[str, Any] | None]
    digests: dict[str, str]
    made_from: dict[str, dict[str, str]]
    outdated: set[str]
    config: str | None = None
    beside: frozenset[str] = frozenset()


def read_journal(path: Path) -> Journal | None:
    """Returns what came with the experiment; None if nothing did. A line that was cut off counts for nothing."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        first = json.loads(lines[0])
        kept = Journal(str(first["run"]), str(first["folder"]), {}, {}, {}, set())
    except (OSError, IndexError, ValueError, KeyError, TypeError):
        return None
    for line in lines[1:]:
        with suppress(ValueError, KeyError, TypeError):
            entry = json.loads(line)
            if OUTDATED in entry:
                kept.outdated.clear()
                kept.outdated.update(map(str, entry[OUTDATED]))
                continue
            if CONFIG in entry:
                kept = kept._replace(config=str(entry[CONFIG]), beside=frozenset(map(str, entry.get(BESIDE, ()))))
                continue
            file = str(entry["file"])
            (kept.outdated.add if entry.get(APART) else kept.outdated.discard)(file)
            kept.files[file] = entry["record"]
            kept.digests.pop(file, None)
            if isinstance(entry.get("digest"), str):
                kept.digests[file] = entry["digest"]
            made_from = entry.get("made_from", {})
            kept.made_from[file] = {str(name): str(digest) for name, digest in made_from.items()}
    return kept


def journal_line(
    file: str, record: dict[str, Any] | None, digest: str | None, made_from: dict[str, str] | None
) -> dict[str, Any]:
    """Returns the line of a file: Snakemake's record, the digest of its content, and digests of what it was made
    from.
    """
    line = {"file": file, "record": record}
    line |= {} if digest is None else {"digest": digest}
    return line | ({"made_from": made_from} if made_from else {})


def add_line(path: Path, line: dict[str, Any]) -> None:
    """Adds a line to an experiment's journal.

    Raises:
        UserError: it cannot be written.
    """
    try:
        make_own(path)
        with open(path, "a", encoding="utf-8") as lines:
            lines.write(f"\n{json.dumps(line)}")
    except OSError as error:
        raise UserError(f"cannot write {path}", error.strerror or str(error)) from None


def config_line(config: str, beside: Iterable[str]) -> dict[str, Any]:
    """Returns the line of the configuration that the files are of."""
    return {CONFIG: config, BESIDE: sorted(beside)}


def renamed(kept: Journal, layout: Layout) -> dict[str, dict[str, Any] | None]:
    """Returns the records of files as they are under the experiment's present name."""
    old, new = (json.dumps(f"{name}/")[1:-1] for name in (kept.folder, layout.folder.as_posix()))
    if old == new:
        return kept.files
    return {file: json.loads(json.dumps(record).replace(old, new)) for file, record in kept.files.items()}


def digest_of(layout: Layout, file: Path) -> str | None:
    """Returns the digest of a table's, a record's or a figure's content, or that which prepared images carry; None for
    other files, and for what cannot be read.
    """
    if file in layout.prepared:
        with suppress(UserError):
            return read_info(file).digest
    elif file.suffix in _NOTED or is_shown(layout, file):
        with suppress(OSError):
            return hashlib.sha256(file.read_bytes()).hexdigest()
    return None


def is_shown(layout: Layout, file: Path) -> bool:
    """Returns whether a file is a table or figure to be looked at, which no step reads."""
    return file.parent in (layout.tables.folder, layout.figures)


def last_run_of(path: Path) -> str | None:
    """Returns which run wrote last, of the first line of a file."""
    with suppress(OSError, ValueError, KeyError, TypeError), open(path, encoding="utf-8", errors="replace") as lines:
        return str(json.loads(next(lines, ""))["run"])
    return None


def note_run_here(layout: Layout, run: str) -> None:
    """Notes in this folder which run's records Snakemake has here."""
    write_text(note_of_run_here(layout), f"{json.dumps({'run': run})}\n")


def note_of_run_here(layout: Layout) -> Path:
    """Returns where that is noted."""
    return RECORDS / f"{layout.experiment}.made_with.json"
