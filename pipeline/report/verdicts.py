"""What an experiment says about every searched network, in sentences: is it worth it?"""

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.networks.genome import format_genome
from pipeline.report.results import Row


class Verdict(NamedTuple):
    """What the experiment says about one searched network, in sentences."""

    model: str
    headline: str
    sentences: tuple[str, ...]


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """For every row that a search found: is it worth it, against uniform networks and against random search?

    A network counts as more accurate where its interval, mean ± sample standard deviation over seeds, lies wholly
    above the other's; where the two overlap they are not told apart.
    """
    return [_verdict(row, rows) for row in rows if row.search is not None]


def _verdict(row: Row, rows: Sequence[Row]) -> Verdict:
    search = row.search
    assert search is not None
    uniform = [other for other in rows if other.kind == "uniform"]
    sentences = [
        _against_cheaper(row, [other for other in uniform if other.cost.flops <= row.cost.flops]),
        _against_dearer(row, [other for other in uniform if other.cost.flops >= row.cost.flops]),
    ]
    if row.kind == "found":
        random = [other for other in rows if other.kind == "random" and other.search is not None]
        rivals = [other for other in random if other.search and other.search.penalty == search.penalty]
        sentences += [_against_random(row, other) for other in rivals]
        if not rivals:
            sentences.append(
                "No row comes from a random search of the same λ, so what the evolution adds is not known."
            )
    if search.best and search.best.micro_batch:
        sentences.append(
            f"In the search it was trained in micro-batches of {search.best.micro_batch} images, since memory did not "
            "hold a batch: its score there compares with the others' only roughly."
        )
    candidates = f", {search.best.evaluations} candidates" if search.best else ""
    how = "random search" if search.algorithm == "random" else "evolution"
    headline = (
        f"{how}, λ = {search.penalty:g}{candidates}; {row.cost.flops / 1e6:.4g}M FLOPs, top-1 {row.top1} %; "
        f"genome {format_genome(row.spec.genome)}"
    )
    return Verdict(row.model, headline, tuple(sentences))


def _against_cheaper(row: Row, rivals: Sequence[Row]) -> str:
    if not rivals:
        return "There is no uniform network of equal or lower FLOPs to compare with."
    better, level, worse = _sorted_out(row, rivals)
    if better:
        return (
            f"Beaten by a uniform network of equal or lower FLOPs: {_names(better, row)} is more accurate. "
            "This search found nothing that scaling all layers alike does not give."
        )
    parts = [f"more accurate than {_names(worse)}"] if worse else []
    parts += [f"not told apart from {_names(level, row)}"] if level else []
    return f"Not beaten by any uniform network of equal or lower FLOPs: {'; '.join(parts)}."


def _against_dearer(row: Row, rivals: Sequence[Row]) -> str:
    if not rivals:
        return "There is no uniform network of equal or higher FLOPs to compare with."
    better, level, worse = _sorted_out(row, rivals)
    parts = [f"more accurate than {_names(worse, row)}"] if worse else []
    parts += [f"not told apart from {_names(level, row)}"] if level else []
    parts += [f"less accurate than {_names(better)}"] if better else []
    return f"Among uniform networks of equal or higher FLOPs: {'; '.join(parts)}."


def _against_random(row: Row, other: Row) -> str:
    if other.spec.genome == row.spec.genome:
        return f"The random search of the same λ, {other.model}, found the same genome."
    better, _, worse = _sorted_out(row, [other])
    relation = "more accurate than" if worse else "less accurate than" if better else "not told apart from"
    sentence = f"Against random search of the same λ: {relation} {_names([other], row)}"
    mine, theirs = row.search and row.search.best, other.search and other.search.best
    if mine and theirs:
        word = "higher" if mine.fitness > theirs.fitness else "lower" if mine.fitness < theirs.fitness else "equal"
        sentence += f"; the fitness that it reached in the search is {word}, {mine.fitness:.2f}"
        sentence += f" against {theirs.fitness:.2f}"
        if mine.evaluations != theirs.evaluations:
            sentence += f" ({mine.evaluations} against {theirs.evaluations} candidates: not an equal budget)"
    return f"{sentence}."


def _sorted_out(row: Row, rivals: Sequence[Row]) -> tuple[list[Row], list[Row], list[Row]]:
    """The rivals that are more accurate than ``row``, not told apart from it, and less accurate."""
    better = [other for other in rivals if other.top1.above(row.top1)]
    worse = [other for other in rivals if row.top1.above(other.top1)]
    return better, [other for other in rivals if other not in better and other not in worse], worse


def _names(others: Sequence[Row], beside: Row | None = None) -> str:
    """Names and accuracies of rows for a sentence, and their FLOPs relative to those of ``beside``."""

    def name(other: Row) -> str:
        relative = f", {other.cost.flops / beside.cost.flops:.2f} times its FLOPs" if beside else ""
        return f"{other.model} ({other.top1} %{relative})"

    return ", ".join(map(name, others))
