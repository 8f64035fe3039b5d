"""Tables of a whole search space: what every genome scored as a candidate, and what full trainings of many gave.

On a table a search takes a moment, so that algorithms can be compared over hundreds of seeds. Scores are measured, one
for each genome. A genome's **quality** stands for the accuracy that its full training would have. Measured accuracies
are noisy, and most genomes were not trained in full: quality is the measured mean drawn towards a model of all
measurements (a quadratic in the logarithms of the ratios, and the score), each weighed by its variance.

A table is one compressed file, and answers as any evaluator does:

>>> table = Table.of(NetworkSpec("vgg_small", (1.0,) * 6), (1.0,), np.array([[80.0]]), np.array([[90.0, 91.0]]), {})
>>> table.individual((1.0,) * 6)
Individual(genome=(1.0, 1.0, 1.0, 1.0, 1.0, 1.0), top1=80.0, relative_cost=1.0)
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.common.errors import UserError
from pipeline.common.files import replacing
from pipeline.networks.genome import Genome
from pipeline.networks.spec import NetworkSpec
from pipeline.search.individual import Individual
from pipeline.search.space import Budget, SearchSpace, search_space

#: Tables that come with the project.
FOLDER = Path(__file__).parent
_ENDING = ".npz"
#: Under which name ``made`` holds how many images candidates learn from.
LEARNED_FROM = "subset images"
_FORMAT = 1
#: Accuracies are stored in hundredths of a percent; this one says that there is none.
_NONE = 65535
#: Of these, the most that there can be.
_MOST = 10_000
#: Genomes trained in full for each number of the model of quality; from fewer it foretells noise (tried on two tables).
_TRAINED = 2
#: Of each part of a file: equal tables shall have equal bytes.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Table:
    """Measurements of every genome of a space.

    Attributes:
        spec: the network with any genome, at the width at which costs are counted.
        ratios: values of a gene, ascending.
        scores: top-1 in percent as a candidate, float64 (genomes, scorings), NaN where there is none. Genomes stand in
            the order of :meth:`SearchSpace.enumerate`.
        trained: top-1 in percent after full trainings, (genomes, trainings), NaN where there is none.
        made: how it was made, by name.
        partial: top-1 in percent of the first scoring's candidates after their first epochs
            (:mod:`pipeline.search.early_stopping`), (genomes, len(partial_epochs)); NaN where there is none.
        partial_epochs: after how many.
    """

    spec: NetworkSpec
    ratios: tuple[float, ...]
    scores: np.ndarray
    trained: np.ndarray
    made: Mapping[str, Any]
    partial: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    partial_epochs: tuple[int, ...] = ()

    @classmethod
    def of(
        cls,
        spec: NetworkSpec,
        ratios: Sequence[float],
        scores: np.ndarray,
        trained: np.ndarray,
        made: Mapping[str, Any],
    ) -> "Table":
        """Makes a table. Raises ValueError where arrays are not of the space's size."""
        table = cls(spec, tuple(sorted(map(float, ratios))), scores, trained, dict(made))
        if not len(scores) == len(trained) == len(table.ratios) ** len(spec.genome):
            raise ValueError("there must be one line for each genome")
        return table

    @cached_property
    def space(self) -> SearchSpace:
        """All genomes, without a budget."""
        return search_space(self.spec, self.ratios, Budget())

    @cached_property
    def genomes(self) -> list[Genome]:
        """All genomes in the table's order."""
        return list(self.space.enumerate())

    @cached_property
    def costs(self) -> np.ndarray:
        """Cost of each genome relative to uniform-1x, as in Eq. 4, (genomes,)."""
        return self.space.costs(self.genomes)

    @cached_property
    def _places(self) -> dict[Genome, int]:
        return {genome: place for place, genome in enumerate(self.genomes)}

    def individual(self, genome: Genome) -> Individual:
        """Returns a genome as a search sees it when it has been evaluated."""
        place = self._places[genome]
        score = float(self.scores[place, 0])
        return Individual(genome, None if np.isnan(score) else score, float(self.costs[place]))

    def partial_top1(self, genome: Genome, epochs: int) -> float | None:
        """Returns the top-1 in percent that a genome had after its first epochs; None if it had diverged.

        Raises:
            UserError: the table does not know that of every genome that has a score.
        """
        if epochs not in self._whole_epochs:
            known = " or ".join(map(str, self._whole_epochs)) or "no number of"
            some = "of some genomes only " if epochs in self.partial_epochs else ""
            raise UserError(
                f"the table has {'' if some else 'no '}scores {some}after {epochs} epochs",
                f"it has them after {known} epochs: ask for those",
            )
        partial = float(self.partial[self._places[genome], self.partial_epochs.index(epochs)])
        return None if np.isnan(partial) else partial

    @cached_property
    def _whole_epochs(self) -> tuple[int, ...]:
        """The epochs after which all genomes are scored that have a score in the end. One without an early score was
        not scored then, or had diverged.
        """
        places, scored = range(len(self.partial_epochs)), ~np.isnan(self.scores[:, 0])
        missing = [bool((np.isnan(self.partial[:, place]) & scored).any()) for place in places]
        return tuple(epochs for epochs, some in zip(self.partial_epochs, missing, strict=True) if not some)

    @property
    def unscored(self) -> int:
        """Returns how many genomes have no score: they diverged, or were not evaluated before the table was made."""
        return int(np.isnan(self.scores[:, 0]).sum())

    @property
    def epochs(self) -> int:
        """Returns the epochs of a candidate's whole training."""
        return int(self.made["candidate"]["epochs"])

    @property
    def scored_share(self) -> float:
        """Returns how many images candidates are scored on, relative to those that they learn from.

        Raises:
            UserError: they learn from all that remain, and a table of an earlier version does not say how many.
        """
        split = self.made["split"]
        if split["subset_per_class"] is not None:
            return float(split["validation_per_class"] / split["subset_per_class"])
        if LEARNED_FROM not in self.made:
            raise UserError(
                "the table does not say how many images candidates learn from, by which early stopping is counted",
                "make it again (`tabulate`), or stop none early",
            )
        return float(split["validation_per_class"] * self.spec.classes / self.made[LEARNED_FROM])

    def quality_of(self, genome: Genome) -> float:
        """Returns the quality of a genome, in percent."""
        return float(self.quality[self._places[genome]])

    @cached_property
    def quality(self) -> np.ndarray:
        """The accuracy in percent that a full training of each genome is expected to have, (genomes,).

        Raises:
            UserError: too few were trained in full to expect anything.
        """
        modelled, of_model, of_seed = self._model
        counts = (~np.isnan(self.trained)).sum(axis=1)
        means = np.where(counts > 0, np.nansum(self.trained, axis=1) / np.maximum(counts, 1), modelled)
        weight = of_model / (of_model + of_seed / np.maximum(counts, 1)) if of_model else np.zeros(len(means))
        return np.clip(np.where(counts > 0, modelled + weight * (means - modelled), modelled), 0.0, 100.0)

    @property
    def trained_again(self) -> bool:
        """Returns whether genomes were trained in full from several seeds; else nothing is known of a seed's part."""
        return bool(((~np.isnan(self.trained)).sum(axis=1) >= 2).any())

    @property
    def noise(self) -> tuple[float, float]:
        """Standard deviations in points: of a full training over seeds, and of genomes about the model."""
        _, of_model, of_seed = self._model
        return of_seed**0.5, of_model**0.5

    @cached_property
    def _model(self) -> tuple[np.ndarray, float, float]:
        """The model's prediction for each genome, the variance of genomes about it, and that of a training's seed."""
        logarithms = np.log2(np.array(self.genomes))
        scored = (~np.isnan(self.scores)).sum(axis=1)
        scores = np.where(scored > 0, np.nansum(self.scores, axis=1) / np.maximum(scored, 1), np.nan)
        scores = scores if scored.any() else np.zeros(len(logarithms))
        filled = np.where(np.isnan(scores), np.nanmean(scores), scores)
        columns = [np.ones(len(logarithms)), *logarithms.T, filled, filled**2]
        columns += [
            logarithms[:, a] * logarithms[:, b] for a, b in combinations_with_replacement(range(len(logarithms.T)), 2)
        ]
        features = np.column_stack(columns)
        counts = (~np.isnan(self.trained)).sum(axis=1)
        known = counts > 0
        wanted = min(_TRAINED * features.shape[1], len(features))
        if known.sum() < wanted:
            raise UserError(
                f"only {known.sum():,} genomes of the table were trained in full, which says nothing of the others",
                f"make it again when {wanted:,} have been (proxy.sample)",
            )
        means = np.nansum(self.trained[known], axis=1) / counts[known]
        repeated = counts >= 2
        of_seed = float(np.nanvar(self.trained[repeated], axis=1, ddof=1).mean()) if repeated.any() else 0.0
        # A small ridge: the quadratic of a gene of two ratios is its line.
        inner = features[known].T @ features[known] + 1e-6 * np.eye(features.shape[1])
        weights = np.linalg.solve(inner, features[known].T @ means)
        free = max(int(known.sum()) - features.shape[1], 1)
        residual = float(np.sum((means - features[known] @ weights) ** 2)) / free
        of_model = max(residual - of_seed * float(np.mean(1 / counts[known])), 0.0)
        return features @ weights, of_model, of_seed


def tables() -> list[str]:
    """Returns the names of the tables that come with the project."""
    return sorted(path.stem for path in FOLDER.glob(f"*{_ENDING}"))


def find_table(name: str) -> Path:
    """Returns the file of a table: one that comes with the project, by name, or any file.

    Raises:
        UserError: there is neither.
    """
    ours = FOLDER / f"{name}{_ENDING}"
    if ours.exists():
        return ours
    if Path(name).is_file():
        return Path(name)
    known = ", ".join(tables()) or "none comes with the project yet"
    raise UserError(f"there is no table '{name}'", f"name a file or one of these: {known}")


def write_table(path: Path, table: Table) -> None:
    """Writes a table as one compressed file, which numpy reads; equal tables have equal bytes."""

    def packed(values: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(values), _NONE, np.round(100 * np.nan_to_num(values))).astype("<u2")

    measured = {"scores": packed(table.scores), "trained": packed(table.trained)}
    about = {"format": _FORMAT, "network": table.spec.record(), "ratios": list(table.ratios), "made": table.made}
    if table.partial_epochs:
        measured["partial"] = packed(table.partial)
        about["partial_epochs"] = list(table.partial_epochs)
    about["digest"] = _digest(about, measured)
    arrays = {"about": np.frombuffer(json.dumps(about, sort_keys=True).encode(), np.uint8), **measured}
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            one = io.BytesIO()
            np.save(one, array, allow_pickle=False)
            # A fixed time, since equal tables shall have equal bytes.
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), one.getvalue(), zipfile.ZIP_DEFLATED
            )
    with replacing(path) as partial:
        partial.write_bytes(whole.getvalue())


def _digest(about: Mapping[str, Any], measured: Mapping[str, np.ndarray]) -> str:
    total = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, array in measured.items():
        total.update(f"{name} {array.shape}\n".encode())
        total.update(np.ascontiguousarray(array, "<u2").data)
    return total.hexdigest()


def read_table(path: Path) -> Table:
    """Reads a table.

    Raises:
        UserError: the file is none, or was changed after it was written (those of older versions do not tell).
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            names = ("scores", "trained", *(["partial"] if "partial" in arrays else []))
            measured = {name: arrays[name] for name in names}
        if about["format"] != _FORMAT:
            raise UserError(f"{path} is a table of format {about['format']}", f"this version reads format {_FORMAT}")
        if about.pop("digest", None) not in (None, _digest(about, measured)):
            raise UserError(f"{path} was changed after it was written", "make it again (`tabulate`)")
        for name, one in measured.items():
            if one.ndim != 2 or one.dtype != np.uint16 or one[one != _NONE].max(initial=0) > _MOST:
                raise ValueError(f"'{name}' holds no accuracies")
        scores, trained, *partial = (np.where(one == _NONE, np.nan, one / 100) for one in measured.values())
        table = Table.of(NetworkSpec.from_record(about["network"]), about["ratios"], scores, trained, about["made"])
        epochs = tuple(about.get("partial_epochs", ()))
        if partial and partial[0].shape != (len(scores), len(epochs)):
            raise ValueError("there must be one column for each number of epochs")
        return replace(table, partial=partial[0], partial_epochs=epochs) if partial else table
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} is no table of a search space ({error})", "name a file that `tabulate` has made"
        ) from None
