"""Snakemake's own records of the files that it has made, and its marks of those that a job was writing."""

import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.workflow.layout import Layout

#: A file for each output; and one for each output that a job was writing.
METADATA, INCOMPLETE = Path(".snakemake/metadata"), Path(".snakemake/incomplete")
#: What a mark of an incomplete file says.
UNKNOWN_JOB = {"external_jobid": None}
#: What Snakemake never compares and is much of a record's length.
_LEFT_OUT = ("conda_env",)


def record_path(folder: Path, file: Path) -> Path:
    """Returns where Snakemake keeps what it knows of a file."""
    name, most = urlsafe_b64encode(file.as_posix().encode()).decode(), _longest_name() - 1
    parts = [name[start : start + most] for start in range(0, len(name), most)]
    return folder.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])


def records_of(layout: Layout, folder: Path) -> list[tuple[Path, str]]:
    """Returns Snakemake's records of the experiment's files, each with the file's path in the experiment's folder."""
    found = []
    for path in folder.rglob("*"):
        with suppress(ValueError):
            name = "".join(part.removeprefix("@") for part in path.relative_to(folder).parts)
            file = Path(urlsafe_b64decode(name).decode()).relative_to(layout.folder).as_posix()
            if path.is_file():
                found.append((path, file))
    return found


def records_here(layout: Layout) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Returns what Snakemake knows here of the experiment's files: of those of an earlier version all that there is."""
    for path, file in records_of(layout, METADATA):
        with suppress(OSError, ValueError):
            record = json.loads(path.read_text(encoding="utf-8"))
            yield file, plain(record)
    for _, file in records_of(layout, INCOMPLETE):
        yield file, None


def plain(record: Any) -> dict[str, Any] | None:
    """Returns a record without what Snakemake never compares."""
    return None if record is None else {key: value for key, value in record.items() if key not in _LEFT_OUT}


def put_record(path: Path, record: Mapping[str, Any]) -> None:
    """Writes one of Snakemake's records, whole or not at all. Its name can be too long for ``write_text``.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.partial")
    temporary.write_text(json.dumps(record), encoding="utf-8")
    temporary.replace(path)


def _longest_name() -> int:
    """Returns how long a name can be here. Snakemake cuts those of its records into folders of so many characters."""
    with suppress(OSError, ValueError):
        return os.pathconf(".", "PC_NAME_MAX") or 255
    return 255
