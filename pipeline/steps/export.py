"""Writes a trained network as a file that runs elsewhere: packed, ONNX, QONNX, or C sources."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.steps.options import output, path

if TYPE_CHECKING:
    from pipeline.export.formats import Exported

#: By name: what ``--format`` writes.
_FORMATS = {
    "packed": "this project's own file, one bit for each binary weight (docs/packed.md)",
    "onnx": "ONNX as small as the packed file: its own functions unpack the bits",
    "onnx-float": "plain ONNX in float32",
    "int8-onnx": "ONNX in 8-bit integers (QDQ), exact in the binary layers",
    "qonnx": "for FINN, hls4ml and qonnx-exec",
    "c": "a folder of sources with CMakeLists.txt, without dependencies",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument(
        "network",
        type=Path,
        help="a row (results/EXPERIMENT/ROW; of its seeds the first, since no image is left to choose the best by), a "
        "file of weights (HDF5) or a packed network",
    )
    formats = "; ".join(f"{name}: {what}" for name, what in _FORMATS.items())
    parser.add_argument("--format", choices=tuple(_FORMATS), default="packed", help=formats)
    output(parser, "--output", "the file to write; for 'c' the folder")
    parser.add_argument(
        "--real-weights",
        choices=("float32", "bfloat16", "int8"),
        default="float32",
        help="how the real layers' weights are stored by 'packed', 'onnx' and 'c'; what shorter ones cost is printed",
    )
    path(parser, "--test-images", "to measure that cost on: by default those of the experiment", required=False)
    path(parser, "--train-images", "for weights of an older version, by default the experiment's", required=False)


def run(arguments: argparse.Namespace) -> None:
    """Writes the file, and prints its size."""
    from pipeline.common.errors import UserError
    from pipeline.common.files import check_apart, replacing
    from pipeline.common.log import log
    from pipeline.export.c_sources import GENERATED, c_sources
    from pipeline.export.formats import FORMATS, read_exported
    from pipeline.export.packed import Storage
    from pipeline.workflow.rows import find_network, train_images_of

    storage = Storage[arguments.real_weights.upper()]
    if storage != Storage.FLOAT32 and arguments.format not in ("packed", "onnx", "c"):
        raise UserError(f"format '{arguments.format}' stores real weights in float32", "leave out --real-weights")
    if arguments.format == "c":
        if arguments.output.is_file():
            raise UserError(f"{arguments.output} is a file", "name a folder for the sources")
    elif arguments.output.is_dir():
        raise UserError(f"{arguments.output} is a folder", "name a file in it")
    file = find_network(arguments.network)
    check_apart(arguments.output, [file])
    network = read_exported(file, storage, arguments.train_images or train_images_of(file))
    if storage != Storage.FLOAT32:
        _print_cost(network, file, arguments)
    files = {"": FORMATS[arguments.format](network)} if arguments.format != "c" else c_sources(network.packed)
    for name, content in files.items():
        if name and name not in GENERATED:
            _keep_changed(arguments.output / name, content)
        with replacing(arguments.output / name if name else arguments.output) as temporary:
            temporary.write_bytes(content)
    log(f"{arguments.output}: {arguments.format} of {file}, {sum(map(len, files.values())):,} bytes")


def _keep_changed(path: Path, content: bytes) -> None:
    """Keeps a copy of a source file that is not what will be written: somebody may have made their program of it."""
    from pipeline.common.files import replacing
    from pipeline.common.log import log

    before = path.read_bytes() if path.is_file() else content
    if before != content:
        kept = path.with_name(f"{path.name}.before")
        with replacing(kept) as temporary:
            temporary.write_bytes(before)
        log(f"note: {path} was another; it is kept as {kept.name}")


def _print_cost(network: "Exported", file: Path, arguments: argparse.Namespace) -> None:
    """Says what shorter real weights cost in accuracy on the test images."""
    from pipeline.common.errors import UserError
    from pipeline.common.log import log
    from pipeline.export.accuracy import top1
    from pipeline.export.packing import packed_network
    from pipeline.workflow.layout import layout_around

    around = layout_around(file)
    images = arguments.test_images or (around.test if around else None)
    if images is None or not images.is_file() or network.trained is None:
        log(f"note: what {arguments.real_weights} costs was not measured: name test images (--test-images)")
        return
    whole = packed_network(network.trained.network, network.trained.about)
    try:
        before, after = (top1(form, images) for form in (whole, network.packed))
    except UserError as error:
        if arguments.test_images is not None:
            raise
        log(f"note: what {arguments.real_weights} costs was not measured: {error}")
        return
    print(f"top-1 on {images}: {before:.2f} % with float32, {after:.2f} % with {arguments.real_weights}")
