"""TIFF images that Pillow does not read with all their bits and channels."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import numpy as np

from adaptune.data.alpha import flatten_premultiplied
from adaptune.data.array_types import Pixels
from adaptune.data.domain import Decoding
from adaptune.data.pillow_pixels import upright, without_alpha
from adaptune.data.tiff_page import (
    BLACK_IS_ZERO,
    RGB,
    WHITE_IS_ZERO,
    TiffPage,
    read_pages,
    read_samples,
)

_SAMPLES_OF_PILLOW = (1, 3, 4)  # with 8 bits
_PREMULTIPLIED, _ALPHA = 1, 2


def read_tiff(
    content: bytes, decoding: Decoding, check_size: Callable[[int, int, int], None]
) -> Pixels | None:
    """Return the image of a TIFF file, or None if Pillow reads it well.

    Pages of one channel are the channels of the image if their number is that of the domain's
    channels and their sizes agree. Otherwise, the image is the first page.

    Args:
        content: the content of the file.
        decoding: options of the decoder.
        check_size: raises an error if an image of this width, height and number of channels is too
            large.

    Returns:
        uint8 or uint16, (H, W) or (H, W, C).

    Raises:
        ValueError: the file is damaged, or has numbers of another type.
    """
    pages = _first_pages(content, decoding.channels + 1)
    first = pages[0]
    depth = max(first.bits)
    if depth > 8 and (depth != 16 or not first.is_unsigned):
        raise ValueError(
            f"samples of {depth} bits, or signed or floating-point ones, are not decoded: store 8"
            " or 16 bits, unsigned"
        )
    check_size(first.width, first.height, first.samples)
    if _are_channels(pages, decoding.channels):
        check_size(first.width, first.height, len(pages))
        channels = [_read_grey(content, page) for page in pages]
        return upright(np.concatenate(channels, axis=2), first.orientation)
    if not _is_for_this_module(first, decoding.channels):
        return None
    return upright(_colours(content, first, decoding), first.orientation)


def _first_pages(content: bytes, count: int) -> list[TiffPage]:
    """Return up to `count` pages; later ones may be damaged, because the first one is enough."""
    remaining = read_pages(content)
    pages = [next(remaining)]
    try:
        pages += islice(remaining, count - 1)
    except Exception:  # Pillow's errors for broken files have no common base
        return pages[:1]
    return pages


def _is_for_this_module(page: TiffPage, channels: int) -> bool:
    if set(page.bits) == {16}:
        return True
    if set(page.bits) != {8} or not page.is_unsigned:
        return False
    if page.samples in (1, 3):
        return False
    return page.samples == channels or page.samples not in _SAMPLES_OF_PILLOW


def _are_channels(pages: list[TiffPage], channels: int) -> bool:
    """Return True if the pages are the channels of one image."""
    first = pages[0]
    if channels == 1 or len(pages) != channels:
        return False
    return all(
        page.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO)
        and page.bits == first.bits
        and page.bits in ((8,), (16,))
        and page.is_unsigned
        and (page.width, page.height) == (first.width, first.height)
        for page in pages
    )


def _read_grey(content: bytes, page: TiffPage) -> Pixels:
    pixels = read_samples(content, page)
    if page.photometric == WHITE_IS_ZERO:
        pixels = np.iinfo(pixels.dtype).max - pixels
    return pixels


def _colours(content: bytes, page: TiffPage, decoding: Decoding) -> Pixels:
    """Return the channels of a page, its alpha composited over the background."""
    is_known = page.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB)
    if not is_known and (page.samples != decoding.channels or page.samples <= 3):
        raise ValueError(
            f"16-bit or multi-channel TIFF of photometric interpretation {page.photometric} is"
            " not decoded: store it as grey or RGB"
        )
    pixels = _read_grey(content, page)
    if page.samples == decoding.channels:
        return pixels
    colours = 3 if page.photometric == RGB else 1
    has_alpha = page.samples == colours + 1 and page.extra[:1] in ((_PREMULTIPLIED,), (_ALPHA,))
    if has_alpha and page.extra[0] == _PREMULTIPLIED:
        return flatten_premultiplied(pixels, decoding.background)
    if has_alpha:
        return without_alpha(pixels, decoding)
    return pixels[..., 0] if page.samples == 1 else pixels
