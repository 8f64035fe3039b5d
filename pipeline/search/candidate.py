"""Evaluating candidates: inherit, train briefly, score (section 3 of the paper)."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.common.randomness import seed_for
from pipeline.networks.genome import Genome, format_genome
from pipeline.networks.spec import NetworkSpec
from pipeline.search.archive import Evaluation, Timing

if TYPE_CHECKING:
    from pipeline.data.batches import ImageSource
    from pipeline.networks.module import Network
    from pipeline.training.execution import Execution
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
    """

    spec: NetworkSpec
    settings: "TrainingSettings"
    subset: "ImageSource"
    validation: "ImageSource"
    start: "Callable[[Network, int], None]"
    recalibrate: bool
    seed: int
    execution: "Execution"

    def evaluate(self, genome: Genome, micro_batch: int | None = None) -> tuple[Evaluation, Timing]:
        """Trains and scores one candidate. A training that diverged is an evaluation; any other failure is raised.

        Args:
            genome: of the candidate.
            micro_batch: most images to compute at once while it learns; None for whole batches.
        """
        from pipeline.networks.module import Network
        from pipeline.training.arithmetic import arithmetic_of
        from pipeline.training.execution import describe_machine
        from pipeline.training.loop import DivergedError, Training
        from pipeline.training.scoring import recalibrate, score

        started = time.perf_counter()
        seed = seed_for("candidate", self.seed, format_genome(genome))
        network = Network(self.spec.with_genome(genome))
        self.start(network, seed)
        try:
            training = Training(network, self.subset, self.settings, seed, self.execution, micro_batch=micro_batch)
            for _ in training.steps():
                pass
            if self.recalibrate:
                recalibrate(network, self.subset, self.execution, micro_batch or self.settings.batch_size)
            result = score(network, self.validation, self.execution)
            evaluation = Evaluation(genome, "ok", round(result.top1, 4), round(result.loss, 6), micro_batch=micro_batch)
        except DivergedError as error:
            evaluation = Evaluation(genome, "diverged", reason=str(error), micro_batch=micro_batch)
        seconds, machine = round(time.perf_counter() - started, 3), describe_machine(self.execution.device_type)
        timing = Timing(seconds, machine, arithmetic_of(self.execution))
        return evaluation, timing
