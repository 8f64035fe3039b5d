"""Which way of scoring candidates ranks an experiment's rows as their trainings in full do: few images, or all of them?

    python -m benchmarks.candidates results/cifar10-mini --ways 100x10 500x10 1000x1 4500x1 4500x2 --output OUTPUT

A way is IMAGESxEPOCHS: of each class, and of a candidate's training. Whatever else is as the experiment has it. For
each number of images a supernet is trained, for as many epochs as show it ``--supernet-images`` images in all;
candidates inherit from it, as in a search. Rows are scored ``--repeats`` times each, and all ways on the same
validation images, ``--validation`` of each class.

Prints for each way how many images a candidate sees, the seconds it takes, how well one score of each row agrees with
the accuracies of the rows trained in full (Kendall's tau-b, the mean over repeats), how many of those pairs of rows
that their trainings tell apart (Welch and Holm, 5 %) one score of each ranks rightly, and each row's score. Supernets
and scores are kept in OUTPUT, so that the same command goes on from there.
"""

import argparse
import re
import shlex
import statistics
from collections.abc import Mapping, Sequence
from copy import deepcopy
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from benchmarks.rows import measurements
from benchmarks.timing import table
from pipeline.__main__ import main as step
from pipeline.common.files import write_csv
from pipeline.common.log import progress
from pipeline.data.prepared import read_info
from pipeline.networks.genome import Genome, format_genome
from pipeline.networks.spec import NetworkSpec
from pipeline.report.proxy import kendall_tau
from pipeline.report.rows import Measurement, sample_of
from pipeline.report.statistics import compare
from pipeline.search.tables import POPULATION, population_row, read_new_scores
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
    parser.add_argument("experiment", type=Path, help="its folder of results, in which rows have been scored")
    parser.add_argument("--ways", nargs="+", type=_way, required=True, metavar="IMAGESxEPOCHS")
    parser.add_argument("--rows", nargs="+", help="of which to score the networks; all binary ones without it")
    parser.add_argument("--repeats", type=int, default=3, help="scores of each row, from other seeds")
    parser.add_argument("--validation", type=int, default=500, help="images of each class to score on")
    parser.add_argument("--supernet-images", type=int, default=100_000, help="that each supernet's training shows it")
    parser.add_argument("--cores", type=int, default=1, help="to score candidates side by side on")
    parser.add_argument("--output", type=Path, required=True, help="folder for supernets and scores")
    arguments = parser.parse_args()
    layout = Layout(arguments.experiment)
    saved = read_saved_config(layout)
    if saved is None:
        raise SystemExit(f"error: there is no experiment in {layout.folder}")
    rows = {row: measurements(layout.folder, row) for row in arguments.rows or rows_asked_for(layout)}
    rows = {row: measured for row, measured in rows.items() if measured[0].spec.binary}
    if len(rows) < 2:
        raise SystemExit(f"error: {layout.folder} has {len(rows)} binary rows with scores; two are the least to rank")
    specs = [measured[0].spec for measured in rows.values()]
    arguments.output.mkdir(parents=True, exist_ok=True)
    scorer = Scorer(saved.config, layout, specs, arguments)
    lines = []
    with progress("candidates", len(arguments.ways) * arguments.repeats, "scores of all rows") as bar:
        for way in arguments.ways:
            scores, seconds = [], []
            for repetition in range(arguments.repeats):
                one, took = scorer.score(way, repetition)
                scores.append([one[spec.genome] for spec in specs])
                seconds.append(took)
                bar.advance()
            lines.append(_line(way, rows, scores, statistics.mean(seconds), scorer.classes))
    print(table([*_COLUMNS, *rows], [["trained in full", "", "", "", "", *map(_accuracy, rows.values())], *lines]))


class Scorer:
    """Scores all rows as candidates by the steps of the workflow, and keeps what they write.

    Attributes:
        classes: of the images.
    """

    def __init__(
        self, config: Mapping[str, Any], layout: Layout, specs: Sequence[NetworkSpec], arguments: argparse.Namespace
    ) -> None:
        self._config, self._train = config, layout.train
        self._output: Path = arguments.output
        self._cores: int = arguments.cores
        self._validation_per_class, self._supernet_images = arguments.validation, arguments.supernet_images
        self._population = self._output / "population.csv"
        write_csv(self._population, POPULATION, [population_row(slot, s, "sample") for slot, s in enumerate(specs)])
        self._widest: float = max(config["search"]["ratios"])
        # Controls have ratios of their own.
        self._ratios = sorted({ratio for spec in specs for ratio in spec.genome})
        self.classes = len(read_info(layout.train, "train").classes)

    def score(self, way: Way, repetition: int) -> tuple[dict[Genome, float], float]:
        """Returns the top-1 of each genome as a candidate, in percent, and the mean seconds of one."""
        flags = self._flags(way)
        subset, validation = self._split(way, flags)
        evaluations = self._output / f"{way.images}x{way.epochs}-{repetition}.csv"
        timing = evaluations.with_name(f"{evaluations.stem}-timing.csv")
        _call(
            f"evaluate-generation {flags.network()} "
            f"{flags.training('candidate')} {flags.recalibrate()} {flags.execution()}",
            "--ratios", *self._ratios, "--population", self._population, "--images", self._train,
            "--subset", subset, "--validation", validation,
            "--supernet", self._supernet(way, flags, subset), "--archive", self._output / "archive",
            "--title", f"{way.images}x{way.epochs}", "--cores", self._cores, "--seed", self._config["seed"],
            "--repetition", repetition, "--output", evaluations, "--timing", timing,
        )  # fmt: skip
        scores = {genome: top1 or 0.0 for genome, top1 in read_new_scores(evaluations).items()}
        return scores, float(pd.read_csv(timing)["seconds"].mean())

    def _flags(self, way: Way) -> Flags:
        config = deepcopy(dict(self._config))
        config["candidate"]["epochs"] = way.epochs
        config["supernet"]["epochs"] = max(1, round(self._supernet_images / (way.images * self.classes)))
        config["split"].update(
            subset_per_class=way.images, validation_per_class=self._validation_per_class, held_out_per_class=0
        )
        return Flags(config)

    def _split(self, way: Way, flags: Flags) -> tuple[Path, Path]:
        subset, validation = (self._output / f"{part}-{way.images}.csv" for part in ("subset", "validation"))
        if not validation.exists():
            _call(
                f"sample-subset {flags.split()}",
                *("--images", self._train, "--subset", subset, "--validation", validation),
            )
        return subset, validation

    def _supernet(self, way: Way, flags: Flags, subset: Path) -> Path:
        supernet = self._output / f"supernet-{way.images}.h5"
        if not supernet.exists():
            history, timing = supernet.with_suffix(".csv"), supernet.with_suffix(".json")
            _call(
                f"pretrain-supernet {flags.network()} {flags.training('supernet')} {flags.shared_execution()}",
                "--images", self._train, "--subset", subset, "--ratio", self._widest,
                "--seed", self._config["seed"], "--supernet", supernet, "--history", history, "--timing", timing,
            )  # fmt: skip
        return supernet


_COLUMNS = ["images of each class × epochs", "images seen", "seconds", "tau", "pairs told apart that are ranked right"]


def _line(
    way: Way, rows: Mapping[str, Sequence[Measurement]], scores: Sequence[Sequence[float]], seconds: float, classes: int
) -> list[str]:
    taus, right, pairs = agreement(rows, scores)
    return [
        f"{way.images} × {way.epochs}",
        f"{way.images * way.epochs * classes:,}",
        f"{seconds:.1f}",
        f"{statistics.mean(taus):.2f}",
        f"{right} of {pairs}",
        *(_spread([one[row] for one in scores]) for row in range(len(rows))),
    ]


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


def _way(word: str) -> Way:
    found = re.fullmatch(r"(\d+)x(\d+)", word)
    if not found or "0" in found.groups():
        raise argparse.ArgumentTypeError(f"'{word}' is not IMAGESxEPOCHS, such as 500x10")
    return Way(*map(int, found.groups()))


def _call(words: str, *more: object) -> None:
    if step([*shlex.split(words), *map(str, more)]):
        raise SystemExit(1)


def _accuracy(measured: Sequence[Measurement]) -> str:
    return f"{format_genome(measured[0].spec.genome)}: {_spread([one.top1 for one in measured])}"


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.mean(values):.2f}" + (f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
