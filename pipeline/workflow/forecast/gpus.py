"""How fast GPUs train that are not here, from what was measured on them, so that an experiment can be planned for one.

>>> found = find_gpu("h200")
>>> found.name
'NVIDIA H200'
>>> work = workload(NetworkSpec("vgg_small", uniform_genome("vgg_small", 2)))
>>> round(128 / found.step.seconds(work, 128), -3)  # images/s
28000.0
"""

from dataclasses import dataclass, replace
from functools import cached_property

from pipeline.common.errors import UserError
from pipeline.networks.genome import Genome
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.workflow.forecast.step_time import StepTime, Timed, fit, workload

_AUTO_A = (0.5, 2.0, 1.0, 1.0, 1.0, 0.5)
_BATCH = 128
#: Of a step's arithmetic: forward, and the gradients of inputs and of weights.
_FORWARD = 1 / 3


def _all(ratio: float) -> Genome:
    return uniform_genome("vgg_small", ratio)


@dataclass(frozen=True)
class MeasuredGpu:
    """Rates that ``python -m benchmarks.gpu`` printed on a GPU (docs/performance.md).

    Attributes:
        name: as the driver says it.
        rates: images/s of VGG-small on 32×32 images in bfloat16, batch 128, by genome and base width.
    """

    name: str
    rates: tuple[tuple[Genome, float, float], ...]

    @cached_property
    def step(self) -> StepTime:
        """Seconds of a step of a training that has the GPU for itself."""
        timed = []
        for genome, base_width, rate in self.rates:
            spec = NetworkSpec("vgg_small", genome, base_width=base_width)
            timed.append(Timed(workload(spec), _BATCH, _BATCH / rate))
        return fit(timed)

    @cached_property
    def scoring(self) -> StepTime:
        """Seconds of scoring images: the forward third of a step, which was not measured."""
        return replace(self.step, element=_FORWARD * self.step.element, mac=_FORWARD * self.step.mac)


MEASURED = (
    MeasuredGpu(
        "NVIDIA H200",
        (
            (_all(1), 1 / 8, 141053),
            (_AUTO_A, 1 / 8, 142318),
            (_all(0.25), 1, 127920),
            (_all(1), 1, 63930),
            (_AUTO_A, 1, 62415),
            (_all(2), 1, 28045),
            (_all(4), 1, 8813),
        ),
    ),
)


def find_gpu(name: str) -> MeasuredGpu:
    """Returns the GPU whose name has the word, in capitals or not.

    Raises:
        UserError: there is none.
    """
    for gpu in MEASURED:
        if name.lower() in gpu.name.lower().split() or name.lower() == gpu.name.lower():
            return gpu
    known = ", ".join(gpu.name.split()[-1] for gpu in MEASURED)
    remedy = f"name one of these: {known}; or run plan on the machine that has it"
    raise UserError(f"no GPU '{name}' was measured", remedy)
