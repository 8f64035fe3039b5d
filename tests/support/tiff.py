"""TIFF files written byte by byte, of kinds that Pillow reads but does not write."""

import struct
import zlib

import numpy as np

_SHORT, _LONG, _FLOAT = 3, 4, 11
_LAYOUT = {_SHORT: "HH", _LONG: "I", _FLOAT: "f"}


def tiff(
    values: np.ndarray,
    *,
    bits: int | None = None,
    kind: int = 1,
    white_is_zero: bool = False,
    tags: dict[int, float] | None = None,
    order: str = "<",
    deflated: bool = False,
) -> bytes:
    """A grey image.

    Args:
        values: (H, W) numbers; of 12 bits they are packed.
        bits: of each value; by default those of its type.
        kind: 1 unsigned, 2 signed, 3 floating point.
        white_is_zero: how brightness is said to run.
        tags: further ones.
        order: of bytes, '<' or '>'.
        deflated: whether they are compressed.
    """
    height, width = values.shape
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    if bits == 12:
        pairs = values.reshape(-1, 2).tolist()
        data = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs)
    data = zlib.compress(data) if deflated else data
    given = {256: width, 257: height, 258: bits or 8 * values.itemsize, 259: 8 if deflated else 1}
    given |= {262: 0 if white_is_zero else 1, 273: 8, 277: 1, 278: height, 279: len(data), 339: kind, **(tags or {})}
    directory = struct.pack(f"{order}H", len(given))
    for tag, value in sorted(given.items()):
        form = _FLOAT if isinstance(value, float) else _LONG if value > 65535 or tag in (273, 279) else _SHORT
        numbers = (value, 0) if form == _SHORT else (value,)
        directory += struct.pack(f"{order}HHI{_LAYOUT[form]}", tag, form, 1, *numbers)
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + len(data))
    return head + data + directory + struct.pack(f"{order}I", 0)


def colours_apart(values: np.ndarray) -> bytes:
    """An image of (H, W, 3) 16-bit colours, all values of each behind those of the one before, uncompressed."""
    height, width, _ = values.shape
    planes = [np.ascontiguousarray(values[..., colour], "<u2").tobytes() for colour in range(3)]
    size, end = len(planes[0]), 8 + 3 * len(planes[0])
    lists = struct.pack("<3H", 16, 16, 16) + struct.pack("<6I", *(8 + size * plane for plane in range(3)), *[size] * 3)
    tags = [(256, _SHORT, 1, width), (257, _SHORT, 1, height), (258, _SHORT, 3, end), (259, _SHORT, 1, 1)]
    tags += [(262, _SHORT, 1, 2), (273, _LONG, 3, end + 6), (277, _SHORT, 1, 3), (278, _SHORT, 1, height)]
    tags += [(279, _LONG, 3, end + 18), (284, _SHORT, 1, 2)]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    head = b"II*\0" + struct.pack("<I", end + len(lists))
    return head + b"".join(planes) + lists + directory + struct.pack("<I", 0)
