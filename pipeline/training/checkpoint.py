"""Long trainings save themselves, and go on after whatever interrupted them, to the same bytes.

The saved state lies beside the artifact and is not a declared output of the rule, since Snakemake deletes those when a
job fails. The finished artifact replaces it.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pipeline.common.errors import StoppedError, UnreadableError, UserError
from pipeline.common.hdf5 import digest, read_attributes, read_tensors, write_tensors
from pipeline.common.log import log, progress
from pipeline.common.stopping import NO_LIMIT, StopRequests
from pipeline.training.loop import Training


class SavedState:
    """A training's state on disk.

    Args:
        path: of the HDF5 file.
        identity: everything that determines the training, as JSON values. A state of another training is not loaded.
        processes: how many take the training's steps together. The state does not depend on it.
        arithmetic: what this process computes with, in words (:func:`~pipeline.training.arithmetic.arithmetic_of`).
    """

    def __init__(self, path: Path, identity: Mapping[str, Any], processes: int = 1, arithmetic: str = "") -> None:
        self._path = path
        # As it comes back from the file, where a tuple has become a list.
        self._identity = json.loads(json.dumps(identity))
        self._processes = processes
        #: What the training was computed with: several words if it went on on another kind of machine.
        self.arithmetic = [arithmetic] if arithmetic else []
        self._started = time.monotonic()
        self._before = 0.0

    def seconds(self) -> float:
        """Returns time that the training has taken, in this process and in the interrupted ones before it."""
        return self._before + time.monotonic() - self._started

    def restore(self, training: Training) -> bool:
        """Takes up a saved state. One that is damaged or of other settings is set aside with a warning.

        Raises:
            UserError: the file cannot be read, which is no damage.
        """
        if not self._path.exists():
            return False
        untouched = training.state()
        try:
            attributes = read_attributes(self._path)
            if attributes["identity"] != self._identity:
                raise UserError("it belongs to other settings")
            arrays = read_tensors(self._path)
            if digest(arrays) != attributes["digest"]:
                raise UserError("its tensors are not those that were saved")
            seconds, processes = float(attributes["seconds"]), int(attributes.get("processes", 1))
            before = [str(words) for words in attributes.get("arithmetic", [])]
            training.restore({name: torch.from_numpy(array) for name, array in arrays.items()})
        except UnreadableError:
            raise
        except (UserError, KeyError, RuntimeError, OSError, ValueError) as error:
            aside = self._path.with_suffix(".set-aside.h5")
            self._path.replace(aside)
            log(f"warning: not going on from {self._path} ({error}); set aside as {aside.name}, starting anew")
            training.restore(untouched)  # where something was missing, the rest was taken up already
            return False
        self._before = seconds
        if before and before[-1:] != self.arithmetic:
            log(f"the state was computed with {before[-1]}, now {', '.join(self.arithmetic)}; last digits can differ")
        self.arithmetic = list(dict.fromkeys([*before, *self.arithmetic]))
        if processes != self._processes:
            log(
                f"the state was saved by {processes} processes, now there are {self._processes}; last digits can differ"
            )
        return True

    def save(self, training: Training) -> None:
        """Replaces the saved state. Raises UserError where it cannot be written."""
        tensors = {name: tensor.numpy() for name, tensor in training.state().items()}
        attributes = {"identity": self._identity, "seconds": self.seconds(), "processes": self._processes}
        write_tensors(self._path, tensors, {**attributes, "arithmetic": self.arithmetic})

    def remove(self) -> None:
        """Removes the state, which is of no use once the artifact is complete."""
        self._path.unlink(missing_ok=True)


def train(
    training: Training, saved: SavedState, task: str, save_minutes: float, stops: StopRequests = NO_LIMIT
) -> None:
    """Trains to the end, from the saved state if there is one, saving every ``save_minutes`` and when asked to end.

    Of several processes the first one reads and writes the state, which is the same in all of them, and all of them
    stop after the same step.

    Raises:
        StoppedError: after SIGTERM or SIGINT (to any of the processes), or when its time is nearly up,
            with the state saved.
        DivergedError: as ``Training.steps``.
    """
    world = training.world
    if world.first and saved.restore(training):
        log(f"{task}: going on from epoch {training.epoch + 1}, step {training.step}")
    training.follow_first()
    saved_at = time.monotonic()
    with stops.noted() as asked, progress(task, training.steps_total, "steps", training.steps_done) as bar:
        for _ in training.steps():
            last = training.history[-1] if training.history else None
            bar.advance(note=f"epoch {last.epoch}: loss {last.loss:.3f}, top-1 {last.top1:.1f} %" if last else "")
            number = world.agree(asked[0] if asked else 0)
            if number:
                if world.first:
                    saved.save(training)
                    if number in stops.warnings:
                        stops.queue_again()
                world.agree(0)  # nobody leaves before the state is saved: torchrun would end the others
                raise StoppedError(number)
            if world.first and time.monotonic() - saved_at > 60 * save_minutes:
                saved.save(training)
                saved_at = time.monotonic()
