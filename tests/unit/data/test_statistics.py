from __future__ import annotations

import numpy as np
import pytest

from adaptune.data.array_types import Images
from adaptune.data.statistics import BINS, image_statistics


def images() -> Images:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (10, 3, 8, 8), dtype=np.uint8)


def test_statistics_in_batches_are_those_of_all_images() -> None:
    pixels = images()
    statistics = image_statistics(np.array_split(pixels, 3))
    np.testing.assert_allclose(statistics.mean, pixels.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(statistics.deviation, pixels.std(axis=(0, 2, 3)))
    spread = pixels.max(axis=1).astype(float) - pixels.min(axis=1)
    assert statistics.saturation == pytest.approx(spread.mean())
    assert statistics.contrast == pytest.approx(pixels.std(axis=(2, 3)).mean())


def test_a_histogram_has_the_fraction_of_the_pixels_of_each_bin() -> None:
    statistics = image_statistics([np.full((2, 1, 4, 4), 255, dtype=np.uint8)])
    assert statistics.histogram.shape == (1, BINS)
    assert statistics.histogram[0, -1] == 1
    assert statistics.histogram.sum() == 1


def test_images_of_one_colour_are_blank() -> None:
    pixels = images()
    pixels[4] = np.array([9, 99, 199], dtype=np.uint8)[:, None, None]
    assert image_statistics([pixels[:3], pixels[3:]]).blank.tolist() == [4]
