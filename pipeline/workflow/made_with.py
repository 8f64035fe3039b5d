"""The settings that each file of an experiment was made with, kept with the files wherever they are taken.

Snakemake notes them in ``.snakemake`` of the folder in which it runs, and takes a file of which it knows nothing for up
to date. A folder of results that is moved or copied without ``.snakemake`` would then be told to be finished, whatever
the configuration says. So ``results/EXPERIMENT/made_with.jsonl`` holds Snakemake's records as well: a line whenever a
job starts or ends, the last one of each file counts. A folder of results that was last run elsewhere brings its records
along; those that lie here, of whatever lay here before, give way to them. So do others that say something else of a
file: Snakemake writes in place, and a copy of its folder by hard links is written along with it.

A part of another experiment may be copied into this one, such as its search. Of such files no record tells here, or
one that knows another content: they are made again. So are tables and figures that are others than those that were
made, such as an older copy, one of another experiment, one that was edited or cut: no step reads them that could tell.

A file of which the inputs have been made again since, by their contents, is made again too (:mod:`made_from`).

When a run begins that makes files again, since a setting has changed, those that are there are noted as outdated until
it has. So whoever looks on meanwhile, or after the run was interrupted, knows that they are of the settings before. So
are files that a run of single targets has made with other settings than those of the whole experiment.
"""

import hashlib
import html
import json
import os
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.common.errors import UserError
from pipeline.common.files import is_whole, make_own, write_text
from pipeline.common.log import log
from pipeline.common.text import counted
from pipeline.data.prepared import read_info
from pipeline.training.settings import OFF
from pipeline.workflow.layout import Layout
from pipeline.workflow.lock import RECORDS
from pipeline.workflow.made_from import inputs_of, outlived
from pipeline.workflow.saved_config import as_saved, read_saved_values
from pipeline.workflow.sources import Sources

#: Snakemake's own records, a file for each output; and its marks of outputs that a job was writing.
METADATA, INCOMPLETE = Path(".snakemake/metadata"), Path(".snakemake/incomplete")
#: What Snakemake never compares and is much of a record's length.
_LEFT_OUT = ("conda_env",)
#: What it compares of a record.
_COMPARED = ("params", "input")
#: Sections and keys that change no file of an experiment.
_HARMLESS = {"experiment", "inference", "execution.save_minutes", "execution.loaders", "search.workers"}
_HARMLESS |= {"search.candidates_per_gpu"}
#: Sections of rows and searches; and what every run of a search is given.
_ENTRIES = ("models.", "searches.")
_OF_RUNS = ("seed", "seeds", "run_of")
_SHOWN = 3
#: Kinds of files whose content is noted, beside prepared images. Others, such as weights, say themselves of which
#: training they are.
_NOTED = (".csv", ".json")
#: How a page calls its experiment.
_TITLE = re.compile("<title>(.*): binary networks searched</title>")
#: Under which name a line holds the files that are to be made again.
_OUTDATED = "outdated"
#: What the line of a file says that was made with other settings than the experiment's.
_APART = "apart"
#: What a mark of an incomplete file says, and that of a file whose inputs are others than those that it was made from.
_UNKNOWN_JOB = {"external_jobid": None}
_OUTLIVED = {**_UNKNOWN_JOB, "inputs": "others"}


class _Kept(NamedTuple):
    """The content of ``made_with.jsonl``.

    Attributes:
        run: tells the run that wrote last from all others.
        folder: of the experiment, as that run named it.
        files: Snakemake's record of each file, by its path in that folder; None for one that a job had begun to write.
        digests: of what a job wrote into a file, where that was noted.
        made_from: digests of what a file was made from, where they were noted.
        outdated: files that the last run was to make again, and has not yet; and those that were made apart.
    """

    run: str
    folder: str
    files: dict[str, dict[str, Any] | None]
    digests: dict[str, str]
    made_from: dict[str, dict[str, str]]
    outdated: set[str]


def bring_records(layout: Layout, config: Mapping[str, Any]) -> None:
    """Gives Snakemake the records that came with the experiment, if it was last run elsewhere.

    Args:
        layout: of the experiment.
        config: as checked.

    Raises:
        UserError: no records came with it and it was made with other settings, or a record cannot be written.
    """
    kept = _read(layout.made_with)
    if kept is not None:
        elsewhere = kept.run != _last_run(_note(layout))
        try:
            (_replace_records if elsewhere else _correct_records)(layout, kept)
        except OSError as error:
            raise UserError(f"cannot write {error.filename}", error.strerror or str(error)) from None
        if elsewhere:
            _note_run_here(layout, kept.run)
    if not layout.train.exists():
        return
    if not _record(METADATA, layout.train).exists():
        _check_unchanged(layout, config)
    else:
        _distrust_strangers(layout, config)
        _distrust_outlived(layout)


def _distrust_strangers(layout: Layout, config: Mapping[str, Any]) -> None:
    """Marks the files of an experiment that none of its jobs has made as incomplete, so that they are made again.

    Raises:
        UserError: a mark cannot be written.
    """
    kept = _read(layout.made_with)
    known, digests = (kept.files, kept.digests) if kept else ({}, {})

    def is_strange(file: Path) -> bool:
        name = file.relative_to(layout.folder).as_posix()
        if name in digests:
            found = _digest(layout, file)
            # What was changed by hand or cut off is told by the step that reads it, if there is one.
            told = not (file in layout.prepared or _is_shown(layout, file) or is_whole(file))
            return found not in (None, digests[name]) and not told
        return name not in known and not any(_record(folder, file).exists() for folder in (METADATA, INCOMPLETE))

    files = layout.results_of(config.get("searches", ()), config.get("models", ()))
    strangers = [file for file in files if is_strange(file)]
    # Of those of an earlier version that nobody has noted, nothing is known.
    shown = (layout.folder / name for name in digests)
    strangers += [file for file in shown if _is_shown(layout, file) and is_strange(file)]
    # Whoever calls `report` makes the page anew, by right: its content is not noted.
    if _is_no_page_of(layout):
        strangers.append(layout.report)
    try:
        for file in strangers:
            _put(_record(INCOMPLETE, file), _UNKNOWN_JOB)
    except OSError as error:
        raise UserError(f"cannot write {error.filename}", error.strerror or str(error)) from None
    if strangers:
        these, them = counted(len(strangers), "file is", "files are"), "it" if len(strangers) == 1 else "them"
        log(f"warning: {these} not as this experiment's runs left {them}, such as {strangers[0]}; made again")


def _distrust_outlived(layout: Layout) -> None:
    """Marks the files as incomplete that were made from others than those that are there now, and these alone.

    Raises:
        UserError: a mark cannot be written.
    """
    files = outlived_files(layout)
    try:
        for path, file in _records_of(layout, INCOMPLETE):
            with suppress(ValueError):
                if json.loads(path.read_text(encoding="utf-8")) == _OUTLIVED and layout.folder / file not in files:
                    path.unlink()
        for path in (_record(INCOMPLETE, file) for file in files):
            if not path.exists():
                _put(path, _OUTLIVED)
    except OSError as error:
        raise UserError(f"cannot write {error.filename}", error.strerror or str(error)) from None


def outlived_files(layout: Layout) -> set[Path]:
    """Returns the files of an experiment that were made from others than those that are there now."""
    kept = _read(layout.made_with)
    return set(outlived(layout, kept.made_from)) if kept else set()


def keep_records(workflow: Any, layout: Layout, *, apart: bool = False) -> None:
    """Lets this run's Snakemake, whose graph of jobs is made, keep its records with the experiment as well.

    Args:
        workflow: Snakemake's.
        layout: of the experiment.
        apart: a part of its files is made, with other settings than the others.

    Raises:
        UserError: the folder cannot be written.
    """
    kept = _read(layout.made_with)
    files = dict(_records_here(layout)) if kept is None else _renamed(kept, layout)
    try:
        for path in _written_in_place(layout):
            make_own(path)
    except OSError as error:
        raise UserError(f"cannot write {error.filename}", error.strerror or str(error)) from None
    run = secrets.token_hex(8)
    lines: list[dict[str, Any]] = [{"run": run, "folder": layout.folder.as_posix()}]
    digests, made_from = ({}, {}) if kept is None else (kept.digests, kept.made_from)
    lines += [_line(file, record, digests.get(file), made_from.get(file)) for file, record in files.items()]
    outdated = _outdated_now(workflow, layout, kept.outdated if kept else set(), apart=apart)
    lines += [{_OUTDATED: sorted(outdated)}] if outdated else []
    write_text(layout.made_with, "\n".join(map(json.dumps, lines)))
    _note_run_here(layout, run)
    persistence = workflow.persistence
    started, finished = persistence.started, persistence.finished

    def note(job: Any, *, under_way: bool) -> None:
        noted: list[dict[str, Any]] = []
        persistence.deactivate_cache()  # which holds what was known of the outputs before
        inputs = None if under_way else inputs_of(job, layout)
        for output in job.output:
            with suppress(ValueError):  # of another folder
                file = Path(output).relative_to(layout.folder).as_posix()
                record = None if under_way else _plain(persistence.metadata(output))
                line = _line(file, record, None if under_way else _digest(layout, Path(output)), inputs)
                noted.append({**line, _APART: True} if apart and not under_way else line)
        with open(layout.made_with, "a", encoding="utf-8") as lines:
            lines.writelines(f"\n{json.dumps(one)}" for one in noted)  # after one that may have been cut off

    def start(job: Any, *others: Any, **more: Any) -> None:
        note(job, under_way=True)
        started(job, *others, **more)

    async def finish(job: Any) -> None:
        await finished(job)
        note(job, under_way=False)

    persistence.started, persistence.finished = start, finish


def note_up_to_date(workflow: Any, layout: Layout) -> None:
    """Notes that nothing of Snakemake's graph has to be made again.

    Raises:
        UserError: the folder cannot be written.
    """
    kept = _read(layout.made_with)
    if kept is None or not kept.outdated:
        return
    line = {_OUTDATED: sorted(_outdated_now(workflow, layout, kept.outdated))}
    try:
        make_own(layout.made_with)
        with open(layout.made_with, "a", encoding="utf-8") as lines:
            lines.write(f"\n{json.dumps(line)}")
    except OSError as error:
        raise UserError(f"cannot write {layout.made_with}", error.strerror or str(error)) from None


def _outdated_now(workflow: Any, layout: Layout, before: set[str], *, apart: bool = False) -> set[str]:
    """Returns the files that are there and that Snakemake makes again; of those outside of its graph, as ``before``.

    Of a part that is made with other settings, what is up to date for them may have been made with these ones.
    """
    found = set(before)
    for job in workflow.dag.jobs:
        for output in map(Path, job.output):
            with suppress(ValueError):  # of another folder
                file = output.relative_to(layout.folder).as_posix()
                if not apart:
                    found.discard(file)
                if workflow.dag.needrun(job) and output.exists():
                    found.add(file)
    return found


def outdated_files(layout: Layout) -> list[Path]:
    """Returns the files of an experiment that are to be made again, since they are of other settings or images."""
    try:
        known = _OUTDATED in layout.made_with.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    kept = _read(layout.made_with) if known else None
    files = (layout.folder / file for file in sorted(kept.outdated if kept else ()))
    return [file for file in files if file.exists()]


def about_outdated(files: Sequence[Path | str]) -> str:
    """Returns a sentence about outdated files; nothing if there are none."""
    if not files:
        return ""
    these, again = counted(len(files), "file is", "files are"), "it" if len(files) == 1 else "them"
    return (
        f"{these} of other settings or images than the experiment's, such as {files[0]}; run the experiment to its end "
        f"to make {again} again."
    )


def _line(
    file: str, record: dict[str, Any] | None, digest: str | None, made_from: dict[str, str] | None
) -> dict[str, Any]:
    line = {"file": file, "record": record}
    line |= {} if digest is None else {"digest": digest}
    return line | ({"made_from": made_from} if made_from else {})


def _digest(layout: Layout, file: Path) -> str | None:
    """Returns the digest of a table's, a record's or a figure's content, or that which prepared images carry; None for
    other files, and for what cannot be read.
    """
    if file in layout.prepared:
        with suppress(UserError):
            return read_info(file).digest
    elif file.suffix in _NOTED or _is_shown(layout, file):
        with suppress(OSError):
            return hashlib.sha256(file.read_bytes()).hexdigest()
    return None


def _is_shown(layout: Layout, file: Path) -> bool:
    """Returns whether a file is a table or figure to be looked at, which no step reads."""
    return file.parent in (layout.tables.folder, layout.figures)


def _is_no_page_of(layout: Layout) -> bool:
    """Returns whether a page is there without its end, or is another experiment's."""
    with suppress(OSError):
        page = layout.report.read_text(encoding="utf-8", errors="replace").rstrip()
        title = _TITLE.search(page)
        named = html.unescape(title[1]) if title else layout.experiment
        return named != layout.experiment or not page.endswith("</html>")
    return False


def _plain(record: Any) -> dict[str, Any] | None:
    return None if record is None else {key: value for key, value in record.items() if key not in _LEFT_OUT}


def _read(path: Path) -> _Kept | None:
    """Returns what came with the experiment; None if nothing did. A line that was cut off counts for nothing."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        first = json.loads(lines[0])
        kept = _Kept(str(first["run"]), str(first["folder"]), {}, {}, {}, set())
    except (OSError, IndexError, ValueError, KeyError, TypeError):
        return None
    for line in lines[1:]:
        with suppress(ValueError, KeyError, TypeError):
            entry = json.loads(line)
            if _OUTDATED in entry:
                kept.outdated.clear()
                kept.outdated.update(map(str, entry[_OUTDATED]))
                continue
            file = str(entry["file"])
            (kept.outdated.add if entry.get(_APART) else kept.outdated.discard)(file)
            kept.files[file] = entry["record"]
            kept.digests.pop(file, None)
            if isinstance(entry.get("digest"), str):
                kept.digests[file] = entry["digest"]
            made_from = entry.get("made_from", {})
            kept.made_from[file] = {str(name): str(digest) for name, digest in made_from.items()}
    return kept


def _replace_records(layout: Layout, kept: _Kept) -> None:
    """Writes Snakemake's records of the experiment's files as they came with it, and removes all others of its."""
    for folder in (METADATA, INCOMPLETE):
        folder.mkdir(parents=True, exist_ok=True)
        for path, _ in _records_of(layout, folder):
            path.unlink()
    for file, record in _renamed(kept, layout).items():
        folder = METADATA if record is not None else INCOMPLETE
        path = _record(folder, layout.folder / file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_UNKNOWN_JOB if record is None else record), encoding="utf-8")


def _correct_records(layout: Layout, kept: _Kept) -> None:
    """Compares Snakemake's records of settings and inputs with those that came with the experiment.

    If they differ, that which came counts for a file that is still what was noted with it; others are made again. One
    that Snakemake was told to forget (``--cleanup-metadata``) counts: it takes what it does not know for up to date.
    """
    for file, record in _renamed(kept, layout).items():
        output = layout.folder / file
        path = _record(METADATA, output)
        if record is None or not (path.exists() or output.exists()):
            continue
        if not path.exists() and file not in kept.digests:
            _put(path, record)
            continue
        with suppress(OSError, ValueError, AttributeError):
            here = json.loads(path.read_text(encoding="utf-8"))
            if all(here.get(key) == record.get(key) for key in _COMPARED):
                continue
        if file in kept.digests and _digest(layout, output) == kept.digests[file]:
            _put(path, record)
        else:
            _put(_record(INCOMPLETE, output), _UNKNOWN_JOB)


def _put(path: Path, record: Mapping[str, Any]) -> None:
    """Writes a record of Snakemake's whole, whose name can be too long for ``write_text``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.partial")
    temporary.write_text(json.dumps(record), encoding="utf-8")
    temporary.replace(path)


def _renamed(kept: _Kept, layout: Layout) -> dict[str, dict[str, Any] | None]:
    """Returns the records of files as they are under the experiment's present name."""
    old, new = (json.dumps(f"{name}/")[1:-1] for name in (kept.folder, layout.folder.as_posix()))
    if old == new:
        return kept.files
    return {file: json.loads(json.dumps(record).replace(old, new)) for file, record in kept.files.items()}


def _written_in_place(layout: Layout) -> Iterator[Path]:
    """Yields the files of an experiment that Snakemake does not write anew when it writes them again."""
    for folder in (METADATA, INCOMPLETE):
        yield from (path for path, _ in _records_of(layout, folder))
    yield from layout.benchmarks.rglob("*.tsv")


def _records_here(layout: Layout) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Returns what Snakemake knows here of the experiment's files: of those of an earlier version all that there is."""
    for path, file in _records_of(layout, METADATA):
        with suppress(OSError, ValueError):
            record = json.loads(path.read_text(encoding="utf-8"))
            yield file, {key: value for key, value in record.items() if key not in _LEFT_OUT}
    for _, file in _records_of(layout, INCOMPLETE):
        yield file, None


def _records_of(layout: Layout, folder: Path) -> list[tuple[Path, str]]:
    """Returns Snakemake's records of the experiment's files, each with the file's path in the experiment's folder."""
    found = []
    for path in folder.rglob("*"):
        with suppress(ValueError):
            name = "".join(part.removeprefix("@") for part in path.relative_to(folder).parts)
            file = Path(urlsafe_b64decode(name).decode()).relative_to(layout.folder).as_posix()
            if path.is_file():
                found.append((path, file))
    return found


def _record(folder: Path, file: Path) -> Path:
    """Returns where Snakemake keeps what it knows of a file."""
    name, most = urlsafe_b64encode(file.as_posix().encode()).decode(), _longest_name() - 1
    parts = [name[start : start + most] for start in range(0, len(name), most)]
    return folder.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])


def _longest_name() -> int:
    """Returns how long a name can be here. Snakemake cuts those of its records into folders of so many characters."""
    with suppress(OSError, ValueError):
        return os.pathconf(".", "PC_NAME_MAX") or 255
    return 255


def _last_run(path: Path) -> str | None:
    """Returns which run wrote last, of the first line of a file."""
    with suppress(OSError, ValueError, KeyError, TypeError), open(path, encoding="utf-8", errors="replace") as lines:
        return str(json.loads(next(lines, ""))["run"])
    return None


def _note_run_here(layout: Layout, run: str) -> None:
    write_text(_note(layout), f"{json.dumps({'run': run})}\n")


def _note(layout: Layout) -> Path:
    return RECORDS / f"{layout.experiment}.made_with.json"


def _check_unchanged(layout: Layout, config: Mapping[str, Any]) -> None:
    """Compares configuration and images with those of the last run, of an experiment that came without records.

    Raises:
        UserError: they differ, or that of the last run cannot be read: nobody knows which files were made with which.
    """
    try:
        before = read_saved_values(layout)
        if before is None:
            raise UserError("nobody has noted with which settings")
        changed = list(changes(before, as_saved(config)))
    except UserError as error:
        raise UserError(*_unknown(layout, str(error).partition(": ")[0])) from None
    if not changed and Sources(config).changed:
        raise UserError(*_unknown(layout, "its images have changed"))
    if changed:
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        raise UserError(*_unknown(layout, f"its settings have changed: {', '.join(changed[:_SHOWN])}{more}"))


def _unknown(layout: Layout, problem: str) -> tuple[str, str]:
    """Returns what is wrong with results of which nobody knows what they were made with, and what to do."""
    return (
        f"{layout.folder} came without the folder .snakemake, which knows what its files were made with, and {problem}",
        f"bring .snakemake too, set back what has changed, or delete all of {layout.folder} but archive and trainings, "
        "from which everything that is still right is taken again",
    )


def changes(before: Mapping[str, Any], now: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """Yields the keys of a saved configuration that have another value now.

    Those that it did not know are left out, but for what rows and searches that it has did without, and for ingredients
    of a training that were off as long as nobody knew them.
    """
    for key, value in before.items():
        name = f"{within}{key}"
        if name in _HARMLESS or (value is None and now.get(key) is None):
            continue
        if isinstance(value, dict) and isinstance(now.get(key), dict):
            yield from changes(value, now[key], f"{name}.")
        elif key not in now or now[key] != value:
            yield f"{name} (was {json.dumps(value)})"
    for key in now.keys() - before.keys():
        of_entry = within.startswith(_ENTRIES) and within not in _ENTRIES and key not in _OF_RUNS
        if (of_entry and now[key] is not None) or (key in OFF and now[key] != OFF[key]):
            yield f"{within}{key} (was not there)"
