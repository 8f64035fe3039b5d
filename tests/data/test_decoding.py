"""Greys of more than 8 bits, transparency and what is no image: the right brightness, or a sentence."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin, features

from pipeline.data.datasets.decoding import decode, read_file
from pipeline.data.datasets.sources import DamagedImageError
from tests.support.tiff import colours_apart, tiff

#: Every byte once.
RAMP = np.arange(256).reshape(16, 16)


def grey(data: bytes) -> np.ndarray:
    """The red channel of what is decoded."""
    return np.asarray(decode(data).image)[:, :, 0].astype(int)


def png(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def fits(values: np.ndarray) -> bytes:
    cards = ["SIMPLE  = T", "BITPIX  = 16", "NAXIS   = 2", "NAXIS1  = 16", "NAXIS2  = 16", "END"]
    return "".join(card.ljust(80) for card in cards).ljust(2880).encode() + values.astype(">i2").tobytes()


@pytest.mark.parametrize(
    ("data", "white"),
    [
        (tiff((RAMP * 257).astype("<u2")), 65535),
        (tiff(RAMP * 16, bits=12), 4095),
        (tiff((RAMP * 16).astype("<u2"), tags={281: 4095}), 4095),
        (tiff((RAMP * 4).astype("<u2"), tags={281: 1023}), 1023),
        (tiff((RAMP * 128).astype("<i2"), kind=2, tags={281: 32767}), 32767),
        (tiff((RAMP * 2**24).astype("<u4"), tags={281: 2**32 - 1}), 2**32 - 1),
        (tiff((RAMP * 10).astype("<u4"), tags={341: 2550}), 2550),
        (tiff((RAMP * 2**23).astype("<i4"), kind=2, tags={281: 2**31 - 1}), 2**31 - 1),
        (tiff((RAMP / 255).astype("<f4"), kind=3, tags={341: 1.0}), 1),
        (b"P5 16 16 4095\n" + (RAMP * 16).astype(">u2").tobytes(), 4095),
        (b"P5 16 16 65535\n" + (RAMP * 257).astype(">u2").tobytes(), 65535),
        (b"P2 16 16 1023\n" + " ".join(map(str, (RAMP * 4).ravel())).encode(), 1023),
        (png(Image.fromarray((RAMP * 257).astype(np.uint16))), 65535),
    ],
    ids=["16", "12", "12 in 16", "10 in 16", "signed 16", "32", "some of 32", "signed 32", "float", "12 in PGM", "PGM",
         "text PGM", "PNG"],
)  # fmt: skip
def test_greys_are_divided_by_what_the_file_calls_white(data, white):
    assert np.abs(grey(data) - RAMP).max() <= 1, f"white is {white}"


def test_white_is_zero():
    assert (grey(tiff((RAMP * 257).astype("<u2"), white_is_zero=True)) == 255 - RAMP).all()


def test_a_stated_white_that_is_passed_does_not_count():
    assert (grey(tiff((RAMP * 257).astype("<u2"), tags={281: 255})) == RAMP).all()


def test_turned_greys_keep_their_brightness():
    values = (RAMP * 257).astype("<u2")
    assert (grey(tiff(values, tags={274: 6})) == np.rot90(RAMP, -1)).all()
    assert (grey(tiff(values, tags={274: 3, 281: 65535})) == np.rot90(RAMP, 2)).all()


def test_one_transparent_grey_lies_on_white():
    seen = grey(png(Image.fromarray((RAMP * 257).astype(np.uint16)), transparency=0))
    assert seen[0, 0] == 255
    assert (seen.ravel()[1:] == RAMP.ravel()[1:]).all()


def raw_png(bits: int, kind: int, row: bytes, width: int, transparent: bytes) -> bytes:
    """A PNG file of one row."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, bits, kind, 0, 0, 0))
    rest = chunk(b"tRNS", transparent) + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + rest


@pytest.mark.parametrize(
    ("bits", "row", "transparent", "seen"),
    [
        (2, b"\x1b", 1, [0, 255, 170, 255]),
        (4, b"\x03\x7f", 7, [0, 51, 255, 255]),
        (8, bytes([0, 7, 8, 255]), 7, [0, 255, 8, 255]),
        (4, b"\x03\x7f", 0xFFF7, [0, 51, 255, 255]),
    ],
    ids=["2 bits", "4 bits", "8 bits", "the lowest bits count"],
)
def test_one_transparent_grey_of_few_bits_lies_on_white(bits, row, transparent, seen):
    """As programs that make files small write drawings with a transparent ground."""
    assert grey(raw_png(bits, 0, row, 4, struct.pack(">H", transparent))).tolist() == [seen]


def test_one_transparent_colour_of_16_bits_is_refused():
    """It could be told from others by its lower bits alone, which Pillow does not give."""
    colours = struct.pack(">6H", 1000, 20000, 65535, 1001, 20000, 65535)
    with pytest.raises(DamagedImageError, match="one of its colours of 16 bits is transparent"):
        decode(raw_png(16, 2, colours, 2, colours[:6]))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (tiff(RAMP.astype("<u4")), "its pixels are 32-bit numbers, and the file does not say which one is white"),
        (tiff(RAMP.astype("<i4"), kind=2), "its pixels are 32-bit numbers"),
        (tiff(RAMP.astype("<i2"), kind=2), "its pixels are 16-bit numbers"),
        (tiff((RAMP - 9).astype("<i2"), kind=2, tags={281: 300}), "some of its pixels are negative numbers"),
        (tiff((RAMP / 255).astype("<f4"), kind=3), "its pixels are floating-point numbers"),
        (tiff(np.full((4, 4), np.nan, "<f4"), kind=3, tags={341: 1.0}), "some of its pixels are no numbers"),
        (b"Pf\n16 16\n-1.0\n" + (RAMP / 255).astype("<f4").tobytes(), "its pixels are floating-point numbers"),
        (fits(RAMP), "its pixels are many-bit numbers"),
    ],
    ids=["32", "signed 32", "signed 16", "negative", "float", "no numbers", "PFM", "FITS"],
)
def test_greys_whose_white_is_not_known_are_refused(data, reason):
    with pytest.raises(DamagedImageError, match=reason):
        decode(data)


def test_colours_cut_to_their_empty_upper_bits_are_refused():
    image = Image.fromarray(np.stack([RAMP.astype(np.uint8)] * 3, axis=2))
    buffer = io.BytesIO()
    image.save(buffer, "TIFF", tiffinfo={281: (15, 15, 15)})
    assert (grey(buffer.getvalue()) == RAMP).all(), "8 bits are what they are"
    data = bytearray(buffer.getvalue())
    # The same file, but its tag says that samples have 16 bits: then Pillow takes each second byte.
    place = data.find((8).to_bytes(2, "little") * 3)
    data[place : place + 6] = (16).to_bytes(2, "little") * 3
    with Image.open(io.BytesIO(bytes(data))) as wide:
        assert wide.tag_v2[258] == (16, 16, 16)
        wide_enough = wide.size[0] * wide.size[1] * 6 <= len(data)
    if not wide_enough:
        data += bytes(16 * 16 * 6)
    with pytest.raises(DamagedImageError, match="its colours go up to 15 only, though they have 16 bits"):
        decode(bytes(data))


def test_pipes_and_devices_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    for name in ("pipe.png", "zero.png"):
        with pytest.raises(DamagedImageError, match="no ordinary file"):
            read_file(tmp_path / name)
    (tmp_path / "loop.png").symlink_to("loop.png")
    with pytest.raises(DamagedImageError, match="Too many levels of symbolic links"):
        read_file(tmp_path / "loop.png")
    with pytest.raises(DamagedImageError, match="No such file"):
        read_file(tmp_path / "none.png")
    with open(tmp_path / "sparse.png", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(DamagedImageError, match="it is larger than 1 GiB"):
        read_file(tmp_path / "sparse.png")


def test_previews_of_raw_files_are_refused():
    """NEF and DNG begin with a small copy of the photograph, which lies further inside."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[254], tags[330] = 1, 8  # a reduced picture, and where others lie
    tags.tagtype[330] = 4
    file = io.BytesIO()
    Image.new("RGB", (16, 12), "red").save(file, "TIFF", tiffinfo=tags)
    with pytest.raises(DamagedImageError, match="its first picture is a small copy of another one within it"):
        decode(file.getvalue())
    del tags[330]
    file = io.BytesIO()
    Image.new("RGB", (16, 12), "red").save(file, "TIFF", tiffinfo=tags)
    assert decode(file.getvalue()).image.size == (16, 12), "a small copy by itself"


def several(form: str, count: int = 2, **options: object) -> bytes:
    """Pictures in one file, each of one grey."""
    pictures = [Image.new("L", (16, 16), 40 * number) for number in range(1, count + 1)]
    buffer = io.BytesIO()
    pictures[0].save(buffer, form, save_all=True, append_images=pictures[1:], **options)
    return buffer.getvalue()


def pages_of_kinds(*kinds: int) -> bytes:
    """A TIFF file whose pages after the first say what they are."""
    buffer = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(buffer, True) as writer:
        for number, kind in enumerate((0, *kinds), start=1):
            Image.new("L", (16 // number, 16 // number), 40 * number).save(writer, "TIFF", tiffinfo={254: kind})
            writer.newFrame()
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_and_pages_are_not_cut_to_their_first_picture(form):
    with pytest.raises(DamagedImageError, match="it holds several pictures, and which one is meant is not known"):
        decode(several(form))
    assert (grey(several(form, 1)) - 40 < 3).all(), "a single one is what it is"


def test_copies_and_masks_of_the_one_picture_are_no_others():
    assert (grey(several("MPO")) - 40 < 3).all(), "what a camera appends to its JPEG files"
    for kinds in ((1,), (4,), (1, 5, 1)):
        assert (grey(pages_of_kinds(*kinds)) == 40).all() and grey(pages_of_kinds(*kinds)).shape == (16, 16)
    for kinds in ((0,), (2,), (1, 0), (1, 2)):
        with pytest.raises(DamagedImageError, match="several pictures"):
            decode(pages_of_kinds(*kinds))


def test_a_further_page_that_cannot_be_read_is_none():
    data = tiff((RAMP * 257).astype("<u2"))
    assert (grey(data[:-4] + (10**6).to_bytes(4, "little")) == RAMP).all()


# --- what decoders make a picture of all the same ---


def some_picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))


@pytest.mark.parametrize(("form", "more"), [("PNG", {}), ("WEBP", {}), ("WEBP", {"lossless": True}), ("AVIF", {})])
def test_a_file_whose_end_is_empty_is_damaged(form, more):
    """As after a power failure, or of a download for which all room was taken at its beginning."""
    if form == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    file = io.BytesIO()
    some_picture().save(file, form, **more)
    data = file.getvalue()
    assert decode(data).image.size == (64, 64)
    for share in (0.3, 0.5, 0.8):
        kept = int(share * len(data))
        with pytest.raises(DamagedImageError):
            decode(data[:kept] + bytes(len(data) - kept))


def test_a_webp_file_with_zeros_behind_its_own_end_is_whole():
    file = io.BytesIO()
    some_picture().save(file, "WEBP", lossless=True)
    assert decode(file.getvalue() + bytes(4096)).image.tobytes() == some_picture().tobytes()


def test_a_png_file_with_one_wrong_byte_is_damaged():
    """Pillow does not compare the checksums of pixels, and all that are wanted may be there before zlib's own."""
    file = io.BytesIO()
    some_picture().save(file, "PNG", compress_level=0)
    data = bytearray(file.getvalue())
    data[len(data) // 2] ^= 1
    with pytest.raises(DamagedImageError):
        decode(bytes(data))


def test_colours_of_16_bits_that_lie_apart_are_refused():
    """Pillow takes them for colours of 8 bits: a red picture would have red stripes."""
    values = np.zeros((8, 8, 3), np.uint16)
    values[..., 0] = 0xFF00
    with pytest.raises(DamagedImageError, match="16 bits lie one behind the other"):
        decode(colours_apart(values))


@pytest.mark.parametrize(("kind", "number"), [(2, "i2"), (2, "i4"), (3, "f4")])
def test_compressed_numbers_are_read_in_their_order_of_bytes_or_refused(kind, number):
    values = np.arange(64, dtype=number).reshape(8, 8)
    facts = {"kind": kind, "tags": {341: 63.0}}
    wanted = np.rint(values * (255 / 63)).astype(np.uint8)
    for order, deflated in (("<", False), ("<", True), (">", False)):
        found = decode(tiff(values, order=order, deflated=deflated, **facts)).image
        assert np.array_equal(np.asarray(found)[..., 0], wanted), (order, deflated)
    with pytest.raises(DamagedImageError, match="compressed and big-endian"):
        decode(tiff(values, order=">", deflated=True, **facts))


@pytest.mark.parametrize(
    ("head", "raster"),
    [
        (b"P1\n3 2\n", b"0 1 0 1 0 1"),
        (b"P2\n# P2 is what the second line says\n3 2\n9\n", b"0 1 2 3 4 5"),
        (b"P3\n1 1\n255\n", b"1 2 3"),
        (b"P4\n9 2\n", b"\x50\x80P\x80"),
        (b"P5\n3 2\n255\n", b"\nP5\n\n\n"),
        (b"P5\n3 1\n4095\n", b"\0\1\0\2\0\3"),
        (b"P5\n3 1\n65535\n", b"\0\1\0\2\0\3"),
        (b"P6\n1 1\n100\n", b"\n\n\n"),
        (b"P6\n1 1\n1023\n", b"\0\1\0\2\0\3"),
    ],
)
def test_images_of_netpbm_that_follow_one_another_are_refused(head, raster):
    """Pillow gives the first, and does not say that there are others."""
    for end in (b"", b"\n", b" \n\n"):
        assert decode(head + raster + end).image.mode == "RGB"
    with pytest.raises(DamagedImageError, match="several pictures"):
        decode(head + raster + b"\n" + head + raster)
