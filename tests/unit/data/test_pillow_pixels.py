from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps
from support.image_bytes import saved

from adaptune.data.domain import Decoding
from adaptune.data.pillow_pixels import orientation_of, pixels_of, upright
from adaptune.data.preprocessing import decode

ORIENTATION = 0x0112
NOISE = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype(np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_are_turned_as_pillow_turns_them(orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    content = saved(Image.fromarray(NOISE), exif=exif)
    with Image.open(io.BytesIO(content)) as file:
        expected = np.asarray(ImageOps.exif_transpose(file))
    assert np.array_equal(upright(NOISE, orientation), expected)
    assert np.array_equal(decode(content, "a"), expected)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    with Image.open(io.BytesIO(saved(Image.fromarray(NOISE), exif=exif))) as file:
        assert orientation_of(file) == 1


@pytest.mark.parametrize(
    ("mode", "channels", "shape"),
    [("RGBA", 4, (4, 6, 4)), ("RGBA", 3, (4, 6, 3)), ("LA", 2, (4, 6, 2)), ("LA", 1, (4, 6))],
)
def test_alpha_is_a_channel_only_if_the_domain_has_so_many(
    mode: str, channels: int, shape: tuple[int, ...]
) -> None:
    content = saved(Image.fromarray(NOISE).convert(mode))
    assert decode(content, "a", Decoding(channels=channels)).shape == shape


@pytest.mark.parametrize("mode", ["L", "RGB", "1", "P", "CMYK", "YCbCr", "LAB"])
def test_modes_without_alpha_become_grey_or_rgb(mode: str) -> None:
    image = Image.fromarray(NOISE).convert(mode)
    pixels = pixels_of(image, Decoding())
    expected = np.asarray(image.convert("L" if mode in ("1", "L") else "RGB"))
    assert np.array_equal(pixels, expected)


def test_grey_of_16_bits_keeps_all_of_them() -> None:
    grey = np.array([[0, 1, 256, 40_000, 65535]], np.uint16)
    pgm = b"P5\n5 1\n65535\n" + grey.astype(">u2").tobytes()
    for content in (saved(Image.fromarray(grey)), pgm):
        decoded = decode(content, "a")
        assert decoded.dtype == np.uint16
        assert np.array_equal(decoded, grey)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((2, 2), 70_000, np.int32), "store 8 or 16 bits, unsigned"),
        (np.full((2, 2), 0.5, np.float32), "store 8 or 16 bits, unsigned"),
    ],
)
def test_other_numbers_are_refused(array: np.ndarray, message: str) -> None:
    with (
        Image.open(io.BytesIO(saved(Image.fromarray(array), "TIFF"))) as file,
        pytest.raises(ValueError, match=message),
    ):
        pixels_of(file, Decoding())
