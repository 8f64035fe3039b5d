"""Lists, checks and exports the evaluated candidates of an experiment's archive."""

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.common.text import counted, printable
from pipeline.networks.spec import PUBLISHED_WIDTH
from pipeline.steps.options import add_cost, add_cost_width, counting_for, genome

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas

    from pipeline.networks.genome import Genome
    from pipeline.search.archive_listing import Listing, SharedFacts
    from pipeline.workflow.layout import Layout

#: Lines of the list, and damaged entries that are named, unless more are asked for.
_LINES = 40
_DAMAGED = 10
#: Columns of text, and those that a narrow terminal leaves out, the least wanted first; --csv has all.
_TEXTS = ("status", "machine", "settings", "key")
_SPARE = ("key", "settings", "machine", "seconds", "loss", "memory", "micro-batch", "FLOPs")
_SORTS = {"top1": False, "fitness": False, "flops": True, "seconds": False}  # by name: whether ascending


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("folder", help="an experiment's name or results folder, or the folder of an archive")
    group = parser.add_argument_group("Which candidates")
    group.add_argument("--status", choices=("ok", "stopped", "diverged"), help="only these")
    group.add_argument("--min-top1", type=percent, help="only those with at least this score, in percent")
    group.add_argument("--max-flops", type=amount, help="only those with at most these operations for one image")
    group.add_argument("--genome", type=genome, help="only this one: ratios with commas between")
    group.add_argument(
        "--settings",
        default="current",
        help="only those made with these settings: 'current', 'all', or the start of a digest that the list names",
    )
    as_its_own = "Costs are counted as the experiment does it, where it is known and these flags do not say otherwise."
    group = parser.add_argument_group("How they are shown", as_its_own)
    add_cost_width(group, None)
    add_cost(group)
    parser.set_defaults(cost=None)
    group.add_argument("--lambda", dest="penalty", type=amount, default=4.0, help="weight of the cost, for the fitness")
    group.add_argument("--sort", choices=tuple(_SORTS), default="top1", help="highest first; lowest first for flops")
    group.add_argument(
        "--limit", type=count, metavar="N", help=f"so many at most, 0 for all; {_LINES} if left out, all with --csv"
    )
    group.add_argument("--csv", metavar="FILE", help="write a table with all columns instead; - for the screen")
    parser.add_argument(
        "--check", action="store_true", help="verify every entry instead; exit code 1 if one is damaged"
    )


def amount(text: str) -> float:
    """Reads a number from 0 on, for ``type=`` of a flag."""
    if not 0 <= (value := float(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not at least 0")
    return value


def percent(text: str) -> float:
    """Reads a number from 0 to 100, for ``type=`` of a flag."""
    if (value := amount(text)) > 100:
        raise argparse.ArgumentTypeError(f"{text} is more than 100 %")
    return value


def count(text: str) -> int:
    """Reads a whole number from 0 on, for ``type=`` of a flag."""
    if (value := int(text)) < 0:
        raise argparse.ArgumentTypeError(f"{text} is not at least 0")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Prints or writes the list. Returns 1 where --check found damage."""
    from pipeline.search.archive_listing import read_archive

    folder, layout = _archive_of(arguments.folder)
    listing = read_archive(folder)
    if arguments.check:
        return _check(listing, folder)
    _warn(listing)
    _count_as(layout, arguments)
    current = _current(listing, layout)
    rows = _selected(listing, current, arguments)
    if arguments.csv:
        _export(rows, arguments.csv, len(listing.rows))
    else:
        _show(rows, listing, current, arguments)
    return 0


def _archive_of(word: str) -> "tuple[Path, Layout | None]":
    """Returns the folder of entries that is meant, and the experiment that it belongs to, where that is known."""
    from pipeline.search.archive import archive_files
    from pipeline.workflow.layout import layout_of_archive
    from pipeline.workflow.status.experiment import find_experiment

    if next(archive_files(Path(word)), None):
        return Path(word), layout_of_archive(Path(word))
    layout = find_experiment(word)
    return layout.archive, layout


def _count_as(layout: "Layout | None", arguments: argparse.Namespace) -> None:
    """Completes what the flags say of costs: by the experiment's configuration, else as the paper counts them."""
    from pipeline.common.errors import UserError
    from pipeline.common.log import log
    from pipeline.networks.latency import read_latency
    from pipeline.search.costs import DEFAULT
    from pipeline.workflow.saved_config import read_saved_config

    search: dict[str, Any] = {}
    try:
        saved = read_saved_config(layout) if layout else None
        search = saved.config["search"] if saved else {}
        if arguments.cost is None and arguments.latency_table is None and search.get("cost") == "latency":
            read_latency(Path(search["latency_table"]))
            arguments.latency_table = Path(search["latency_table"])
    except UserError as error:
        log(f"note: costs are counted in FLOPs, since how the experiment counts them is not known: {error}")
        search = {**search, "cost": DEFAULT}
    if arguments.cost is None:
        arguments.cost = search.get("cost", DEFAULT)
    if arguments.cost_width is None:
        arguments.cost_width = search.get("cost_width", PUBLISHED_WIDTH)


def _current(listing: "Listing", layout: "Layout | None") -> "SharedFacts | None":
    """Returns the settings that the experiment has now; see :mod:`pipeline.search.facts` for how they are told."""
    from pipeline.search.facts import current_facts
    from pipeline.workflow.status.experiment import known_facts

    facts = current_facts((shared.facts for shared in listing.settings), known_facts(layout) if layout else None)
    return next((shared for shared in listing.settings if shared.facts is facts), None)


def _selected(listing: "Listing", current: "SharedFacts | None", arguments: argparse.Namespace) -> "pandas.DataFrame":
    """Returns the rows that were asked for, in order, with their costs."""
    from pipeline.networks.genome import format_genome
    from pipeline.search.archive_listing import with_costs
    from pipeline.search.costs import FLOPS

    rows = listing.rows
    if arguments.genome is not None:
        _check_genes(arguments.genome, rows["genome"])
    rows = rows[rows["settings"].isin(_wanted(listing, current, arguments.settings))]
    if arguments.status is not None:
        rows = rows[rows["status"] == arguments.status]
    if arguments.min_top1 is not None:
        rows = rows[rows["top1"] >= arguments.min_top1]
    if arguments.genome is not None:
        rows = rows[rows["genome"] == format_genome(arguments.genome)]
    limit = arguments.limit if arguments.limit is not None else 0 if arguments.csv else _LINES
    costly = arguments.max_flops is not None or arguments.sort in ("fitness", "flops")
    if not costly:  # the costs of the rows that are shown are enough
        rows = _first(rows, arguments.sort, limit)
    shown = current or next(iter(listing.settings), None)
    counting = counting_for(arguments, shown.uniform.at_width(arguments.cost_width)) if shown else FLOPS
    rows = with_costs(rows, listing.settings, arguments.penalty, arguments.cost_width, counting)
    if arguments.max_flops is not None:
        rows = rows[rows["flops"] <= arguments.max_flops]
    return _first(rows, arguments.sort, limit)


def _wanted(listing: "Listing", current: "SharedFacts | None", word: str) -> list[str]:
    from pipeline.common.errors import UserError

    if word == "all":
        return [shared.digest for shared in listing.settings]
    if word == "current":
        return [current.digest] if current else []
    found = [shared.digest for shared in listing.settings if word and shared.digest.startswith(word)]
    if len(found) != 1:
        known = ", ".join(shared.digest for shared in listing.settings) or "none"
        problem = f"no entry has settings '{word}'" if not found else f"several settings begin with '{word}'"
        raise UserError(problem, f"settings in this archive: {known}")
    return found


def _check_genes(genome: "Genome", listed: "Iterable[str]") -> None:
    """Raises UserError where a genome has fewer or more genes than all that are listed."""
    from pipeline.common.errors import UserError
    from pipeline.networks.genome import parse_genome

    lengths = sorted({len(parse_genome(text)) for text in listed})
    if lengths and len(genome) not in lengths:
        raise UserError(f"--genome has {len(genome)} ratios", f"a candidate here has {' or '.join(map(str, lengths))}")


def _first(rows: "pandas.DataFrame", column: str, limit: int) -> "pandas.DataFrame":
    """Returns the first rows in the order of a column; of equals, in the order of their keys."""
    ordered = rows.sort_values([column, "key"], ascending=[_SORTS[column], True], kind="stable")
    return ordered.head(limit) if limit > 0 else ordered


def _export(rows: "pandas.DataFrame", file: str, all_rows: int) -> None:
    from pipeline.common.files import csv_cell, replacing

    rows = rows.map(csv_cell)  # a machine may be called anything
    if file == "-":
        rows.to_csv(sys.stdout, index=False, lineterminator="\n")
        return
    with replacing(Path(file)) as temporary:
        rows.to_csv(temporary, index=False, lineterminator="\n")
    print(f"{len(rows):,} of {counted(all_rows, 'candidate')} in {file}")


def _show(
    rows: "pandas.DataFrame", listing: "Listing", current: "SharedFacts | None", arguments: argparse.Namespace
) -> None:
    """Prints the list, and below it what there is besides."""
    from pipeline.common.terminal import draw, fit, width
    from pipeline.search.costs import Counting

    of_cost = Counting(arguments.cost)
    if len(rows):
        numbers = rows[["top1", "fitness", "loss", "seconds"]].astype(float)  # a column may be None throughout
        columns = {
            "genome": rows["genome"],
            "status": rows["status"],
            "top-1 %": numbers["top1"].map("{:.2f}".format),
            "fitness": numbers["fitness"].map("{:.2f}".format),
            "FLOPs": rows["flops"].map(lambda flops: f"{flops / 1e6:.4g}M"),
            f"{of_cost.title} / 1x": rows[of_cost.column].map("{:.3f}".format),
            "memory": rows["memory_bytes"].map(lambda size: f"{size / 1024:.1f} KiB"),
            "loss": numbers["loss"].map("{:.4f}".format),
            "seconds": numbers["seconds"].map("{:.1f}".format),
        }
        if rows["micro_batch"].notna().any():
            columns["micro-batch"] = rows["micro_batch"].astype("string").fillna("-")
        columns |= {name: rows[name] for name in ("machine", "settings", "key")}
        cells = zip(
            *(["-" if text == "nan" else str(text) for text in column] for column in columns.values()), strict=True
        )
        print(draw(list(columns), list(cells), left=_TEXTS, spare=_SPARE, columns=width()), end="\n\n")
    fitness = f"fitness for λ {arguments.penalty:g}, costs at base width {arguments.cost_width:g}"
    found = f"{len(rows):,} of {counted(len(listing.rows), 'candidate')}"
    print(f"{found}, by {arguments.sort}; {fitness}")
    for shared in listing.settings:
        line = f"settings {shared.digest}: {counted(shared.entries, 'candidate')}{_remark(shared, current, listing)}"
        print(fit(line, indent=4))


def _remark(shared: "SharedFacts", current: "SharedFacts | None", listing: "Listing") -> str:
    """Returns what distinguishes settings from the current ones (or the newest), by the names of facts."""
    from pipeline.search.facts import differences

    if shared is current:
        return " (current)"
    reference = current or listing.settings[0]
    return "" if shared is reference else f" (other {', '.join(differences(shared.facts, reference.facts))})"


def _warn(listing: "Listing") -> None:
    """Names what is damaged, so that nobody takes the list for complete."""
    from pipeline.common.terminal import complain

    for sentence in listing.damaged[:_DAMAGED]:
        complain(f"warning: {printable(sentence)}")
    if len(listing.damaged) > _DAMAGED:
        complain(f"warning: and {len(listing.damaged) - _DAMAGED:,} more (--check names them)")
    if listing.set_aside:
        complain(f"warning: {len(listing.set_aside):,} damaged entries were set aside earlier")


def _check(listing: "Listing", folder: Path) -> int:
    from pipeline.common.terminal import fit

    for sentence in listing.damaged:
        print(fit(f"damaged: {printable(sentence)}", indent=4))
    for path in listing.set_aside:
        print(f"set aside: {printable(str(path))}")
    total = len(listing.rows) + len(listing.damaged)
    print(
        fit(
            f"{folder}: {total:,} entries checked, {len(listing.damaged):,} damaged, {len(listing.set_aside):,} set "
            f"aside earlier, {listing.untimed:,} without a time"
        )
    )
    return 1 if listing.damaged else 0
