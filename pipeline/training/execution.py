"""The device and precision that a training runs with, resolved from what the user asked for and what is there."""

import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.common.errors import UserError
from pipeline.common.log import log
from pipeline.kernels import cpu
from pipeline.kernels.build import SOURCES
from pipeline.training.memory import in_one_line, keep_freed_memory
from pipeline.training.settings import ExecutionSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch


@dataclass(frozen=True)
class Execution:
    """Resolved: nothing is 'auto' any more. Importing torch is put off until a tensor is needed.

    Attributes:
        device_type: 'cpu' or 'cuda'.
        precision: 'float32' or 'bfloat16' (autocast; parameters and batch-norm moments stay float32).
        threads: CPU threads of one process.
        gpu: number of the GPU, where a training has one for each of its processes; None for the default one.
        kernels: 'compiled' or 'torch': what does the work of binary layers on the CPU.
    """

    device_type: str
    precision: str
    threads: int
    gpu: int | None = None
    kernels: str = "torch"

    @property
    def identity(self) -> list[str | int]:
        """Returns what can change a result, for the keys of stored scores and states."""
        return [self.device_type, self.precision, self.threads, self.kernels]

    @property
    def computes_chains(self) -> bool:
        """Returns whether chains of layers can be computed without autograd, wherever a network is one."""
        return (self.device_type, self.precision, self.kernels) == ("cpu", "float32", "compiled")

    @cached_property
    def device(self) -> "torch.device":
        """Where tensors live."""
        import torch

        return torch.device(self.device_type if self.gpu is None else f"{self.device_type}:{self.gpu}")

    @property
    def autocast(self) -> "torch.autocast":
        """The context in which a network runs forward."""
        import torch

        return torch.autocast(self.device_type, torch.bfloat16, enabled=self.precision == "bfloat16")

    def apply(self) -> None:
        """Prepares this process: the number of threads, memory that is kept between steps, compiled kernels.

        Raises:
            UserError: kernels were compiled, but this process cannot load them.
        """
        import torch

        torch.set_num_threads(self.threads)
        if self.gpu is not None:
            torch.cuda.set_device(self.device)
        if self.device_type == "cuda":
            # All batches of a training have one shape, so timing a few algorithms for each layer pays.
            torch.backends.cudnn.benchmark = True
            # By default torch rounds what float32 convolutions multiply to ten bits (TF32).
            torch.backends.cudnn.allow_tf32 = self.precision != "float32"
        if self.device_type == "cpu":
            keep_freed_memory()
            self._choose_kernels()

    def wait(self) -> None:
        """Waits until a GPU has done all that it was given, on whatever stream; elsewhere all is done at once."""
        if self.device_type == "cuda":
            import torch

            torch.cuda.synchronize(self.device)

    def _choose_kernels(self) -> None:
        from pipeline.kernels import library
        from pipeline.kernels.build import CompilationError

        if self.kernels != "compiled":
            library.unload()
            return
        try:
            library.load()
        except CompilationError as error:
            raise UserError(str(error), "set execution.kernels to torch, or XDG_CACHE_HOME to another folder") from None


def resolve(settings: ExecutionSettings, process: int | None = None) -> Execution:
    """Chooses the device, the precision and the kernels, which are compiled if need be.

    Args:
        settings: what was asked for.
        process: number of this process of a training, where there are several, each with a GPU of its own.

    Raises:
        UserError: a GPU was asked for and there is none, or there are fewer than processes, or the compiler failed for
            a reason that can pass.
    """
    device = "cpu" if settings.device == "cpu" or not _has_gpu() else "cuda"
    if settings.device == "cuda" and device != "cuda":
        raise UserError("execution.device is 'cuda', but torch finds no GPU here", "set it to 'auto' or 'cpu'")
    if device == "cpu" and settings.device == "auto" and _shows_gpu():
        log(
            f"warning: torch cannot use the GPU that is here ({_why_not()}): the CPU computes instead, for an "
            "experiment until its end; if that is not meant, end it, mend this, delete the experiment's results and "
            "run it again; if it is, set execution.device to cpu"
        )
    precision = settings.precision
    if precision == "auto":
        precision = "bfloat16" if _computes_bfloat16(device) else "float32"
    kernels = "compiled" if device == "cpu" and settings.kernels == "auto" and _has_kernels() else "torch"
    return Execution(device, precision, settings.threads, _gpu(device, process), kernels)


def keep_to(
    settings: ExecutionSettings, device: str, precision: str, kernels: str, process: int | None, record: Path
) -> Execution:
    """Returns an execution that was settled on elsewhere, if this machine can compute in that way.

    Args:
        settings: what was asked for.
        device, precision, kernels: what was settled on, as in :class:`Execution`.
        process: as of :func:`resolve`.
        record: where it stands.

    Raises:
        UserError: it cannot.
    """
    remedy = f"run it where the others ran; to settle anew, delete {record} and the trainings of this experiment"
    if device == "cuda" and not _has_gpu():
        raise UserError("this experiment computes on a GPU, but torch finds none here", remedy)
    if kernels == "compiled":
        _demand_kernels(remedy)
    if device == "cpu" and settings.device == "auto" and _has_gpu_driver():
        log(f"note: this experiment computes on the CPU ({record}); the GPU of this machine is not used")
    if device == "cpu" and precision == "bfloat16" and not _computes_bfloat16(device):
        log(f"note: this experiment computes in bfloat16 ({record}), which is slow on this processor")
    return Execution(device, precision, settings.threads, _gpu(device, process), kernels)


def _gpu(device: str, process: int | None) -> int | None:
    gpu = process if device == "cuda" else None
    if gpu is not None:
        _check_gpu(gpu)
    return gpu


def _demand_kernels(remedy: str) -> None:
    from pipeline.kernels import build

    try:
        build.compiled(SOURCES)
    except build.PassingCompilationError as error:
        raise _interrupted(error) from None
    except build.CompilationError as error:
        raise UserError(f"this experiment computes with compiled kernels, but {error}", remedy) from None


def _has_kernels() -> bool:
    from pipeline.kernels import build

    try:
        # What is known beforehand was said when the run began. A compiler that fails only now changes all numbers.
        return not (_lacks_kernels(build.check) or _lacks_kernels(build.compiled, "warning"))
    except build.PassingCompilationError as error:
        raise _interrupted(error) from None


def _interrupted(error: Exception) -> UserError:
    """Returns what a compiler that was killed says about a machine is nothing: never go on with other operators."""
    return UserError(str(error), "call again, or set execution.kernels to torch (about 1.6 times as slow)")


def say_what_is_missing(device: str, kernels: str) -> None:
    """Says beforehand, and at once, where trainings on this machine will have to do without compiled kernels.

    Args:
        device: of ``ExecutionSettings``.
        kernels: of ``ExecutionSettings``.
    """
    from pipeline.kernels import build

    if kernels == "auto" and not gpu_is_used(device):
        with suppress(build.PassingCompilationError):  # whoever trains will say it, if it has not passed by then
            _lacks_kernels(build.check)


def _lacks_kernels(attempt: "Callable[[Path], object]", kind: str = "note") -> bool:
    from pipeline.kernels.build import CompilationError, PassingCompilationError

    try:
        attempt(SOURCES)
    except PassingCompilationError:
        raise
    except CompilationError as error:
        log(f"{kind}: trainings on this CPU take about 1.6 times as long as they could, since {error}")
        return True
    return False


def _check_gpu(number: int) -> None:
    import torch

    found = torch.cuda.device_count()
    if number >= found:
        raise UserError(
            f"every process of a training needs a GPU of its own, but torch finds only {found} here",
            "lower execution.processes",
        )


def _has_gpu() -> bool:
    # Asking torch costs its import, which a step that finds everything in the archive need not pay.
    if not _has_gpu_driver():
        return False
    import torch

    return torch.cuda.is_available()


def _shows_gpu() -> bool:
    """Returns whether there is a GPU that nobody has hidden from this process, whatever torch makes of it."""
    hidden = [os.environ.get(f"{name}_VISIBLE_DEVICES", "0").strip() for name in ("CUDA", "HIP", "ROCR")]
    return platform.system() == "Linux" and _has_gpu_driver() and not {"", "-1", "NoDevFiles"} & {*hidden}


def _why_not() -> str:
    """Returns why torch finds no GPU, in one line."""
    import torch

    if not (torch.version.cuda or torch.version.hip):
        return "it was built for none"
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        return in_one_line(error)
    return "its driver names none"


def _has_gpu_driver() -> bool:
    if platform.system() != "Linux":
        return True
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists()


def _computes_bfloat16(device: str) -> bool:
    """Returns whether the hardware itself has bfloat16 products; emulation would be slower than float32."""
    if device == "cuda":
        import torch

        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return not cpu.features().isdisjoint({"avx512_bf16", "amx_bf16", "bf16"})


def describe_machine(device: str = "cpu") -> str:
    """Returns the machine in a few words, for provenance and tables of time."""
    if device == "cuda":
        import torch

        return torch.cuda.get_device_name()
    return cpu.name()


def check_device(device: str) -> None:
    """Compares the device that was asked for with this machine, without torch, whose import takes seconds.

    Raises:
        UserError: it is a GPU, and there is none.
    """
    if device == "cuda" and not _has_gpu_driver():
        raise UserError("execution.device is 'cuda', but there is no GPU here", "set it to 'auto' or 'cpu'")


def gpu_is_used(device: str) -> bool:
    """Returns whether a training here would run on a GPU, for a rule's request of resources."""
    return device == "cuda" or (device == "auto" and _has_gpu_driver())
