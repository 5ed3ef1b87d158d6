from __future__ import annotations

import numpy as np
import pytest
import torch

from adaptune.data.preprocessing import prepare
from adaptune.data.value_range import UsedRange, scale

EIGHT = np.dtype(np.uint8)
SIXTEEN = np.dtype(np.uint16)


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(1, 1, -1, 1)


def test_8_bits_stay_as_they_are_and_16_bits_are_scaled() -> None:
    assert scale(column(0, 7, 255), EIGHT, None).flatten().tolist() == [0, 7, 255]
    assert scale(column(0, 257, 65535), SIXTEEN, None).flatten().tolist() == [0, 1, 255]


def test_one_range_is_for_all_channels_and_what_is_beyond_is_clipped() -> None:
    scaled = scale(column(50, 100, 150, 200, 300), SIXTEEN, [(100, 200)])
    assert scaled.flatten().tolist() == [0, 0, 127.5, 255, 255]


def test_each_channel_can_have_its_own_range() -> None:
    pixels = np.full((1, 2, 2, 2), 1000, np.uint16)
    prepared = prepare(pixels, crop=None, size=2, channels=2, value_range=[(0, 4000), (0, 2000)])
    assert prepared[0, :, 0, 0].tolist() == [64, 128]


def test_a_range_per_channel_applies_to_grey_that_becomes_rgb() -> None:
    pixels = np.full((1, 2, 2), 100, np.uint8)
    ranges = [(0.0, 100.0), (0.0, 200.0), (100.0, 200.0)]
    prepared = prepare(pixels, crop=None, size=2, channels=3, value_range=ranges)
    assert prepared[0, :, 0, 0].tolist() == [255, 128, 0]


@pytest.mark.parametrize("stored", [0, 127, 128, 129, 32768, 65535])
def test_16_bits_are_rounded_and_not_cut(stored: int) -> None:
    pixels = np.full((1, 2, 2, 3), stored, np.uint16)
    prepared = prepare(pixels, crop=None, size=2, channels=3)
    assert (prepared == round(stored / 257)).all()


def test_twelve_bits_in_sixteen_keep_their_steps_with_a_range() -> None:
    values = np.arange(0, 4096, dtype=np.uint16).reshape(1, 64, 64)
    dark = prepare(values, crop=None, size=64, channels=1)
    bright = prepare(values, crop=None, size=64, channels=1, value_range=[(0, 4095)])
    assert len(np.unique(dark)) == 17
    assert len(np.unique(bright)) == 256


def test_a_small_part_of_16_bits_is_noted_with_the_range_to_set() -> None:
    used = UsedRange()
    used.add(np.array([[90, 2000]], np.uint16))
    used.add(np.array([[80, 4095]], np.uint16))
    assert used.note() == (
        "the images use only 80 to 4095 of 0 to 65535, so that they are almost of one colour: set"
        " value_range: [80, 4095]"
    )


def test_a_large_part_and_8_bits_are_not_noted() -> None:
    used = UsedRange()
    used.add(np.array([[0, 3]], np.uint8))
    assert used.note() is None
    used.add(np.array([[0, 7000]], np.uint16))
    assert used.note() is None
