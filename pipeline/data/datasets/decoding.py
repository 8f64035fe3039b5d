"""Image files of any kind, decoded to upright RGB of 8 bits.

Greys of more than 8 bits are divided by what the file says is white. Pillow gives such values as they are stored, so
that 12 bits in a file of 16 would come out nearly black, and 32 bits nearly white.

Of a file that was not written to its end, such as a download of which the rest is empty, some of Pillow's decoders make
a picture all the same. What can be known of that is looked at, and files that Pillow reads wrongly are refused.
"""

import hashlib
import io
import os
import re
import stat
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from pipeline.data.datasets.sources import CONTENT_BYTES, DamagedImageError, Picture

#: Bytes of the largest file that is read.
_LARGEST = 2**30

_ORIENTATION = 0x0112  # the EXIF tag
_UPRIGHT = 1
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

#: Where a PNG file says how many bits each of its numbers has.
_PNG_BITS = 24
#: Formats of which the first picture is the one that is meant: cameras append previews to it, Photoshop its layers.
_ONE_OF_MANY = ("MPO", "PSD")
#: The tag that says what a page of a TIFF file is, and the bits of a smaller copy of another page or a mask for it.
_SUBFILE, _OF_THE_FIRST = 254, 0b101
#: The tag that says where pictures within a picture's own description lie, of which Pillow knows nothing.
_INNER = 330
#: Formats whose greys of more than 8 bits Pillow brings to the full range of 16.
_FULL_RANGE = ("PNG", "PPM", "JPEG2000")
#: Tags of a TIFF file: the brightest value, in two forms, and how values are stored.
_MAX_SAMPLE, _SMAX_SAMPLE, _BITS, _SAMPLE_FORMAT, _PHOTOMETRIC = 281, 341, 258, 339, 262
_UNSIGNED, _WHITE_IS_ZERO = 1, 0
#: And how an image's colours lie: 2, one behind the other.
_PLANAR, _APART = 284, 2
#: Netpbm's formats: those of text, their comments, and what begins an image behind another one.
_PLAIN, _PPM_COMMENT, _PPM_FURTHER = (b"P1", b"P2", b"P3"), re.compile(rb"#[^\r\n]*"), re.compile(rb"\s+P[1-7f]\s")
#: Formats whose data never have so many zeros at their end, unless the end is missing.
_DENSE, _ZEROS = ("WEBP", "AVIF"), 512


def digest_of_bytes(data: bytes) -> bytes:
    """Returns bytes that differ where files do."""
    return hashlib.blake2b(data, digest_size=CONTENT_BYTES).digest()


def read_file(path: Path) -> bytes:
    """Reads an ordinary file, and nothing else: a pipe could keep a reader waiting for ever.

    Raises:
        DamagedImageError: it is no ordinary file, too large or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise DamagedImageError("it is a folder, a device or a pipe, no ordinary file")
            if facts.st_size > _LARGEST:
                raise DamagedImageError(f"it is larger than {_LARGEST / 2**30:g} GiB")
            return file.read()
    except OSError as error:
        raise DamagedImageError(error.strerror or str(error)) from None


def decode(data: bytes) -> Picture:
    """Decodes a file's bytes: turned upright as its EXIF data say, transparency laid on white, 8 bits for a colour.

    Raises:
        DamagedImageError: it is no image, damaged, cut short, several images, or of a kind that has no agreed way to
            RGB.
    """
    if not data:
        raise DamagedImageError("it is empty")
    try:
        with Image.open(io.BytesIO(data)) as image:
            if _holds_several(image, data):
                raise DamagedImageError("it holds several pictures, and which one is meant is not known")
            _check_readable(image)
            image.load()
            _check_whole(image, data)
            _settle_transparency(image, data)
            orientation = _orientation(image)
            # Cameras append further pictures to some JPEG files (MPO); those are not kept as they are.
            own = image.format == "JPEG" and image.mode == "RGB" and orientation == _UPRIGHT
            rgb = upright(_to_rgb(image), orientation)
    except DamagedImageError:
        raise
    except MemoryError:
        raise DamagedImageError("there is too little memory to decode it") from None
    except UnidentifiedImageError:
        raise DamagedImageError("it is no image of a known format") from None
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged input
        raise DamagedImageError(" ".join(str(error).split()) or type(error).__name__) from None
    return Picture(rgb, data if own else None)


def _holds_several(image: Image.Image, data: bytes) -> bool:
    """Returns whether a file has frames or pages that are pictures of their own, rather than parts or copies of one."""
    if image.format == "PPM":
        return _is_followed(image, data)
    if image.format in _ONE_OF_MANY or not getattr(image, "is_animated", False):
        return False
    if image.format != "TIFF":
        return True
    with suppress(Exception), Image.open(io.BytesIO(data)) as pages:  # EOFError after the last, anything if damaged
        for page in count(1):
            pages.seek(page)
            if not int(_first(_tags(pages).get(_SUBFILE), 0)) & _OF_THE_FIRST:
                return True
    return False


def _is_followed(image: Image.Image, data: bytes) -> bool:
    """Returns whether another image follows the first one in a file of netpbm's formats, of which Pillow knows one."""
    if data[:2] in _PLAIN:
        return _PPM_FURTHER.search(_PPM_COMMENT.sub(b"", data[2:])) is not None
    tile: Any = image.tile[0]  # type: ignore[attr-defined]
    _, (_, _, width, height), start, how = tile
    most = how[-1] if isinstance(how, tuple) and how[0] in ("L", "RGB") else 255
    size = 2 if most > 255 or how in ("I;16B", ("I;16B",)) else 4 if image.mode == "F" else 1
    row = (width + 7) // 8 if image.mode == "1" else width * len(image.getbands()) * size
    return _PPM_FURTHER.match(b"\n" + data[start + row * height :]) is not None


def _check_whole(image: Image.Image, data: bytes) -> None:
    """Raises DamagedImageError or one of Pillow's errors if checksums differ, or the end of the file is empty."""
    if image.format == "PNG":
        with Image.open(io.BytesIO(data)) as other:  # which is of no further use
            other.verify()
    if image.format in _DENSE:
        # Zeros behind a WebP file's own end, which it says, do no harm.
        end = int.from_bytes(data[4:8], "little") + 8 if image.format == "WEBP" else len(data)
        if data[:end].endswith(bytes(_ZEROS)):
            raise DamagedImageError("its end is empty, as of a download that was not finished")


def _check_readable(image: Image.Image) -> None:
    """Raises DamagedImageError for kinds of TIFF files of which Pillow makes other pictures than they hold."""
    if image.format != "TIFF":
        return
    tiles: Any = getattr(image, "tile", ())
    tags, ways = _tags(image), [(tile[0], str(tile[3][0])) for tile in tiles]  # by what, and as what it is decoded
    if _first(tags.get(_BITS), 8) > 8 and tags.get(_PLANAR) == _APART and any(by == "raw" for by, _ in ways):
        raise DamagedImageError("its colours of 16 bits lie one behind the other, uncompressed: save it interleaved")
    if int(_first(tags.get(_SUBFILE), 0)) & _OF_THE_FIRST and tags.get(_INNER):
        raise DamagedImageError("its first picture is a small copy of another one within it, as in cameras' raw files")
    if any(by == "libtiff" and kind.endswith((";16BS", ";32BS", ";32BF")) for by, kind in ways):
        raise DamagedImageError("its numbers are compressed and big-endian: save it uncompressed or little-endian")


def _settle_transparency(image: Image.Image, data: bytes) -> None:
    """Brings the one colour of a PNG file that is not to be seen to 8 bits, as Pillow does with the pixels alone.

    Raises:
        DamagedImageError: of a colour of 16 bits the lower ones are lost, by which it could be told from others.
    """
    transparent = image.info.get("transparency")
    if image.format != "PNG" or transparent is None:
        return
    bits = data[_PNG_BITS]
    if image.mode == "L" and bits <= 8:
        most = 2**bits - 1
        image.info["transparency"] = (transparent & most) * 255 // most
    if image.mode == "RGB" and bits > 8:
        raise DamagedImageError("one of its colours of 16 bits is transparent: save it with an alpha channel")


def upright(image: Image.Image, orientation: int | None = None) -> Image.Image:
    """Returns an image turned as ``orientation`` says, by default its own EXIF data."""
    found = _orientation(image) if orientation is None else orientation
    return image.transpose(_TURNS[found]) if found in _TURNS else image


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, _UPRIGHT))
    except Exception:  # damaged EXIF data beside a sound image
        return _UPRIGHT


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F" or image.mode.startswith("I"):
        image = _to_bytes(image)
    else:
        _check_colours(image)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def _to_bytes(image: Image.Image) -> Image.Image:
    """Returns greys of more than 8 bits as bytes, black 0 and white 255."""
    values = np.asarray(image)
    tags = _tags(image)
    bits = int(_first(tags.get(_BITS), 0))
    if image.mode == "I" and bits == 32 and tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))[0] == _UNSIGNED:
        values = values.view(np.uint32)  # Pillow gives them as signed numbers
    if not np.isfinite(values).all():
        raise DamagedImageError("some of its pixels are no numbers")
    if values.min() < 0:
        raise DamagedImageError("some of its pixels are negative numbers, and which one is black is not known")
    white = _white(image, tags, values)
    if white is None:
        kind = "floating-point" if image.mode == "F" else f"{bits or 'many'}-bit"
        raise DamagedImageError(f"its pixels are {kind} numbers, and the file does not say which one is white")
    scaled = values.astype(np.int64) >> 8 if white == 0xFFFF else np.rint(values.astype(np.float64) * (255 / white))
    grey = scaled.clip(0, 255).astype(np.uint8)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        grey = 255 - grey
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):  # of PNG: one grey that is not to be seen
        grey = np.where(values == transparent, np.uint8(255), grey)
    return Image.fromarray(grey)


def _white(image: Image.Image, tags: dict[int, Any], values: np.ndarray) -> float | None:
    """Returns the value of white, from what the file says; None if it does not say."""
    if image.format in _FULL_RANGE and image.mode != "F":
        return 0xFFFF
    stated = _stated_white(tags)
    if stated is not None and values.max() <= stated:
        return stated
    bits, unsigned = int(_first(tags.get(_BITS), 0)), _first(tags.get(_SAMPLE_FORMAT), _UNSIGNED) == _UNSIGNED
    return float(2**bits - 1) if image.mode != "F" and unsigned and 8 < bits <= 16 else None


def _stated_white(tags: dict[int, Any]) -> float | None:
    stated = float(_first(tags.get(_SMAX_SAMPLE), _first(tags.get(_MAX_SAMPLE), 0)))
    return stated if stated > 0 else None


def _check_colours(image: Image.Image) -> None:
    """Refuses colours that Pillow has cut to the upper 8 of 16 bits where only lower ones are used."""
    tags = _tags(image)
    bits, stated = _first(tags.get(_BITS), 8), _stated_white(tags)
    if bits > 8 and stated is not None and stated < 2 ** (bits - 1):
        raise DamagedImageError(f"its colours go up to {stated:g} only, though they have {bits} bits")


def _tags(image: Image.Image) -> dict[int, Any]:
    return dict(getattr(image, "tag_v2", {})) if image.format == "TIFF" else {}


def _first(value: Any, otherwise: float) -> Any:
    """Returns the first of several values, or the only one."""
    if isinstance(value, tuple):
        return value[0] if value else otherwise
    return otherwise if value is None else value
