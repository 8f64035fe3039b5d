"""How far each of some rows of an experiment lies above one of them, over the same test images.

    python -m benchmarks.rows results/cifar10-mini uniform-1x found-A found-B random-A

The report compares a found row with those of equal cost; this compares any. Differences are in points of top-1, and
their intervals hold for all lines together (Holm, 5 %).
"""

import argparse
from pathlib import Path

from benchmarks.timing import table
from pipeline.networks.genome import format_genome
from pipeline.report.inputs import read_measurement
from pipeline.report.rows import Interval, Measurement, sample_of
from pipeline.report.statistics import compare


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path, help="its folder of results, in which rows have been scored")
    parser.add_argument("base", help="the row that the others are set beside")
    parser.add_argument("rows", nargs="+")
    arguments = parser.parse_args()
    measured = {row: measurements(arguments.experiment, row) for row in (arguments.base, *arguments.rows)}
    base = sample_of(measured[arguments.base])
    differences = compare([(sample_of(measured[row]), base) for row in arguments.rows])
    beside = dict(zip(arguments.rows, map(str, differences), strict=True))
    lines = [
        [
            row,
            format_genome(trained[0].spec.genome),
            str(len(trained)),
            str(Interval.of([one.top1 for one in trained])),
            beside.get(row, ""),
        ]
        for row, trained in measured.items()
    ]
    print(table(["row", "genome", "seeds", "top-1 %", f"beside {arguments.base}"], lines))


def measurements(experiment: Path, row: str) -> list[Measurement]:
    """Reads the scores of all trainings of a row, in the order of their seeds."""
    files = sorted((experiment / "evaluation" / row).glob("seed_*.json"), key=lambda file: int(file.stem.split("_")[1]))
    if not files:
        raise SystemExit(f"error: {experiment} has no scores of a row '{row}'")
    return [read_measurement(row, seed, file) for seed, file in enumerate(files)]


if __name__ == "__main__":
    main()
