"""An archive of candidates as a table: every entry with its cost and fitness, to choose from, sort and export.

Reading is one pass over the files; costs are counted for the rows that need them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.common.digests import digest_of
from pipeline.common.errors import UserError
from pipeline.networks.cost import network_cost
from pipeline.networks.genome import format_genome, parse_genome
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.search.archive import archive_files, read_entry, read_timing
from pipeline.search.costs import DEFAULT, FLOPS, Counting, relative_column
from pipeline.search.objectives.fitness import fitness
from pipeline.search.tables import columns_for

if TYPE_CHECKING:
    import pandas

#: Characters of the digest of an entry's facts by which its settings are called.
_DIGITS = 8
#: Of a listing. top1 in percent, seconds of the training; 'settings' is a digest of the facts, micro_batch empty for
#: whole batches, partial_top1 where candidates are not scored before their end.
COLUMNS = (
    "key",
    "settings",
    "genome",
    "status",
    "top1",
    "loss",
    "reason",
    "micro_batch",
    "partial_top1",
    "seconds",
    "machine",
)
#: Operations for one image, the cost of Eq. 4 over that of uniform-1x (called by what it is of), bytes of weights.
COSTS = ("flops", relative_column(DEFAULT), "memory_bytes")


@dataclass
class SharedFacts:
    """Entries that share their facts: which, how many there are, and when the newest was written."""

    digest: str
    facts: dict[str, Any]
    uniform: NetworkSpec
    entries: int = 0
    newest: float = float("-inf")


@dataclass(frozen=True)
class Listing:
    """The content of an archive's folder.

    Attributes:
        rows: a table of the entries that could be read, with ``COLUMNS``.
        settings: the different facts, those of the newest entry first.
        damaged: what is wrong with those that could not be read, one sentence each.
        set_aside: entries that were found damaged earlier, and moved out of the way.
    """

    rows: "pandas.DataFrame"
    settings: tuple[SharedFacts, ...]
    damaged: tuple[str, ...]
    set_aside: tuple[str, ...]

    @property
    def untimed(self) -> int:
        """Entries of which it is not known what they took."""
        return int(self.rows["seconds"].isna().sum())


def read_archive(folder: Path) -> Listing:
    """Reads every entry and checks it: its record, its score's bounds, its key and its network.

    Raises:
        UserError: there is no such folder.
    """
    import pandas

    if not folder.is_dir():
        raise UserError(f"there is no archive {folder}", "name an experiment, its folder, or its archive's folder")
    rows: list[tuple[Any, ...]] = []
    settings: dict[str, SharedFacts] = {}
    damaged, set_aside = [], []
    for file in archive_files(folder):
        path = Path(file.path)
        if path.suffix == ".damaged":
            set_aside.append(str(path))
        elif path.suffix == ".json":
            try:
                rows.append(_row(path, file.stat().st_mtime, settings))
            except FileNotFoundError:  # set aside or replaced since it was listed
                continue
            except UserError as error:
                damaged.append(str(error))
    newest_first = sorted(settings.values(), key=lambda shared: (-shared.newest, shared.digest))
    table = pandas.DataFrame(rows, columns=list(COLUMNS)).astype({"micro_batch": "Int64"})
    return Listing(table, tuple(newest_first), tuple(sorted(damaged)), tuple(sorted(set_aside)))


def _row(path: Path, modified: float, settings: dict[str, SharedFacts]) -> tuple[Any, ...]:
    """Returns a row of the table; counts it among the entries of its settings."""
    entry = read_entry(path)
    genome = entry.evaluation.genome
    digest = digest_of(entry.facts)[:_DIGITS]
    try:
        shared = settings.get(digest) or SharedFacts(digest, entry.facts, _uniform(entry.facts))
        _ = shared.uniform.with_genome(genome).widths
    except (UserError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged", f"its network makes no sense, {error}") from None
    shared.entries += 1
    shared.newest = max(shared.newest, modified)
    settings[digest] = shared
    timing = read_timing(path.with_suffix(".timing"))
    _, *outcome = vars(entry.evaluation).values()
    took = (timing.seconds, timing.machine) if timing else (None, None)
    return (entry.key, digest, format_genome(genome), *outcome, *took)


def _uniform(facts: Mapping[str, Any]) -> NetworkSpec:
    """Returns the uniform 1x network of an entry's facts."""
    network = facts["network"]
    spec = NetworkSpec.from_record({**network, "genome": uniform_genome(network["network"], 1)})
    _ = spec.layers
    return spec


def with_costs(
    rows: "pandas.DataFrame",
    settings: Sequence[SharedFacts],
    penalty: float,
    cost_width: float,
    counting: Counting = FLOPS,
) -> "pandas.DataFrame":
    """Returns the rows with ``COSTS``, counted at base width ``cost_width``, and the fitness for λ = ``penalty``."""
    import pandas

    counted = {shared.digest: shared.uniform.at_width(cost_width) for shared in settings}
    named = zip(rows["settings"], rows["genome"], strict=True)
    costs = [_costs(counted[digest].with_genome(parse_genome(genome)), counting) for digest, genome in named]
    columns = list(columns_for(COSTS, counting.cost))
    costed = rows.join(pandas.DataFrame(costs, columns=columns, index=rows.index, dtype=float))
    scored = zip(
        costed["top1"].astype(object).where(costed["top1"].notna(), None), costed[counting.column], strict=True
    )
    return costed.assign(fitness=[round(fitness(top1, relative, penalty), 6) for top1, relative in scored])


def _costs(spec: NetworkSpec, counting: Counting) -> tuple[float, float, float]:
    cost = network_cost(spec)
    return cost.flops, counting.relative(spec), cost.bytes
