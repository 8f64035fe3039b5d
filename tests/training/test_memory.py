"""Running out of memory is told from other errors, and what cannot be helped is said in one sentence."""

import sys

import pytest
import torch

from pipeline.common.errors import UserError
from pipeline.training.memory import FEWEST_IMAGES, enough_memory, micro_batches, ran_out_of_memory
from tests.support.little_memory import STATUS
from tests.support.several import flags
from tests.support.workflow import ROOT, run


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        torch.OutOfMemoryError("said in other words"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("could not create a primitive"),
        RuntimeError("std::bad_alloc"),
        MemoryError(),
    ],
)
def test_memory_that_ran_out_is_known(error):
    assert ran_out_of_memory(error)
    with (
        pytest.raises(UserError, match="the training ran out of memory .*: use less"),
        enough_memory("the training", "use less"),
    ):
        raise error


@pytest.mark.parametrize("error", [RuntimeError("shapes do not fit"), ValueError("out of memory"), OSError(12, "x")])
def test_other_errors_stay_what_they_are(error):
    assert not ran_out_of_memory(error)
    with pytest.raises(type(error)) as raised, enough_memory("the training", "use less"):
        raise error
    assert raised.value is error


@pytest.mark.parametrize("batch", [1, 7, 15, 16, 17, 25, 64, 100, 1000])
def test_micro_batches_are_halved_to_the_last_sensible_one(batch):
    sizes = list(micro_batches(batch))
    assert (not sizes) == (batch < 2 * FEWEST_IMAGES)
    for larger, smaller in zip([batch, *sizes], sizes, strict=False):
        assert abs(2 * smaller - larger) <= 2
    assert all(FEWEST_IMAGES <= size < batch for size in sizes)
    assert not sizes or sizes[-1] <= 2 * FEWEST_IMAGES


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.exists(), reason="knows a process's memory by Linux's /proc")
def test_a_retraining_without_memory_ends_in_a_sentence(prepared, tmp_path):
    wide = ["--base-width", "1", "--genome", "4,4,4,4,4,4"]
    words = [
        sys.executable,
        str(ROOT / "tests" / "support" / "little_memory.py"),
        "60",
        *flags(prepared, tmp_path),
        *wide,
    ]
    done = run(words, tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: the retraining of binary VGG-small 4,4,4,4,4,4")
    assert " ran out of memory (" in done.stderr and "lower its batch_size, or raise execution.processes" in done.stderr
    assert "Traceback" not in done.stderr
