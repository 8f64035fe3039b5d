"""The runtime on processors that this machine is not, by emulation, and on damaged files, under sanitizers."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pipeline.export import reference
from pipeline.export.packed import PackedNetwork, read
from pipeline.export.packing import pack
from pipeline.kernels.build import INFERENCE
from pipeline.networks.spec import NetworkSpec
from tests.support.packed_networks import about, random_network, random_spec

PROGRAMS = Path(__file__).with_name("programs")
COMPILER = os.environ.get("CXX") or "g++"
ARM = "aarch64-linux-gnu-g++"
ARM_EMULATOR = "qemu-aarch64"
#: AVX-512 written in plain C++ (Debian: libsimde-dev).
SIMDE = "simde/x86/avx512.h"

SPECS = [
    random_spec("vgg_small", 1, size=9),
    random_spec("resnet18", 2, size=17),
    NetworkSpec("vgg_small", (1.3, 0.7, 1.9, 1.1, 2.3, 0.3), base_width=1 / 16, size=13, classes=3),
    NetworkSpec("vgg_small", (0.25, 0.5, 0.25, 0.5, 0.5, 0.25), base_width=1, size=8, channels=1),
    NetworkSpec("vgg_small", (1, 0.5, 0.25, 0.25, 0.25, 0.25), base_width=1 / 4, size=18),
    NetworkSpec("resnet18", (0.5,) + (0.25,) * 11, base_width=1, size=34),
]


def build(output: Path, program: str, *flags: str, compiler: str = COMPILER) -> Path:
    sources = [str(file) for file in sorted(INFERENCE.glob("*.cpp"))]
    command = [compiler, "-std=c++17", "-Wall", "-Wextra", "-Werror", "-pthread", f"-I{INFERENCE}", *flags]
    subprocess.run([*command, *sources, str(PROGRAMS / program), "-o", str(output)], check=True)
    return output


def answers(command: list[str], kernels: str, data: bytes, folder: Path) -> None:
    """Asserts that a program gives the reference's bits and logits."""
    packed: PackedNetwork = read(data)
    pixels = random_pixels_of(packed)
    images = reference.normalised(packed, pixels)
    values = list(reference.run(packed, pixels))
    (folder / "network.bnn").write_bytes(data)
    (folder / "images").write_bytes(images.tobytes())
    nodes = [number for number, one in enumerate(packed.values) if one.kind == "bits"]
    named = [str(part) for number in nodes for part in (number, packed.values[number].elements)]
    arguments = [str(folder / "network.bnn"), str(folder / "images"), str(len(images)), kernels, *named]
    found = subprocess.run([*command, *arguments], capture_output=True, check=True).stdout
    length = 4 * len(images) * len(packed.classes)
    logits = np.frombuffer(found[:length], "<f4").reshape(len(images), -1)
    answer = values[-1].reshape(logits.shape)
    assert np.abs(logits - answer).max() <= 1e-4 * np.abs(answer).max()
    expected = np.concatenate([values[number][i].ravel() for i in range(len(images)) for number in nodes])
    assert np.array_equal(np.frombuffer(found[length:], np.uint8), expected)


def random_pixels_of(packed: PackedNetwork) -> np.ndarray:
    draw = np.random.default_rng(5)
    return draw.integers(0, 256, (2, packed.size, packed.size, packed.channels), dtype=np.uint8)


@pytest.fixture(scope="module")
def networks() -> list[bytes]:
    return [pack(random_network(spec), about(spec)) for spec in SPECS]


@pytest.mark.skipif(not (shutil.which(ARM) and shutil.which(ARM_EMULATOR)), reason="no ARM compiler or emulator")
def test_arm_gives_the_references_bits_and_logits(networks: list[bytes], tmp_path: Path) -> None:
    program = build(tmp_path / "run", "run_packed.cpp", "-O1", "-static", compiler=ARM)
    for data in networks:
        for kernels in ("neon", "portable"):
            answers([ARM_EMULATOR, str(program)], kernels, data, tmp_path)


@pytest.mark.skipif(not Path("/usr/include", SIMDE).exists(), reason="no SIMDe")
def test_avx512_gives_the_references_bits_and_logits(networks: list[bytes], tmp_path: Path) -> None:
    program = build(tmp_path / "run", "run_packed.cpp", "-O1", "-w", f'-DBNN_EMULATE_AVX512="{SIMDE}"')
    for data in networks:
        answers([str(program)], "avx512", data, tmp_path)


@pytest.mark.skipif(not shutil.which(COMPILER), reason="no compiler")
def test_no_damaged_file_makes_it_fault(networks: list[bytes], tmp_path: Path) -> None:
    sanitizers = "-fsanitize=address,undefined", "-fno-sanitize-recover=all"
    # The sanitizers do not know when code for AVX-512 is not meant to run, and it takes as long as all others.
    program = build(tmp_path / "fuzz", "fuzz_packed.cpp", "-O0", "-DBNN_NO_AVX512", *sanitizers)
    for seed, data in enumerate(networks[:3]):  # the last one is too large to run
        path = tmp_path / f"{seed}.bnn"
        path.write_bytes(data)
        found = subprocess.run([str(program), str(path), str(seed), "400"], capture_output=True, text=True)
        assert found.returncode == 0, found.stderr[-3000:]
        ran = int(found.stdout.split("ran ")[1].split(",")[0])
        assert 10 < ran < 390, found.stdout
