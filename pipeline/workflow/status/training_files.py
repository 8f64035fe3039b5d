"""Reading how far trainings are: from their artifacts, saved states and logs."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.common.errors import UserError
from pipeline.search.facts import training_settings
from pipeline.training.identity import state_file
from pipeline.workflow.layout import TrainingFiles
from pipeline.workflow.recipes import settings_of
from pipeline.workflow.status.experiment import Experiment
from pipeline.workflow.status.files import MALFORMED, folders_in, modified, number, size
from pipeline.workflow.status.logs import LoggedProgress, log_progress
from pipeline.workflow.status.reading import RowState, TrainingState


class Trainings:
    """The trainings of an experiment."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._config = experiment.config
        self._layout = experiment.layout
        self._files = experiment.files

    def rows(self) -> tuple[RowState, ...]:
        """Returns the rows of the table, in the configuration's order."""
        return tuple(self._row(model) for model in self._models())

    def supernet(self) -> TrainingState | None:
        """Returns the files of the supernet; None if there is to be none."""
        if self._config and not self._config.supernet:
            return None
        files = self._layout.supernet
        subset = self._subset_size if files.weights.parent.exists() else None
        settings = self._settings("supernet", lambda config: training_settings(config["supernet"]))
        return self._training(files, self._layout.log("pretrain_supernet"), settings, subset)

    @cached_property
    def _subset_size(self) -> int | None:
        try:
            with open(self._layout.subset, "rb") as file:
                return max(0, sum(1 for _ in file) - 1)
        except OSError:
            return None

    def _models(self) -> list[str]:
        if self._config:
            return list(self._config.models)
        return sorted({*folders_in(self._layout.retrainings), *folders_in(self._layout.measurements)})

    def _row(self, model: str) -> RowState:
        layout = self._layout
        seeds = list(range(self._config.seeds)) if self._config else layout.found_seeds(model)
        trainings = []
        settings = self._settings("retrain", lambda config: settings_of(config, model))
        for seed in seeds:
            log = layout.training_log(model, seed)
            training = self._training(layout.training(model, seed), log, settings, None)
            trainings.append(replace(training, seed=seed))
        top1 = [self._top1(layout.measurement(model, seed)) for seed in seeds]
        row = self._config.config["models"].get(model) if self._config else None
        binary = not isinstance(row, Mapping) or row.get("binary") is not False
        return RowState(model, tuple(trainings), tuple(top1), sum(score is not None for score in top1), binary)

    def _top1(self, path: Path) -> float | None:
        record = None if path in self._experiment.outdated else self._files.record(path)
        try:
            return None if record is None else number(record["top1"], most=100)
        except MALFORMED:
            self._files.complain(f"{path} holds no score of a network")
            return None

    def _training(
        self, files: TrainingFiles, log: Path, settings: Mapping[str, Any] | None, images: int | None
    ) -> TrainingState:
        """Returns one training. ``images`` is what it learns from, where that is not the whole train set."""
        epochs = settings["epochs"] if settings else None
        if files.weights in self._experiment.outdated:  # begun anew, it would have none; its log is of the one before
            return TrainingState(epochs=epochs)
        if size(files.weights):
            seconds = (self._files.record(files.timing) or {}).get("seconds")
            known = seconds if isinstance(seconds, int | float) and 0 < seconds < math.inf else None
            return TrainingState(True, True, epochs, seconds=known, ended=modified(files.weights))
        progress, state = log_progress(log), state_file(files.weights)
        if not state.exists():
            if progress is None:
                return TrainingState(started=log.exists(), epochs=epochs)
            return TrainingState(
                False, True, epochs, progress.done, progress.total, steps_per_second=progress.per_second
            )
        done, total, speed = self._saved(state, settings, images, progress)
        return TrainingState(False, True, epochs, done, total, steps_per_second=speed)

    def _settings(self, section: str, read: Callable[[Mapping[str, Any]], dict[str, Any]]) -> dict[str, Any] | None:
        """Returns a training's settings as ``read`` of the configuration, where that is there."""
        try:
            return read(self._config.config) if self._config else None
        except MALFORMED as error:
            self._files.complain(f"{self._layout.config} has no {section}: {error}")
            return None

    def _saved(
        self, path: Path, settings: Mapping[str, Any] | None, images: int | None, progress: LoggedProgress | None
    ) -> tuple[int | None, int | None, float | None]:
        """Returns steps done, of how many, and their pace, by a saved state or by the log, whichever is ahead."""
        from pipeline.common.hdf5 import read_tensors

        logged = (progress.done, progress.total, progress.per_second) if progress else (None, None, None)
        attributes = self._files.attributes(path)
        try:
            used = attributes["identity"]["settings"]
            count = images if images is not None else self._experiment.images.count if self._experiment.images else None
            if not count or (settings is not None and used != settings):
                return logged  # the training will not take it up
            epoch, step = (int(value) for value in read_tensors(path, {"position": (2,)})["position"])
            steps_per_epoch = max(1, count // min(int(used["batch_size"]), count))
            done, total = epoch * steps_per_epoch + step, int(used["epochs"]) * steps_per_epoch
            seconds = float(attributes["seconds"])
        except (RuntimeError, *MALFORMED) as error:
            if attributes and path.exists():
                self._files.complain(error if isinstance(error, UserError) else f"{path} is no saved state: {error}")
            return logged
        speed = logged[2] or (done / seconds if done > 0 and 0 < seconds < math.inf else None)
        return (max(done, progress.done) if progress and progress.total == total else done), total, speed
