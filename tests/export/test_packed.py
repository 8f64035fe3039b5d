"""The packed file: it answers as torch does, bit by bit, stays small, and is refused in a sentence when it is wrong."""

import json
import random
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.common.errors import UserError
from pipeline.export import packed, reference
from pipeline.export.engines import packed_engine
from pipeline.export.packed import Kind, Storage, read
from pipeline.export.packing import About, pack, packed_network
from pipeline.networks.cost import network_cost
from pipeline.networks.spec import NetworkSpec, uniform_genome
from tests.support.packed_networks import about, plain, random_network, random_pixels, random_spec

SMALL = NetworkSpec("vgg_small", (1,) * 6, base_width=1 / 16, channels=1, size=8, classes=10)


@pytest.fixture(scope="module")
def small() -> bytes:
    return pack(random_network(SMALL), about(SMALL))


@pytest.mark.parametrize(
    "spec",
    [
        *(random_spec("vgg_small", seed, size=size) for seed, size in enumerate((32, 9, 20))),
        *(random_spec("resnet18", seed, size=size) for seed, size in enumerate((48, 33, 17))),
        NetworkSpec("vgg_small", (1, 2, 0.5, 1, 1, 1), base_width=1 / 16, size=16, binary=False),
        NetworkSpec("resnet18", (1,) * 12, base_width=1 / 16, size=32, binary=False),
    ],
    ids=lambda spec: f"{spec.network} {spec.size} {'binary' if spec.binary else 'real'} {spec.genome}",
)
def test_it_answers_as_torch_does(spec: NetworkSpec) -> None:
    network = random_network(spec)
    data = pack(network, about(spec))
    found = read(data)
    assert found.to_bytes() == data
    pixels = random_pixels(spec, 3)
    values = list(reference.run(found, pixels))
    logits, bits = plain(network, torch.from_numpy(reference.normalised(found, pixels)))
    for node in found.nodes:
        if node.kind == Kind.BINARY_CONVOLUTION:
            assert np.array_equal(values[node.sources[0]], bits.pop(node.name).numpy() == 1), node.name
    assert not bits
    answer = values[-1].reshape(logits.shape)
    assert np.abs(answer - logits.numpy()).max() <= 1e-4 * logits.abs().max()
    for value, expected in zip(values, found.values, strict=True):
        assert value.shape[1:] == (expected.channels, expected.side, expected.side)


def test_bytes_become_what_training_normalises_them_to() -> None:
    from pipeline.data.batches import ImagesInMemory, Normalisation

    moments = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)
    spec = replace(SMALL, channels=3)
    ours = packed_network(random_network(spec), About(about(spec).classes, *moments))
    pixels = random_pixels(spec, 5)
    images = ImagesInMemory(
        torch.from_numpy(pixels), torch.zeros(5, dtype=torch.long), Normalisation(*moments), torch.device("cpu")
    )
    ((theirs, _),) = images.batches([torch.arange(5)])
    assert np.array_equal(reference.normalised(ours, pixels), theirs.numpy())


@pytest.mark.parametrize("network", ["vgg_small", "resnet18"])
@pytest.mark.parametrize("base_width", [1 / 16, 1 / 8, 1 / 4])
def test_its_size_is_the_cost_accounts(network: str, base_width: float) -> None:
    spec = NetworkSpec(network, uniform_genome(network, 1), base_width=base_width)
    data = pack(random_network(spec), about(spec))
    assert network_cost(spec).bytes <= len(data) <= 1.05 * network_cost(spec).bytes + 4096


def test_it_says_what_it_is(small: bytes) -> None:
    found = read(small)
    assert (found.channels, found.size, found.classes) == (1, 8, about(SMALL).classes)
    assert found.mean == pytest.approx(about(SMALL).mean)
    assert found.information["network"]["network"] == "vgg_small"
    assert found.nodes[0].name == "conv1"


@pytest.mark.parametrize(("storage", "bound"), [(Storage.BFLOAT16, 0.02), (Storage.INT8, 0.05)])
def test_real_weights_may_be_stored_shorter(storage: Storage, bound: float) -> None:
    network = random_network(SMALL)
    full, short = (packed_network(network, about(SMALL), way) for way in (Storage.FLOAT32, storage))
    again = read(short.to_bytes())
    count = sum(layer.weights for layer in SMALL.layers if not layer.binary)
    saved = len(full.to_bytes()) - len(short.to_bytes())
    assert abs(saved - count * {Storage.BFLOAT16: 2, Storage.INT8: 3}[storage]) < 4 * (8 + 10) + 64
    weights = [node.weights for node in full.nodes if node.kind == Kind.LINEAR]
    stored = [node.weights for node in again.nodes if node.kind == Kind.LINEAR]
    assert np.abs(weights[0] - stored[0]).max() <= bound * np.abs(weights[0]).max()
    assert again.to_bytes() == short.to_bytes()
    # Numpy, where there is no compiler, computes with these too: what shorter weights cost in accuracy is told by it.
    pixels = random_pixels(SMALL, 3)
    found, exact = (packed_engine(one, "numpy").logits(pixels) for one in (short, full))
    assert np.array_equal(found, reference.answer(again, pixels)) and not np.array_equal(found, exact)


def resealed(data: bytes) -> bytes:
    """With checksums that fit."""
    body = zlib.crc32(data[128:])
    head = data[:120] + struct.pack("<I", body)
    return head + struct.pack("<I", zlib.crc32(head)) + data[128:]


def changed(data: bytes, place: int, content: bytes, *, sealed: bool = True) -> bytes:
    data = data[:place] + content + data[place + len(content) :]
    return resealed(data) if sealed else data


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda data: b"", "no packed network"),
        (lambda data: b"\x89HDF\r\n\x1a\n" + bytes(500), "no packed network"),
        (lambda data: data[:40], "cut"),
        (lambda data: data[:-1], "bytes where"),
        (lambda data: data + b"x", "bytes where"),
        (lambda data: changed(data, 8, struct.pack("<I", 2)), "version 2"),
        (lambda data: changed(data, 12, struct.pack(">I", packed.BYTE_ORDER)), "byte order"),
        (lambda data: changed(data, 28, b"\7", sealed=False), "header is damaged"),
        (lambda data: changed(data, 700, b"\7\7", sealed=False), "checksum"),
        (lambda data: changed(data, 24, struct.pack("<I", 0)), "0 channels"),
        (lambda data: changed(data, 36, struct.pack("<I", 10**9)), "nodes"),
        (lambda data: changed(data, 32, struct.pack("<I", 9)), "each class"),
        (lambda data: changed(data, 40, struct.pack("<Q", 2**63)), "sections"),
        (lambda data: changed(data, 128, b"\x63"), "kind 99"),
        (lambda data: changed(data, 128 + 2, b"\0"), "stride 0"),
        (lambda data: changed(data, 128 + 4, b"\5\0"), "comes later"),
        (lambda data: changed(data, 128 + 8, struct.pack("<I", 2**31)), "channels"),
        (lambda data: changed(data, 128 + 12, struct.pack("<I", 7)), "way 7"),
        (lambda data: changed(data, 128 + 16 + 8, struct.pack("<I", 9)), "shape of its input"),
    ],
)
def test_a_wrong_file_is_refused_in_a_sentence(small: bytes, wrong, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        read(wrong(small), "found.bnn")
    assert str(caught.value).startswith("found.bnn") and "\n" not in str(caught.value)


def test_no_damage_makes_it_crash(small: bytes) -> None:
    draw = random.Random(0)
    refused = 0
    for _ in range(600):
        data = bytearray(small)
        for _ in range(draw.choice((1, 1, 2, 8))):
            data[draw.randrange(8, 128 + 16 * 20)] = draw.choice((0, 1, 2, 127, 255, draw.randrange(256)))
        data = bytearray(resealed(bytes(data)))
        try:
            list(reference.run(read(bytes(data)), random_pixels(SMALL, 1)))
        except UserError:
            refused += 1
    assert refused > 300


def test_a_network_that_cannot_be_packed_is_told(small: bytes) -> None:
    network = random_network(SMALL)
    with pytest.raises(UserError, match="do not fit"):
        pack(network, About(("a", "b"), (0.5,), (0.5,)))
    with pytest.raises(UserError, match="zero byte"):
        pack(network, About(("a\0", *"bcdefghij"), (0.5,), (0.5,)))
    network.get_submodule("conv3").weight.data[0, 0, 0, 0] = float("nan")
    with pytest.raises(UserError, match=r"conv3\.weight"):
        pack(network, about(SMALL))


def test_an_unknown_layer_is_named() -> None:
    network = random_network(SMALL)
    layers = list(network.spec.layers)
    layers[3] = layers[3]._replace(kind="dropout")
    network.spec.__dict__["layers"] = layers
    with pytest.raises(UserError, match=f"'{layers[3].name}' \\(dropout\\)"):
        pack(network, about(SMALL))


def test_what_it_says_about_itself_is_json(small: bytes) -> None:
    at = struct.unpack_from("<10Q", small, 40)[8]
    assert json.loads(small[at:])["layers"][0] == "conv1"
    with pytest.raises(UserError, match="JSON"):
        read(changed(small, at, b"["))
