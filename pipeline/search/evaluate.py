"""Evaluating many candidates: the archive first, then as many side by side as the job was given: on a CPU by a process
each, on a GPU in turns.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.common.errors import UserError
from pipeline.common.log import log, progress
from pipeline.common.randomness import seed_for
from pipeline.common.stopping import NO_LIMIT, StopRequests
from pipeline.common.workers import in_workers
from pipeline.networks.genome import Genome, format_genome
from pipeline.networks.spec import NetworkSpec
from pipeline.search.archive import Archive, Evaluation, Timing
from pipeline.search.candidate import Evaluator
from pipeline.training.execution import Execution
from pipeline.training.memory import enough_memory, give_back_memory, in_one_line, micro_batches, ran_out_of_memory
from pipeline.training.settings import TrainingSettings
from pipeline.training.turns import in_turns, to_the_end

if TYPE_CHECKING:
    from pipeline.networks.module import Network


@dataclass(frozen=True)
class Task:
    """The things that a worker needs to make an evaluator of its own; small enough to be sent to another process."""

    spec: NetworkSpec
    settings: TrainingSettings
    execution: Execution
    images: Path
    subset: list[int]
    validation: list[int]
    supernet: Path | None
    recalibrate: bool
    seed: int
    loaders: int = 0
    partial_epochs: int | None = None
    needed_top1: Mapping[Genome, float] = field(default_factory=dict)

    def known(self, archive: Archive, genome: Genome) -> "Result | None":
        """Returns what the archive has of a candidate, as this task sees it; None where that has to be trained."""
        stored = archive.get(genome)
        seen = stored and stored[0].judged(self.needed_top1.get(genome))
        return Result(seen, stored[1], reused=True) if stored and seen else None

    def prepare(self) -> Evaluator:
        """Loads images and weights. Done once in each worker."""
        import torch

        from pipeline.data.loading import load_images
        from pipeline.networks.module import initialise
        from pipeline.networks.weights import Ancestor

        supernet = None if self.supernet is None else Ancestor(self.supernet)

        def start(network: "Network", seed: int) -> None:
            if supernet is None:
                initialise(network, torch.Generator().manual_seed(seed))
            else:
                supernet.give(network)

        self.execution.apply()
        device = self.execution.device
        subset = load_images(self.images, device, self.subset, self.loaders)
        validation = load_images(self.images, device, self.validation, self.loaders)
        return Evaluator(
            self.spec,
            self.settings,
            subset,
            validation,
            start,
            self.recalibrate,
            self.seed,
            self.execution,
            self.partial_epochs,
            self.needed_top1,
        )


class Result(NamedTuple):
    """An evaluation, what it took when it was made, and whether it came from the archive."""

    evaluation: Evaluation
    timing: Timing
    reused: bool


def evaluate_all(
    task: Task,
    genomes: Sequence[Genome],
    archive: Archive,
    workers: int,
    title: str,
    stops: StopRequests = NO_LIMIT,
) -> list[Result]:
    """Returns the results in the order of ``genomes``; every finished one is in the archive before the next is waited
    for.

    A candidate that runs out of memory is tried again alone when the others are done, then in ever smaller
    micro-batches, which its result records; if that does not help, or if it fails in another way, its result says so,
    scores nothing and stays out of the archive. A job whose time is nearly up is queued again: only the
    candidates that are being trained then start anew.

    Raises:
        UserError: results cannot be written, or every candidate failed.
    """
    results: dict[Genome, Result] = {}
    for genome in genomes:
        known = task.known(archive, genome)
        if known is not None:
            results[genome] = known
    missing = [genome for genome in genomes if genome not in results]
    log(f"{title}: {len(results)} of {len(genomes)} candidates are in the archive, {len(missing)} to train")
    if missing:
        at_start = len(results)

        def go_on() -> None:
            if len(results) > at_start:
                stops.queue_again()
            else:  # the next job would end like this one, and so for ever
                log(f"warning: {title}: no candidate was trained in this job's time; give it more (runtime)")

        trained = closing(_train(task, missing, archive, workers, title))
        with progress(title, len(missing), "candidates") as bar, stops.on_warning(go_on), trained as made:
            for result in made:
                results[result.evaluation.genome] = result
                bar.advance(note=_summary(result.evaluation))
    failed = [result.evaluation for result in results.values() if result.evaluation.status == "failed"]
    if failed and len(failed) == len(genomes):
        raise UserError(f"every candidate of {title} failed", f"the first one: {failed[0].reason}")
    return [results[genome] for genome in genomes]


def _train(
    task: Task, genomes: list[Genome], archive: Archive, workers: int, title: str
) -> Generator[Result, None, None]:
    """Trains what is missing and archives it; the candidates that ran out of memory come once more at the end."""
    again: list[Genome] = []
    outcomes: Generator[tuple[Genome, Outcome | Result], None, None]
    together = min(workers, len(genomes))
    if together == 1 or task.execution.device_type == "cuda":
        # Searches that share candidates often run side by side: starting at different places, they meet halfway.
        first = seed_for(title) % len(genomes)
        outcomes = _in_turns(task, genomes[first:] + genomes[:first], archive, together)
    else:
        outcomes = _side_by_side(task, genomes, workers)
    with closing(outcomes):
        for genome, outcome in outcomes:
            if isinstance(outcome, Result):
                yield outcome
            elif isinstance(outcome, MemoryError):
                log(f"{format_genome(genome)} ran out of memory; it is tried again alone")
                again.append(genome)
            else:
                yield _settle(genome, outcome, archive)
    if again:
        give_back_memory()  # this process has perhaps trained too, and keeps what it needed
    for genome in again:
        # Another job may have had the memory.
        yield task.known(archive, genome) or _settle(genome, _alone(task, genome), archive)


def _alone(task: Task, genome: Genome) -> "Outcome":
    """Tries a candidate with nothing beside it, with whole batches and then with ever smaller micro-batches.

    Each attempt has a process of its own, in which nothing is left of the one before.
    """
    batch = min(task.settings.batch_size, len(task.subset))
    sizes = [None, *micro_batches(batch)]
    for micro_batch in sizes:
        ((_, outcome),) = _side_by_side(task, [genome], 1, micro_batch)
        if not isinstance(outcome, MemoryError):
            if micro_batch is not None:
                log(
                    f"warning: {format_genome(genome)} was trained in micro-batches of {micro_batch} images instead of "
                    f"{batch}, since more did not fit into memory; its batch norms saw no more at once"
                )
            return outcome
    tried = f"with micro-batches of {sizes[-1]} images" if len(sizes) > 1 else "alone"
    return _Failure(f"MemoryError: even {tried}: {outcome}")


class _Failure(NamedTuple):
    """Why a candidate could not be evaluated: in words, since not every exception can be sent to another process."""

    reason: str


#: Of one attempt: the evaluation; or what concerns this candidate alone; or what concerns all of them, such as a full
#: disk, or images or a supernet that cannot be read.
Outcome = tuple[Evaluation, Timing] | _Failure | MemoryError | OSError | UserError


def _settle(genome: Genome, outcome: Outcome, archive: Archive) -> Result:
    """Archives an evaluation; makes a failed one of a failure."""
    if isinstance(outcome, Exception):
        raise outcome
    if isinstance(outcome, _Failure):
        log(f"warning: {format_genome(genome)} failed ({outcome.reason})")
        evaluation = Evaluation(genome, "failed", reason=outcome.reason)
        return Result(evaluation, Timing(0.0, ""), reused=False)
    archive.put(*outcome)
    return Result(*outcome, reused=False)


def _in_turns(
    task: Task, genomes: Sequence[Genome], archive: Archive, together: int
) -> Generator[tuple[Genome, Outcome | Result], None, None]:
    """Yields results of this process, in which so many candidates take turns; another job may have trained one by the
    time it begins.
    """
    done: list[tuple[Genome, Outcome | Result]] = []
    evaluator: Evaluator | None = None

    def work(genome: Genome) -> Iterator[None]:
        nonlocal evaluator
        known = task.known(archive, genome)
        if known is not None:
            done.append((genome, known))
            return
        if evaluator is None:
            with enough_memory(f"loading {task.images}", "give the job more memory"):
                evaluator = task.prepare()
            task.execution.wait()  # it was made on this candidate's stream, for which those of the others do not wait
        outcome = yield from _attempt(evaluator, genome)
        done.append((genome, outcome))

    for _ in in_turns(map(work, genomes), task.execution, together):
        yield from done
        done.clear()


class _Worker:
    """The work of a worker process. It loads when its first candidate comes, whose outcome says what failed."""

    def __init__(self, task: Task, micro_batch: int | None) -> None:
        self._task, self._micro_batch = task, micro_batch
        self._evaluator: Evaluator | None = None

    def __call__(self, genome: Genome) -> Outcome:
        return to_the_end(_attempt(self, genome, self._micro_batch))

    def steps(self, genome: Genome, micro_batch: int | None) -> Generator[None, None, tuple[Evaluation, Timing]]:
        if self._evaluator is None:
            self._evaluator = self._task.prepare()
        return self._evaluator.steps(genome, micro_batch)


def _attempt(
    evaluator: Evaluator | _Worker, genome: Genome, micro_batch: int | None = None
) -> Generator[None, None, Outcome]:
    """Evaluates a candidate, step by step. Returns the evaluation, or what went wrong; a MemoryError for any want of
    memory.
    """
    try:
        return (yield from evaluator.steps(genome, micro_batch))
    except Exception as error:
        if not ran_out_of_memory(error):
            named = f"{type(error).__name__}: {in_one_line(error)}"
            return error if isinstance(error, OSError | UserError) else _Failure(named)
        outcome = MemoryError(in_one_line(error))
    # Only here, where the exception is gone, do its tensors go.
    give_back_memory()
    return outcome


def _side_by_side(
    task: Task, genomes: Sequence[Genome], workers: int, micro_batch: int | None = None
) -> Generator[tuple[Genome, Outcome], None, None]:
    """Yields results of worker processes, each taking the next candidate when free; the longest should come first."""
    remedy = "run it again: finished candidates are kept; fewer workers (search.workers, on a GPU "
    remedy += "search.candidates_per_gpu) need less memory"
    yield from in_workers(_Worker(task, micro_batch), genomes, workers, remedy)


def _summary(evaluation: Evaluation) -> str:
    score = f"{evaluation.top1:.2f} %" if evaluation.top1 is not None else evaluation.status
    return f"last {format_genome(evaluation.genome)}: {score}"
