"""The compiled runtime: every instruction set that runs here gives what the plain one and the reference give."""

import ctypes
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.common.errors import UserError
from pipeline.export import reference
from pipeline.export.packed import IMAGE, Kind, Node, PackedNetwork, read
from pipeline.export.packing import pack
from pipeline.kernels.build import CompilationError
from pipeline.kernels.inference import KERNELS, Runtime, available, load, peak
from pipeline.networks.spec import NetworkSpec
from tests.support.packed_networks import about, random_network, random_pixels, random_spec
from tests.support.packed_programs import random_program, wide_convolutions

SMALL = NetworkSpec("vgg_small", (1,) * 6, base_width=1 / 16, channels=1, size=8, classes=10)

#: Narrow and wide layers, channels that fill no word or nibble, odd sides, strides, both networks, no binary layer.
SPECS = [
    *(random_spec("vgg_small", seed, size=size) for seed, size in enumerate((32, 9, 20))),
    *(random_spec("resnet18", seed, size=size) for seed, size in enumerate((48, 33, 17))),
    NetworkSpec("vgg_small", (1.3, 0.7, 1.9, 1.1, 2.3, 0.3), base_width=1 / 16, size=13, classes=3),
    NetworkSpec("vgg_small", (1, 0.5, 1, 1, 2, 4), base_width=1 / 4, size=8, channels=1),
    NetworkSpec("vgg_small", (1, 0.5, 0.5, 0.25, 0.25, 0.25), base_width=1 / 4, size=18),
    NetworkSpec("resnet18", (0.5,) + (0.25,) * 11, base_width=1, size=66),
    # 200 and 1,400 channels fill no word, and are packed in stretches of a row and pixel by pixel.
    NetworkSpec("vgg_small", (200 / 128, 1400 / 128, 1 / 64, 1 / 64, 1 / 128, 1 / 128), size=20),
    NetworkSpec("vgg_small", (1, 2, 0.5, 1, 1, 1), base_width=1 / 16, size=16, binary=False),
    NetworkSpec("resnet18", (1,) * 12, base_width=1 / 16, size=32, binary=False),
]


@pytest.fixture(autouse=True, scope="module")
def compiled() -> None:
    try:
        load()
    except CompilationError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def small() -> bytes:
    return pack(random_network(SMALL), about(SMALL))


def _compare(packed: PackedNetwork, pixels: np.ndarray, kernels: str, threads: int = 2) -> Runtime:
    images = reference.normalised(packed, pixels)
    expected = list(reference.run(packed, pixels))
    runtime = Runtime(packed.to_bytes(), threads, kernels)
    for number, (values, found) in enumerate(zip(packed.values, expected, strict=True)):
        for image, bits in zip(images, found, strict=True) if values.kind == "bits" else ():
            shape = (values.channels, values.side, values.side)
            assert np.array_equal(runtime.bits(image, number, shape), bits), number
    logits = runtime(pixels)
    answer = expected[-1].reshape(logits.shape)
    assert np.abs(logits - answer).max() <= 1e-4 * np.abs(answer).max()
    assert np.array_equal(logits, runtime(images)), "bytes are normalised as the reference normalises them"
    return runtime


def _pixels_for(packed: PackedNetwork, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (2, packed.size, packed.size, packed.channels), np.uint8)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.network} {spec.size} {spec.binary} {spec.genome}")
@pytest.mark.parametrize("kernels", KERNELS)
def test_every_instruction_set_gives_the_references_bits_and_logits(spec: NetworkSpec, kernels: str) -> None:
    if not available(kernels):
        pytest.skip(f"this processor or build has no {kernels}")
    packed = read(pack(random_network(spec), about(spec)))
    assert _compare(packed, random_pixels(spec, 2), kernels, threads=1).kernels == kernels


@pytest.mark.parametrize("kernels", KERNELS)
def test_any_program_of_nodes_gives_the_references_bits_and_logits(kernels: str) -> None:
    if not available(kernels):
        pytest.skip(f"this processor or build has no {kernels}")
    for seed in range(60):
        packed = read(random_program(seed).to_bytes())
        _compare(packed, _pixels_for(packed, seed), kernels)


@pytest.mark.parametrize("kernels", KERNELS)
def test_large_real_convolutions_give_the_references_bits_and_logits(kernels: str) -> None:
    """They are computed by minimal filtering."""
    if not available(kernels):
        pytest.skip(f"this processor or build has no {kernels}")
    for seed in range(24):
        packed = read(wide_convolutions(seed).to_bytes())
        _compare(packed, _pixels_for(packed, seed), kernels)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (7, 2)])
def test_minimal_filtering_rounds_little_more_than_plain_sums(kernel: int, stride: int) -> None:
    """By root mean squares, against double precision: at most three times as much as torch's float32."""
    random = np.random.default_rng(kernel)
    size, outputs, picked = 32 * stride, 32, 64
    weights = random.normal(0, 1, (outputs, 3, kernel, kernel)).astype(np.float32)
    elements = outputs * 32 * 32
    chosen = np.sort(random.choice(elements, picked, replace=False))
    pick = np.zeros((picked, elements), np.float32)
    pick[np.arange(picked), chosen] = 1
    window = {"kernel": kernel, "stride": stride, "padding": kernel // 2}
    nodes = (
        Node(Kind.CONVOLUTION, (IMAGE,), outputs, weights=weights, **window),
        Node(Kind.LINEAR, (0,), picked, weights=pick, parameters={"bias": np.zeros(picked, np.float32)}),
    )
    names = tuple(str(number) for number in range(picked))
    runtime = Runtime(PackedNetwork(nodes, 3, size, names, (0.5,) * 3, (0.25,) * 3).to_bytes())
    images = random.normal(0, 1, (40, 3, size, size)).astype(np.float32)

    def convolved(dtype: torch.dtype) -> np.ndarray:
        given = (torch.from_numpy(values).to(dtype) for values in (images, weights))
        found = torch.nn.functional.conv2d(*given, stride=stride, padding=kernel // 2)
        return found.flatten(1).numpy()[:, chosen].astype(np.float64)

    exact = convolved(torch.float64)
    ours, plain = (np.sqrt(np.square(found - exact).mean()) for found in (runtime(images), convolved(torch.float32)))
    assert 0 < ours <= 3 * plain


@pytest.mark.parametrize("spec", [SPECS[0], SPECS[3]], ids=["vgg_small", "resnet18"])
@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_nothing(spec: NetworkSpec, threads: int) -> None:
    data = pack(random_network(spec), about(spec))
    pixels = random_pixels(spec, 5)
    alone, together = Runtime(data), Runtime(data, threads)
    assert together.threads == threads
    expected = alone(pixels)
    for count in (1, threads, 5):  # one image by rows, one for each thread, and both
        assert np.array_equal(together(pixels[:count]), expected[:count])
    assert together(pixels[:0]).shape == (0, spec.classes)


def test_it_says_what_it_is(small: bytes) -> None:
    runtime = Runtime(small)
    assert (runtime.channels, runtime.size, runtime.classes) == (1, 8, about(SMALL).classes)
    assert '"vgg_small"' in runtime.information
    assert [step.name for step in runtime.steps][:2] == [
        "real convolution, threshold",
        "binary convolution, max-pooling, threshold",
    ]
    macs = {layer.name: layer.macs for layer in SMALL.layers}
    assert [step.macs for step in runtime.steps][:2] == [macs["conv1"], macs["conv2"]]
    assert all(time > 0 for time in runtime.profile(random_pixels(SMALL, 1)[0], 2))


def test_it_takes_tensors_and_tells_what_does_not_fit(small: bytes) -> None:
    runtime = Runtime(small)
    pixels = random_pixels(SMALL, 2)
    assert np.array_equal(runtime(torch.from_numpy(pixels)), runtime(pixels))
    for wrong in (pixels[0], pixels.astype(np.int64), np.zeros((2, 8, 8, 1), np.float32), np.zeros((1, 1, 9, 9), "f")):
        with pytest.raises(UserError, match="do not fit this network"):
            runtime(wrong)
    with pytest.raises(UserError, match="node"):
        runtime.bits(np.zeros((1, 8, 8), np.float32), 0, (8, 8, 8))
    with pytest.raises(UserError, match="threads"):
        Runtime(small, -1)


def test_kernels_are_chosen_by_name(small: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BNN_KERNELS", "portable")
    assert Runtime(small).kernels == "portable"
    monkeypatch.setenv("BNN_KERNELS", "mmx")
    with pytest.raises(UserError, match=r"do not run on this processor.*mmx"):
        Runtime(small)
    assert Runtime(small, kernels="portable").kernels == "portable", "an argument goes before the environment"
    monkeypatch.delenv("BNN_KERNELS")
    assert Runtime(small).kernels == next(name for name in KERNELS if available(name))


def test_an_error_says_what_and_in_which_file_or_argument(small: bytes, tmp_path: Path) -> None:
    library, network = load(), ctypes.c_void_p()
    damaged, cut = small[:700] + b"\7\7\7\7" + small[704:], f"{len(small) - 1} bytes where {len(small)} were written"
    folder = tmp_path / ("x" * 250) / ("y" * 250) / ("z" * 250)
    folder.mkdir(parents=True)
    wrong = {
        "text.bnn": (b"hello" * 100, "this is no packed network: {}"),
        "empty.bnn": (b"", "this is no packed network: {}: it is empty"),
        "cut.bnn": (small[:-1], f"this packed network is cut: {{}}: {cut}"),
        "damaged.bnn": (damaged, "this packed network is damaged, its checksum differs: {}: its content"),
        "none.bnn": (None, "the file cannot be read: {}"),
    }
    for name, (content, says) in wrong.items():
        if content is not None:
            (folder / name).write_bytes(content)
        assert library.bnn_load(str(folder / name).encode(), None, ctypes.byref(network)) and not network
        assert library.bnn_error().decode() == says.format(folder / name)
    (folder / "right.bnn").write_bytes(small)
    assert library.bnn_load(str(folder / "right.bnn").encode(), None, ctypes.byref(network)) == 0
    numbers = np.zeros(64, np.float32).ctypes.data
    for call, lacks in {
        lambda: library.bnn_run(None, numbers, 1, numbers): "network",
        lambda: library.bnn_run(network, None, 1, numbers): "images",
        lambda: library.bnn_run(network, numbers, 1, None): "logits",
        lambda: library.bnn_run_pixels(network, None, 1, numbers): "pixels",
        lambda: library.bnn_profile(network, numbers, 0, numbers): "rounds",
        lambda: library.bnn_bits(network, numbers, 0, None): "bits",
        lambda: library.bnn_load_memory(None, 1, None, ctypes.byref(ctypes.c_void_p())): "data",
    }.items():
        assert call() and library.bnn_error().decode() == f"an argument is a null pointer or out of range: {lacks}"
    library.bnn_free(network)


def test_the_peak_is_measured_where_it_runs() -> None:
    assert peak("portable") > 1e8
    assert peak("mmx") == 0


def test_it_needs_no_torch(small: bytes, tmp_path) -> None:
    (tmp_path / "small.bnn").write_bytes(small)
    program = (
        "import sys, pathlib, numpy; from pipeline.kernels.inference import Runtime; "
        "runtime = Runtime(pathlib.Path(sys.argv[1]).read_bytes()); "
        "print(runtime(numpy.zeros((1, 8, 8, 1), numpy.uint8)).shape, 'torch' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "small.bnn")], capture_output=True, text=True, check=True
    )
    assert found.stdout.split("\n")[-2] == "(1, 10) False"


def test_one_network_serves_several_threads_of_python(small: bytes) -> None:
    from concurrent.futures import ThreadPoolExecutor

    runtime = Runtime(small, 2)
    pixels = random_pixels(SMALL, 40)
    expected = runtime(pixels)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: runtime(pixels[i : i + 1])[0], range(40)))
    assert np.array_equal(np.stack(found), expected)
