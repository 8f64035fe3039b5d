"""Runs one step of the pipeline and notes where each of its processes spends its time, for `benchmarks.generation`.

    python timed_step.py FOLDER STARTED STEP …

Worker processes import this file too, and so are timed as well. A process that trains nothing writes nothing.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.common import workers
from pipeline.search.candidate import Evaluator
from pipeline.search.evaluate import Task

#: How a process knows the folder and the time, which only the step itself is given.
_FOLDER, _STARTED = "BENCHMARK_FOLDER", "BENCHMARK_STARTED"

_phases: dict[str, float] = {}


def _add(phase: str, seconds: float) -> None:
    _phases[phase] = _phases.get(phase, 0.0) + seconds


def _timed(phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*words: Any, **more: Any) -> Any:
        started = time.perf_counter()
        try:
            return function(*words, **more)
        finally:
            _add(phase, time.perf_counter() - started)

    return call


def _prepare(task: Task) -> Evaluator:
    """In place of ``Task.prepare``: the first thing that a process does which is not starting."""
    import torch  # noqa: F401

    import pipeline.data.prepared
    import pipeline.networks.module
    import pipeline.training.loop
    import pipeline.training.scoring

    # A worker's start is counted from the command too: until then it could do nothing.
    _add("start", time.time() - float(os.environ[_STARTED]))
    evaluator = _timed("images", _original_prepare)(task)
    pipeline.training.scoring.score = _timed("score", pipeline.training.scoring.score)
    return evaluator


def _evaluate(evaluator: Evaluator, genome: Any, micro_batch: int | None = None) -> Any:
    before = _phases.get("score", 0.0)
    started = time.perf_counter()
    built = [0.0]

    def start(network: Any, seed: int) -> None:
        evaluator.start(network, seed)
        built[0] = time.perf_counter() - started

    from dataclasses import replace

    result = _original_evaluate(replace(evaluator, start=start), genome, micro_batch)
    whole = time.perf_counter() - started
    _add("build", built[0])
    _add("train", whole - built[0] - (_phases.get("score", 0.0) - before))
    # Workers are ended without their exit functions, so the record is written after each candidate.
    Path(os.environ[_FOLDER], f"phases-{os.getpid()}.json").write_text(json.dumps(_phases))
    return result


_original_prepare, _original_evaluate = Task.prepare, Evaluator.evaluate
Task.prepare = _prepare  # type: ignore[method-assign]
Evaluator.evaluate = _evaluate  # type: ignore[method-assign]

if __name__ == "__main__":
    from pipeline.__main__ import main

    os.environ[_FOLDER], os.environ[_STARTED], *step = sys.argv[1:]
    workers.PROGRAM = f"import timed_step; {workers.PROGRAM}"
    sys.exit(main(step))
