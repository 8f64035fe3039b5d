"""The verdicts of an experiment about every searched network, in sentences: was the search worth it?

The first sentence is about the uniform network of equal cost, since widening all layers alike is what anybody can do
without a search. All comparisons of a table share one error rate (:mod:`pipeline.report.statistics`).
"""

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.common.text import counted
from pipeline.networks.genome import format_genome
from pipeline.report.rows import Row, Search
from pipeline.report.statistics import Difference, Interval95, compare, independent_difference, seeds_to_tell
from pipeline.search.choice import MODEL
from pipeline.search.costs import DEFAULT as COST
from pipeline.search.objectives import DEFAULT
from pipeline.search.tables import RunBest

#: A difference that a reader would want to know of, in points: how many seeds would show it is told.
WORTH_KNOWING = 1.0
#: The least share of a row's cost with which a control is of equal cost. Widths are whole channels, of which a narrow
#: network has few: the next wider control may cost twice as much, and a better row than a cheaper one says nothing.
_EQUAL = 0.9
#: What a control's cost is called beside that of its row. Measured times need not grow with every channel, so that even
#: the narrowest uniform network can take longer.
_CHEAPER, _ALIKE, _DEARER = "at most equal cost", "equal cost", "higher cost"
#: Why it is not equal.
_WHY = {
    _CHEAPER: " Channels are too few here for one of equal cost.",
    _ALIKE: "",
    _DEARER: " No uniform network here is as cheap.",
}


class Comparison(NamedTuple):
    """One row beside another: how far the first lies above the second in accuracy."""

    row: Row
    other: Row
    difference: Difference


class Verdict(NamedTuple):
    """The verdict of an experiment about one searched network, in sentences."""

    model: str
    headline: str
    sentences: tuple[str, ...]


def comparisons(rows: Sequence[Row]) -> list[Comparison]:
    """Returns every comparison of the table, corrected for their number: each judged row with its rivals."""
    pairs = [(row, other) for row in _judged(rows) for other in _rivals(row, rows)]
    differences = compare([(row.sample, other.sample) for row, other in pairs])
    return [Comparison(*pair, difference) for pair, difference in zip(pairs, differences, strict=True)]


def _judged(rows: Sequence[Row]) -> list[Row]:
    """Returns the rows that searches found; those of baselines only if there are no others."""
    searched = [row for row in rows if row.search is not None]
    return [row for row in searched if row.search and not row.search.baseline] or searched


def _rivals(row: Row, rows: Sequence[Row]) -> list[Row]:
    """Returns the equal-cost controls first, or the nearest uniform row for want of one, then the baselines."""
    controls = _controls(row, rows)
    # A uniform network is its own control: better than a narrower one is what any wider one is.
    itself = len(set(row.spec.genome)) == 1
    if not itself and not any(one.control_of and one.control_of.control == "uniform" for one in controls):
        controls = [*_dearest_within(row, rows), *controls]
    return [*controls, *(other for other in _baselines(row, rows) if not _same_network(other, row))]


def _same_network(one: Row, other: Row) -> bool:
    """Returns whether two rows are of one network: narrow layers can have as many channels by other ratios."""
    return (one.spec.widths, one.spec.binary) == (other.spec.widths, other.spec.binary)


def _controls(row: Row, rows: Sequence[Row]) -> list[Row]:
    mine = [other for other in rows if other.control_of and other.control_of.model == row.model]
    # The uniform one first. A control that is the network itself, such as of a uniform one, says nothing.
    ordered = sorted(mine, key=lambda other: other.control_of is None or other.control_of.control != "uniform")
    return [other for other in ordered if not _same_network(other, row)]


def _dearest_within(row: Row, rows: Sequence[Row]) -> list[Row]:
    within = [other for other in rows if other.kind == "uniform" and other.weighed_cost <= row.weighed_cost]
    within = [other for other in within if not _same_network(other, row) and other.recipe == row.recipe]
    return [max(within, key=lambda other: other.weighed_cost)] if within else []


def _baselines(row: Row, rows: Sequence[Row]) -> list[Row]:
    """Returns what a baseline found for the same objective; nothing for a baseline itself."""
    if row.search is None or row.search.baseline:
        return []
    baselines = [other for other in rows if other.search is not None and other.search.baseline]
    return [other for other in baselines if other.search and other.search.objective == row.search.objective]


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """Returns, for every row that a search found, whether it was worth it."""
    made = comparisons(rows)
    return [_verdict(row, [one for one in made if one.row is row], _baselines(row, rows)) for row in _judged(rows)]


def _verdict(row: Row, made: Sequence[Comparison], baselines: Sequence[Row]) -> Verdict:
    search = row.search
    assert search is not None
    sentences = [*_undirected(search), *_failed(search), *_alike(search), *_worth_nothing(search)]
    sentences += _below_asked(search)
    sentences.append(_against_uniform(row, made))
    sentences += [_against_first_layer(one) for one in made if _control(one) == "first-layer"]
    for other in baselines:
        sentences += _against_baseline(row, other, next((one for one in made if one.other is other), None))
    if not search.baseline and not baselines:
        sentences.append(
            f"No row comes from a baseline search of the same {_goal(row)}, so what this one adds is not known."
        )
    if search.best and search.best.micro_batch:
        sentences.append(
            f"In the search it was trained in micro-batches of {search.best.micro_batch} images, since memory did not "
            "hold a batch: its score there compares with the others' only roughly."
        )
    return Verdict(row.model, _headline(row), tuple(sentences))


def _undirected(search: Search) -> list[str]:
    """Says that a search has drawn all its candidates at random, since it ended before it looked at a score."""
    if search.baseline or search.best is None or not search.best.undirected:
        return []
    return [
        "All its candidates were drawn at random: they were too few for it to look at a score, so this is nothing else "
        "than a random search."
    ]


def _failed(search: Search) -> list[str]:
    """Says how many of a search's candidates have no score since something failed on the machine."""
    best = search.best
    if best is None or not best.failed:
        return []
    return [
        f"Of the {best.evaluations} candidates of {search.title} {best.failed} failed for want of memory or another "
        "reason of the machine, and have no score: what they are worth it does not know. Its table of scores says why."
    ]


def _alike(search: Search) -> list[str]:
    """Says that all candidates of a search have one score, as networks have that give one answer to all images."""
    if search.best is None or search.best.alike is None:
        return []
    chosen = "the finalists were chosen" if search.best.finalists else "it was chosen"
    return [
        f"All candidates of {search.title} have the same score, {search.best.alike:.2f} %: {chosen} by cost alone. "
        "Longer trainings of candidates, or more images, may tell them apart."
    ]


def _worth_nothing(search: Search) -> list[str]:
    """Says that no candidate of a search by Eq. 4 has a fitness above 0, since it then has the cheapest of all."""
    best = search.best
    if best is None or search.objective.name != DEFAULT:
        return []
    if max([best.fitness, *(run.selected for run in best.runs)]) > 0:  # the first by scores anew, or by a model
        return []
    return [
        f"No candidate's fitness is above 0 with {search.objective.title}: cost outweighs accuracy everywhere, so that "
        "all are equal, and the cheapest was taken. A smaller λ tells them apart."
    ]


def _below_asked(search: Search) -> list[str]:
    """Says that a search for an accuracy has not found one, since it then has the most accurate one it has seen."""
    best, asked = search.best, getattr(search.objective.settings, "min_top1", None)
    if best is None or asked is None or best.top1 >= asked:
        return []
    anew, one = (" when scored anew", "finalist") if best.rescorings else ("", "candidate")
    if best.chosen_by == MODEL and not best.rescorings:
        anew = " as a model of all scores expects"
    return [
        f"It does not reach the {asked:g} % that were asked for: no {one} does, and it is the most accurate, with "
        f"{best.top1:.2f} %{anew}."
    ]


def worth_it(rows: Sequence[Row]) -> list[str]:
    """Returns, for every row that a search found, a short answer to whether it was worth it, with the difference."""
    made = comparisons(rows)
    return [_worth(row, [one for one in made if one.row is row]) for row in _judged(rows)]


def _worth(row: Row, made: Sequence[Comparison]) -> str:
    beside = next((one for one in made if _control(one) == "uniform" or one.other.kind == "uniform"), None)
    if beside is None and len(set(row.spec.genome)) == 1:
        return f"{row.model}: no. It is itself a uniform network."
    if beside is None:
        return f"{row.model}: not known. There is no uniform network of equal or lower cost to compare with."
    how = _how_equal(beside) if _control(beside) == "uniform" else _CHEAPER
    cost = how if how == _ALIKE else f"{how} ({_share(beside):.2f} times its {row.counting.title})"
    return (
        f"{row.model}: {_answer(beside.difference, how)}. Beside {beside.other.model}, the uniform network of "
        f"{cost}: {beside.difference}."
    )


def _answer(difference: Difference, how: str) -> str:
    """Returns yes or no if the difference is seen; a better one than a cheaper network's says nothing, nor does a worse
    one than a dearer network's.
    """
    if difference.scope == "images":
        return "not known from one training"
    if not difference.seen:
        return "not seen to be"
    said, nothing_of = ("no", _DEARER) if difference.high < 0 else ("yes", _CHEAPER)
    return "not known at equal cost" if how == nothing_of else said


def _goal(row: Row) -> str:
    """Returns what two searches of the same objective have in common, in a word."""
    return "λ" if row.search and row.search.objective.name == DEFAULT else "objective"


def _headline(row: Row) -> str:
    search = row.search
    assert search is not None
    parts = [f"{search.title}, {search.objective.title}"]
    best = search.best
    if best:
        parts[0] += f", {best.evaluations} candidates"
        if len(best.runs) > 1:
            parts[0] += f" of {len(best.runs)} seeds"
        if best.rescorings:
            finalists, trainings = counted(best.finalists, "finalist"), counted(best.rescorings, "training")
            parts.append(
                f"fitness {best.fitness:.2f} when scored anew ({finalists}, {trainings} each), "
                f"{best.selected or 0:.2f} when it was selected"
            )
        elif best.chosen_by == MODEL:
            parts.append(
                f"fitness {best.fitness:.2f} expected by a model of all their scores, by which it was chosen, "
                f"{best.selected or 0:.2f} by its own score"
            )
    weighed = "" if row.counting.cost == COST else f"{row.counting.shown(row.weighed_cost)} ({row.counting.title}), "
    parts.append(f"{weighed}{row.cost.flops / 1e6:.4g}M FLOPs, top-1 {row.top1} %")
    return "; ".join([*parts, f"genome {format_genome(row.spec.genome)}"])


def _control(comparison: Comparison) -> str | None:
    control = comparison.other.control_of
    return None if control is None else control.control


def _against_uniform(row: Row, made: Sequence[Comparison]) -> str:
    mine = next((one for one in made if _control(one) == "uniform"), None)
    if mine is not None:
        return (
            f"Against {mine.other.model}, the uniform network of {_how_equal(mine)} ({_relative(mine)}): "
            f"{mine.difference}.{_power(mine)}"
            f"{_WHY[_how_equal(mine)]}"
        )
    if len(set(row.spec.genome)) == 1:
        return "It is itself a uniform network: the search found nothing that widening all layers alike does not give."
    nearest = next((one for one in made if one.other.kind == "uniform"), None)
    if nearest is None:
        return "There is no uniform network of equal or lower cost to compare with."
    return (
        f"Against {nearest.other.model}, the largest uniform network here within its cost ({_relative(nearest)}): "
        f"{nearest.difference}.{_power(nearest)} There is no uniform network of equal cost to compare with."
    )


def _against_first_layer(one: Comparison) -> str:
    return (
        f"Against {one.other.model}, which has the same first layer, uniform others and {_how_equal(one)} "
        f"({_relative(one)}): {one.difference}."
    )


def _against_baseline(row: Row, other: Row, one: Comparison | None) -> list[str]:
    assert other.search is not None and row.search is not None
    title = other.search.title
    if one is None:
        sentences = [f"{other.model}, found by {title} for the same {_goal(row)}, is the same network."]
    else:
        sentences = [
            f"Against {other.model}, found by {title} for the same {_goal(row)} ({_relative(one)}): {one.difference}."
        ]
    sentences += _failed(other.search)
    mine, theirs = row.search.best, other.search.best
    if not (mine and theirs):
        return sentences
    if mine.evaluations != theirs.evaluations:
        sentences.append(
            f"The budgets are not equal: {mine.evaluations} candidates against {theirs.evaluations} by {title}."
        )
    sentences += _fewer_that_count(row.search, other.search)
    sentences.append(_over_runs(mine.runs, theirs.runs, row.search.title, title))
    return [sentence for sentence in sentences if sentence]


def _fewer_that_count(search: Search, baseline: Search) -> list[str]:
    """Says that fewer of a baseline's candidates could be the answer: it draws from the whole space, and a search that
    looks at scores soon keeps to the part that counts.
    """
    mine, theirs = search.best, baseline.best
    if not (mine and theirs) or mine.admitted is None or theirs.admitted is None or theirs.admitted >= mine.admitted:
        return []
    return [
        f"Only {theirs.admitted} of the {theirs.evaluations} candidates of {baseline.title} could be that network, and "
        f"{mine.admitted} of those of {search.title}. A limit on what is proposed (search.max_flops, max_memory or "
        "max_latency) keeps both within."
    ]


def _over_runs(mine: Sequence[RunBest], theirs: Sequence[RunBest], title: str, baseline: str) -> str:
    """Returns how often and by how much a search's runs reach a higher fitness than a baseline's."""
    values = [[run.selected if run.rescored is None else run.rescored for run in runs] for runs in (mine, theirs)]
    anew = all(run.rescored is not None for run in (*mine, *theirs))
    if not mine or not theirs:
        return ""
    pairs = list(zip(*values, strict=False))
    wins = sum(first > second for first, second in pairs)
    found = independent_difference(*values)
    how = "scored anew" if anew else "of the selected candidates, which chance has raised"
    text = f"Fitness ({how}): {title} is above {baseline} in {wins} of {len(pairs)} seed{'s' * (len(pairs) != 1)}"
    if found is not None and found.low == found.high:
        # All runs of each have found one genome, say: of what chance does, so few runs then show nothing.
        side = f"{'higher' if found.value > 0 else 'lower'} by {abs(found.value):.2f}" if found.value else "the same"
        return f"{text}; the mean is {side}. The runs of each do not differ, so that no interval can be given."
    if found is None:
        return f"{text}, {values[0][0]:.2f} against {values[1][0]:.2f}; one seed says nothing about the next."
    return f"{text}; the mean is {_fitness(found)}."


def _fitness(found: Interval95) -> str:
    if found.low > 0:
        return f"higher by {found}"
    if found.high < 0:
        return f"lower by {Interval95(-found.value, -found.high, -found.low)}"
    return f"not told apart: {found}"


def _share(one: Comparison) -> float:
    """Returns the other's cost relative to that of the row."""
    return one.other.weighed_cost / one.row.weighed_cost


def _how_equal(one: Comparison) -> str:
    return _CHEAPER if _share(one) < _EQUAL else _ALIKE if _share(one) <= 1 / _EQUAL else _DEARER


def _relative(one: Comparison) -> str:
    """Returns the other's cost relative to that of the row, and its accuracy."""
    return f"{_share(one):.2f} times its {one.row.counting.title}, {one.other.top1} %"


def _power(one: Comparison) -> str:
    """Returns how many seeds would show a difference worth knowing, if these do not show one."""
    if one.difference.seen or one.difference.scope == "images":
        return ""
    samples = one.row.sample, one.other.sample
    needed = seeds_to_tell(*samples, WORTH_KNOWING)
    if needed is None:
        return f" {WORTH_KNOWING:g} point could not be told with any number of seeds: the test images are too few."
    if needed <= min(len(sample.top1) for sample in samples):
        return ""
    return f" To tell {WORTH_KNOWING:g} point (four times in five) would take about {needed} seeds of each."
