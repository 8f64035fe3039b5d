"""Files that are written whole or not at all, and small tables and records in them.

Every artifact is written to a temporary name in its own folder, flushed to disk and renamed: whoever reads it, on
this machine or over a network file system, sees all of it or nothing, whatever is killed in between.

A step claims the outputs that it was called to write, so that a second writer reruns nothing: Snakemake compares times
of files. A job that outlived a killed Snakemake writes what the next one's job is writing as well: whichever is
complete first stays, since a newer time on the same content would rerun all that follows.
"""

import csv
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from pipeline.common.digests import DIGEST, holds, with_digest
from pipeline.common.errors import UnreadableError, UserError, made_again

#: How text lies on disk whatever the locale; a name of bytes that are no UTF-8 stays those bytes.
TEXT: Any = {"encoding": "utf-8", "errors": "surrogateescape"}

#: The folder of all experiments, in the working folder.
RESULTS = "results"
#: Under which name a record says where it lies in its experiment.
_FILE = "file"

_QUOTING: tuple[Any, ...] = (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)


def check_writable(folder: Path, use: str = "results go there") -> None:
    """Asks whether files can be made in a folder, or in what there is of it.

    Args:
        folder: it need not be there yet.
        use: of it, for the message.

    Raises:
        UserError: they cannot.
    """
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"cannot write into {folder.resolve()}", f"{reason}; {use}") from None


def check_apart(output: Path, inputs: Iterable[Path]) -> None:
    """Checks that a file that a person has asked for is none of those that it is made from.

    Raises:
        UserError: it is one of them, perhaps by another name.
    """
    with suppress(OSError):  # there is no such file yet
        facts = output.stat()
        for path in inputs:
            with suppress(OSError):
                if os.path.samestat(facts, path.stat()):
                    raise UserError(f"{output} would be overwritten, though it is read", "name another file to write")


@contextmanager
def replacing(path: Path, *, sealed: bool = False) -> Iterator[Path]:
    """Gives a temporary path to write to; on leaving it without an error, that file becomes ``path``.

    An output of this step that another process has completed in the meantime is left as it is.

    Args:
        path: the file to write.
        sealed: whether to leave its digest beside it, by which ``read_csv`` notices when it is changed, cut or
            exchanged.

    Raises:
        UserError: the folder cannot be written, the disk is full, or there is something else than a file.
    """
    # The process id keeps two jobs that happen to write the same artifact out of each other's way.
    temporary = path.with_name(f".{path.name}.{os.uname().nodename}.{os.getpid()}.partial")
    try:
        if not (path.is_file() or path.is_dir()) and path.exists():
            # Such as /dev/null, which would be a file from now on, for every program of this machine.
            raise UserError(f"{path} is a device or a pipe, which would be replaced", "name a file to write")
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        if not taken(path):
            if sealed:
                _seal(path, temporary.read_bytes())
            temporary.replace(path)
            written(path)
    except OSError as error:
        raise UserError(f"cannot write {path}", error.strerror or str(error)) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def make_own(path: Path) -> None:
    """Gives a file that has several names, as in a copy of its folder by hard links, a content under this one alone.

    What is written in place, not by ``replacing``, would change under all of them.

    Raises:
        OSError: it is not there, or cannot be copied.
    """
    if path.stat().st_nlink > 1:
        temporary = path.with_name(f".{os.getpid()}.partial")  # short, as names of Snakemake's records can be very long
        try:
            shutil.copy2(path, temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _seal(path: Path, content: bytes) -> None:
    """Notes a content that a file is about to get.

    In a file of its own, .NAME.sha256, since a table has no place for it: the content's digest, and the file's place
    in its experiment. Lines are only added: another job may write the same table at the same time, and whichever
    content stays has its line.
    """
    line = f"{hashlib.sha256(content).hexdigest()} {_place(path)}".rstrip()
    with suppress(FileNotFoundError):
        make_own(_seals(path))
    with open(_seals(path), "a+", **TEXT) as file:
        file.seek(0)
        known = file.read()
        if line not in known.splitlines():
            file.write("\n" * (not known.endswith("\n") and bool(known)) + line + "\n")
            file.flush()
            os.fsync(file.fileno())


def _check_seal(path: Path, content: bytes) -> None:
    """Raises UserError for a file that holds something else than what was written, or what was written elsewhere. One
    without seals (of an older version) passes.
    """
    try:
        known = [line.partition(" ") for line in _seals(path).read_text(**TEXT).splitlines()]
    except OSError:
        return
    digest = hashlib.sha256(content).hexdigest()
    places = [place for known_digest, _, place in known if known_digest == digest]
    if known and not places:
        raise UserError(f"{path} was changed after it was written", made_again())
    if places and not any(_lies_at(path, place) for place in places):
        raise _misplaced(path, places[0])


def _place(path: Path) -> str:
    """Returns where a file lies in its experiment, whose own name may change; nothing for a file of none.

    >>> _place(Path("results/digits/search/A/best.json")), _place(Path("/tmp/best.json"))
    ('search/A/best.json', '')
    """
    return "/".join(path.parts[2:]) if path.parts[:1] == (RESULTS,) else ""


def _lies_at(path: Path, place: str) -> bool:
    return not place or path.absolute().as_posix().endswith(f"/{place}")


def _misplaced(path: Path, place: str) -> UserError:
    return UserError(f"{path} was written as {place}, and is none of its own", made_again())


def _seals(path: Path) -> Path:
    return path.with_name(f".{path.name}.sha256")


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole."""
    with replacing(path) as temporary:
        temporary.write_text(text, **TEXT)


def write_json(path: Path, value: Any) -> None:
    """Writes one record, keys in the order given."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Reads one record.

    Raises:
        UserError: the file is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except OSError as error:
        raise UnreadableError(path, error) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no record ({error})", made_again()) from None


def write_record(path: Path, values: Mapping[str, Any]) -> None:
    """Writes one record with its place in the experiment and a digest of its values."""
    place = _place(path)
    write_json(path, with_digest({**values, _FILE: place} if place else values))


def read_record(path: Path) -> dict[str, Any]:
    """Reads what ``write_record`` wrote, without the digest and the place. Records of older versions have none.

    Raises:
        UserError: the file is missing, no record, was changed after it was written, or is another file's.
    """
    record = _whole_record(path)
    place = str(record.pop(_FILE, ""))
    if not _lies_at(path, place):
        raise _misplaced(path, place)
    return record


def copy_record(path: Path, copy: Path) -> None:
    """Writes a record at another place too, as one of that place; byte by byte where it says nothing of a place.

    Raises:
        UserError: the file is missing, no record, or was changed after it was written.
    """
    record = _whole_record(path)
    if record.pop(_FILE, None) is None:
        with replacing(copy) as temporary:
            shutil.copyfile(path, temporary)
    else:
        write_record(copy, record)


def _whole_record(path: Path) -> dict[str, Any]:
    """Returns a record's values and its place, wherever that is."""
    record = read_json(path)
    if not isinstance(record, dict):
        raise UserError(f"{path} holds no record", made_again())
    if not holds(record):
        raise UserError(f"{path} was changed after it was written", made_again())
    return {name: value for name, value in record.items() if name != DIGEST}


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes a table and seals it; None becomes an empty cell, text that a spreadsheet would run gets an apostrophe."""

    def cells(row: Mapping[str, Any]) -> list[Any]:
        if others := row.keys() - set(columns):
            raise ValueError(f"{path} has no columns {others}")
        return [csv_cell(row.get(column)) for column in columns]

    with replacing(path, sealed=True) as temporary, open(temporary, "w", newline="", **TEXT) as file:
        write_rows(file, columns, map(cells, rows))


def write_rows(file: TextIO, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a table's header and its rows as they are; None becomes an empty cell."""
    writer, quoting = (csv.writer(file, lineterminator="\n", quoting=how) for how in _QUOTING)
    for row in chain([header], rows):
        # A lone carriage return ends a line for readers, but Python's writer quotes it only from 3.13 on.
        (quoting if any("\r" in str(cell) for cell in row) else writer).writerow(row)


def is_whole(path: Path) -> bool:
    """Returns whether a table or a record is what was once written, to a file of its place."""
    try:
        if path.suffix == ".csv":
            _check_seal(path, path.read_bytes())
        else:
            read_record(path)
    except (OSError, UserError):
        return False
    return True


def csv_cell(value: Any) -> Any:
    """Returns what is written for a value: text that a spreadsheet takes for a formula gets an apostrophe before it.

    A class may be called ``=HYPERLINK(…)``, and whoever opens the table would run it.

    >>> csv_cell("=1+1"), csv_cell("-cat"), csv_cell("-0.5"), csv_cell("cat"), csv_cell(-1)
    ("'=1+1", "'-cat", '-0.5', 'cat', -1)
    """
    return f"'{value}" if isinstance(value, str) and _is_formula(value) and not _is_number(value) else value


def _is_formula(text: str) -> bool:
    return text.lstrip("'").startswith(("=", "+", "-", "@", "\t", "\r"))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_csv(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Reads a table as ``write_csv`` writes it, which must have at least ``columns``.

    Raises:
        UserError: the file is missing, was changed after it was written, is another table, a column is missing, or a
            row has too few or too many cells.
    """
    try:
        content = path.read_bytes()
        with io.TextIOWrapper(io.BytesIO(content), newline="", **TEXT) as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            found = reader.fieldnames or []
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except OSError as error:
        raise UnreadableError(path, error) from None
    except csv.Error as error:
        raise UserError(f"{path} is no table ({error})", made_again()) from None
    missing = [column for column in columns if column not in found]
    if missing:
        raise UserError(f"{path} has no column '{missing[0]}'", made_again())
    for line, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise UserError(f"line {line} of {path} does not have {len(found)} cells", made_again())
    _check_seal(path, content)
    return [{column: _without_apostrophe(cell) for column, cell in row.items()} for row in rows]


def _without_apostrophe(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _is_formula(cell) else cell


_Stamp = tuple[int, int] | None


_outputs: dict[Path, _Stamp] = {}


def claim(outputs: Iterable[Path]) -> None:
    """Notes the state of a step's outputs before it begins."""
    _outputs.clear()
    _outputs.update({path: _stamp(path) for path in outputs})


def taken(path: Path) -> bool:
    """Returns whether another process has completed this output since the step began."""
    return path in _outputs and _stamp(path) not in (None, _outputs[path])


def written(path: Path) -> None:
    """Notes that this process has written ``path``, and may write it again."""
    if path in _outputs:
        _outputs[path] = _stamp(path)


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
