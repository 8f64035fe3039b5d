"""How fast packed networks answer, layer by layer and whole, beside what else runs such networks here.

    python -m benchmarks.inference
    python -m benchmarks.inference --networks vgg_small --widths 1 --rounds 60
    python -m benchmarks.inference --quick

Binary networks run in the packed runtime; rivals run the full-precision network of the same widths: torch (eager, and
compiled with --compile), ONNX Runtime and OpenVINO, in float32 and statically quantised to int8, where they are
installed. OpenVINO also runs the binary network, in binary convolutions of its own. All take turns in one run. With one
thread times are the processor's, so that other work on the machine counts less; with more they are the wall clock's.
Shown are the least time of all rounds and the median of the ratios. With ``--burst 1`` the others' weights and feature
maps have pushed a network's own out of the caches when its turn comes, as where it is asked now and then; with more it
answers image after image.

Layers are the packed runtime's steps, with their multiply-accumulates in a second and, for binary ones, the share of
this processor's AND-popcount peak, measured in the same run. Kernels that look counts up in place of counting can pass
that peak.
"""

import argparse
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.openvino_binary import binary_network
from benchmarks.timing import table
from pipeline.common.errors import UserError
from pipeline.export.packed import read
from pipeline.export.packing import About, pack
from pipeline.kernels import cpu
from pipeline.kernels.inference import KERNELS, Runtime, available, peak
from pipeline.networks.architectures import find_architecture
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec, uniform_genome

WIDTHS = (1 / 16, 1 / 8, 1 / 4, 1.0)
MOMENTS = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["vgg_small", "resnet18"])
    parser.add_argument("--widths", nargs="+", type=float, default=list(WIDTHS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 32])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--burst", type=int, default=1, help="calls of one way in its turn; their mean is its time")
    parser.add_argument("--kernels", choices=KERNELS, help="force an instruction set")
    parser.add_argument("--compile", action="store_true", help="torch.compile too (about a minute for each network)")
    parser.add_argument("--quick", action="store_true", help="the smallest network and few rounds")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.networks, arguments.widths, arguments.rounds = ["vgg_small"], [1 / 16], 2
        arguments.threads, arguments.batches = [1], [1]
    names = [name for name in KERNELS if available(name)]
    peaks = {name: peak(name) for name in names}
    print(f"{cpu.name()}, torch {torch.__version__}, {rivals_found()}")
    print("AND-popcounts in registers: " + ", ".join(f"{name} {rate / 1e9:.0f} G/s" for name, rate in peaks.items()))
    for network in arguments.networks:
        for width in arguments.widths:
            _compare(network, width, arguments, peaks)


def rivals_found() -> str:
    """Which rivals are installed, for the heading."""
    found = []
    for module, title in (
        ("onnxruntime", "ONNX Runtime"),
        ("openvino", "OpenVINO"),
        ("larq_compute_engine", "Larq Compute Engine"),
    ):
        try:
            found.append(f"{title} {__import__(module).__version__}")
        except ImportError:
            found.append(f"no {title}")
    return ", ".join(found)


def _compare(network: str, width: float, arguments: argparse.Namespace, peaks: Mapping[str, float]) -> None:
    architecture = find_architecture(network)
    spec = NetworkSpec(
        network,
        uniform_genome(network, 1),
        base_width=width,
        size=architecture.IMAGE_SIZE,
        classes=architecture.CLASSES,
    )
    torch.manual_seed(0)
    binary, full = (_random(spec, binary=kind) for kind in (True, False))
    classes = tuple(str(i) for i in range(spec.classes))
    data = pack(binary, About(classes, *MOMENTS))
    print(f"\n## {architecture.TITLE}, {width:g} of the published width, {spec.size} px: {len(data):,} bytes\n")
    pixels = np.random.default_rng(0).integers(0, 256, (max(arguments.batches), spec.size, spec.size, 3), np.uint8)
    _print_layers(data, pixels[0], arguments, peaks)
    rows = []
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        for batch in arguments.batches:
            with tempfile.TemporaryDirectory() as folder:
                ways = _ways(data, spec, full, pixels[:batch], threads, Path(folder), arguments)
                clock = time.process_time if threads == 1 else time.perf_counter
                times = _times(ways, arguments.rounds, arguments.burst, clock)
            ours = times["packed"]
            for name, taken in times.items():
                ratio = statistics.median(b / a for a, b in zip(ours, taken, strict=True))
                rows.append(
                    [
                        threads,
                        batch,
                        name,
                        f"{1e3 * min(taken) / batch:.4g}",
                        f"{min(taken) / min(ours):.2f}",
                        f"{ratio:.2f}",
                    ]
                )
    print()
    print(table(["threads", "batch", "what", "ms an image (least)", "times packed (least)", "(median)"], rows))


def _random(spec: NetworkSpec, *, binary: bool) -> Network:
    network = Network(replace(spec, binary=binary)).eval()
    initialise(network, torch.Generator().manual_seed(0))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias, 0.4, 0.5)
    return network


def _print_layers(data: bytes, pixels: np.ndarray, arguments: argparse.Namespace, peaks: Mapping[str, float]) -> None:
    runtime = Runtime(data, 1, arguments.kernels)
    nodes = read(data).nodes
    rows = []
    for step, seconds in zip(runtime.steps, runtime.profile(pixels, 5 * arguments.rounds), strict=True):
        rate = step.macs / seconds
        share = f"{100 * rate / peaks[runtime.kernels]:.0f} %" if step.name.startswith("binary") else ""
        rows.append(
            [nodes[step.node].name, step.name, f"{1e6 * seconds:.1f}", f"{rate / 1e9:.1f}" if step.macs else "", share]
        )
    print(f"Kernels: {runtime.kernels}.\n")
    print(table(["layer", "step", "µs", "GMAC/s", "of the popcount peak"], rows))


Way = Callable[[], Any]


def _ways(
    data: bytes,
    spec: NetworkSpec,
    full: Network,
    pixels: np.ndarray,
    threads: int,
    folder: Path,
    arguments: argparse.Namespace,
) -> dict[str, Way]:
    runtime = Runtime(data, threads, arguments.kernels)
    x = torch.randn(len(pixels), 3, *pixels.shape[1:3])
    plain = _Plain(full)
    ways: dict[str, Way] = {"packed": lambda: runtime(pixels), "torch eager, float32": lambda: plain(x)}
    if arguments.compile:
        compiled = torch.compile(plain)
        ways["torch compiled, float32"] = lambda: compiled(x)
    model = folder / "full.onnx"
    with suppress(ImportError):
        import onnx  # noqa: F401

        torch.onnx.export(plain, (x,), str(model), dynamo=False, input_names=["x"], output_names=["y"])
    if model.exists():
        with suppress(ImportError):
            ways |= _onnxruntime(model, x.numpy(), threads)
        with suppress(ImportError):
            ways |= _openvino({"float32": model, "int8": folder / "int8.onnx"}, x.numpy(), threads)
            ways |= _openvino({"binary layers": binary_network(spec, len(x))}, x.numpy(), threads)
    return ways


class _Plain(nn.Module):
    """The full-precision network in torch's plain operators, for exporters and compilers."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        values = {"input": x}
        for layer in self.network.spec.layers:
            module: Any = self.network.get_submodule(layer.name)
            inputs = [values[source] for source in layer.sources]
            if layer.kind == "convolution":
                values[layer.name] = F.conv2d(inputs[0], module.weight, None, module.stride, module.padding)
            elif layer.kind == "linear":
                values[layer.name] = F.linear(inputs[0].flatten(1), module.weight, module.bias)
            elif layer.kind == "add":
                values[layer.name] = inputs[0] + inputs[1]
            else:
                values[layer.name] = module(inputs[0])
        return values[layer.name]


def _onnxruntime(model: Path, x: np.ndarray, threads: int) -> dict[str, Way]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    real = onnxruntime.InferenceSession(str(model), options, providers=providers)
    ways: dict[str, Way] = {"ONNX Runtime, float32": lambda: real.run(None, {"x": x})}
    with suppress(ImportError):
        quantised = model.with_name("int8.onnx")
        _quantise(model, quantised, x)
        short = onnxruntime.InferenceSession(str(quantised), options, providers=providers)
        ways["ONNX Runtime, int8"] = lambda: short.run(None, {"x": x})
    return ways


def _quantise(model: Path, output: Path, x: np.ndarray) -> None:
    logging.getLogger().setLevel(logging.ERROR)
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Images(CalibrationDataReader):  # type: ignore[misc]
        """One batch."""

        def __init__(self) -> None:
            self._left = [{"x": x}]

        def get_next(self) -> dict[str, np.ndarray] | None:
            """The batch, once."""
            return self._left.pop() if self._left else None

    quantize_static(
        str(model),
        str(output),
        Images(),
        quant_format=QuantFormat.QDQ,  # which OpenVINO reads as well
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )


def _openvino(models: Mapping[str, Any], x: np.ndarray, threads: int) -> dict[str, Way]:
    import openvino

    def way(model: Any) -> Way:
        settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
        return lambda: request.infer({0: x})

    return {
        f"OpenVINO, {name}": way(model)
        for name, model in models.items()
        if not isinstance(model, Path) or model.exists()
    }


def _times(ways: Mapping[str, Way], rounds: int, burst: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Seconds of a call of each way in each round; all take turns. One round more goes before, to warm up."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    with torch.inference_mode():
        for number in range(rounds + 1):
            for name, way in ways.items():
                begin = clock()
                for _ in range(burst):
                    way()
                if number:
                    taken[name].append((clock() - begin) / burst)
    return taken


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
