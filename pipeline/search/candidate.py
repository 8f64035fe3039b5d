"""Evaluating candidates: inherit, train briefly, score (section 3 of the paper)."""

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

from pipeline.common.randomness import seed_for
from pipeline.networks.genome import Genome, format_genome
from pipeline.networks.spec import NetworkSpec
from pipeline.search.archive import Evaluation, Timing
from pipeline.training.turns import to_the_end

if TYPE_CHECKING:
    from pipeline.data.batches import ImageSource
    from pipeline.networks.module import Network
    from pipeline.training.execution import Execution
    from pipeline.training.scoring import Score
    from pipeline.training.settings import TrainingSettings


@dataclass(frozen=True)
class Evaluator:
    """All that candidates of one experiment have in common.

    Attributes:
        spec: the network; its genome is replaced by each candidate's.
        settings: of a candidate's training.
        subset, validation: what it learns from, what it is scored on.
        start: gives a fresh network its first weights (from the supernet, or at random by the genome's seed).
        recalibrate: whether batch-norm moments are recomputed over the subset before the score.
        seed: of the experiment; with the genome it fixes every draw.
        execution: device, precision, threads.
        partial_epochs: epochs after which candidates are scored a first time, 0 for before any; None if they are not.
        needed_top1: in percent, with which one goes on from there; those that are not named always do.
    """

    spec: NetworkSpec
    settings: "TrainingSettings"
    subset: "ImageSource"
    validation: "ImageSource"
    start: "Callable[[Network, int], None]"
    recalibrate: bool
    seed: int
    execution: "Execution"
    partial_epochs: int | None = None
    needed_top1: Mapping[Genome, float] = field(default_factory=dict)

    def evaluate(self, genome: Genome, micro_batch: int | None = None) -> tuple[Evaluation, Timing]:
        """Trains and scores one candidate, as ``steps`` does, in one go."""
        return to_the_end(self.steps(genome, micro_batch))

    def steps(self, genome: Genome, micro_batch: int | None = None) -> Generator[None, None, tuple[Evaluation, Timing]]:
        """Trains and scores one candidate, yielding after each step, and returns what came of it. A training that
        diverged is an evaluation, and so is one that was stopped early; any other failure is raised.

        Args:
            genome: of the candidate.
            micro_batch: most images to compute at once while it learns; None for whole batches.
        """
        from pipeline.networks.module import Network
        from pipeline.training.arithmetic import arithmetic_of
        from pipeline.training.execution import describe_machine
        from pipeline.training.loop import DivergedError, Training

        started = time.perf_counter()
        seed = seed_for("candidate", self.seed, format_genome(genome))
        network = Network(self.spec.with_genome(genome))
        self.start(network, seed)
        evaluation = Evaluation(genome, "stopped", micro_batch=micro_batch)
        try:
            training = Training(network, self.subset, self.settings, seed, self.execution, micro_batch=micro_batch)
            for _ in chain((None,), training.steps()):
                if (training.epoch, training.step) == (self.partial_epochs, 0):
                    partial = self._partial_top1(network, micro_batch)
                    evaluation = replace(evaluation, partial_top1=partial)
                    if partial < self.needed_top1.get(genome, 0.0):
                        break
                yield
            else:
                result = self._score(network, micro_batch, recalibrated=self.recalibrate)
                evaluation = replace(evaluation, status="ok", top1=round(result.top1, 4), loss=round(result.loss, 6))
        except DivergedError as error:
            evaluation = replace(evaluation, status="diverged", reason=str(error))
        seconds, machine = round(time.perf_counter() - started, 3), describe_machine(self.execution.device_type)
        timing = Timing(seconds, machine, arithmetic_of(self.execution))
        return evaluation, timing

    def _partial_top1(self, network: "Network", micro_batch: int | None) -> float:
        """Returns a network's accuracy in the midst of its training, in percent, and leaves it as it was.

        Its batch norms' moments are computed anew for it: after the first few steps, the running ones are still those
        of other weights, and say next to nothing about the network.
        """
        kept = {name: buffer.clone() for name, buffer in network.named_buffers()}
        top1 = round(self._score(network, micro_batch, recalibrated=True).top1, 4)
        for name, buffer in network.named_buffers():
            buffer.copy_(kept[name])
        network.train()
        return top1

    def _score(self, network: "Network", micro_batch: int | None, *, recalibrated: bool) -> "Score":
        from pipeline.training.scoring import recalibrate, score

        if recalibrated:
            recalibrate(network, self.subset, self.execution, micro_batch or self.settings.batch_size)
        return score(network, self.validation, self.execution)
