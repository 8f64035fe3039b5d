"""What several tests need: digits small enough to train on in a blink, and a tiny experiment's configuration."""

import os
import signal
from pathlib import Path

import pytest
import torch

from pipeline.data.batches import ImagesInMemory, Normalisation
from tests.support import examples  # noqa: F401  # how many examples properties are tried on
from tests.support.execution import CPU

# Acts as soon as it is imported: a step imports it as a part of the configuration.
collect_ignore = ["support/probe.py"]

# Tests in this process train as a step does, in compiled kernels where they can be had, in whatever order they run.
CPU.apply()

# Tables are drawn for the width that is there, which differs between terminals, logs and pytest's workers.
os.environ["COLUMNS"] = "100"

# A shell's background job ignores Ctrl-C, and so would all that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


#: Files of tests that take minutes. They begin first, in this order, so that all processes are busy to the end.
LONGEST = (
    "workflow/test_slurm_cluster.py",
    "workflow/test_survival.py",
    "workflow/test_runs.py",
    "test_benchmarks.py",
    "workflow/test_reruns.py",
    "training/test_distributed.py",
    "workflow/test_plugins.py",
    "workflow/test_status.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest first; with `--no-loadscope-reorder` pytest-xdist begins them so."""
    here = Path(__file__).parent
    order = {here / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


@pytest.fixture(scope="session")
def digits() -> ImagesInMemory:
    """200 embedded digits, 8×8 grey."""
    from sklearn.datasets import load_digits

    data = load_digits()
    pixels = torch.from_numpy((data.images[:200] * 15.9).astype("uint8"))[..., None]
    return ImagesInMemory(pixels, torch.from_numpy(data.target[:200]), Normalisation((0.3,), (0.35,)), CPU.device)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the prepared digits and a small split: train.h5, test.h5, subset.csv, validation.csv."""
    from pipeline.__main__ import main

    folder = tmp_path_factory.mktemp("prepared")
    prepare = ["prepare-dataset", "--dataset", "digits", "--image-size", "8", "--seed", "0"]
    assert main([*prepare, "--train", f"{folder}/train.h5", "--test", f"{folder}/test.h5"]) == 0
    sample = ["sample-subset", "--validation-per-class", "5", "--subset-per-class", "5", "--seed", "0"]
    files = ["--subset", f"{folder}/subset.csv", "--validation", f"{folder}/validation.csv"]
    assert main([*sample, "--images", f"{folder}/train.h5", *files]) == 0
    return folder
