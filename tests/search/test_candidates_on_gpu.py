"""Candidates that take turns on a GPU score what they score alone."""

from pathlib import Path

import pytest
import torch

from pipeline.data.prepared import read_info
from pipeline.data.splits import read_split
from pipeline.networks.spec import NetworkSpec
from pipeline.search.archive import Archive
from pipeline.search.evaluate import Task, evaluate_all
from pipeline.training.execution import Execution
from pipeline.training.settings import TrainingSettings

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]


def test_candidates_that_take_turns_score_what_they_score_alone(prepared: Path, tmp_path):
    """Five of them, three at once: long enough that most of their steps are replayed, and some begin beside others."""
    info = read_info(prepared / "train.h5")
    subset, validation = (read_split(prepared / f"{name}.csv", info) for name in ("subset", "validation"))
    settings = TrainingSettings(epochs=12, batch_size=20, learning_rate=0.1)
    spec = NetworkSpec("vgg_small", (1,) * 6, base_width=1 / 4, channels=1, size=8)
    execution = Execution("cuda", "float32", 1)
    task = Task(spec, settings, execution, prepared / "train.h5", subset, validation, None, True, 0, partial_epochs=4)
    genomes = [(ratio,) * 6 for ratio in (0.25, 0.5, 1.0, 2.0, 4.0)]
    alone, beside = (
        evaluate_all(task, genomes, Archive(tmp_path / str(together), {}), together, "A") for together in (1, 3)
    )
    for one, other in zip(alone, beside, strict=True):
        assert (one.evaluation.status, other.evaluation.status) == ("ok", "ok")
        assert one.evaluation.top1 == pytest.approx(other.evaluation.top1, abs=8)
        assert one.evaluation.partial_top1 == pytest.approx(other.evaluation.partial_top1, abs=12)
