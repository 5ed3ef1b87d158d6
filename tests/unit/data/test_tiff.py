from __future__ import annotations

import numpy as np
import pytest
from support.image_bytes import Tiff

from adaptune.data.array_types import Pixels
from adaptune.data.domain import Decoding
from adaptune.data.tiff import read_tiff

NOISE = np.random.default_rng(0).integers(0, 65536, (12, 17, 6)).astype(np.uint16)


def read(content: bytes, channels: int = 3) -> Pixels | None:
    return read_tiff(content, Decoding(channels=channels), lambda *shape: None)


def test_rgb_of_16_bits_keeps_all_of_them() -> None:
    decoded = read(Tiff(photometric=2).encode(NOISE[..., :3]))
    assert decoded is not None
    assert np.array_equal(decoded, NOISE[..., :3])


def test_rgb_of_8_bits_is_left_to_pillow() -> None:
    assert read(Tiff(photometric=2).encode(NOISE[..., :3].astype(np.uint8))) is None


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_five_channels_are_five_channels(kind: type[np.uint8 | np.uint16]) -> None:
    pixels = NOISE[..., :5].astype(kind)
    for channels in (3, 5):  # `prepare` refuses them for 3
        decoded = read(Tiff(extra=(0, 0, 0, 0)).encode(pixels), channels)
        assert decoded is not None
        assert np.array_equal(decoded, pixels)


def test_white_that_is_stored_as_0_is_white() -> None:
    decoded = read(Tiff(photometric=0).encode(NOISE[..., :1]))
    assert decoded is not None
    assert np.array_equal(decoded, 65535 - NOISE[..., 0])


def test_alpha_is_composited_unless_it_is_the_fourth_channel() -> None:
    pixels = NOISE[..., :4].copy()
    pixels[..., 3] = 0
    content = Tiff(photometric=2, extra=(2,)).encode(pixels)
    over_white = read(content)
    assert over_white is not None
    assert over_white.shape == (12, 17, 3)
    assert (over_white == 65535).all()
    four = read(content, channels=4)
    assert four is not None
    assert np.array_equal(four, pixels)


def test_colours_that_are_multiplied_by_alpha_are_not_multiplied_again() -> None:
    pixels = np.full((2, 2, 4), 10_000, np.uint16)
    pixels[..., 3] = 32768  # half of the colour is there already
    decoded = read(Tiff(photometric=2, extra=(1,)).encode(pixels))
    assert decoded is not None
    assert np.abs(decoded.astype(int) - (10_000 + 32767)).max() <= 1


def test_pages_are_channels_if_their_number_is_right() -> None:
    pages = [NOISE[..., index : index + 1] for index in range(5)]
    content = Tiff().encode(*pages)
    stacked = read(content, channels=5)
    assert stacked is not None
    assert np.array_equal(stacked, NOISE[..., :5])
    first = read(content, channels=3)
    assert first is not None
    assert np.array_equal(first, NOISE[..., 0])


def test_pages_of_other_sizes_are_no_channels() -> None:
    thumbnail = NOISE[:6, :8, :1]
    first = read(Tiff().encode(NOISE[..., :1], thumbnail, thumbnail), channels=3)
    assert first is not None
    assert np.array_equal(first, NOISE[..., 0])


def test_a_damaged_second_page_does_not_hide_the_first() -> None:
    content = Tiff().encode(NOISE[..., :1], NOISE[..., 1:2])
    first = read(content[:-100])
    assert first is not None
    assert np.array_equal(first, NOISE[..., 0])


def test_an_image_is_turned_upright() -> None:
    decoded = read(Tiff(photometric=2, orientation=3).encode(NOISE[..., :3]))
    assert decoded is not None
    assert np.array_equal(decoded, NOISE[::-1, ::-1, :3])


@pytest.mark.parametrize("sign", [2, 3])
def test_signed_and_floating_point_samples_are_refused(sign: int) -> None:
    with pytest.raises(ValueError, match=r"signed or floating-point.*store 8 or 16 bits, unsigned"):
        read(Tiff(sign=sign).encode(NOISE[..., :1]))


def test_cmyk_of_16_bits_is_refused_unless_its_inks_are_the_channels() -> None:
    content = Tiff(photometric=5).encode(NOISE[..., :4])
    with pytest.raises(ValueError, match="photometric interpretation 5 is not decoded"):
        read(content)
    inks = read(content, channels=4)
    assert inks is not None
    assert np.array_equal(inks, NOISE[..., :4])


def test_the_size_is_checked_before_the_samples_are_read() -> None:
    sizes = []

    def check_size(*shape: int) -> None:
        sizes.append(shape)
        raise OverflowError

    with pytest.raises(OverflowError):
        read_tiff(Tiff().encode(NOISE[..., :5]), Decoding(), check_size)
    assert sizes == [(17, 12, 5)]
