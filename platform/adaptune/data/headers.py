"""Forms of images as they are stored: size, channels and bit depth, without decoding them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from adaptune.data.arrays import array_form, is_array
from adaptune.data.formats import formats_for
from adaptune.data.tiff_page import is_tiff, read_pages
from adaptune.errors import DataError

_MODES = {
    "1": "black and white",
    "L": "grey",
    "LA": "grey with alpha",
    "P": "palette",
    "RGB": "RGB",
    "RGBA": "RGB with alpha",
    "CMYK": "CMYK",
    "I;16": "grey",
    "I;16B": "grey",
    "I": "grey",
    "F": "grey",
}
_START_BYTES = 4096
_MODE_BITS = {"1": 1, "I;16": 16, "I;16B": 16, "I": 32, "F": 32}


@dataclass(frozen=True)
class ImageHeader:
    """The form of an image as it is stored.

    Attributes:
        width: px, before a rotation according to EXIF, as `height`.
        height: px.
        form: the format, the channels and the bits per channel, such as `PNG, RGB, 8 bit`.
    """

    width: int
    height: int
    form: str


@runtime_checkable
class DescribedSource(Protocol):
    """An `ImageSource` that knows a header of each image."""

    def header(self, index: int) -> ImageHeader:
        """Return the header of an image.

        Raises:
            DataError: it cannot be read, or the image has none.
        """
        ...


def read_header(encoded: bytes | Path, name: str) -> ImageHeader:
    """Return the header of an image file or its bytes.

    Args:
        name: the name of the image in messages.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with _open_binary(encoded) as file:
            return _read(file)
    except Exception as error:  # PIL's errors for broken files have no common base
        raise DataError(f"{name} cannot be read as an image: {error}") from error


def _open_binary(encoded: bytes | Path) -> BinaryIO:
    return encoded.open("rb") if isinstance(encoded, Path) else io.BytesIO(encoded)


def _read(file: BinaryIO) -> ImageHeader:
    """Return the header of an open file, most of which is not read."""
    from PIL import Image, UnidentifiedImageError

    start = file.read(_START_BYTES)
    file.seek(0)
    if is_array(start):
        return _array_header(start)
    try:
        with Image.open(file, formats=formats_for(start)) as image:
            channels = _MODES.get(image.mode, image.mode)
            form = f"{image.format}, {channels}, {_bits(image)} bit"
            return ImageHeader(image.width, image.height, form)
    except UnidentifiedImageError:
        if not is_tiff(start):
            raise
    file.seek(0)
    return _tiff_header(file.read())


def _array_header(content: bytes) -> ImageHeader:
    shape, bits = array_form(content)
    height, width, *channels = shape
    return ImageHeader(width, height, f"NPY, {prod(channels)} channel(s), {bits} bit")


def _tiff_header(content: bytes) -> ImageHeader:
    """Return the header of a TIFF file of a form that Pillow does not know."""
    page = next(read_pages(content))
    form = f"TIFF, {page.samples} channel(s), {max(page.bits)} bit"
    return ImageHeader(page.width, page.height, form)


def _bits(file: object) -> int:
    """Return the bits per channel of an open file; PIL's mode hides 16 bits of an RGB image."""
    for tile in getattr(file, "tile", ()):
        if ";16" in str(tile):
            return 16
    return _MODE_BITS.get(getattr(file, "mode", ""), 8)
