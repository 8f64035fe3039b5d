"""Makes the packed network of every row, and measures how long it takes to answer on this machine."""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.steps.options import add_setting, output, path
from pipeline.workflow.settings import InferenceSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from pipeline.kernels.inference import Runtime
    from pipeline.report.inference import MeasuredInference

#: Turns of each network.
ROUNDS = 15


class OfRow(NamedTuple):
    """A file about a row."""

    model: str
    path: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    weights = "a trained network (HDF5) of every row"
    parser.add_argument("--networks", nargs="+", required=True, type=_of_row, metavar="MODEL=FILE", help=weights)
    packed = "the packed networks to write"
    parser.add_argument("--packed", nargs="+", required=True, type=_of_row, metavar="MODEL=FILE", help=packed)
    evaluations = "their evaluations (JSON), with which the packed networks' answers are compared"
    parser.add_argument("--evaluations", nargs="*", default=[], type=_of_row, metavar="MODEL=FILE", help=evaluations)
    path(parser, "--images", "prepared test set (HDF5), if there are evaluations", required=False)
    add_setting(parser, InferenceSettings, "threads")
    output(parser, "--table", "the table to write (Markdown)")
    output(parser, "--output", "the same for programs (CSV)")


def _of_row(text: str) -> OfRow:
    model, _, file = text.partition("=")
    if not (model and file):
        raise argparse.ArgumentTypeError(f"'{text}' is not MODEL=FILE")
    return OfRow(model, Path(file))


def run(arguments: argparse.Namespace) -> None:
    """Writes the packed networks and the tables."""
    from pipeline.common.errors import UserError
    from pipeline.common.files import replacing, write_csv, write_text
    from pipeline.report.inference import INFERENCE_COLUMNS, inference_markdown, inference_table
    from pipeline.training.execution import describe_machine

    packed = dict(arguments.packed)
    if [row.model for row in arguments.networks] != list(packed):
        raise UserError("--networks and --packed name other rows", "name the same rows in the same order")
    data_of = {}
    for row in arguments.networks:
        data = pack_row(row.path)
        with replacing(packed[row.model]) as temporary:
            temporary.write_bytes(data)
        data_of[row.model] = data
    if bool(arguments.evaluations) != bool(arguments.images):
        raise UserError("--evaluations and --images belong together", "name both")
    _check_evaluated(dict(arguments.networks), arguments.evaluations)
    agreeing = compare(data_of, arguments.evaluations, arguments.images, arguments.threads)
    measured, missing = measure_rows(dict(arguments.networks), data_of, arguments.threads)
    measured = [replace(row, agreeing=agreeing.get(row.model)) for row in measured]
    machine = describe_machine()
    write_csv(arguments.output, INFERENCE_COLUMNS, inference_table(measured, arguments.threads, machine))
    write_text(arguments.table, inference_markdown(measured, arguments.threads, machine, ROUNDS, missing))


def _check_evaluated(networks: Mapping[str, Path], evaluations: "Sequence[OfRow]") -> None:
    """Raises UserError if a row's evaluation, which older versions do not tell, is of other weights than these."""
    from pipeline.common.errors import UserError
    from pipeline.common.files import read_record
    from pipeline.common.hdf5 import read_attributes

    for model, file in evaluations:
        evaluated = read_record(file).get("weights")
        if evaluated not in (None, read_attributes(networks[model])["digest"]):
            raise UserError(
                f"{networks[model]} is not the network that was evaluated in {file}",
                "delete both, and they are made again",
            )


def compare(
    packed: Mapping[str, bytes], evaluations: "Sequence[OfRow]", images: Path | None, threads: int
) -> dict[str, tuple[int, int]]:
    """Returns, for each row, on how many of how many test images its packed network answers as was evaluated.

    Args:
        packed: the networks, by row.
        evaluations: of the trained networks; those of earlier versions hold no answers, and are left out.
        images: the test set.
        threads: of the runtime.

    Raises:
        UserError: a file is damaged, or an evaluation is of other images.
    """
    from pipeline.common.errors import UserError, made_again
    from pipeline.common.files import read_record
    from pipeline.common.log import log
    from pipeline.data.loading import load_images
    from pipeline.data.prepared import read_info
    from pipeline.export.agreement import answers_of
    from pipeline.report.answers import unpack_answers

    if images is None:
        return {}
    source, digest, found = load_images(images, "cpu"), read_info(images).digest, {}
    for model, file in evaluations:
        record = read_record(file)
        if record.get("test_images") not in (None, digest):
            raise UserError(f"{file} is of other images than {images}", made_again())
        try:
            evaluated = unpack_answers(record)
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{file} is no evaluation", made_again()) from None
        if evaluated is None:
            continue
        if len(evaluated) != len(source):
            raise UserError(f"{file} is of {len(evaluated)} images, but {images} has {len(source)}", made_again())
        same = int((answers_of(packed[model], source, threads) == evaluated).sum())
        if same < len(source):
            log(f"warning: packed, {model} answers {len(source) - same} of {len(source)} test images otherwise")
        found[model] = same, len(source)
    return found


def pack_row(weights: Path) -> bytes:
    """Returns the packed network of a file of weights."""
    from pipeline.export.packing import pack
    from pipeline.export.trained import read_trained
    from pipeline.workflow.rows import train_images_of

    trained = read_trained(weights, train_images_of(weights))
    return pack(trained.network, trained.about)


def measure_rows(
    weights: Mapping[str, Path], packed: Mapping[str, bytes], threads: int
) -> "tuple[list[MeasuredInference], str]":
    """Times the rows beside full precision. Returns what was measured, and why rows were not timed, if so."""
    import numpy as np

    from pipeline.common.log import log
    from pipeline.export.measure import Way, full_precision, measure
    from pipeline.kernels.build import CompilationError
    from pipeline.kernels.inference import Runtime
    from pipeline.networks.cost import speedup
    from pipeline.networks.weights import load_network
    from pipeline.report.inference import MeasuredInference

    specs = {model: load_network(path).spec for model, path in weights.items()}
    some = next(iter(specs.values()))
    pixels = np.random.default_rng(0).integers(0, 256, (1, some.size, some.size, some.channels), dtype=np.uint8)
    ways = {f"beside {way.engine}": way for way in full_precision(some, threads)}
    missing = ""
    try:
        for model, data in packed.items():
            runtime = Runtime(data, threads)
            ways[model] = Way(model, f"runtime, {runtime.kernels}", _answering(runtime, pixels))
    except CompilationError as error:
        missing = str(error)
        log(f"warning: the rows are not timed: {missing}")
    times = measure({name: way.call for name, way in ways.items()}, ROUNDS)
    found = []
    for name in [*(name for name in ways if name not in specs), *specs]:
        milliseconds = [1000 * seconds for seconds in times.get(name, ())]
        if name in specs:
            engine = ways[name].engine if name in ways else ""
            found.append(MeasuredInference(name, engine, milliseconds, len(packed[name]), speedup(specs[name])))
        else:
            found.append(MeasuredInference(ways[name].name, ways[name].engine, milliseconds))
    return found, missing


def _answering(runtime: "Runtime", pixels: "np.ndarray") -> "Callable[[], object]":
    return lambda: runtime(pixels)
