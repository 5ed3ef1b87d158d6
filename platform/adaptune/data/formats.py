"""Formats of image files that are decoded, and their suffixes."""

from __future__ import annotations

import io
from functools import cache
from typing import TYPE_CHECKING

from adaptune.data.arrays import ARRAY_SUFFIX
from adaptune.errors import DataError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

# Pillow has more, among them some that run other programs or have a history of memory errors. TGA
# has no signature: other files could be taken for it.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "AVIF")
HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
_HEIF = "HEIF"
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")


@cache
def accepted_suffixes() -> frozenset[str]:
    """Return the suffixes, in lower case, of the files that `decode` reads.

    Those of HEIC are among them even if its extra is not installed: the message about such a file
    names the extra.
    """
    from PIL import Image

    Image.init()
    formats = {*FORMATS, "MPO"}  # Pillow opens MPO as a kind of JPEG
    suffixes = {ARRAY_SUFFIX, *HEIF_SUFFIXES}
    for suffix, kind in Image.registered_extensions().items():
        if kind in formats:
            suffixes.add(suffix)
    return frozenset(suffixes)


def format_names() -> str:
    """Return the names of all formats, for messages."""
    return ", ".join([*FORMATS, "HEIC", "NPY"])


def open_image(content: bytes) -> ImageFile:
    """Open the content of an image file with Pillow, which reads its header.

    Raises:
        DataError: a library for the format is not installed.
        PIL.UnidentifiedImageError: it is none of the formats, or its header is damaged.
    """
    from PIL import Image

    return Image.open(io.BytesIO(content), formats=formats_for(content))


def formats_for(content: bytes) -> tuple[str, ...]:
    """Return Pillow's names of the formats to try for the first kB of a file, or more of it.

    Raises:
        DataError: a library for the format is not installed.
    """
    brands = _brands(content)
    if any(brand in _AVIF_BRANDS for brand in brands):
        if "AVIF" not in _installed_formats():
            raise DataError("AVIF needs Pillow 11.3 or newer: pip install --upgrade pillow")
    elif any(brand in _HEIF_BRANDS for brand in brands):
        _register_heif()
        return (_HEIF,)
    return _installed_formats()


def _brands(content: bytes) -> list[bytes]:
    """Return the brands of a file of the family of HEIF and AVIF, otherwise none."""
    if content[4:8] != b"ftyp":
        return []
    end = int.from_bytes(content[:4])
    # The major brand, its version, and the compatible brands.
    return [content[8:12], *(content[at : at + 4] for at in range(16, min(end, 256), 4))]


@cache
def _installed_formats() -> tuple[str, ...]:
    from PIL import Image

    Image.init()
    return tuple(kind for kind in FORMATS if kind in Image.OPEN)


@cache
def _register_heif() -> None:
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise DataError("HEIC needs pillow-heif: pip install 'adaptune[heic]'") from error
    register_heif_opener()
