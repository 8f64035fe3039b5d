"""The packed network: one file with everything that a binary network needs to answer. ``docs/packed.md`` has each byte.

A network is a list of nodes in the order of execution. Each takes the output of one or two earlier ones (or the
image) and gives one of three kinds of values: reals, integers (the sum Σ w·a of weights ±1 and activations {0, 1}) or
bits. Weights of binary layers take one bit each, batch norm and Eq. 1 are one threshold for each channel.

- ``pipeline.export.packed.read``: bytes → :class:`PackedNetwork`; needs numpy alone.
- ``pipeline.export.packing.pack``: a trained network → bytes.
- ``pipeline.export.reference.answer``: a PackedNetwork and images → logits, in plain numpy.
- ``pipeline.kernels.inference.Runtime``: bytes → a function from images to logits, in compiled kernels.
"""

import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from pipeline.common.errors import UserError

VERSION = 1
#: As PNG's: the high bit and both line ends show whether a transfer took the file for text.
MAGIC = b"\x89BNN\r\n\x1a\n"
#: Reads 0x01020304 in the file's byte order, little-endian.
BYTE_ORDER = 0x01020304
ALIGNMENT = 64
_HEADER = struct.Struct("<8s2IQ4I10QII")
_NODE = struct.Struct("<4B2HII")
#: The image as a node's source.
IMAGE = 0xFFFF
#: Limits that a reader may rely on (and must check): no size computed from a file of this version overflows 64 bits.
MOST_NODES, MOST_CHANNELS, MOST_SIDE, MOST_CLASSES = 4096, 1 << 16, 1 << 13, 1 << 20
MOST_ELEMENTS = 1 << 31


class Kind(IntEnum):
    """The computation of a node."""

    CONVOLUTION = 1  #: reals → reals, real weights
    BINARY_CONVOLUTION = 2  #: bits → integers
    MAX_POOL = 3  #: reals → reals, integers → integers
    THRESHOLD = 4  #: reals or integers → bits, a threshold for each channel
    BINARISE = 5  #: reals → bits: x > 0.5
    AFFINE = 6  #: reals or integers → reals, a factor and a term for each channel
    ADD = 7  #: reals, reals → reals
    RELU = 8  #: reals → reals
    AVERAGE_POOL = 9  #: reals → reals, the mean of each channel
    LINEAR = 10  #: reals → reals, real weights and a bias


class Storage(IntEnum):
    """How the weights of a real layer lie in the file."""

    FLOAT32 = 0
    BFLOAT16 = 1  #: the upper half of a float32
    INT8 = 2  #: with a float32 factor for each output channel


class Values(NamedTuple):
    """The values that a node gives: ``kind`` is 'reals', 'integers' or 'bits', of shape (channels, side, side).

    ``most`` is the largest magnitude that integers can have: the weights of one output channel.
    """

    kind: str
    channels: int
    side: int
    most: int = 0

    @property
    def elements(self) -> int:
        """How many there are for one image."""
        return self.channels * self.side**2


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        kind: what it computes.
        sources: numbers of the nodes that it reads; ``IMAGE`` is the image.
        channels: of its output.
        kernel, stride, padding: of convolutions and max-pooling.
        storage: how the real weights lie in the file.
        weights: real layers (O, C, K, K) or (O, features), float32; binary convolutions (O, K, K, C), bool, true for
            +1; None otherwise.
        parameters: by name: ``threshold`` (C,) int32 (always: -2^31, never: 2^31 - 1) or float32 and ``at_most`` (C,)
            bool; ``factor`` and ``term`` (C,) float32 and, on integers, ``scale`` (1,) float32; ``bias`` (O,) float32.
        name: of the network's layer, for nodes with weights.
    """

    kind: Kind
    sources: tuple[int, ...]
    channels: int
    kernel: int = 0
    stride: int = 0
    padding: int = 0
    storage: Storage = Storage.FLOAT32
    weights: np.ndarray | None = None
    parameters: Mapping[str, np.ndarray] = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True)
class PackedNetwork:
    """A packed network in memory.

    Attributes:
        nodes: in the order of execution; the last one gives the logits.
        channels, size: of the images; ``size`` is their side in pixels.
        classes: their names, in the order of the logits.
        mean, std: of each channel, in units of the full brightness.
        information: JSON values: 'network' (its specification), 'preparation' (how an image becomes pixels),
            'provenance'.
    """

    nodes: tuple[Node, ...]
    channels: int
    size: int
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    information: Mapping[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> list[Values]:
        """Returns what each node gives.

        Raises:
            UserError: a node cannot follow from its sources.
        """
        return list(_inferred(self))

    def to_bytes(self) -> bytes:
        """Returns the file. Raises UserError where the nodes make no network."""
        return _written(self)


def normalisation(mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """Returns what becomes of each byte of each channel, (channels, 256) float32: scale · byte + shift, rounded once.

    scale is 1 / (255 · std) and shift is (-255 · mean) / (255 · std), each operation rounded to float32.
    """
    spread = np.float32(255) * np.asarray(std, np.float32)
    scale = np.float32(1) / spread
    shift = np.float32(-255) * np.asarray(mean, np.float32) / spread
    return fused(np.arange(256, dtype=np.float32)[None], scale[:, None], shift[:, None])


def fused(x: np.ndarray, factor: np.ndarray, term: np.ndarray) -> np.ndarray:
    """Returns x · factor + term in float32, rounded once."""
    # The product of two float32 is exact in float64. Rounding the sum to odd there makes the second rounding right.
    product = np.asarray(x, np.float64) * np.asarray(factor, np.float64)
    term = np.asarray(term, np.float64)
    total = product + term
    virtual = total - product
    error = (product - (total - virtual)) + (term - virtual)
    bits = total.view(np.int64)
    inexact = np.isfinite(total) & (error != 0) & (bits & 1 == 0)
    toward_zero = (error > 0) != (total > 0)
    odd = np.where(inexact, bits + np.where(toward_zero, -1, 1), bits).view(np.float64)
    rounded: np.ndarray = odd.astype(np.float32)
    return rounded


# --- what follows from what ---------------------------------------------------------------------------------------


def _refuse(number: int, problem: str) -> UserError:
    return UserError(f"node {number} of this packed network {problem}", _REMEDY)


def _inferred(network: PackedNetwork) -> Iterator[Values]:
    found: list[Values] = []
    for number, node in enumerate(network.nodes):
        inputs = []
        for source in node.sources:
            if source == IMAGE:
                inputs.append(Values("reals", network.channels, network.size))
            elif source < number:
                inputs.append(found[source])
            else:
                raise _refuse(number, f"reads node {source}, which comes later")
        values = _result(number, node, inputs)
        found.append(values)
        yield values


def _result(number: int, node: Node, inputs: Sequence[Values]) -> Values:
    first = inputs[0]
    taken = {
        Kind.BINARY_CONVOLUTION: ("bits",),
        Kind.MAX_POOL: ("reals", "integers"),
        Kind.THRESHOLD: ("reals", "integers"),
        Kind.AFFINE: ("reals", "integers"),
    }.get(node.kind, ("reals",))
    if any(values.kind not in taken for values in inputs):
        raise _refuse(number, f"({node.kind.name}) cannot take {first.kind}")
    side = first.side
    if node.kind in (Kind.CONVOLUTION, Kind.BINARY_CONVOLUTION, Kind.MAX_POOL):
        if not (node.kernel >= 1 and node.stride >= 1 and node.padding < node.kernel):
            raise _refuse(number, f"has kernel {node.kernel}, stride {node.stride} and padding {node.padding}")
        side = (first.side + 2 * node.padding - node.kernel) // node.stride + 1
        if first.side + 2 * node.padding < node.kernel:
            raise _refuse(number, "has a kernel larger than its input")
    elif node.kind in (Kind.AVERAGE_POOL, Kind.LINEAR):
        side = 1
    free = node.kind in (Kind.CONVOLUTION, Kind.BINARY_CONVOLUTION, Kind.LINEAR)
    if not free and any((values.channels, values.side) != (node.channels, first.side) for values in inputs):
        raise _refuse(number, "does not have the shape of its input")
    kind = {
        Kind.BINARY_CONVOLUTION: "integers",
        Kind.THRESHOLD: "bits",
        Kind.BINARISE: "bits",
        Kind.MAX_POOL: first.kind,
    }.get(node.kind, "reals")
    most = node.kernel**2 * first.channels if node.kind == Kind.BINARY_CONVOLUTION else first.most
    values = Values(kind, node.channels, side, most if kind == "integers" else 0)
    if not 1 <= node.channels <= (MOST_CLASSES if node.kind == Kind.LINEAR else MOST_CHANNELS):
        raise _refuse(number, f"has {node.channels} channels")
    if values.elements > MOST_ELEMENTS or weight_count(node, first) > MOST_ELEMENTS:
        raise _refuse(number, "is larger than the format allows")
    return values


def weight_count(node: Node, source: Values) -> int:
    """Returns how many weights a node has that reads ``source``."""
    if node.kind in (Kind.CONVOLUTION, Kind.BINARY_CONVOLUTION):
        return node.channels * node.kernel**2 * source.channels
    return node.channels * source.elements if node.kind == Kind.LINEAR else 0


# --- arrays in the file -------------------------------------------------------------------------------------------


class _Array(NamedTuple):
    """A parameter as it lies in the file, padded to whole 4 bytes; ``bool`` arrays take one bit for each number."""

    name: str
    type: np.dtype[Any]
    length: int

    @property
    def is_bits(self) -> bool:
        """Returns whether it takes one bit for each number."""
        return self.type.kind == "b"

    def to_bytes(self, values: np.ndarray) -> bytes:
        """Returns the numbers as they lie in the file."""
        if self.is_bits:
            return _bits(values)
        if self.type == _SHORT:
            values = np.clip(values, _SHORT_ALWAYS, _SHORT_NEVER)
        content = np.ascontiguousarray(values, self.type).tobytes()
        return content + bytes(-len(content) % 4)

    def from_bytes(self, content: np.ndarray) -> np.ndarray:
        """Returns the numbers that lie in the file."""
        if self.is_bits:
            return np.unpackbits(content, count=self.length, bitorder="little").astype(bool)
        values = content.view(self.type)[: self.length]
        if self.type != _SHORT:
            return values.astype(self.type.newbyteorder("="))
        whole = values.astype(np.int32)
        return np.select([whole == _SHORT_ALWAYS, whole == _SHORT_NEVER], [_ALWAYS, _NEVER], whole).astype(np.int32)

    @property
    def bytes(self) -> int:
        """How many it takes."""
        return (self.length + 31) // 32 * 4 if self.is_bits else (self.length * self.type.itemsize + 3) // 4 * 4


def _type(name: str) -> np.dtype[Any]:
    return np.dtype(name)


_FLOAT, _INT, _BOOL = _type("<f4"), _type("<i4"), _type("?")
_SHORT = _type("<i2")
#: Of integers: what is always and what is never reached, as it lies in the file and as it is computed with.
_ALWAYS, _NEVER = -(2**31), 2**31 - 1
_SHORT_ALWAYS, _SHORT_NEVER = -(2**15), 2**15 - 1


def _threshold_type(source: Values) -> np.dtype[Any]:
    if source.kind == "reals":
        return _FLOAT
    return _SHORT if source.most < _SHORT_NEVER else _INT


def _parameters(node: Node, source: Values) -> list[_Array]:
    count = node.channels
    match node.kind:
        case Kind.THRESHOLD:
            return [_Array("threshold", _threshold_type(source), count), _Array("at_most", _BOOL, count)]
        case Kind.AFFINE:
            scale = [_Array("scale", _FLOAT, 1)] if source.kind == "integers" else []
            return [*scale, _Array("factor", _FLOAT, count), _Array("term", _FLOAT, count)]
        case Kind.CONVOLUTION | Kind.LINEAR:
            factors = [_Array("factors", _FLOAT, count)] if node.storage == Storage.INT8 else []
            return factors + ([_Array("bias", _FLOAT, count)] if node.kind == Kind.LINEAR else [])
    return []


def _weight_length(node: Node, source: Values) -> int:
    count = weight_count(node, source)
    if node.kind == Kind.BINARY_CONVOLUTION:
        return (count + 31) // 32 * 4
    size = {Storage.FLOAT32: 4, Storage.BFLOAT16: 2, Storage.INT8: 1}[node.storage]
    return (count * size + 3) // 4 * 4


def _bits(values: np.ndarray) -> bytes:
    packed = np.packbits(values.reshape(-1), bitorder="little").tobytes()
    return packed + bytes(-len(packed) % 4)


def _stored(node: Node) -> tuple[bytes, dict[str, np.ndarray]]:
    """Returns the weights' bytes, and the parameters with what these bytes need beside them."""
    parameters = dict(node.parameters)
    if node.weights is None:
        return b"", parameters
    if node.kind == Kind.BINARY_CONVOLUTION:
        return _bits(node.weights), parameters
    values, factors = stored_weights(node.weights, node.storage)
    if factors is not None:
        parameters["factors"] = factors
    content = values.tobytes()
    return content + bytes(-len(content) % 4), parameters


def stored_weights(weights: np.ndarray, storage: Storage) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns real weights as they are stored, and the factor of each output channel where there is one.

    Args:
        weights: (O, …) float32, finite.
        storage: as what.
    """
    weights = np.ascontiguousarray(weights, "<f4")
    if storage == Storage.BFLOAT16:
        bits = weights.view("<u4")
        return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2"), None
    if storage == Storage.INT8:
        largest = np.abs(weights.reshape(len(weights), -1)).max(1)
        factors = np.where(largest > 0, largest / np.float32(127), np.float32(1)).astype("<f4")
        shape = (-1,) + (1,) * (weights.ndim - 1)
        return np.clip(np.rint(weights / factors.reshape(shape)), -127, 127).astype("i1"), factors
    return weights, None


def restored_weights(stored: np.ndarray, factors: np.ndarray | None) -> np.ndarray:
    """Returns the float32 weights that stand for stored ones: what a runtime computes with."""
    if stored.dtype == np.uint16:
        return (stored.astype(np.uint32) << 16).view(np.float32)
    values: np.ndarray = stored.astype(np.float32)
    if factors is not None:
        values *= factors.reshape((-1,) + (1,) * (stored.ndim - 1))
    return values


# --- writing ------------------------------------------------------------------------------------------------------

_REMEDY = "export the network again"


def _written(network: PackedNetwork) -> bytes:
    nodes, parameters, weights = bytearray(), bytearray(), bytearray()
    if not 1 <= len(network.nodes) <= MOST_NODES:
        raise UserError(f"a packed network has 1 to {MOST_NODES} nodes, not {len(network.nodes)}")
    parameters += np.asarray([*network.mean, *network.std], "<f4").tobytes()
    found = network.values
    for node in network.nodes:
        source = _source(network, found, node)
        first, second = (*node.sources, 0)[:2]
        window = node.kernel, node.stride, node.padding
        nodes += _NODE.pack(node.kind, *window, first, second, node.channels, node.storage)
        content, arrays = _stored(node)
        weights += content
        for array in _parameters(node, source):
            parameters += array.to_bytes(arrays[array.name])
    names = b"".join(name.encode() + b"\0" for name in network.classes)
    information = {**network.information, "layers": [node.name for node in network.nodes if node.weights is not None]}
    text = json.dumps(information, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    sections = [bytes(nodes), bytes(parameters), bytes(weights), names, text]
    body = bytearray()
    places: list[int] = []
    for section in sections:
        body += bytes(-len(body) % ALIGNMENT)
        places += [_HEADER.size + len(body), len(section)]
        body += section
    size = _HEADER.size + len(body)
    shape = network.channels, network.size, len(network.classes), len(network.nodes)
    head = _HEADER.pack(MAGIC, VERSION, BYTE_ORDER, size, *shape, *places, zlib.crc32(body), 0)[:-4]
    return head + struct.pack("<I", zlib.crc32(head)) + bytes(body)


def _source(network: PackedNetwork, found: Sequence[Values], node: Node) -> Values:
    number = node.sources[0]
    return Values("reals", network.channels, network.size) if number == IMAGE else found[number]


# --- reading ------------------------------------------------------------------------------------------------------


def read(data: bytes, name: str = "this file") -> PackedNetwork:
    """Reads a packed network.

    Args:
        data: the file's content.
        name: of the file, for messages.

    Raises:
        UserError: it is no packed network, of another version or byte order, cut, damaged or contradictory.
    """
    try:
        return _read(data)
    except UserError as error:
        raise UserError(f"{name} cannot be used: {error}") from None


def _read(data: bytes) -> PackedNetwork:
    if len(data) < _HEADER.size or data[:8] != MAGIC:
        cut = data[:8] == MAGIC[: len(data)] and len(data) > 0
        raise UserError("it is cut" if cut else "it is no packed network", _REMEDY if cut else "name one")
    _, version, order, size, channels, side, classes, count, *places, body_sum, head_sum = _HEADER.unpack_from(data)
    if order != BYTE_ORDER:
        raise UserError("its numbers are stored in another byte order", "export it as this version does, little-endian")
    if version != VERSION:
        raise UserError(f"it has version {version} of the format, and this software reads {VERSION}", _REMEDY)
    if zlib.crc32(data[: _HEADER.size - 4]) != head_sum:
        raise UserError("its header is damaged", _REMEDY)
    if len(data) != size:
        raise UserError(f"it has {len(data)} bytes where {size} were written", _REMEDY)
    if zlib.crc32(data[_HEADER.size :]) != body_sum:
        raise UserError("it is damaged: its checksum differs", _REMEDY)
    if not (1 <= channels <= MOST_CHANNELS and 1 <= side <= MOST_SIDE and 1 <= classes <= MOST_CLASSES):
        raise UserError(f"it takes {channels} channels of {side}×{side} pixels into {classes} classes", _REMEDY)
    if not 1 <= count <= MOST_NODES:
        raise UserError(f"it has {count} nodes", _REMEDY)
    sections = _sections(data, places)
    if len(sections[0]) != count * _NODE.size:
        raise UserError("its list of nodes is not as long as its header says", _REMEDY)
    reading = _Reading(sections[1], "parameters"), _Reading(sections[2], "weights")
    moments = reading[0].take(8 * channels).view("<f4").astype(np.float32)
    if not (np.isfinite(moments).all() and (moments[channels:] > 0).all()):
        raise UserError("its mean or deviation is no number to normalise with", _REMEDY)
    nodes: list[Node] = []
    values: list[Values] = []
    for number in range(count):
        node, given = _read_node(number, sections[0], values, (channels, side), reading)
        nodes.append(node)
        values.append(given)
    for part in reading:
        part.finish()
    if values[-1] != Values("reals", classes, 1):
        raise UserError("its last node does not give a number for each class", _REMEDY)
    information = _information(sections[4])
    names = information.pop("layers", [])
    weighty = [node for node in nodes if node.weights is not None]
    if isinstance(names, list) and len(names) == len(weighty):
        for node, name in zip(weighty, names, strict=True):
            object.__setattr__(node, "name", str(name))
    mean, std = moments[:channels].tolist(), moments[channels:].tolist()
    titles = _class_names(sections[3], classes)
    return PackedNetwork(tuple(nodes), channels, side, titles, tuple(mean), tuple(std), information)


def _sections(data: bytes, places: Sequence[int]) -> list[bytes]:
    end = _HEADER.size
    found = []
    for offset, length in zip(places[::2], places[1::2], strict=True):
        if offset != end + -end % ALIGNMENT or length > len(data) - offset:
            raise UserError("its sections do not follow one another", _REMEDY)
        end = offset + length
        found.append(data[offset:end])
    if end != len(data):
        raise UserError("its sections do not fill it", _REMEDY)
    return found


class _Reading:
    """Takes one array after another from a section."""

    def __init__(self, section: bytes, name: str) -> None:
        self._section = np.frombuffer(section, np.uint8)
        self._name = name
        self._at = 0

    def take(self, length: int) -> np.ndarray:
        """Returns the next bytes. Raises UserError where there are not so many."""
        if length > len(self._section) - self._at:
            raise UserError(f"it has fewer {self._name} than its nodes need", _REMEDY)
        self._at += length
        return self._section[self._at - length : self._at]

    def finish(self) -> None:
        """Raises UserError unless all was taken."""
        if self._at != len(self._section):
            raise UserError(f"it has more {self._name} than its nodes need", _REMEDY)


def _read_node(
    number: int, section: bytes, values: Sequence[Values], image: tuple[int, int], reading: tuple[_Reading, _Reading]
) -> tuple[Node, Values]:
    kind, kernel, stride, padding, first, second, channels, storage = _NODE.unpack_from(section, number * _NODE.size)
    if kind not in iter(Kind):
        raise _refuse(number, f"is of kind {kind}, which this software does not know")
    weighs = kind in (Kind.CONVOLUTION, Kind.LINEAR)
    if storage not in iter(Storage) or (storage and not weighs):
        raise _refuse(number, f"stores its weights in way {storage}, which this software does not know")
    sources = (first, second) if kind == Kind.ADD else (first,)
    node = Node(Kind(kind), sources, channels, kernel, stride, padding, Storage(storage))
    inputs = []
    for source in sources:
        if source != IMAGE and source >= number:
            raise _refuse(number, f"reads node {source}, which comes later")
        inputs.append(Values("reals", *image) if source == IMAGE else values[source])
    given = _result(number, node, inputs)
    parameters = {}
    for array in _parameters(node, inputs[0]):
        parameters[array.name] = array.from_bytes(reading[0].take(array.bytes))
    content = reading[1].take(_weight_length(node, inputs[0]))
    weights = _read_weights(node, inputs[0], content, parameters)
    numbers = parameters if weights is None else {"weights": weights, **parameters}
    for name, values_read in numbers.items():
        # A threshold may be infinite (always) or NaN (never).
        if name != "threshold" and not np.isfinite(values_read).all():
            raise _refuse(number, f"has {name} that are not finite")
    return Node(node.kind, sources, channels, kernel, stride, padding, node.storage, weights, parameters), given


def _read_weights(
    node: Node, source: Values, content: np.ndarray, parameters: dict[str, np.ndarray]
) -> np.ndarray | None:
    count = weight_count(node, source)
    if count == 0:
        return None
    if node.kind == Kind.BINARY_CONVOLUTION:
        bits = np.unpackbits(content, count=count, bitorder="little").astype(bool)
        return bits.reshape(node.channels, node.kernel, node.kernel, source.channels)
    kind = {Storage.FLOAT32: "<f4", Storage.BFLOAT16: "<u2", Storage.INT8: "i1"}[node.storage]
    shape = (source.channels, node.kernel, node.kernel) if node.kind == Kind.CONVOLUTION else (source.elements,)
    stored = content.view(kind)[:count].reshape(node.channels, *shape)
    return restored_weights(stored, parameters.pop("factors", None))


def _class_names(section: bytes, count: int) -> tuple[str, ...]:
    names = section.split(b"\0")
    if len(names) != count + 1 or names[-1]:
        raise UserError("it does not name each class", _REMEDY)
    try:
        return tuple(name.decode() for name in names[:-1])
    except UnicodeDecodeError:
        raise UserError("a class name is no text", _REMEDY) from None


def _information(section: bytes) -> dict[str, Any]:
    try:
        found = json.loads(section.decode())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UserError("what it says about itself is no JSON object", _REMEDY)
    return found
