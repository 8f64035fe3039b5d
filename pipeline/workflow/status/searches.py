"""How far the searches are, what they have found, and when they will end."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.networks.genome import Genome
from pipeline.search.individual import Individual
from pipeline.search.objectives import Objective
from pipeline.workflow.status.pace import pace
from pipeline.workflow.status.reading import Finished, SearchState


@dataclass(frozen=True)
class BestSoFar:
    """The best candidate of a search so far. Costs are None where only its score could be read."""

    genome: Genome
    top1: float
    fitness: float
    relative_cost: float
    flops: float | None
    memory_bytes: float | None
    generation: int


@dataclass(frozen=True)
class SearchSummary:
    """How far a search is.

    Attributes:
        generation: the first one that is not finished, counted from 0 as in its files' names; the last when all are.
        in_generation, of_generation: its evaluated candidates, of how many.
        done, total: candidates of the whole search that have been evaluated, of how many.
        reused, stopped, diverged, failed: among those; a reused one was known to the archive, a stopped one went no
            further than its first epochs.
        seconds_left: at the present pace.
    """

    name: str
    algorithm: str | None
    objective: Objective | None
    finished: bool
    generation: int
    generations: int | None
    in_generation: int
    of_generation: int | None
    done: int
    total: int | None
    reused: int
    stopped: int
    diverged: int
    failed: int
    best: BestSoFar | None
    seconds_left: float | None


def summarise_searches(
    searches: Sequence[SearchState], recent: Sequence[Finished]
) -> tuple[tuple[SearchSummary, ...], float | None]:
    """Returns every search, and the seconds until the last of them has evaluated its candidates.

    The searches share the pace evenly, so one that has r candidates left ends when it and each of the others has
    trained r of them, or all that it has. Of the candidates that are left, as large a share is taken to be known to
    the archive as of those that are done.
    """
    counted = [_count(search) for search in searches]
    done = sum(summary.done for summary in counted)
    trained = 1 - sum(summary.reused for summary in counted) / done if done else 1.0
    speed = pace(recent)
    left = [None if summary.total is None else max(0, summary.total - summary.done) for summary in counted]
    known = [count for count in left if count is not None]
    if speed is None or len(known) < len(left):
        ends: list[float | None] = [0.0 if count == 0 else None for count in left]
    else:
        each = 3600 * trained / speed.candidates_per_hour
        ends = [each * sum(min(count, other) for other in known) for count in known]
    summaries = tuple(
        SearchSummary(**{**summary.__dict__, "seconds_left": end}) for summary, end in zip(counted, ends, strict=True)
    )
    finite = [end for end in ends if end is not None]
    return summaries, max(finite, default=0.0) if len(finite) == len(ends) else None


def _count(search: SearchState) -> SearchSummary:
    """Returns the search without its end."""
    proposed = search.proposed
    leading = next((i for i, generation in enumerate(proposed) if not generation.scored), len(proposed))
    everyone = [candidate for generation in proposed for candidate in generation.candidates]
    evaluated = [candidate for candidate in everyone if candidate.status is not None]
    generations = search.generations
    finished = generations is not None and leading >= generations
    at = leading if generations is None else min(leading, generations - 1)
    if search.selected and generations is None:
        finished, at = True, max(0, len(proposed) - 1)
    current = proposed[at] if at < len(proposed) else None
    return SearchSummary(
        name=search.name,
        algorithm=search.algorithm,
        objective=search.objective,
        finished=finished,
        generation=at,
        generations=generations,
        in_generation=sum(c.status is not None for c in current.candidates) if current else 0,
        of_generation=len(current.candidates) if current else search.population,
        done=len(evaluated),
        total=planned_candidates(search),
        reused=sum(candidate.reused for candidate in evaluated),
        stopped=sum(candidate.status == "stopped" for candidate in evaluated),
        diverged=sum(candidate.status == "diverged" for candidate in evaluated),
        failed=sum(candidate.status == "failed" for candidate in evaluated),
        best=best(search),
        seconds_left=None,
    )


def planned_candidates(search: SearchState) -> int | None:
    """Returns candidates of the whole search: those proposed, and a population for each generation still to come.

    A generation shorter than the population means that the space is exhausted: nothing comes after it.
    """
    if search.generations is None or search.population is None:
        return None
    sizes = [len(generation.candidates) for generation in search.proposed]
    exhausted = bool(sizes) and sizes[-1] < search.population
    return sum(sizes) + (0 if exhausted else search.population * max(0, search.generations - len(sizes)))


def best(search: SearchState) -> BestSoFar | None:
    """Returns the best candidate that has been evaluated; None without an objective or without a score."""
    if search.objective is None:
        return None
    places = {
        candidate.genome: (number, candidate)
        for number, generation in enumerate(search.proposed)
        for candidate in generation.candidates
        if candidate.top1 is not None and candidate.relative_cost is not None
    }
    individuals = [Individual(g, c.top1, c.relative_cost or 0.0) for g, (_, c) in places.items()]
    for chosen in search.objective.rank(individuals, 1):
        number, candidate = places[chosen.genome]
        value, costs = search.objective.value(chosen), (candidate.flops, candidate.memory_bytes)
        return BestSoFar(chosen.genome, chosen.top1 or 0.0, value, chosen.relative_cost, *costs, number)
    return None


def implied_penalty(top1: float, relative_cost: float, value: float) -> float | None:
    """Returns the λ of Eq. 4 with which a score was written; None if it does not show, the fitness being cut off at 0.

    >>> implied_penalty(80.0, 0.5, 78.0)
    4.0
    """
    return (top1 - value) / relative_cost if value > 0 and relative_cost > 0 else None
