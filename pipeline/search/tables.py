"""The files of a search: proposed populations, their evaluations and their scores, as tables that a person can read."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple, get_args

from pipeline.common.errors import UserError, made_again
from pipeline.common.files import read_csv, read_record, write_csv, write_record
from pipeline.networks.cost import network_cost
from pipeline.networks.genome import Genome, check_ratios, format_genome, parse_genome
from pipeline.networks.spec import NetworkSpec
from pipeline.search.archive import Evaluation, Status, Timing
from pipeline.search.choice import SCORE, ChosenBy
from pipeline.search.costs import COSTS, DEFAULT, FLOPS, CostName, Counting, cost_of_column, relative_column
from pipeline.search.early_stopping import OUT_OF_REACH, Early
from pipeline.search.individual import Individual
from pipeline.search.origins import is_plain_word

#: Stands for the column of the relative cost, which is called by what is counted: see :func:`columns_for`.
_RELATIVE = relative_column(DEFAULT)

#: The columns of tables if cost is FLOPs; :func:`columns_for` gives those of other costs.
POPULATION = ("slot", "genome", "origin", "flops", _RELATIVE, "memory_bytes")
EVALUATIONS = ("slot", "genome", "status", "top1", "loss", "reason", "micro_batch")
SCORES = ("slot", "genome", "origin", "status", "top1", _RELATIVE, "fitness", "reason", "micro_batch")
#: Columns that tables from before there were any may lack.
_ADDED = ("micro_batch", "arithmetic")
#: Further columns of the tables of searches that stop candidates early: in populations the top-1 with which one goes on
#: after its first epochs, empty for any; in evaluations and scores the one that it had. Both in percent.
NEEDED_TOP1, PARTIAL_TOP1 = "needed_top1", "partial_top1"
TIMINGS = ("slot", "genome", "seconds", "reused", "shard", "machine", "arithmetic")


@dataclass(frozen=True)
class RunBest:
    """The genome of highest fitness in one run of a search.

    Attributes:
        run: its name.
        genome: that it chose.
        selected: its fitness in the search, where chance had a part in its being the highest.
        rescored: its fitness when it was trained and scored anew; None where that was not done.
    """

    run: str
    genome: Genome
    selected: float
    rescored: float | None = None


@dataclass(frozen=True)
class Best:
    """The genome that a search is taken to have found, and where it was found.

    Attributes:
        search: its name.
        genome: that it found.
        top1: in percent: the mean over ``rescorings``; where there are none, what it was chosen by.
        relative_cost: as in Eq. 4.
        fitness: of ``top1``.
        generation, slot: where the run that found it first trained it.
        evaluations: distinct candidates of all runs of the search.
        micro_batch: as in its evaluation.
        rescorings: trainings from other seeds, scored on images on which nothing was selected.
        finalists: genomes that were scored anew.
        selected: the fitness of its score in the search; None where that is ``fitness``.
        runs: the best of each run.
        cost: what the relative cost is of.
        chosen_by: by what it, or the finalists, were chosen from the candidates.
        undirected: whether all candidates were drawn at random; not in its record, but seen in the search's tables.
        failed: candidates without a score since something failed that is of the machine, such as its memory; likewise.
        admitted: scored candidates that could be the answer to what was asked, where not all can; likewise.
        alike: the score, in percent, that all candidates have, of two at least; None where they differ; likewise.
    """

    search: str
    genome: Genome
    top1: float
    relative_cost: float
    fitness: float
    generation: int
    slot: int
    evaluations: int
    micro_batch: int | None = None
    rescorings: int = 0
    finalists: int = 0
    selected: float | None = None
    runs: tuple[RunBest, ...] = ()
    cost: CostName = DEFAULT
    chosen_by: ChosenBy = SCORE
    undirected: bool = False
    failed: int = 0
    admitted: int | None = None
    alike: float | None = None


def needed(columns: Sequence[str]) -> tuple[str, ...]:
    """Returns the columns of ``EVALUATIONS`` and the like that a table must have to be read, a relative cost apart."""
    return tuple(column for column in columns if column not in (*_ADDED, _RELATIVE))


def columns_for(columns: Sequence[str], cost: CostName) -> tuple[str, ...]:
    """Returns the columns of a table in which relative costs are of ``cost``.

    >>> columns_for(("genome", "relative_flops"), "latency")
    ('genome', 'relative_latency')
    """
    return tuple(relative_column(cost) if column == _RELATIVE else column for column in columns)


def relative_cost(row: Mapping[str, str]) -> str:
    """Returns the cell of a row's relative cost, whatever cost it is of. Raises KeyError if it has none."""
    return row[relative_column(cost_of_column(row) or DEFAULT)]


def population_row(slot: int, spec: NetworkSpec, origin: str, counting: Counting = FLOPS) -> dict[str, Any]:
    """Returns a line of a population, with the columns ``columns_for(POPULATION, counting.cost)``."""
    cost = network_cost(spec)
    values = (slot, format_genome(spec.genome), origin, cost.flops, counting.relative(spec), cost.bytes)
    return dict(zip(columns_for(POPULATION, counting.cost), values, strict=True))


def read_population(path: Path, genes: int | None, ratios: Sequence[float]) -> list[dict[str, Any]]:
    """Returns the proposed genomes in the order of their slots; ``genes`` None leaves their length unchecked.

    Raises:
        UserError: a row is not one that a search can have written; it names the row.
    """
    rows, cost = read_costed(path, POPULATION)
    relative = relative_column(cost)
    seen: set[Genome] = set()
    population = []
    for slot, row in enumerate(rows):
        where = f"row {slot + 1} of {path}"
        remedy = made_again()
        try:
            genome = parse_genome(row["genome"])
            check_ratios(genome, ratios)
        except UserError as error:
            raise UserError(f"{where}: {error}", remedy) from None
        if genes is not None and len(genome) != genes:
            raise UserError(f"{where}: genome {row['genome']} has {len(genome)} genes, not {genes}", remedy)
        if genome in seen:
            raise UserError(f"{where}: genome {row['genome']} stands there twice", remedy)
        if row["slot"] != str(slot):
            raise UserError(f"{where}: slot {row['slot']!r} should be {slot}", remedy)
        if not is_plain_word(row["origin"]):
            raise UserError(f"{where}: origin is '{row['origin']}'", remedy)
        for column in ("flops", "memory_bytes"):
            _number(row, column, where)
        seen.add(genome)
        population.append({**row, "genome": genome, relative: _number(row, relative, where)})
    return population


def read_costed(path: Path, columns: Sequence[str]) -> tuple[list[dict[str, str]], CostName]:
    """Reads a table with relative costs, and says what these are of.

    Raises:
        UserError: the file is missing or no such table.
    """
    rows = read_csv(path, needed(columns))
    cost = cost_of_column(rows[0]) if rows else DEFAULT
    if cost is None:
        raise UserError(f"{path} has no column '{' or '.join(map(relative_column, COSTS))}'", made_again())
    return rows, cost


def check_genome(genome: Genome, genes: int, ratios: Sequence[float], path: Path) -> None:
    """Raises UserError where a genome in the file ``path`` is none of this search's space."""
    if len(genome) != genes or not set(genome) <= set(ratios):
        raise UserError(f"{path}: genome {format_genome(genome)} is not of this search's space", made_again())


def read_individuals(path: Path) -> list[Individual]:
    """Returns the genomes of a generation, from its scores or, without a top-1 yet, from its population.

    Raises:
        UserError: the file holds no such table.
    """
    individuals = []
    rows, cost = read_costed(path, ("genome",))
    for line, row in enumerate(rows, start=2):
        where = f"line {line} of {path}"
        top1 = _number(row, "top1", where, most=100) if row.get("top1") else None
        try:
            genome = parse_genome(row["genome"])
        except UserError as error:
            raise UserError(f"{where}: {error}", made_again()) from None
        individuals.append(Individual(genome, top1, _number(row, relative_column(cost), where)))
    return individuals


class Scored(NamedTuple):
    """A candidate of a run that has a score, and where it was trained."""

    individual: Individual
    generation: int
    slot: int
    micro_batch: int | None = None


def read_scored(path: Path) -> list[Scored]:
    """Reads the candidates of a run that have a score, from its history.

    Raises:
        UserError: the file is missing, or it is no search's history.
    """
    scored = []
    rows = read_csv(path, ("generation", "slot"))
    for line, (row, individual) in enumerate(zip(rows, read_individuals(path), strict=True), start=2):
        if individual.top1 is None:
            continue
        where = f"line {line} of {path}"
        generation, slot = (int(_number(row, column, where)) for column in ("generation", "slot"))
        batch = int(_number(row, "micro_batch", where)) if row.get("micro_batch") else None
        scored.append(Scored(individual, generation, slot, batch))
    return scored


def mean_top1(accuracies: Sequence[float]) -> float:
    """Returns the mean of accuracies that were written with four digits; of several, the three that are certain of it.

    Networks that answer as many images rightly have one mean, however these are spread over their trainings.

    >>> mean_top1([33.3333, 33.3333]) == mean_top1([27.7778, 38.8889]), mean_top1([90.3333, 89.3333, 90.3333])
    (True, 90.0)
    """
    return accuracies[0] if len(accuracies) == 1 else round(fmean(accuracies), 3)


def read_new_scores(path: Path) -> dict[Genome, float | None]:
    """Reads the top-1 of each candidate in a table of evaluations, in percent; None for one that diverged.

    Raises:
        UserError: the file holds no such table, or a candidate failed for a reason of the machine.
    """
    scores: dict[Genome, float | None] = {}
    for row in read_evaluations([path]).values():
        if row["status"] == "failed":
            raise UserError(f"{path}: candidate {row['genome']} failed ({row['reason']})", made_again())
        scores[parse_genome(row["genome"])] = float(row["top1"]) if row["top1"] else None
    return scores


def read_micro_batch(path: Path, slot: int) -> int | None:
    """Returns how many images were computed at once for a candidate in a table of scores; None for whole batches.

    Raises:
        UserError: the file holds no such table.
    """
    row = read_csv(path, needed(SCORES))[slot]
    return int(_number(row, "micro_batch", f"line {slot + 2} of {path}")) if row.get("micro_batch") else None


def read_needed(path: Path) -> dict[Genome, float]:
    """Reads from a population which top-1 in percent its candidates need after their first epochs in order to go on;
    those that need none are left out.

    Raises:
        UserError: the file holds no such table.
    """
    rows = read_csv(path, ("genome",))
    lines = ((f"line {line} of {path}", row) for line, row in enumerate(rows, start=2) if row.get(NEEDED_TOP1))
    return {parse_genome(row["genome"]): _number(row, NEEDED_TOP1, where, most=OUT_OF_REACH) for where, row in lines}


def read_early(path: Path) -> list[Early]:
    """Reads from a table of scores the candidates that were scored after their first epochs too.

    Raises:
        UserError: the file holds no such table, or none of a search that stops candidates early.
    """
    rows, cost = read_costed(path, ("genome", "top1", PARTIAL_TOP1))
    lines = ((f"line {line} of {path}", row) for line, row in enumerate(rows, start=2) if row[PARTIAL_TOP1])
    return [
        Early(
            Individual(
                parse_genome(row["genome"]),
                _number(row, "top1", where, most=100) if row["top1"] else None,
                _number(row, relative_column(cost), where),
            ),
            _number(row, PARTIAL_TOP1, where, most=100),
        )
        for where, row in lines
    ]


def evaluation_row(slot: int, evaluation: Evaluation) -> dict[str, Any]:
    """Returns a line of a shard's table of evaluations."""
    return {
        "slot": slot,
        "genome": format_genome(evaluation.genome),
        "status": evaluation.status,
        "top1": evaluation.top1,
        "loss": evaluation.loss,
        "reason": evaluation.reason,
        "micro_batch": evaluation.micro_batch,
        **({} if evaluation.partial_top1 is None else {PARTIAL_TOP1: evaluation.partial_top1}),
    }


def read_evaluations(paths: Sequence[Path]) -> dict[int, dict[str, str]]:
    """Returns the lines of all shards of a generation, by slot. Raises UserError for one that no evaluation has
    written.
    """
    evaluations = {}
    for path in paths:
        for line, row in enumerate(read_csv(path, needed(EVALUATIONS)), start=2):
            where = f"line {line} of {path}"
            if not row["slot"].isdigit() or row["status"] not in get_args(Status):
                raise UserError(f"{where}: slot '{row['slot']}' with status '{row['status']}'", made_again())
            if (row["status"] == "ok") != bool(row["top1"]):
                raise UserError(f"{where}: status '{row['status']}' with top1 '{row['top1']}'", made_again())
            for column in ("top1", PARTIAL_TOP1):
                if row.get(column):
                    _number(row, column, where, most=100)
            evaluations[int(row["slot"])] = row
    return evaluations


def timing_row(slot: int, genome: Genome, timing: Timing, *, reused: bool, shard: int) -> dict[str, Any]:
    """Returns a line of a shard's table of what each candidate took; ``reused`` where the archive had it."""
    return {
        "slot": slot,
        "genome": format_genome(genome),
        "seconds": timing.seconds,
        "reused": int(reused),
        "shard": shard,
        "machine": timing.machine,
        "arithmetic": timing.arithmetic,
    }


def join_generations(tables: Sequence[Path], columns: Sequence[str], joined: Path) -> None:
    """Writes the tables of all generations, the first one first, as one with the generation's number in front."""
    rows = [
        {"generation": generation, **row}
        for generation, path in enumerate(tables)
        for row in read_csv(path, needed(columns))
    ]
    cost = (cost_of_column(rows[0]) if rows else None) or DEFAULT
    further = tuple(column for column in (PARTIAL_TOP1,) if rows and column in rows[0])
    write_csv(joined, ("generation", *columns_for(columns, cost), *further), rows)


def write_best(path: Path, best: Best) -> None:
    """Writes what a search found."""
    runs = [{**asdict(run), "genome": format_genome(run.genome)} for run in best.runs]
    record = {**asdict(best), "genome": format_genome(best.genome), "runs": runs}
    del record["cost"], record["undirected"], record["failed"], record["admitted"], record["alike"]
    if best.chosen_by == SCORE:
        del record["chosen_by"]
    write_record(path, {relative_column(best.cost) if key == "relative_cost" else key: record[key] for key in record})


def read_best(path: Path) -> Best:
    """Reads what a search found. Raises UserError for what is no such record, or was changed after it was written."""
    record = read_record(path)
    try:
        runs = tuple(RunBest(**{**run, "genome": parse_genome(run["genome"])}) for run in record.get("runs", ()))
        cost = cost_of_column(record) or DEFAULT
        relative = {"relative_cost": record.pop(relative_column(cost)), "cost": cost}
        return Best(**{**record, **relative, "genome": parse_genome(record["genome"]), "runs": runs})
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{path} does not say what a search found", made_again()) from None


def read_genome(path: Path) -> Genome:
    """Reads the genome that a search found, or that was chosen as a control. Raises UserError for no such record."""
    record = read_record(path)
    try:
        return parse_genome(record["genome"])
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{path} names no genome", made_again()) from None


def _number(row: Mapping[str, str], column: str, where: str, most: float = float("inf")) -> float:
    try:
        value = float(row[column])
    except ValueError:
        value = float("nan")
    if not 0 <= value <= most or value == float("inf"):
        raise UserError(f"{where}: {column} is '{row[column]}'", made_again())
    return value
