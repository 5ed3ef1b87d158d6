from __future__ import annotations

import numpy as np
import pytest

from adaptune.data.alpha import flatten, flatten_premultiplied, with_transparent_value

WHITE = (255, 255, 255)
RED = (255, 0, 0)


def test_opaque_pixels_are_unchanged() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 5, 4)).astype(np.uint8)
    pixels[..., 3] = 255
    assert np.array_equal(flatten(pixels, RED), pixels[..., :3])


@pytest.mark.parametrize(
    ("kind", "scale"), [(np.uint8, 1), (np.uint16, 257)], ids=["8 bits", "16 bits"]
)
def test_half_transparent_pixels_are_a_mixture(
    kind: type[np.uint8 | np.uint16], scale: int
) -> None:
    pixels = (np.array([[[0, 100, 255, 51]]]) * scale).astype(kind)  # an opacity of 0.2
    assert flatten(pixels, RED).dtype == kind
    expected = np.array([0.8 * 255, 20, 51]) * scale
    assert np.abs(flatten(pixels, RED)[0, 0] - expected).max() <= 0.5


def test_the_largest_products_of_16_bits_do_not_overflow() -> None:
    pixels = np.full((1, 1, 4), 65535, np.uint16)
    pixels[..., 3] = 65534
    assert flatten(pixels, WHITE).tolist() == [[[65535, 65535, 65535]]]


def test_grey_stays_grey_over_grey_and_becomes_rgb_over_a_colour() -> None:
    pixels = np.array([[[10, 0], [10, 255]]], np.uint8)
    assert flatten(pixels, WHITE).tolist() == [[255, 10]]
    assert flatten(pixels, RED).tolist() == [[[255, 0, 0], [10, 10, 10]]]


def test_premultiplied_colours_are_added_to_what_is_behind() -> None:
    pixels = np.array([[[50, 0, 0, 128], [0, 0, 0, 0], [200, 10, 10, 100]]], np.uint8)
    flat = flatten_premultiplied(pixels, WHITE)[0].tolist()
    assert flat[0] == pytest.approx([50 + 127, 127, 127], abs=1)
    assert flat[1] == [255, 255, 255]
    assert flat[2][0] == 255  # a colour beyond its alpha is the full colour


def test_one_value_is_made_transparent() -> None:
    grey = with_transparent_value(np.array([[7, 8]], np.uint16), 7)
    assert grey.tolist() == [[[7, 0], [8, 65535]]]
    rgb = with_transparent_value(np.array([[[1, 2, 3], [1, 2, 4]]], np.uint8), (1, 2, 3))
    assert rgb.tolist() == [[[1, 2, 3, 0], [1, 2, 4, 255]]]
