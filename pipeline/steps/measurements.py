"""The files that tables and figures read: the rows, the searches, and what was measured of them."""

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.steps.options import add_asked, add_cost, add_cost_width, counting_for, path, read_chosen

if TYPE_CHECKING:
    from pipeline.networks.genome import Genome
    from pipeline.report.proxy import ProxyPoint
    from pipeline.report.rows import Control, Given, Row, Search
    from pipeline.search.individual import Individual
    from pipeline.search.tables import Best


#: The origin of a candidate in which no score had a part.
_AT_RANDOM = "random"
#: The status of one that was not trained, for a reason of the machine.
_FAILED = "failed"


def add_measurements(parser: argparse.ArgumentParser, *, complete: bool = True) -> None:
    """Declares the flags that tables and figures share: the rows, the searches, and what was measured of them.

    Args:
        parser: gets them.
        complete: whether there must be an evaluation.
    """
    models = "rows in their order: MODEL, or for what a search found also its algorithm and weight of the cost (Eq. 4)"
    parser.add_argument(
        "--models", nargs="+", type=_model, required=True, metavar="MODEL[=ALGORITHM:LAMBDA]", help=models
    )
    parser.add_argument(
        "--controls",
        nargs="*",
        type=_control,
        default=[],
        metavar="MODEL=CONTROL:FOUND",
        help="rows of equal cost: uniform or first-layer, and the row that they control",
    )
    parser.add_argument(
        "--given",
        nargs="*",
        type=_given,
        default=[],
        metavar="MODEL=GENOME",
        help="rows whose genome the configuration gives; MODEL=GENOME:full-precision for real weights and activations",
    )
    searches = "algorithm of every run and its λ of Eq. 4, or (ALGORITHM|OBJECTIVE|FLAGS) another objective"
    parser.add_argument(
        "--searches",
        nargs="*",
        type=_search,
        default=[],
        metavar="SEARCH=ALGORITHM:LAMBDA",
        help=searches,
    )
    evaluations = "accuracy of every training of every row on the test set (JSON)"
    of_trainings(parser, "--evaluations", evaluations, complete=complete)
    of_searches(parser, "--scores", "scored candidates of every search (CSV)")
    of_searches(parser, "--found", "what was found for every such row (JSON)", metavar="MODEL=FILE")
    of_searches(parser, "--chosen", "the genome that was chosen for every control (JSON)", metavar="MODEL=FILE")
    add_asked(parser, "--asked", "evaluations of networks")
    several(parser, "--sample-scores", "random genomes scored as candidates, a file for each repetition (CSV)")
    several(parser, "--sample-trained", "the same genomes trained in full, a file for each repetition (CSV)")
    add_cost_width(parser, default=None)
    add_cost(parser)
    parser.add_argument("--published", help="put a published table beside it: table1 or table2")


def of_trainings(parser: argparse.ArgumentParser, flag: str, help: str, *, complete: bool = True) -> None:
    """Declares a flag that takes a file of every training of every row; of some or none if not ``complete``."""
    how: dict[str, Any] = {"nargs": "+", "required": True} if complete else {"nargs": "*", "default": []}
    parser.add_argument(flag, **how, type=_of_training, metavar="MODEL:SEED=FILE", help=help)


def of_searches(parser: argparse.ArgumentParser, flag: str, help: str, metavar: str = "SEARCH=FILE") -> None:
    """Declares a flag that takes a file of every search, of which there may be none."""
    parser.add_argument(flag, nargs="*", default=[], type=_of_search, metavar=metavar, help=help)


def several(parser: argparse.ArgumentParser, flag: str, help: str) -> None:
    """Declares a flag that takes any number of files, none included."""
    path(parser, flag, help, required=False, nargs="*", default=[])


class OfTraining(NamedTuple):
    """A file about one training of a row."""

    model: str
    seed: int
    path: Path


class OfSearch(NamedTuple):
    """A file about a search."""

    search: str
    path: Path


def _of_training(text: str) -> OfTraining:
    label, _, file = text.partition("=")
    model, _, seed = label.partition(":")
    if not (model and seed.isdecimal() and file):
        raise argparse.ArgumentTypeError(f"'{text}' is not MODEL:SEED=FILE")
    return OfTraining(model, int(seed), Path(file))


def _of_search(text: str) -> OfSearch:
    search, _, file = text.partition("=")
    if not (search and file):
        raise argparse.ArgumentTypeError(f"'{text}' is not SEARCH=FILE")
    return OfSearch(search, Path(file))


def _model(text: str) -> "tuple[str, Search | None]":
    return (text.partition("=")[0], _search(text)) if "=" in text else (text, None)


def _control(text: str) -> "tuple[str, Control, str]":
    model, _, what = text.partition("=")
    control, _, found = what.partition(":")
    if found and control == "uniform":
        return model, "uniform", found
    if found and control == "first-layer":
        return model, "first-layer", found
    raise argparse.ArgumentTypeError(f"'{text}' is not MODEL=CONTROL:FOUND, such as uniform-iso-A=uniform:found-A")


def _given(text: str) -> "tuple[str, Given]":
    from pipeline.common.errors import UserError
    from pipeline.networks.genome import parse_genome
    from pipeline.report.rows import Given

    model, _, what = text.partition("=")
    genome, _, precision = what.partition(":")
    try:
        if precision in ("", "full-precision"):
            return model, Given(parse_genome(genome), not precision)
    except UserError:
        pass
    raise argparse.ArgumentTypeError(f"'{text}' is not MODEL=GENOME, such as uniform-2x=2,2,2,2,2,2")


def _search(text: str) -> "Search":
    from pipeline.common.errors import UserError
    from pipeline.report.rows import Search
    from pipeline.search.algorithms import ALGORITHMS
    from pipeline.search.objectives import DEFAULT, OBJECTIVES, Objective

    name, _, how = text.partition("=")
    if "|" in how:
        algorithm, _, rest = how.partition("|")
        objective, _, words = rest.partition("|")
    else:  # Eq. 4, by its λ
        algorithm, _, penalty = how.rpartition(":")
        objective, words = DEFAULT, f"--lambda {penalty}"
    try:
        ALGORITHMS.check(algorithm)
        (settings,) = read_chosen(shlex.split(words), OBJECTIVES[objective].Settings)
    except UserError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is no search such as A=evolution:4 ({error})") from None
    return Search(name, algorithm, Objective(objective, settings))


def read_rows(arguments: argparse.Namespace) -> "list[Row]":
    """Returns the rows of the table, from the flags of ``add_measurements``.

    Raises:
        UserError: a file is missing or damaged, or a row has no evaluation.
    """
    from pipeline.report.collect import collect_rows
    from pipeline.report.inputs import read_measurement
    from pipeline.report.rows import ControlOf, Given, Search
    from pipeline.search.tables import read_best, read_genome

    searches = dict(arguments.models)
    found = {
        model: _with_candidates(read_best(path), searches.get(model), arguments.scores)
        for model, path in arguments.found
    }
    models: dict[str, Search | ControlOf | Given | None] = {
        model: search and replace(search, name=getattr(found.get(model), "search", model), best=found.get(model))
        for model, search in arguments.models
    }
    chosen = {model: read_genome(path) for model, path in arguments.chosen}
    models.update({model: ControlOf(of, control, chosen.get(model)) for model, control, of in arguments.controls})
    models.update({model: given for model, given in arguments.given if model in models})
    measurements = [read_measurement(*file) for file in arguments.evaluations]
    specs = [measurement.spec.at_width(arguments.cost_width) for measurement in measurements]
    counting = counting_for(arguments, next((spec for spec in specs if spec.binary), specs[0]))
    width, published = arguments.cost_width, arguments.published
    return collect_rows(models, measurements, published, width, counting, arguments.asked)


def _with_candidates(best: "Best", search: "Search | None", scores: Sequence[OfSearch]) -> "Best":
    """Returns what a search found, with whether any of its candidates came from others' scores, how many failed, how
    many could be the answer to what was asked, and whether all have one score.

    Args:
        best: as its record says it.
        search: that it was found by, or for; None where that is not known.
        scores: the candidates of every run of every search, as far as they are there.
    """
    from pipeline.common.files import read_csv
    from pipeline.search.tables import read_individuals

    runs = {best.search, *(one.run for one in best.runs)}
    files = [file.path for file in scores if file.search in runs]
    rows = [row for file in files for row in read_csv(file, ("generation",))]
    failed = {row.get("genome") for row in rows if row.get("status") == _FAILED}
    failed -= {row.get("genome") for row in rows if row.get("status") != _FAILED}  # another run had the memory
    admitted = None
    if search is not None and files and search.objective.admits_some:
        scored = (one for file in files for one in read_individuals(file) if one.top1 is not None)
        admitted = len({one.genome for one in scored if search.objective.admits(one)})
    undirected = {row.get("origin") for row in rows} == {_AT_RANDOM}
    known = {row["genome"]: float(row["top1"]) for row in rows if row.get("top1")}
    alike = next(iter(known.values())) if len(known) > 1 and len({*known.values()}) == 1 else None
    return replace(best, undirected=undirected, failed=len(failed), admitted=admitted, alike=alike)


def read_searches(arguments: argparse.Namespace) -> "dict[str, Search]":
    """Returns the runs of searches by name."""
    return {search.name: search for search in arguments.searches}


def read_generations(files: Sequence[OfSearch]) -> "dict[str, list[list[Individual]]]":
    """Reads the scored candidates of each search, by generation.

    Raises:
        UserError: a file is missing, or it is no search's history.
    """
    from pipeline.report.inputs import read_history

    return {file.search: read_history(file.path) for file in files}


def read_scores(arguments: argparse.Namespace) -> "list[tuple[Genome, float]]":
    """Reads what every candidate of every search scored."""
    generations = read_generations(arguments.scores)
    individuals = [individual for search in generations.values() for generation in search for individual in generation]
    return [(individual.genome, individual.top1) for individual in individuals if individual.top1 is not None]


def read_sample(arguments: argparse.Namespace, rows: "Sequence[Row]") -> "list[ProxyPoint]":
    """Reads the random genomes on which the proxy is judged; those that diverged anywhere are left out, and counted by
    :func:`count_diverged`.

    Args:
        arguments: with the flags of ``add_measurements``.
        rows: of the table, which know how costs are counted.
    """
    from pipeline.report.proxy import ProxyPoint
    from pipeline.search.tables import read_new_scores

    scores, trained = (
        [read_new_scores(path) for path in paths] for paths in (arguments.sample_scores, arguments.sample_trained)
    )
    points = []
    for genome in scores[0] if scores and trained else ():
        values = [tuple(one.get(genome) for one in tables) for tables in (scores, trained)]
        known = [tuple(value for value in part if value is not None) for part in values]
        if [len(part) for part in known] == [len(part) for part in values]:
            cost = rows[0].counting.relative(rows[0].counted_spec.with_genome(genome))
            points.append(ProxyPoint(genome, cost, *known))
    return points


def count_diverged(arguments: argparse.Namespace) -> int:
    """Returns of how many random genomes a training diverged, as a candidate or in full; arguments as above."""
    from pipeline.search.tables import read_new_scores

    both = arguments.sample_scores and arguments.sample_trained
    tables = [read_new_scores(path) for path in (*arguments.sample_scores, *arguments.sample_trained)] if both else []
    return len({genome for table in tables for genome, top1 in table.items() if top1 is None})
