"""TIFF files written byte by byte, of kinds that Pillow reads but does not write."""

import struct

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
) -> bytes:
    """A grey image.

    Args:
        values: (H, W) little-endian numbers; of 12 bits they are packed.
        bits: of each value; by default those of its type.
        kind: 1 unsigned, 2 signed, 3 floating point.
        white_is_zero: how brightness is said to run.
        tags: further ones.
    """
    height, width = values.shape
    data = values.tobytes()
    if bits == 12:
        pairs = values.reshape(-1, 2).tolist()
        data = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs)
    given = {256: width, 257: height, 258: bits or 8 * values.itemsize, 259: 1, 262: 0 if white_is_zero else 1, 273: 8}
    given |= {277: 1, 278: height, 279: len(data), 339: kind, **(tags or {})}
    directory = struct.pack("<H", len(given))
    for tag, value in sorted(given.items()):
        form = _FLOAT if isinstance(value, float) else _LONG if value > 65535 or tag in (273, 279) else _SHORT
        numbers = (value, 0) if form == _SHORT else (value,)
        directory += struct.pack(f"<HHI{_LAYOUT[form]}", tag, form, 1, *numbers)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + struct.pack("<I", 0)
