from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from support.image_bytes import DEFLATE, NONE, Tiff

from adaptune.data.array_types import Pixels
from adaptune.data.tiff_page import is_tiff, read_pages, read_samples

FORMS = [
    Tiff(order, compression, differences, tile, planar, big=big)
    for order in "<>"
    for compression, differences in ((NONE, False), (DEFLATE, False), (DEFLATE, True))
    for tile in (None, 16)
    for planar in (False, True)
    for big in ((False, True) if order == "<" else (False,))
]


def noise(channels: int, kind: type[np.uint8 | np.uint16]) -> Pixels:
    rng = np.random.default_rng(channels)
    pixels: Pixels = rng.integers(0, np.iinfo(kind).max + 1, (37, 45, channels)).astype(kind)
    return pixels


def read(content: bytes) -> Pixels:
    [page] = read_pages(content)
    return read_samples(content, page)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_the_samples_of_any_layout_are_exact(
    form: Tiff, kind: type[np.uint8 | np.uint16], channels: int
) -> None:
    pixels = noise(channels, kind)
    decoded = read(form.encode(pixels))
    assert decoded.dtype == kind
    assert np.array_equal(decoded, pixels)


def test_pages_are_read_one_after_the_other() -> None:
    pixels = noise(2, np.uint16)
    content = Tiff().encode(pixels, pixels[:20], pixels[:30])
    assert [page.height for page in read_pages(content)] == [37, 20, 30]


def test_a_page_says_what_its_samples_are() -> None:
    form = Tiff(photometric=2, extra=(2,), orientation=6, sign=2, planar=True)
    [page] = read_pages(form.encode(noise(4, np.uint16)))
    assert (page.width, page.height, page.samples) == (45, 37, 4)
    assert page.bits == (16, 16, 16, 16)
    assert (page.photometric, page.extra, page.orientation) == (2, (2,), 6)
    assert page.is_planar
    assert not page.is_unsigned


def test_a_loop_of_pages_ends() -> None:
    content = bytearray(Tiff().encode(noise(1, np.uint8)))
    start = int.from_bytes(content[4:8], "little")
    entries = int.from_bytes(content[start : start + 2], "little")
    link = start + 2 + 12 * entries
    content[link : link + 4] = start.to_bytes(4, "little")
    assert len(list(islice(read_pages(bytes(content)), 3))) == 1


def test_a_page_whose_chunks_leave_the_file_or_share_it_is_refused() -> None:
    content = Tiff().encode(noise(3, np.uint16))
    [page] = read_pages(content)
    offset, size = page.chunks[0]
    with pytest.raises(ValueError, match="is truncated"):
        read_samples(content, replace(page, chunks=((len(content) - 1, size),)))
    with pytest.raises(ValueError, match="more than once"):
        read_samples(content, replace(page, chunks=((offset, size),) * 100))


def test_the_big_endian_form_of_large_files_is_refused_by_name() -> None:
    content = Tiff(">", big=True).encode(noise(3, np.uint16))
    assert is_tiff(content)
    with pytest.raises(ValueError, match="big-endian BigTIFF"):
        list(read_pages(content))


def test_other_files_are_no_tiff() -> None:
    assert not is_tiff(b"\x89PNG\r\n\x1a\n")
    assert not is_tiff(b"")
