"""The arithmetic of an experiment: settled once, before its first training, and kept to by every step after it.

What 'auto' becomes depends on the machine: a GPU, a processor's instructions, a compiler. The first step that trains
writes down what it found, and whoever comes later, on this machine or another node of a cluster, computes in the same
way or stops with a sentence. So one experiment never mixes two arithmetics, and the same command gives the same
networks even if a compiler is killed in between.

Two processors, or two versions of torch, may still differ in last digits. Every training says on which it ran
(:func:`arithmetic_of`), and the tables tell if there were several.
"""

import os
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pipeline.common.digests import with_digest
from pipeline.common.errors import UserError
from pipeline.common.files import read_record, write_json
from pipeline.common.log import log
from pipeline.training.execution import Execution, describe_machine, keep_to, resolve
from pipeline.training.settings import ExecutionSettings

_TRIES = 100
#: What a record says: as it was asked for, and what became of it.
_SETTLED = ("device", "precision", "kernels")


def settle(settings: ExecutionSettings, record: Path | None, process: int | None = None) -> Execution:
    """Returns what to compute with: what ``record`` says or, where nobody has trained yet, what there is here.

    Args:
        settings: what the user asked for. Where that has changed since the record was written, it is settled anew.
        record: the experiment's file (JSON). None to settle for this process alone.
        process: number of this process of a training, where there are several, each with a GPU of its own.

    Raises:
        UserError: this machine cannot compute in that way, or the record is damaged or cannot be written, or the
            compiler failed for a reason that can pass.
    """
    if record is None:
        return resolve(settings, process)
    asked = {name: getattr(settings, name) for name in _SETTLED}
    found = _read(record)
    if found is None or found["asked"] != asked:
        execution = resolve(settings, process)
        made = dict(zip(_SETTLED, _choice(execution), strict=True))
        for _ in range(_TRIES):  # several processes may be at it
            _write(record, {"asked": asked, "settled": made, "on": _where(execution.device_type)}, found)
            found = _read(record)
            if found is not None and found["asked"] == asked:
                break
            time.sleep(0.05)
        else:
            raise UserError(f"{record} says again and again what others asked for", "end the other run")
    device, precision, kernels = (found["settled"][name] for name in _SETTLED)
    execution = keep_to(settings, device, precision, kernels, process, record)
    here = _where(device)
    if here != found["on"]:
        there = ", ".join(found["on"].values())
        log(f"note: the first training ran on {there}, this one runs on {', '.join(here.values())}: last digits differ")
    return execution


def arithmetic_of(execution: Execution) -> str:
    """Returns all that the digits of a result can depend on beside its settings, in words that can be compared.

    >>> arithmetic_of(Execution("cpu", "float32", 1)).split(", ")[:2]
    ['cpu float32', 'torch operators']
    """
    device, precision, kernels = _choice(execution)
    return ", ".join((f"{device} {precision}", _KERNELS[kernels], *_where(device).values()))


#: Variables of the environment by which torch and what it is made of are told to use other arithmetic or threads.
_CHANGING = (
    "ATEN_CPU_CAPABILITY",
    "DNNL_DEFAULT_FPMATH_MODE",
    "DNNL_MAX_CPU_ISA",
    "GLIBC_TUNABLES",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_DYNAMIC",
    "OMP_THREAD_LIMIT",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)
_KERNELS = {"compiled": "compiled kernels", "torch": "torch operators"}


def _choice(execution: Execution) -> tuple[str, str, str]:
    return execution.device_type, execution.precision, execution.kernels


def _where(device: str) -> dict[str, str]:
    """Returns the kind of processor and the version of torch of this process."""
    try:
        torch = version("torch")  # without the time that its import takes
    except PackageNotFoundError:
        torch = "unknown"
    asked = {name: f"{name}={value}" for name in _CHANGING if (value := os.environ.get(name))}
    if sys.float_info.min / 2 == 0:  # a library that was built with -ffast-math asks the processor for it
        asked["denormals"] = "denormal numbers taken for 0"
    return {"processor": describe_machine(device), "torch": f"torch {torch}", **asked}


def _read(record: Path) -> dict[str, Any] | None:
    """Returns what was settled; None where nothing has been. Raises UserError where it is no such record."""
    if not record.exists():
        return None
    found = read_record(record)
    try:
        devices, precisions = {"cpu", "cuda"}, {"float32", "bfloat16"}
        for name, known in zip(_SETTLED, (devices, precisions, set(_KERNELS)), strict=True):
            if found["settled"][name] not in known:
                raise ValueError(name)
        _ = found["asked"], found["on"].values()
        return found
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UserError(f"{record} does not say what this experiment computes with", _ANEW) from None


_ANEW = "delete it, and it is settled by the next training (trainings that are there may then have used another)"


def _write(record: Path, values: dict[str, Any], stale: dict[str, Any] | None) -> None:
    """Writes a record whole, in place of a stale one. Of several processes that settle at once, the first one does."""
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{record.name}.", dir=record.parent) as folder:
            if stale is not None:
                aside = Path(folder) / "stale.json"
                record.rename(aside)
                if _read(aside) != stale:  # another process has replaced it already
                    _link(aside, record)
            complete = Path(folder) / record.name
            write_json(complete, with_digest(values))
            _link(complete, record)
    except FileNotFoundError:
        return  # another process is replacing the stale one
    except OSError as error:
        raise UserError(f"cannot write {record}", error.strerror or str(error)) from None


def _link(complete: Path, record: Path) -> None:
    """Gives a file the record's name, unless there is one."""
    try:
        os.link(complete, record)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        complete.replace(record)
