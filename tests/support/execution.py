"""Where tests train: on one thread of the CPU, in compiled kernels where they can be had."""

from pipeline.training.execution import resolve
from pipeline.training.settings import ExecutionSettings

CPU = resolve(ExecutionSettings("cpu", "float32", 1))
