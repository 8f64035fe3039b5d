"""Which way of scoring candidates ranks networks as their trainings in full do: few images, or all of them?

    python -m benchmarks.candidates results/cifar10-mini --ways 100x10 500x10 1000x1 4500x1 4500x2 --output OUTPUT
    python -m benchmarks.candidates results/ways --sample --ways 50x10 500x1 --output OUTPUT

The networks are those of an experiment's rows, or, with ``--sample``, the random genomes that its proxy is judged on.
A way is IMAGESxEPOCHS: of each class, and of a candidate's training. Whatever else is as the experiment has it. For
each number of images a supernet is trained, for as many epochs as show it ``--supernet-images`` images in all;
candidates inherit from it, as in a search. All are scored ``--repeats`` times, from other seeds, and all ways on the
same validation images. With ``--supernets`` there are several of each, from other seeds, taken in turn by repeats.

Prints for each way, and for SynFlow of untrained networks (a judge that looks at no image, benchmarks/judges.py), how
many images a candidate sees, and the seconds it takes. Of rows, how well one score of each agrees with the accuracies
of the rows trained in full (Kendall's tau-b, the mean over repeats), how many of those pairs of rows that their
trainings tell apart (Welch and Holm, 5 %) one score of each ranks rightly, and each row's score. Of a sample, tau and
the partial tau given cost, and how far tau lies above that of the first way: means over repeats, with 95 % intervals of
a bootstrap over genomes. Supernets and scores are kept in OUTPUT, so that the same command goes on from there.
"""

import argparse
import re
import shlex
import statistics
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from benchmarks.judges import synflow
from benchmarks.rows import measurements
from benchmarks.timing import table
from pipeline.__main__ import main as step
from pipeline.common.digests import digest_of
from pipeline.common.files import write_csv
from pipeline.common.log import progress
from pipeline.data.prepared import read_info
from pipeline.networks.genome import Genome, format_genome
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec
from pipeline.report.proxy import RESAMPLES, kendall_tau, partial_tau
from pipeline.report.rows import Interval, Measurement, sample_of
from pipeline.report.statistics import Interval95, compare
from pipeline.search.costs import relative_column
from pipeline.search.tables import POPULATION, population_row, read_new_scores, read_population
from pipeline.workflow.layout import Layout
from pipeline.workflow.rows import rows_asked_for
from pipeline.workflow.rules.flags import Flags
from pipeline.workflow.saved_config import read_saved_config


class Way(NamedTuple):
    """How candidates are trained: images of each class, and epochs."""

    images: int
    epochs: int


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path, help="its folder of results, in which networks have been trained")
    parser.add_argument("--ways", nargs="+", type=_way, required=True, metavar="IMAGESxEPOCHS")
    those = parser.add_mutually_exclusive_group()
    those.add_argument("--rows", nargs="+", help="of which to score the networks; all binary ones without it")
    those.add_argument("--sample", action="store_true", help="score the random genomes of its proxy")
    parser.add_argument("--repeats", type=int, default=3, help="scores of each network, from other seeds")
    parser.add_argument("--supernets", type=int, default=1, help="of each number of images, which repeats take in turn")
    parser.add_argument("--validation", type=int, default=500, help="images of each class to score on")
    parser.add_argument("--supernet-images", type=int, default=100_000, help="that each supernet's training shows it")
    parser.add_argument("--cores", type=int, default=1, help="to score candidates side by side on")
    parser.add_argument("--output", type=Path, required=True, help="folder for supernets and scores")
    arguments = parser.parse_args()
    if not 1 <= arguments.supernets <= arguments.repeats:
        raise SystemExit(f"error: {arguments.supernets} supernets: take at least 1, and as many --repeats at least")
    layout = Layout(arguments.experiment)
    saved = read_saved_config(layout)
    if saved is None:
        raise SystemExit(f"error: there is no experiment in {layout.folder}")
    networks = _sampled(layout, saved.config) if arguments.sample else _of_rows(layout, arguments.rows)
    if len(networks.genomes) < 2:
        raise SystemExit(
            f"error: {layout.folder} has {len(networks.genomes)} trained networks; two are the least to rank"
        )
    arguments.output.mkdir(parents=True, exist_ok=True)
    scorer = Scorer(saved.config, layout, networks.genomes, arguments)
    measured = []
    with progress("candidates", len(arguments.ways) * arguments.repeats, "scores of all networks") as bar:
        for way in arguments.ways:
            scores, seconds = [], []
            for repetition in range(arguments.repeats):
                one, took = scorer.score(way, repetition)
                scores.append([one[genome] for genome in networks.genomes])
                seconds.append(took)
                bar.advance()
            images = way.images * way.epochs * scorer.classes
            name = f"{way.images} × {way.epochs}"
            measured.append(Measured(name, images, statistics.mean(seconds), np.array(scores)))
    measured.append(scorer.untrained(networks.genomes, arguments.repeats))
    print(networks.table(measured))


class Measured(NamedTuple):
    """A way, the images that a candidate sees, the seconds it takes, and scores, (repeats, networks)."""

    name: str
    images: int
    seconds: float
    scores: np.ndarray

    def cells(self) -> list[str]:
        """Returns what both tables begin with."""
        return [self.name, f"{self.images:,}", f"{self.seconds:.2g}"]


_COLUMNS = ["images of each class × epochs", "images seen", "seconds"]


class Rows:
    """Rows of an experiment: few networks, each trained from several seeds."""

    def __init__(self, rows: Mapping[str, Sequence[Measurement]]) -> None:
        self._rows = rows
        self.genomes = [measured[0].spec.genome for measured in rows.values()]

    def table(self, measured: Sequence[Measured]) -> str:
        """Returns what each way makes of the rows."""
        trained = [
            f"{format_genome(genome)}: {Interval.of([one.top1 for one in row])}"
            for genome, row in zip(self.genomes, self._rows.values(), strict=True)
        ]
        lines = [["trained in full", "", "", "", "", *trained]]
        for one in measured:
            taus, right, pairs = agreement(self._rows, one.scores.tolist())
            each = [str(Interval.of(row)) for row in one.scores.T.tolist()]
            lines.append([*one.cells(), f"{statistics.mean(taus):.2f}", f"{right} of {pairs}", *each])
        return table([*_COLUMNS, "tau", "pairs told apart that are ranked right", *self._rows], lines)


class Sampled:
    """The random genomes of an experiment's proxy: many networks.

    Args:
        genomes: of the networks.
        costs: of each, relative to uniform-1x.
        trained: the mean accuracy of each when trained in full.
    """

    def __init__(self, genomes: Sequence[Genome], costs: Sequence[float], trained: Sequence[float]) -> None:
        self.genomes = list(genomes)
        self._costs, self._trained = np.array(costs), np.array(trained)

    def table(self, measured: Sequence[Measured]) -> str:
        """Returns how well each way ranks the genomes."""
        draws = np.random.default_rng(0).integers(0, len(self.genomes), (RESAMPLES, len(self.genomes)))
        whole = [np.arange(len(self.genomes)), *draws]  # the first is the sample itself
        costs = self._taus(whole, self._costs)
        first = self._taus(whole, measured[0].scores)
        lines = [["cost alone", "", "", "", _interval(costs), "", _above(costs, first)]]
        for one in measured:
            taus = self._taus(whole, one.scores)
            partial = self._taus(whole, one.scores, given=True)
            above = "" if one is measured[0] else _above(taus, first)
            mean = f"{one.scores.mean():.1f}"
            lines.append([*one.cells(), mean, _interval(taus), _interval(partial), above])
        return table([*_COLUMNS, "mean score", "tau", "tau given cost", "tau above the first way"], lines)

    def _taus(self, samples: Sequence[np.ndarray], scores: np.ndarray, *, given: bool = False) -> np.ndarray:
        """Returns the tau of scores with accuracies, the mean over repeats, for each resampled set of genomes."""

        def tau(one: np.ndarray, sample: np.ndarray) -> float:
            mine, truth, costs = (values[sample].tolist() for values in (one, self._trained, self._costs))
            return partial_tau(mine, truth, costs) if given else kendall_tau(mine, truth)

        return np.array([statistics.mean(tau(one, sample) for one in np.atleast_2d(scores)) for sample in samples])


def _interval(values: np.ndarray) -> str:
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return str(Interval95(float(values[0]), float(low), float(high)))


def _above(values: np.ndarray, others: np.ndarray) -> str:
    return _interval(values - others)


def _of_rows(layout: Layout, names: Sequence[str] | None) -> Rows:
    rows = {row: measurements(layout.folder, row) for row in names or rows_asked_for(layout)}
    return Rows({row: measured for row, measured in rows.items() if measured[0].spec.binary})


def _sampled(layout: Layout, config: Mapping[str, Any]) -> Sampled:
    sample = layout.sample
    population = read_population(sample.population, None, config["search"]["ratios"])
    trained = [read_new_scores(sample.trained(number)) for number in range(config["proxy"]["trainings"])]
    genomes = [row["genome"] for row in population]
    known = [genome for genome in genomes if all(one[genome] is not None for one in trained)]
    costs = pd.read_csv(sample.population).set_index("genome")[relative_column(config["search"]["cost"])]
    return Sampled(
        known,
        [float(costs[format_genome(genome)]) for genome in known],
        [statistics.mean(float(one[genome] or 0) for one in trained) for genome in known],
    )


class Scorer:
    """Scores all networks as candidates by the steps of the workflow, and keeps what they write.

    Attributes:
        classes: of the images.
    """

    def __init__(
        self, config: Mapping[str, Any], layout: Layout, genomes: Sequence[Genome], arguments: argparse.Namespace
    ) -> None:
        self._config, self._train = config, layout.train
        self._output: Path = arguments.output
        self._cores: int = arguments.cores
        self._supernets: int = arguments.supernets
        self._validation_per_class, self._supernet_images = arguments.validation, arguments.supernet_images
        self._population = self._output / "population.csv"
        info, network = read_info(layout.train, "train"), config["network"]
        self._spec = spec = NetworkSpec(
            network["name"],
            genomes[0],
            base_width=network["base_width"],
            channels=info.channels,
            size=info.size,
            classes=len(info.classes),
            binariser=network["binariser"],
        )
        specs = map(spec.with_genome, genomes)
        write_csv(self._population, POPULATION, [population_row(slot, one, "sample") for slot, one in enumerate(specs)])
        self._widest: float = max(config["search"]["ratios"])
        # Controls have ratios of their own.
        self._ratios = sorted({ratio for genome in genomes for ratio in genome})
        self.classes, self._images = len(info.classes), info.digest

    def score(self, way: Way, repetition: int) -> tuple[dict[Genome, float], float]:
        """Returns the top-1 of each genome as a candidate, in percent, and the mean seconds of one."""
        flags = self._flags(way)
        subset, validation = self._split(way, flags)
        supernet = self._supernet(way, flags, subset, repetition % self._supernets)
        evaluations = self._output / f"{way.images}x{way.epochs}-{repetition}.csv"
        timing = evaluations.with_name(f"{evaluations.stem}-timing.csv")
        _call(
            f"evaluate-generation {flags.network()} "
            f"{flags.training('candidate')} {flags.recalibrate()} {flags.execution()}",
            "--ratios", *self._ratios, "--population", self._population, "--images", self._train,
            "--subset", subset, "--validation", validation,
            "--supernet", supernet, "--archive", self._output / "archive",
            "--title", f"{way.images}x{way.epochs}", "--cores", self._cores, "--seed", self._config["seed"],
            "--repetition", repetition, "--output", evaluations, "--timing", timing,
        )  # fmt: skip
        scores = {genome: top1 or 0.0 for genome, top1 in read_new_scores(evaluations).items()}
        return scores, float(pd.read_csv(timing)["seconds"].mean())

    def untrained(self, genomes: Sequence[Genome], repeats: int) -> Measured:
        """Returns SynFlow of networks with weights drawn anew, which looks at no image (:mod:`benchmarks.judges`)."""
        started = time.perf_counter()
        scores = np.array([[_synflow(self._spec.with_genome(one), seed) for one in genomes] for seed in range(repeats)])
        return Measured("SynFlow, untrained", 0, (time.perf_counter() - started) / scores.size, scores)

    def _flags(self, way: Way) -> Flags:
        config = deepcopy(dict(self._config))
        config["candidate"]["epochs"] = way.epochs
        config["supernet"]["epochs"] = max(1, round(self._supernet_images / (way.images * self.classes)))
        config["split"].update(subset_per_class=way.images, validation_per_class=self._validation_per_class)
        return Flags(config)

    def _key(self, words: str) -> str:
        """Returns what tells files of other images or settings apart."""
        return digest_of([self._images, self._config["seed"], words])[:8]

    def _split(self, way: Way, flags: Flags) -> tuple[Path, Path]:
        key = self._key(flags.split())
        subset, validation = (self._output / f"{part}-{way.images}-{key}.csv" for part in ("subset", "validation"))
        if not validation.exists():
            _call(
                f"sample-subset {flags.split()}",
                *("--images", self._train, "--subset", subset, "--validation", validation),
            )
        return subset, validation

    def _supernet(self, way: Way, flags: Flags, subset: Path, number: int) -> Path:
        recipe = f"{flags.network()} {flags.training('supernet')}"
        which = f"-{number}" if number else ""
        supernet = self._output / f"supernet-{way.images}-{self._key(f'{recipe} {flags.split()}')}{which}.h5"
        if not supernet.exists():
            history, timing = supernet.with_suffix(".csv"), supernet.with_suffix(".json")
            _call(
                f"pretrain-supernet {recipe} {flags.shared_execution()}",
                "--images", self._train, "--subset", subset, "--ratio", self._widest,
                "--seed", self._config["seed"] + number, "--supernet", supernet,
                "--history", history, "--timing", timing,
            )  # fmt: skip
        return supernet


def agreement(
    rows: Mapping[str, Sequence[Measurement]], scores: Sequence[Sequence[float]]
) -> tuple[list[float], int, int]:
    """Returns how well scores agree with trainings in full.

    Args:
        rows: what each row's trainings came to.
        scores: (repeats, rows), in the order of the rows.

    Returns:
        Tau of each repeat; and of the pairs of rows that their trainings tell apart, over all repeats, how many the
        scores rank rightly, and how many there are.
    """
    truth = [statistics.mean(one.top1 for one in measured) for measured in rows.values()]
    samples = [sample_of(list(measured)) for measured in rows.values()]
    pairs = list(combinations(range(len(rows)), 2))
    differences = compare([(samples[one], samples[other]) for one, other in pairs])
    apart = [pair for pair, difference in zip(pairs, differences, strict=True) if difference.seen]
    right = sum((each[one] - each[other]) * (truth[one] - truth[other]) > 0 for each in scores for one, other in apart)
    return [kendall_tau(each, truth) for each in scores], right, len(apart) * len(scores)


def _synflow(spec: NetworkSpec, seed: int) -> float:
    network = Network(spec)
    initialise(network, torch.Generator().manual_seed(seed))
    return synflow(network.train())


def _way(word: str) -> Way:
    found = re.fullmatch(r"(\d+)x(\d+)", word)
    if not found or "0" in found.groups():
        raise argparse.ArgumentTypeError(f"'{word}' is not IMAGESxEPOCHS, such as 500x10")
    return Way(*map(int, found.groups()))


def _call(words: str, *more: object) -> None:
    if step([*shlex.split(words), *map(str, more)]):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
