"""Where everything of an experiment lies: each path under results/EXPERIMENT is made here, and nowhere else.

The names of searches, rows and seeds can be wildcards, such as ``{search}``, so that the workflow's rules take their
patterns from here too. Whoever needs to know of which search or row a file is, is told; no name is read from a path.

>>> layout = Layout.of("digits")
>>> layout.generation("A", 3).population.as_posix()
'results/digits/search/A/generation_003/population.csv'
>>> layout.generation("{search}", "{generation}").scores.as_posix()
'results/digits/search/{search}/generation_{generation}/scores.csv'
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.common import files

#: The folder of all experiments, in the working folder.
RESULTS = Path(files.RESULTS)

#: Several experiments side by side on one page.
COMPARISON = RESULTS / "comparison.html"

#: The figures, each of which is drawn in every one of ``FIGURE_FORMS``.
FIGURES = ("fitness", "accuracy", "channels", "curves", "proxy", "methods")
FIGURE_FORMS: tuple[Literal["png", "svg", "pdf"], ...] = ("png", "svg", "pdf")

_SEED = re.compile(r"seed_(\d{1,9})")


@dataclass(frozen=True)
class TrainingFiles:
    """The files of a training in full: the network, its curve and what it took."""

    weights: Path
    history: Path
    timing: Path

    @classmethod
    def in_folder(cls, folder: Path) -> "TrainingFiles":
        """Returns the files of a row's training in their folder."""
        return cls(folder / "weights.h5", folder / "history.csv", folder / "timing.json")


@dataclass(frozen=True)
class CandidateFiles:
    """A set of candidates: which, and in a folder of their own what became of them."""

    folder: Path

    @property
    def population(self) -> Path:
        """The genomes."""
        return self.folder / "population.csv"

    @property
    def evaluations(self) -> Path:
        """Returns what each of them scored."""
        return self.folder / "evaluations.csv"

    @property
    def timing(self) -> Path:
        """Returns what each of them took."""
        return self.folder / "timing.csv"


@dataclass(frozen=True)
class GenerationFiles(CandidateFiles):
    """A generation of a search, whose evaluations and times lie in one table for each shard before it is scored."""

    @property
    def scores(self) -> Path:
        """The candidates with their fitness."""
        return self.folder / "scores.csv"

    def shard_evaluations(self, shard: int | str, shards: int) -> Path:
        """Returns what the candidates of a shard scored."""
        return self.folder / f"evaluations_{shard}-of-{shards}.csv"

    def shard_timing(self, shard: int | str, shards: int) -> Path:
        """Returns what the candidates of a shard took."""
        return self.folder / f"timing_{shard}-of-{shards}.csv"

    def found_shards(self) -> tuple[list[Path], list[Path]]:
        """Returns the evaluations and the times of the shards that are there."""
        return sorted(self.folder.glob("evaluations_*.csv")), sorted(self.folder.glob("timing_*.csv"))


@dataclass(frozen=True)
class SampleFiles(CandidateFiles):
    """Random genomes, each scored as a candidate and trained in full, by several trainings."""

    def scores(self, repetition: int | str) -> Path:
        """Returns what each of them scored as a candidate in one repetition."""
        return self.folder / f"scores_{repetition}.csv"

    def scores_timing(self, repetition: int | str) -> Path:
        """Returns what that took."""
        return self.folder / f"scores_timing_{repetition}.csv"

    def trained(self, repetition: int | str) -> Path:
        """Returns what each of them reached when trained in full in one repetition."""
        return self.folder / f"trained_{repetition}.csv"

    def trained_timing(self, repetition: int | str) -> Path:
        """Returns what that took."""
        return self.folder / f"trained_timing_{repetition}.csv"


@dataclass(frozen=True)
class FinalistFiles(CandidateFiles):
    """The best candidates of a search, scored anew by several trainings of each."""

    def repeated(self, repetition: int | str) -> Path:
        """Returns what each of them scored in one repetition."""
        return self.folder / f"evaluations_{repetition}.csv"

    def repeated_timing(self, repetition: int | str) -> Path:
        """Returns what each of them took in one repetition."""
        return self.folder / f"timing_{repetition}.csv"

    @property
    def found(self) -> Path:
        """The genome that won."""
        return self.folder / "found.json"


@dataclass(frozen=True)
class SearchFiles:
    """The files of what a search as a whole found."""

    folder: Path

    @property
    def best(self) -> Path:
        """The genome that it found."""
        return self.folder / "best.json"

    @property
    def history(self) -> Path:
        """The scores of all generations."""
        return self.folder / "history.csv"

    @property
    def timing(self) -> Path:
        """Returns what the candidates of all generations took."""
        return self.folder / "timing.csv"


@dataclass(frozen=True)
class TableFiles:
    """The tables, in their folder."""

    folder: Path

    @property
    def results_csv(self) -> Path:
        """The table of results, for programs."""
        return self.folder / "results.csv"

    @property
    def results(self) -> Path:
        """The table of results, to read, with what follows from it."""
        return self.folder / "results.md"

    @property
    def results_tex(self) -> Path:
        """The table of results, for a paper."""
        return self.folder / "results.tex"

    @property
    def classes(self) -> Path:
        """The accuracy of every row on each class, for programs."""
        return self.folder / "classes.csv"

    @property
    def timing(self) -> Path:
        """Returns what everything took, to read."""
        return self.folder / "timing.md"

    @property
    def timing_csv(self) -> Path:
        """Returns what everything took, for programs."""
        return self.folder / "timing.csv"

    @property
    def balance(self) -> Path:
        """How evenly shards were loaded."""
        return self.folder / "balance.csv"

    @property
    def proxy(self) -> Path:
        """Returns what a candidate's score is worth, to read."""
        return self.folder / "proxy.md"

    @property
    def proxy_csv(self) -> Path:
        """Returns what a candidate's score is worth, for programs."""
        return self.folder / "proxy.csv"

    @property
    def candidates(self) -> Path:
        """Every evaluated candidate, and which fronts it is on."""
        return self.folder / "candidates.csv"

    @property
    def inference(self) -> Path:
        """Returns what the packed networks take on the machine that measured them, to read; made by a step of its
        own.
        """
        return self.folder / "inference.md"

    @property
    def inference_csv(self) -> Path:
        """Returns what the packed networks take, for programs."""
        return self.folder / "inference.csv"

    @property
    def all(self) -> tuple[Path, ...]:
        """Every table of what was found."""
        results = (self.results_csv, self.results, self.results_tex, self.classes)
        return (*results, self.timing_csv, self.timing, self.balance, self.proxy_csv, self.proxy, self.candidates)


def figure_file(folder: Path, name: str, form: str) -> Path:
    """Returns where a figure lies in its folder."""
    return folder / f"{name}.{form}"


@dataclass(frozen=True)
class Layout:
    """The paths of one experiment.

    Attributes:
        folder: results/EXPERIMENT, wherever that is seen from.
    """

    folder: Path

    @classmethod
    def of(cls, experiment: str) -> "Layout":
        """Returns the layout of an experiment in the working folder."""
        return cls(RESULTS / experiment)

    @property
    def experiment(self) -> str:
        """The experiment's name."""
        return self.folder.resolve().name

    @property
    def workplace(self) -> Path:
        """The folder in which the workflow runs."""
        return self.folder.resolve().parent.parent

    @property
    def config(self) -> Path:
        """The configuration that the experiment was last run with."""
        return self.folder / "config.yaml"

    @property
    def running(self) -> Path:
        """Who runs the experiment, from whatever working folder."""
        return self.folder / ".running.json"

    @property
    def made_with(self) -> Path:
        """Returns what each file was made with, as Snakemake noted it."""
        return self.folder / "made_with.jsonl"

    @property
    def arithmetic(self) -> Path:
        """Returns what the experiment computes with, settled by its first training."""
        return self.folder / "arithmetic.json"

    # --- images ---

    @property
    def train(self) -> Path:
        """The prepared train images."""
        return self.folder / "data" / "train.h5"

    @property
    def test(self) -> Path:
        """The prepared test images."""
        return self.folder / "data" / "test.h5"

    @property
    def prepared(self) -> tuple[Path, Path]:
        """The prepared images."""
        return self.train, self.test

    @property
    def subset(self) -> Path:
        """Which train images the search learns from."""
        return self.folder / "splits" / "subset.csv"

    @property
    def validation(self) -> Path:
        """Which train images candidates are scored on."""
        return self.folder / "splits" / "validation.csv"

    @property
    def held_out(self) -> Path:
        """Which train images finalists and the proxy are judged on."""
        return self.folder / "splits" / "held_out.csv"

    @property
    def not_held_out(self) -> Path:
        """Which train images are all the others."""
        return self.folder / "splits" / "not_held_out.csv"

    # --- search ---

    @property
    def supernet(self) -> TrainingFiles:
        """The supernet."""
        folder = self.folder / "supernet"
        return TrainingFiles(folder / "supernet.h5", folder / "history.csv", folder / "timing.json")

    @property
    def archive(self) -> Path:
        """The folder of all evaluated candidates."""
        return self.folder / "archive"

    @property
    def searches(self) -> Path:
        """The folder of all searches."""
        return self.folder / "search"

    def search(self, search: str) -> SearchFiles:
        """Returns the files of a search as a whole."""
        return SearchFiles(self.searches / search)

    def generation(self, search: str, number: int | str) -> GenerationFiles:
        """Returns the files of a generation."""
        digits = number if isinstance(number, str) else f"{number:03d}"
        return GenerationFiles(self.searches / search / f"generation_{digits}")

    def finalists(self, model: str) -> FinalistFiles:
        """Returns the files of the finalists of the search that a row comes from."""
        return FinalistFiles(self.folder / "finalists" / model)

    @property
    def sample(self) -> SampleFiles:
        """The random genomes that the proxy is judged on."""
        return SampleFiles(self.folder / "proxy")

    # --- rows of the table ---

    def control(self, model: str) -> Path:
        """Returns where the genome of a control lies, which is chosen by what it controls."""
        return self.folder / "controls" / f"{model}.json"

    @property
    def trainings(self) -> Path:
        """The folder in which finished trainings are kept."""
        return self.folder / "trainings"

    @property
    def retrainings(self) -> Path:
        """The folder of the rows' trainings."""
        return self.folder / "retrain"

    @property
    def measurements(self) -> Path:
        """The folder of the rows' accuracies on the test set."""
        return self.folder / "evaluation"

    def training(self, model: str, seed: int | str) -> TrainingFiles:
        """Returns the files of one training of a row."""
        return TrainingFiles.in_folder(self.retrainings / model / f"seed_{seed}")

    def measurement(self, model: str, seed: int | str) -> Path:
        """Returns where the accuracy of one training of a row lies."""
        return self.measurements / model / f"seed_{seed}.json"

    def packed(self, model: str) -> Path:
        """Returns where the packed network of a row lies."""
        return self.folder / "packed" / f"{model}.bnn"

    def found_seeds(self, model: str) -> list[int]:
        """Returns the seeds of a row of which there is anything, in order."""
        names = {*_names(self.retrainings / model), *_names(self.measurements / model)}
        return sorted({int(found[1]) for name in names if (found := _SEED.fullmatch(name.removesuffix(".json")))})

    def results_of(self, searches: Iterable[str], models: Iterable[str]) -> Iterator[Path]:
        """Yields the files that are there of what searches and rows depend on and have found, as later steps read it.

        Args:
            searches: runs of searches, by name.
            models: rows of the table.
        """
        files = [*self.prepared, self.subset, self.validation, self.held_out, self.not_held_out]
        folders = [self.sample.folder]
        for search in searches:
            whole = self.search(search)
            files += [whole.best, whole.history, whole.timing]
            folders += whole.folder.glob("generation_*")
        trainings = [self.supernet]
        for model in models:
            folders.append(self.finalists(model).folder)
            files += [self.control(model), self.finalists(model).found]
            seeds = self.found_seeds(model)
            files += [self.measurement(model, seed) for seed in seeds]
            trainings += [self.training(model, seed) for seed in seeds]
        files += [file for training in trainings for file in (training.weights, training.history, training.timing)]
        files += [file for folder in folders for file in folder.glob("[!.]*.csv")]
        return (file for file in files if file.is_file())

    # --- what is looked at ---

    @property
    def tables(self) -> TableFiles:
        """The tables."""
        return TableFiles(self.folder / "tables")

    @property
    def figures(self) -> Path:
        """The folder of all figures."""
        return self.folder / "figures"

    def figure(self, name: str, form: str) -> Path:
        """Returns where a figure lies."""
        return figure_file(self.figures, name, form)

    @property
    def report(self) -> Path:
        """The whole experiment on one page."""
        return self.folder / "report.html"

    # --- what steps say of themselves ---

    @property
    def logs(self) -> Path:
        """The folder of what steps said."""
        return self.folder / "logs"

    def log(self, *name: str) -> Path:
        """Returns where a step's log lies."""
        return self._named("logs", name, ".log")

    @property
    def benchmarks(self) -> Path:
        """The folder of what jobs took."""
        return self.folder / "benchmarks"

    def benchmark(self, *name: str) -> Path:
        """Returns where Snakemake's record of a step's time and memory lies."""
        return self._named("benchmarks", name, ".tsv")

    def training_log(self, model: str, seed: int | str) -> Path:
        """Returns where the log of one training of a row lies."""
        return self.log("retrain", f"{model}_{seed}")

    def _named(self, kind: str, name: tuple[str, ...], ending: str) -> Path:
        *folders, last = name
        return self.folder.joinpath(kind, *folders, last + ending)

    def exists(self) -> bool:
        """Returns whether anything shows that the folder is an experiment's."""
        data, supernet = self.train.parent, self.supernet.weights.parent
        folders = (data, self.searches, self.archive, supernet, self.retrainings, self.measurements, self.tables.folder)
        return any(path.exists() for path in (self.config, *folders))


def find_layouts(folder: Path = RESULTS) -> list[Layout]:
    """Returns the experiments that lie in a folder, by name; none where there is no such folder."""
    with suppress(OSError):
        return [layout for layout in map(Layout, sorted(folder.iterdir())) if layout.exists()]
    return []


def trained_seeds(folder: Path) -> dict[int, Path]:
    """Returns the networks in the folder of a row's trainings, by seed."""
    found = {int(match[1]): folder / name for name in _names(folder) if (match := _SEED.fullmatch(name))}
    weights = {seed: TrainingFiles.in_folder(path).weights for seed, path in found.items()}
    return {seed: path for seed, path in weights.items() if path.is_file()}


def layout_of_archive(folder: Path) -> Layout | None:
    """Returns the experiment whose archive lies in ``folder``; None if the folder is no experiment's archive."""
    layout = Layout(folder.resolve().parent)
    return layout if layout.archive == folder.resolve() else None


def layout_around(file: Path) -> Layout | None:
    """Returns the experiment that a file lies in; None if it lies in none that has its train images still."""
    layouts = map(Layout, file.resolve().parents)
    return next((layout for layout in layouts if layout.train.is_file()), None)


def _names(folder: Path) -> Iterator[str]:
    with suppress(OSError):
        yield from (path.name for path in folder.iterdir())
