"""Image files of any kind, decoded to upright RGB."""

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.data.datasets.sources import DamagedImageError, Picture

_ORIENTATION = 0x0112  # the EXIF tag
_UPRIGHT = 1


def decode(data: bytes) -> Picture:
    """Decodes a file's bytes: turned upright as its EXIF data say, transparency laid on white, 16 bits made 8.

    Raises:
        DamagedImageError: it is no image, damaged, cut short, or of a kind that has no agreed way to RGB.
    """
    if not data:
        raise DamagedImageError("it is empty")
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            turned = _orientation(image) != _UPRIGHT
            # Cameras append further pictures to some JPEG files (MPO); those are not kept as they are.
            own = image.format == "JPEG" and image.mode == "RGB" and not turned
            rgb = _to_rgb(ImageOps.exif_transpose(image) if turned else image)
    except (MemoryError, DamagedImageError):
        raise
    except UnidentifiedImageError:
        raise DamagedImageError("it is no image of a known format") from None
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged input
        raise DamagedImageError(" ".join(str(error).split()) or type(error).__name__) from None
    return Picture(rgb, data if own else None)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, _UPRIGHT))
    except Exception:  # damaged EXIF data beside a sound image
        return _UPRIGHT


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise DamagedImageError("its pixels are floating-point numbers, whose brightest value is not known")
    if image.mode.startswith("I"):  # Pillow would clip 16 bits instead of scaling them
        image = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")
