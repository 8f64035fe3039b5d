"""How far each of some rows of an experiment lies above one of them, over the same test images.

    python -m benchmarks.rows results/cifar10-mini uniform-1x found-A found-B random-A

The report compares a found row with those of equal cost; this compares any. Differences are in points of top-1, and
their intervals hold for all lines together (Holm, 5 %).
"""

import argparse
from pathlib import Path

from benchmarks.timing import table
from pipeline.networks.genome import format_genome
from pipeline.report.collect import unlike
from pipeline.report.inputs import read_measurement
from pipeline.report.rows import Interval, Measurement, sample_of
from pipeline.report.statistics import compare
from pipeline.workflow.asked import asked_of_row
from pipeline.workflow.layout import Layout
from pipeline.workflow.made_with import outdated_files
from pipeline.workflow.saved_config import read_saved_config


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
    """Reads the scores of all trainings of a row that its experiment asks for, in the order of their seeds.

    Where fewer are asked for by now, or others, those of before still lie there; they may be of other settings.
    """
    files = {int(file.stem.split("_")[1]): file for file in (experiment / "evaluation" / row).glob("seed_*.json")}
    layout = Layout(experiment)
    saved = read_saved_config(layout)
    known = saved if saved and row in saved.models else None
    if known:
        outdated = {file.resolve() for file in outdated_files(layout)}
        files = {seed: one for seed, one in files.items() if seed < known.seeds and one.resolve() not in outdated}
    if not files:
        raise SystemExit(f"error: {experiment} has no scores of a row '{row}'")
    found = [read_measurement(row, seed, files[seed]) for seed in sorted(files)]
    asked = asked_of_row(known.config, row) if known else {}
    for one in found:
        if others := unlike(one, asked):
            raise SystemExit(f"error: seed {one.seed} of row '{row}' was trained otherwise than now ({others[0]})")
    return found


if __name__ == "__main__":
    main()
