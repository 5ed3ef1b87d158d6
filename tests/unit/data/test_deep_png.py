from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from support.image_bytes import deep_png, saved

from adaptune.data.deep_png import is_deep_png
from adaptune.data.domain import Decoding
from adaptune.data.preprocessing import decode
from adaptune.errors import DataError

NOISE = np.random.default_rng(0).integers(0, 65536, (12, 17, 4)).astype(np.uint16)


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("channels", [2, 3, 4])
def test_all_bits_of_all_channels_are_kept(channels: int, filtered: bool) -> None:
    pixels = NOISE[..., :channels]
    decoded = decode(deep_png(pixels, filtered=filtered), "a", Decoding(channels=channels))
    assert decoded.dtype == np.uint16
    assert np.array_equal(decoded, pixels)


def test_alpha_of_16_bits_is_composited() -> None:
    pixels = NOISE.copy()
    pixels[..., 3] = 0
    assert (decode(deep_png(pixels), "a") == 65535).all()
    assert (decode(deep_png(pixels), "a", Decoding((0, 0, 0))) == 0).all()
    assert (decode(deep_png(pixels[..., 2:]), "a") == 65535).all()


def test_a_transparent_colour_of_16_bits_shows_the_background() -> None:
    pixels = NOISE[..., :3].copy()
    pixels[0, 0] = (300, 301, 302)
    decoded = decode(deep_png(pixels, transparent=(300, 301, 302)), "a")
    assert decoded[0, 0].tolist() == [65535, 65535, 65535]
    assert np.array_equal(decoded[1:], pixels[1:])


def test_a_truncated_or_damaged_file_is_refused() -> None:
    content = deep_png(NOISE[..., :3])
    with pytest.raises(DataError, match=r"a\.png cannot be read as an image"):
        decode(content[: len(content) // 2], "a.png")
    damaged = bytearray(content)
    damaged[len(content) // 2] ^= 255
    with pytest.raises(DataError, match=r"a\.png cannot be read as an image"):
        decode(bytes(damaged), "a.png")


def test_other_files_are_not_taken_for_it() -> None:
    assert is_deep_png(deep_png(NOISE))
    assert not is_deep_png(deep_png(NOISE[..., :1]))  # Pillow keeps all bits of grey
    assert not is_deep_png(saved(Image.new("RGB", (2, 2))))
    assert not is_deep_png(b"\x89PNG\r\n\x1a\n")
    assert not is_deep_png(b"")
