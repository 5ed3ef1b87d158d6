from __future__ import annotations

import sys
from collections.abc import Generator

import pytest
from PIL import Image
from support.image_bytes import saved

from adaptune.data import formats
from adaptune.data.formats import accepted_suffixes, open_image
from adaptune.data.preprocessing import decode
from adaptune.errors import DataError


@pytest.fixture
def fresh_caches() -> Generator[None]:
    """Let functions ask for the libraries again, before and after a test."""
    cached = (formats._installed_formats, formats._register_heif)
    for function in cached:
        function.cache_clear()
    yield
    for function in cached:
        function.cache_clear()


def test_all_suffixes_of_the_formats_are_accepted() -> None:
    of_pillow = {".png", ".apng", ".jpg", ".jfif", ".jpe", ".mpo", ".gif", ".tiff", ".webp", ".pgm"}
    assert of_pillow | {".npy", ".heic", ".heif"} <= accepted_suffixes()
    assert all(suffix == suffix.lower() for suffix in accepted_suffixes())


def test_formats_without_a_signature_and_those_that_run_programs_are_not() -> None:
    assert accepted_suffixes().isdisjoint({".tga", ".eps", ".psd", ".svg", ".pdf", ".txt"})


def heif(*brands: bytes) -> bytes:
    body = b"ftyp" + brands[0] + bytes(4) + b"".join(brands)
    return (len(body) + 4).to_bytes(4) + body + bytes(100)


@pytest.mark.parametrize("brands", [(b"heic",), (b"mif1",), (b"mif1", b"heic"), (b"msf1", b"hevc")])
def test_a_photograph_of_a_phone_names_the_extra(
    brands: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch, fresh_caches: None
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(DataError, match=r"HEIC needs pillow-heif: pip install 'adaptune\[heic\]'"):
        open_image(heif(*brands))


def test_avif_names_the_version_of_pillow_that_reads_it(
    monkeypatch: pytest.MonkeyPatch, fresh_caches: None
) -> None:
    Image.init()
    monkeypatch.delitem(Image.OPEN, "AVIF", raising=False)
    with pytest.raises(DataError, match=r"AVIF needs Pillow 11\.3 or newer"):
        open_image(heif(b"avif", b"mif1"))


@pytest.mark.skipif("AVIF" not in formats._installed_formats(), reason="Pillow without AVIF")
def test_avif_is_decoded() -> None:
    content = saved(Image.new("RGB", (8, 6), (200, 200, 200)), "AVIF", quality=100)
    decoded = decode(content, "a.avif")
    assert decoded.shape == (6, 8, 3)
    assert abs(decoded.astype(int) - 200).max() <= 3
