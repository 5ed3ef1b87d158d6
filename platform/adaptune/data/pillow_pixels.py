"""Pixels of images that Pillow opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from adaptune.data.alpha import flatten, with_transparent_value
from adaptune.data.array_types import Pixels
from adaptune.data.domain import Decoding

if TYPE_CHECKING:
    from PIL.Image import Image

_ORIENTATION = 0x0112  # the EXIF tag
_FORMATS_OF_16_BITS = ("PNG", "PPM")  # older versions of Pillow give these images mode I


def pixels_of(file: Image, decoding: Decoding) -> Pixels:
    """Return the pixels of an opened image as they are stored: before it is turned upright.

    Returns:
        uint8 or uint16, (H, W) or (H, W, C).

    Raises:
        ValueError: the image has numbers of another type.
    """
    if _is_deep_ppm(file):
        raise ValueError(
            "colour PPM of more than 8 bits is not decoded: store it as PNG or TIFF of 16 bits"
        )
    file.load()
    if file.mode[0] in "IF":
        return _deep_grey(file, decoding)
    if file.has_transparency_data:
        is_grey = file.mode in ("1", "L", "LA", "La")
        with_alpha = np.asarray(file.convert("LA" if is_grey else "RGBA"))
        return without_alpha(with_alpha, decoding)
    if file.mode in ("L", "RGB"):
        return np.asarray(file)
    return np.asarray(file.convert("L" if file.mode == "1" else "RGB"))


def without_alpha(pixels: Pixels, decoding: Decoding) -> Pixels:
    """Return an image over the background, unless its alpha is one of the domain's channels.

    Args:
        pixels: (H, W, 2) or (H, W, 4), the last channel is alpha.
    """
    if pixels.shape[-1] == decoding.channels:
        return pixels
    return flatten(pixels, decoding.background)


def orientation_of(file: Image) -> int:
    """Return the orientation, 1 to 8, of a loaded image by its EXIF tag; 1 without a valid one."""
    try:
        orientation = file.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF raises errors of all kinds; the pixels are intact
        return 1
    if orientation in range(1, 9):
        return int(orientation)
    return 1


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Return an image turned and flipped as its EXIF orientation, 1 to 8, demands."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _is_deep_ppm(file: Image) -> bool:
    """Return True for a colour PPM file that Pillow reduces to 8 bits."""
    from PIL.ImageFile import ImageFile

    if not isinstance(file, ImageFile) or file.format != "PPM" or file.mode != "RGB":
        return False
    arguments = file.tile[0][3]
    return isinstance(arguments, tuple) and arguments[-1] > 255


def _deep_grey(file: Image, decoding: Decoding) -> Pixels:
    """Return the pixels of an image whose mode begins with I or F: uint16 (H, W)."""
    if file.mode == "F":
        raise ValueError("floating-point numbers are not decoded: store 8 or 16 bits, unsigned")
    if file.mode == "I" and file.format not in _FORMATS_OF_16_BITS:
        raise ValueError(
            "more than 16 bits, or signed numbers, are not decoded: store 8 or 16 bits, unsigned"
        )
    pixels: Pixels = np.asarray(file).astype(np.uint16)
    transparent = file.info.get("transparency")
    if transparent is None:
        return pixels
    return without_alpha(with_transparent_value(pixels, transparent), decoding)
