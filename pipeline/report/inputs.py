"""Measurements as tables and figures need them, read from the files that earlier steps have written."""

from pathlib import Path

from pipeline.common.errors import UserError, made_again
from pipeline.common.files import read_csv, read_record
from pipeline.data.census import Census
from pipeline.networks.spec import NetworkSpec
from pipeline.report.answers import unpack_answered, unpack_right
from pipeline.report.rows import Measurement
from pipeline.search.individual import Individual
from pipeline.search.tables import read_individuals


def read_measurement(model: str, seed: int, path: Path) -> Measurement:
    """Reads the evaluation of one training of a row.

    Raises:
        UserError: the file is missing, or it is not what the step 'evaluate' writes.
    """
    record = read_record(path)
    try:
        spec = NetworkSpec.from_record(record["network"])
        top5 = record["top5"]
        accuracies = float(record["top1"]), None if top5 is None else float(top5)
        images = int(record.get("images", 0))
        census = None if record.get("census") is None else Census.from_record(record["census"])
        right, answered = unpack_right(record), unpack_answered(record)
        weights, training = str(record.get("weights", "")), dict(record.get("training", {}))
        tested = str(record.get("test_images", ""))
        return Measurement(model, seed, *accuracies, spec, right, images, census, answered, weights, training, tested)
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path} is no evaluation", made_again()) from None


def read_history(path: Path) -> list[list[Individual]]:
    """Reads the scored candidates of a search, by generation.

    Raises:
        UserError: the file is missing, or it is no search's history.
    """
    generations: dict[int, list[Individual]] = {}
    for row, individual in zip(read_csv(path, ("generation",)), read_individuals(path), strict=True):
        if not row["generation"].isdecimal():
            raise UserError(f"{path} is no search's history", made_again())
        generations.setdefault(int(row["generation"]), []).append(individual)
    return [generations[number] for number in sorted(generations)]
