"""Forms of images as they are stored: size, channels and bit depth, without decoding them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from adaptune.data.preprocessing import FORMATS
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
    """An `ImageSource` that knows a name and a header of each image."""

    def name(self, index: int) -> str:
        """Return the path of an image, or another name that leads to it."""
        ...

    def header(self, index: int) -> ImageHeader:
        """Return the header of an image.

        Raises:
            DataError: it cannot be read.
        """
        ...


def read_header(encoded: bytes | Path, name: str) -> ImageHeader:
    """Return the header of an image file or its bytes.

    Args:
        name: the name of the image in messages.

    Raises:
        DataError: it cannot be read.
    """
    from PIL import Image

    source = encoded if isinstance(encoded, Path) else io.BytesIO(encoded)
    try:
        with Image.open(source, formats=FORMATS) as file:
            form = f"{file.format}, {_MODES.get(file.mode, file.mode)}, {_bits(file)} bit"
            return ImageHeader(file.width, file.height, form)
    except Exception as error:  # PIL's errors for broken files have no common base
        raise DataError(f"{name} cannot be read as an image: {error}") from error


def _bits(file: object) -> int:
    """Return the bits per channel of an open file; PIL's mode hides 16 bits of an RGB image."""
    for tile in getattr(file, "tile", ()):
        if ";16" in str(tile):
            return 16
    return _MODE_BITS.get(getattr(file, "mode", ""), 8)
