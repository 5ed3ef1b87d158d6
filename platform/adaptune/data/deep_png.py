"""PNG images of 16 bits with several channels, which Pillow cuts to 8 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from adaptune.data.alpha import with_transparent_value
from adaptune.data.array_types import Images, Pixels
from adaptune.data.domain import Decoding
from adaptune.data.pillow_pixels import without_alpha

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_BIT_DEPTH_AT = 24  # bytes from the start of the file
_COLOUR_TYPE_AT = 25
_RGB, _GREY_ALPHA, _RGB_ALPHA = 2, 4, 6
_LAYOUTS = {_RGB: "RGB", _RGB_ALPHA: "RGBA"}


def is_deep_png(content: bytes) -> bool:
    """Return True for the content of a PNG file of 16 bits with several channels."""
    return (
        content.startswith(b"\x89PNG\r\n\x1a\n")
        and len(content) > _COLOUR_TYPE_AT
        and content[_BIT_DEPTH_AT] == 16
        and content[_COLOUR_TYPE_AT] in (_RGB, _GREY_ALPHA, _RGB_ALPHA)
    )


def read_deep_png(
    content: bytes, first: ImageFile, second: ImageFile, decoding: Decoding
) -> Pixels:
    """Return the image of a deep PNG file with all its bits.

    Pillow unpacks the high byte of each value, or the low byte if it takes the order of bytes for
    the other one. So two readings give both.

    Args:
        content: the content of the file.
        first: the file, opened and not yet loaded.
        second: the same, opened another time.
        decoding: options of the decoder.

    Returns:
        uint16 (H, W) or (H, W, C).
    """
    colour_type = content[_COLOUR_TYPE_AT]
    pixels: Pixels
    if colour_type == _GREY_ALPHA:
        bytes_of_pixels = _unpack(first, "RGBA")  # high and low byte of grey, then of alpha
        pixels = np.ascontiguousarray(bytes_of_pixels).view(">u2").astype(np.uint16)
        return without_alpha(pixels, decoding)
    layout = _LAYOUTS[colour_type]
    high = _unpack(first, f"{layout};16B").astype(np.uint16)
    low = _unpack(second, f"{layout};16L")
    pixels = high * 256 + low
    if colour_type == _RGB_ALPHA:
        return without_alpha(pixels, decoding)
    transparent = first.info.get("transparency")
    if transparent is None:
        return pixels
    return without_alpha(with_transparent_value(pixels, transparent), decoding)


def _unpack(file: ImageFile, raw_mode: str) -> Images:
    [tile] = file.tile
    file.tile = [(*tile[:3], raw_mode)]  # type: ignore[list-item]  # a plain tuple before Pillow 11
    file.load()
    return np.asarray(file)
