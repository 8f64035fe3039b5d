"""Trainings of a benchmark, kept so that it goes on from there and its table can be printed anew without a device."""

import argparse
import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, astuple, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline.report.statistics import Sample, compare
from pipeline.training.loop import Epoch
from pipeline.training.settings import TrainingSettings


class Trained(NamedTuple):
    """A training: test top-1 in percent, its share of the seconds, each epoch as it was, and which test images are
    answered rightly, bool (images,).
    """

    top1: float
    seconds: float
    epochs: list[Epoch]
    right: np.ndarray


class Trainings:
    """Finished trainings of some rows and seeds, in one file (``.npz``).

    Args:
        file: where they are kept; read if it exists.

    Attributes:
        common: what all trainings have in common (JSON), empty before ``expect``.
        machines: on which they were trained, each once.
        rows: what each row is, in words.
        found: the trainings, by row and seed, rows in the order in which they came.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.common: dict[str, Any] = {}
        self.machines: list[str] = []
        self.rows: dict[str, str] = {}
        self.found: dict[str, dict[int, Trained]] = {}
        if file.exists():
            self._read()

    def expect(self, common: Mapping[str, Any], rows: Mapping[str, str]) -> None:
        """Notes what all trainings have in common and what the rows are. Exits if those that are kept differ."""
        common = json.loads(json.dumps(common))
        keys = common.keys() | self.common.keys() if self.found else set()
        other = _unlike(keys, self.common, common) + _unlike(rows.keys() & self.rows.keys(), self.rows, rows)
        if other:
            raise SystemExit(f"error: {self.file} has trainings of others ({'; '.join(other)}): name another folder")
        self.common = common
        self.rows |= rows

    def missing(self, rows: Iterable[str], seeds: int) -> dict[int, list[str]]:
        """Returns for each of the first ``seeds`` seeds which of the rows are to be trained, if any."""
        rows = list(rows)
        lacking = {seed: [row for row in rows if seed not in self.found.get(row, {})] for seed in range(seeds)}
        return {seed: those for seed, those in lacking.items() if those}

    def add(self, seed: int, trained: Mapping[str, Trained], machine: str) -> None:
        """Keeps a seed's trainings, by row, beside the others."""
        for row, training in trained.items():
            self.found.setdefault(row, {})[seed] = training
        self.machines = list(dict.fromkeys([*self.machines, machine]))
        self._write()

    def write_epochs(self, file: Path) -> None:
        """Writes each epoch of each training (CSV)."""
        with file.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["row", "seed", *(field.name for field in fields(Epoch))])
            for row, trained in self.found.items():
                for seed in sorted(trained):
                    writer.writerows([row, seed, *astuple(epoch)] for epoch in trained[seed].epochs)

    def by_row(self) -> dict[str, list[Trained]]:
        """Returns the trainings of each row, in the seeds' order."""
        return {row: [trained[seed] for seed in sorted(trained)] for row, trained in self.found.items()}

    def _write(self) -> None:
        arrays: dict[str, Any] = {}
        for row, trained in self.found.items():
            for seed, training in trained.items():
                name = f"{row}/{seed}"
                arrays[f"{name}/right"] = np.packbits(training.right)
                arrays[f"{name}/seconds"] = training.seconds
                arrays[f"{name}/epochs"] = np.array([astuple(epoch) for epoch in training.epochs])
        about = {"common": self.common, "machines": self.machines, "rows": self.rows}
        part = self.file.with_suffix(".part.npz")
        np.savez_compressed(part, about=json.dumps(about), **arrays)
        part.replace(self.file)

    def _read(self) -> None:
        with np.load(self.file) as arrays:
            about = json.loads(str(arrays["about"]))
            self.common, self.machines, self.rows = about["common"], about["machines"], about["rows"]
            names = [name.removesuffix("/right") for name in arrays.files if name.endswith("/right")]
            for name in names:
                row, seed = name.rsplit("/", 1)
                right = np.unpackbits(arrays[f"{name}/right"])[: self.common["test"]].astype(bool)
                epochs = [Epoch(int(epoch), *rest) for epoch, *rest in arrays[f"{name}/epochs"].tolist()]
                trained = Trained(float(100 * right.mean()), float(arrays[f"{name}/seconds"]), epochs, right)
                self.found.setdefault(row, {})[int(seed)] = trained


def trained_or_kept(
    parser: argparse.ArgumentParser,
    arguments: argparse.Namespace,
    train_missing: Callable[[argparse.Namespace, Trainings], None],
) -> Trainings:
    """Returns the trainings of the folder ``--output``; where ``--images`` are named, with what was missing. Exits
    where there are neither.
    """
    kept = Trainings(arguments.output / "trainings.npz")
    if arguments.images is not None:
        arguments.output.mkdir(parents=True, exist_ok=True)
        train_missing(arguments, kept)
    elif not kept.found:
        parser.error(f"{kept.file} has no trainings; name the --images to train on")
    return kept


def _unlike(keys: Iterable[str], kept: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    return [f"{key}: {kept.get(key)}, not {asked.get(key)}" for key in sorted(keys) if kept.get(key) != asked.get(key)]


def described(recipe: TrainingSettings) -> dict[str, Any]:
    """Returns what a recipe sets, without what it leaves as it is by default."""
    values = {field.name: (getattr(recipe, field.name), field.default) for field in fields(recipe)}
    return {name: value for name, (value, default) in values.items() if default is MISSING or value != default}


def differences(found: Mapping[str, Sequence[Trained]], rows: Sequence[str], base: str) -> dict[str, str]:
    """Returns in words how far each of the rows lies above ``base``; all of them together err in 5 % (Holm)."""

    def sample(row: str) -> Sample:
        return Sample(tuple(training.top1 for training in found[row]), tuple(training.right for training in found[row]))

    return dict(zip(rows, map(str, compare([(sample(row), sample(base)) for row in rows])), strict=True))
